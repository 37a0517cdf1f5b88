//! The data flow script, the language in which Data Factory keeps a mapping data flow: its words, its tree, and what is wrong with a text.

mod lexer;
mod parser;

/// Deepest nesting that is read; deeper ones are refused before the stack is at its end.
const MAX_DEPTH: usize = 150;

/// Most operations within each other, also those of long chains: `a + b + c` is two.
const MAX_HEIGHT: usize = 300;

/// A stretch of the script, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScriptError {
    pub(crate) message: String,
    pub(crate) span: Span,
}

/// A script.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Script {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) transformations: Vec<Transformation>,
}

/// `name as type (default)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) of: Type,
    pub(crate) default: Option<Expr>,
    pub(crate) span: Span,
}

/// `inputs kind(arguments) ~> name@(parts)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transformation {
    /// Streams that come in, with the part of a split.
    pub(crate) inputs: Vec<(String, Option<String>)>,
    pub(crate) kind: String,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) name: String,
    pub(crate) parts: Vec<String>,
    pub(crate) span: Span,
}

/// An expression, or whatever else may stand between the brackets of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Expressions within each other, itself among them.
    pub(crate) height: u16,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Text; in double quotes with values in it.
    Text(Vec<Piece>),
    /// A number and the letter behind it that tells its type.
    Number(String, Option<char>),
    /// A column, of a stream if it says so.
    Name { stream: Option<String>, name: String },
    /// `$name`.
    Parameter(String),
    /// `:name`, a local variable of a derived column.
    Local(String),
    /// `$$`, the column that a pattern matches.
    Matched,
    /// `#item`, `#index`, `#acc`, `#result`.
    Item(String),
    /// `name(arguments)`.
    Call { name: String, arguments: Vec<Expr> },
    /// `sink#lookup(…)`: something of a cached sink.
    Cached { sink: String },
    /// `!x` or `-x`.
    Unary(&'static str, Box<Expr>),
    /// `a op b`; `->` makes a pair of a map.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `@(a = x, b = y)`.
    Struct(Vec<Expr>),
    /// `value.field`.
    Field(Box<Expr>, String),
    /// `list[number]`.
    Index(Box<Expr>, Box<Expr>),
    /// `value ? type`.
    Typed(Box<Expr>, Type),
    /// `name = value`.
    Assign(Box<Expr>, Box<Expr>),
    /// `key: value`.
    Setting(String, Box<Expr>),
    /// `name as type ['values'] 'format'`.
    Declared(Declared),
}

/// A column with its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) of: Type,
    /// How its values are written.
    pub(crate) format: Option<String>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Plain(String),
    Inserted(Expr),
}

/// A type as the script names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Text,
    /// With the word that tells its width, which patterns ask for.
    Integer(&'static str),
    Float(&'static str),
    Decimal(u8, u8),
    Boolean,
    Date,
    Timestamp,
    Binary,
    List(Box<Type>),
    Struct(Vec<(String, Type)>),
    Map,
    /// Not known.
    Any,
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Script, ScriptError> {
    parser::Parser::new(text)?.script()
}

/// Reads an expression alone, such as the value of a parameter.
pub(crate) fn parse_expression(text: &str) -> Result<Expr, ScriptError> {
    parser::Parser::new(text)?.whole_expression()
}

impl Kind {
    /// The expressions within it.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Text(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Inserted(inner) => Some(inner),
                    Piece::Plain(_) => None,
                })
                .collect(),
            Self::Call { arguments, .. } | Self::List(arguments) | Self::Struct(arguments) => {
                arguments.iter().collect()
            }
            Self::Unary(_, inner)
            | Self::Field(inner, _)
            | Self::Typed(inner, _)
            | Self::Setting(_, inner) => vec![inner],
            Self::Binary(_, left, right) | Self::Index(left, right) | Self::Assign(left, right) => {
                vec![left, right]
            }
            Self::Number(..)
            | Self::Name { .. }
            | Self::Parameter(_)
            | Self::Local(_)
            | Self::Matched
            | Self::Item(_)
            | Self::Cached { .. }
            | Self::Declared(_) => Vec::new(),
        }
    }
}

impl Expr {
    /// `key: value` among the arguments.
    pub(crate) fn setting<'e>(arguments: &'e [Self], wanted: &str) -> Option<&'e Self> {
        arguments.iter().find_map(|argument| match &argument.kind {
            Kind::Setting(key, value) if key == wanted => Some(&**value),
            _ => None,
        })
    }

    /// The arguments of a call with that name among the arguments.
    pub(crate) fn call<'e>(arguments: &'e [Self], wanted: &str) -> Option<&'e [Self]> {
        arguments.iter().find_map(|argument| argument.called(wanted))
    }

    /// Its arguments, if it calls that.
    pub(crate) fn called(&self, wanted: &str) -> Option<&[Self]> {
        match &self.kind {
            Kind::Call { name, arguments } if name == wanted => Some(arguments),
            _ => None,
        }
    }

    /// Text without values in it.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(pieces) => match pieces.as_slice() {
                [] => Some(""),
                [Piece::Plain(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match &self.kind {
            Kind::Number(text, _) => text.parse().ok(),
            Kind::Unary("-", inner) => inner.as_integer()?.checked_neg(),
            _ => None,
        }
    }

    /// `true`, `true()`, `false`, `false()`.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        let word = match &self.kind {
            Kind::Name { stream: None, name } => name,
            Kind::Call { name, arguments } if arguments.is_empty() => name,
            _ => return None,
        };
        match word.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The name, if it is a column's and nothing else.
    pub(crate) fn as_name(&self) -> Option<(Option<&str>, &str)> {
        match &self.kind {
            Kind::Name { stream, name } => Some((stream.as_deref(), name)),
            _ => None,
        }
    }

    /// `a.b.c` as its names.
    pub(crate) fn as_path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            Kind::Name { name, .. } => Some(vec![name]),
            Kind::Field(inner, field) => {
                let mut path = inner.as_path()?;
                path.push(field);
                Some(path)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
