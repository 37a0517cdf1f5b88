//! Data Factory's expressions over rows in SQL. What has no exact counterpart is an error with its place, what differs a note.

use std::cell::RefCell;

use indexmap::IndexMap;

use super::script::{Expr, Kind, Piece, Span, Type};
use super::stream::{Column, Stream};

/// An expression in SQL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sql {
    pub(super) text: String,
    /// How strongly its outermost operator binds; [`ATOM`] if it has none.
    pub(super) strength: u8,
    pub(super) of: Type,
}

pub(super) const OR: u8 = 1;
pub(super) const AND: u8 = 2;
pub(super) const NOT: u8 = 3;
pub(super) const COMPARED: u8 = 4;
pub(super) const ADDED: u8 = 5;
pub(super) const MULTIPLIED: u8 = 6;
pub(super) const ATOM: u8 = 9;

/// What cannot be said here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gap {
    pub(super) span: Span,
    /// What and why.
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Row,
    Group,
    /// Rows around each row; functions over them get columns of their own first.
    Window,
}

/// What names mean where an expression stands.
pub(super) struct Scope<'a> {
    /// The streams that come in, with their names there, and what their columns' names begin with here: `l.`.
    pub(super) inputs: Vec<(&'a str, &'a Stream, &'static str)>,
    pub(super) parameters: &'a IndexMap<String, (String, Type)>,
    pub(super) locals: IndexMap<String, &'a Expr>,
    /// The column that `$$` is; without one it stays `$$`.
    pub(super) matched: Option<&'a Column>,
    pub(super) over: Over,
    /// What means something else here.
    pub(super) notes: RefCell<Vec<(Span, String)>>,
    /// Columns for the functions over windows.
    pub(super) hoisted: RefCell<Vec<(String, String)>>,
    pub(super) depth: RefCell<u16>,
}

pub(super) type Made = Result<Sql, Gap>;

/// Locals within each other beyond which they are taken to name themselves.
const MAX_LOCALS: u16 = 16;

impl Sql {
    pub(super) fn atom(text: impl Into<String>, of: Type) -> Self {
        Self { text: text.into(), strength: ATOM, of }
    }

    pub(super) fn new(text: impl Into<String>, strength: u8, of: Type) -> Self {
        Self { text: text.into(), strength, of }
    }

    /// As an operand of an operator that binds that strongly.
    pub(super) fn within(&self, strength: u8) -> String {
        if self.strength > strength { self.text.clone() } else { format!("({})", self.text) }
    }

    /// As an operand of anything.
    pub(super) fn alone(&self) -> String {
        self.within(ATOM - 1)
    }
}

impl Gap {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    pub(super) fn hinted(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        inputs: Vec<(&'a str, &'a Stream, &'static str)>,
        parameters: &'a IndexMap<String, (String, Type)>,
    ) -> Self {
        Self {
            inputs,
            parameters,
            locals: IndexMap::new(),
            matched: None,
            over: Over::Row,
            notes: RefCell::default(),
            hoisted: RefCell::default(),
            depth: RefCell::new(0),
        }
    }

    pub(super) fn note(&self, span: Span, message: impl Into<String>) {
        self.notes.borrow_mut().push((span, message.into()));
    }

    /// The column that a name means, and how it is written.
    pub(super) fn column(&self, stream: Option<&str>, name: &str, span: Span) -> Made {
        for (_, input, prefix) in &self.inputs {
            if let Some(column) = input.find(stream, name) {
                return Ok(Sql::atom(format!("{prefix}{}", quote(&column.ours)), column.of.clone()));
            }
        }
        let fits = |wanted: &str| stream.is_none_or(|stream| stream == wanted);
        let mut open = self.inputs.iter().filter(|(known, input, _)| input.open && fits(known));
        match (open.next(), open.next()) {
            (Some((_, _, prefix)), None) => Ok(Sql::atom(format!("{prefix}{}", quote(name)), Type::Any)),
            (Some(_), Some(_)) => {
                let message = format!("names `{name}`, which may be a column of either stream");
                Err(Gap::new(span, message).hinted("name the stream there: `stream@column`"))
            }
            (None, _) if name == "null" => Ok(Sql::atom("null", Type::Any)),
            (None, _) if name == "true" || name == "false" => Ok(Sql::atom(name, Type::Boolean)),
            (None, _) => {
                Err(Gap::new(span, format!("names the column `{name}`, which no stream that comes in has")))
            }
        }
    }

    /// An expression in SQL.
    pub(super) fn sql(&self, expr: &Expr) -> Made {
        let span = expr.span;
        match &expr.kind {
            Kind::Text(pieces) => self.text(pieces, span),
            Kind::Number(number, suffix) => Ok(number_literal(number, *suffix)),
            Kind::Name { stream, name } => self.column(stream.as_deref(), name, span),
            Kind::Parameter(name) => self.parameter(name, span),
            Kind::Local(name) => self.local(name, span),
            Kind::Matched => Ok(match self.matched {
                Some(column) => Sql::atom(quote(&column.ours), column.of.clone()),
                None => Sql::atom("$$", Type::Any),
            }),
            Kind::Item(name) => Err(Gap::new(
                span,
                format!("uses `#{name}`: functions over the elements of a list have no counterpart"),
            )),
            Kind::Call { name, arguments } => self.call(name, arguments, span),
            Kind::Cached { sink } => Err(Gap::new(span, format!("reads the cached sink `{sink}`"))
                .hinted("join its rows with a `lookup` or `join` node")),
            Kind::Unary(operator, inner) => {
                let inner = self.sql(inner)?;
                Ok(match *operator {
                    "!" => Sql::new(format!("not {}", inner.within(NOT)), NOT, Type::Boolean),
                    _ => Sql::new(format!("-{}", inner.alone()), MULTIPLIED, inner.of),
                })
            }
            Kind::Binary(operator, left, right) => self.binary(operator, left, right, span),
            Kind::List(items) => {
                let items = self.all(items)?;
                let of = items.iter().map(|item| item.of.clone()).reduce(common).unwrap_or(Type::Text);
                Ok(Sql::atom(format!("make_array({})", joined(&items)), Type::List(Box::new(of))))
            }
            Kind::Struct(fields) => self.structure(fields, span),
            Kind::Field(inner, field) => self.field(inner, field, span),
            Kind::Index(list, index) => {
                let (list, index) = (self.sql(list)?, self.sql(index)?);
                Ok(element(&list, &index))
            }
            Kind::Typed(inner, of) => self.typed(inner, of, span),
            Kind::Assign(..) | Kind::Setting(..) | Kind::Declared(_) => {
                Err(Gap::new(span, "has an assignment where a value is expected"))
            }
        }
    }

    pub(super) fn all(&self, list: &[Expr]) -> Result<Vec<Sql>, Gap> {
        list.iter().map(|one| self.sql(one)).collect()
    }

    fn text(&self, pieces: &[Piece], span: Span) -> Made {
        let mut parts = Vec::new();
        for piece in pieces {
            parts.push(match piece {
                Piece::Plain(text) => literal(text),
                Piece::Inserted(inner) => self.as_text(self.sql(inner)?, span)?.within(ADDED),
            });
        }
        Ok(match parts.as_slice() {
            [] => Sql::atom("''", Type::Text),
            [only] => Sql::atom(only.clone(), Type::Text),
            parts => Sql::new(parts.join(" || "), ADDED, Type::Text),
        })
    }

    fn parameter(&self, name: &str, span: Span) -> Made {
        let Some((ours, of)) = self.parameters.get(name) else {
            return Err(Gap::new(
                span,
                format!("names the parameter `{name}`, which the data flow does not have"),
            ));
        };
        // Within brackets it is put in as a literal whatever else there is.
        let text = format!("(${{{{ parameters.{ours} }}}})");
        Ok(match of {
            Type::Date => Sql::atom(format!("cast({text} as date)"), Type::Date),
            Type::Timestamp => Sql::atom(format!("cast({text} as timestamp)"), Type::Timestamp),
            other => Sql::atom(text, other.clone()),
        })
    }

    fn local(&self, name: &str, span: Span) -> Made {
        let Some(expr) = self.locals.get(name) else {
            return Err(Gap::new(span, format!("names the local variable `{name}`, which is not there")));
        };
        if *self.depth.borrow() >= MAX_LOCALS {
            return Err(Gap::new(
                span,
                format!("has local variables within each other, deeper than {MAX_LOCALS}"),
            ));
        }
        *self.depth.borrow_mut() += 1;
        let made = self.sql(expr);
        *self.depth.borrow_mut() -= 1;
        made
    }

    fn structure(&self, fields: &[Expr], span: Span) -> Made {
        let (mut list, mut types) = (Vec::new(), Vec::new());
        for field in fields {
            let Kind::Assign(name, value) = &field.kind else {
                return Err(Gap::new(span, "has a struct without names"));
            };
            let Some((None, name)) = name.as_name() else {
                return Err(Gap::new(span, "has a struct with computed names"));
            };
            let value = self.sql(value)?;
            list.push(format!("{}, {}", literal(name), value.text));
            types.push((name.to_owned(), value.of));
        }
        Ok(Sql::atom(format!("named_struct({})", list.join(", ")), Type::Struct(types)))
    }

    fn field(&self, inner: &Expr, field: &str, span: Span) -> Made {
        let inner = self.sql(inner)?;
        let of = match &inner.of {
            Type::Struct(fields) => match fields.iter().find(|(name, _)| name == field) {
                Some((_, of)) => of.clone(),
                None => {
                    return Err(Gap::new(
                        span,
                        format!("names the field `{field}`, which the struct does not have"),
                    ));
                }
            },
            Type::Any => Type::Any,
            _ => return Err(Gap::new(span, format!("takes the field `{field}` of what is no struct"))),
        };
        Ok(Sql::atom(format!("get_field({}, {})", inner.text, literal(field)), of))
    }

    /// `byName('x') ? string`.
    fn typed(&self, inner: &Expr, of: &Type, span: Span) -> Made {
        let inner = self.sql(inner)?;
        let Some(word) = sql_type(of) else {
            return Err(Gap::new(span, "gives a value a type of lists or fields"));
        };
        if inner.of == *of {
            return Ok(inner);
        }
        Ok(Sql::atom(format!("try_cast({} as {word})", inner.text), of.clone()))
    }

    /// A value as text, as `toString` gives it.
    pub(super) fn as_text(&self, value: Sql, span: Span) -> Made {
        match value.of {
            Type::Text => Ok(value),
            Type::Timestamp => {
                self.note(
                    span,
                    "a time becomes text without fractions of a second here: `2026-03-01 10:30:00`",
                );
                Ok(Sql::atom(format!("to_char({}, '%Y-%m-%d %H:%M:%S')", value.text), Type::Text))
            }
            Type::List(_) | Type::Struct(_) | Type::Map | Type::Binary => {
                Err(Gap::new(span, "makes text of a list, a struct or bytes")
                    .hinted("`to_json(column)` is its JSON"))
            }
            _ => Ok(Sql::atom(format!("cast({} as varchar)", value.text), Type::Text)),
        }
    }
}

/// An element of a list or a map; nothing beyond its end.
pub(super) fn element(list: &Sql, index: &Sql) -> Sql {
    let of = match &list.of {
        Type::List(of) => (**of).clone(),
        _ => Type::Any,
    };
    if list.of == Type::Map {
        return Sql::atom(format!("array_element(map_extract({}, {}), 1)", list.text, index.text), of);
    }
    Sql::atom(format!("array_element({}, {})", list.text, index.text), of)
}

/// The type that holds both.
pub(super) fn common(one: Type, other: Type) -> Type {
    match (&one, &other) {
        _ if one == other => one,
        (Type::Integer(_), Type::Integer(_)) => Type::Integer("long"),
        _ if is_number(&one) && is_number(&other) => Type::Float("double"),
        _ => Type::Any,
    }
}

pub(super) fn is_number(of: &Type) -> bool {
    matches!(of, Type::Integer(_) | Type::Float(_) | Type::Decimal(..))
}

pub(super) fn is_time(of: &Type) -> bool {
    matches!(of, Type::Date | Type::Timestamp)
}

/// The type's name in SQL.
pub(super) fn sql_type(of: &Type) -> Option<String> {
    Some(match of {
        Type::Text => "varchar".to_owned(),
        Type::Integer(_) => "bigint".to_owned(),
        Type::Float(_) => "double".to_owned(),
        Type::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
        Type::Boolean => "boolean".to_owned(),
        Type::Date => "date".to_owned(),
        Type::Timestamp => "timestamp".to_owned(),
        Type::Binary | Type::List(_) | Type::Struct(_) | Type::Map | Type::Any => return None,
    })
}

/// The type's name in the settings of nodes.
pub(super) fn type_word(of: &Type) -> Option<String> {
    Some(match of {
        Type::Text => "string".to_owned(),
        Type::Integer(_) => "integer".to_owned(),
        Type::Float(_) => "float".to_owned(),
        other => sql_type(other)?,
    })
}

fn number_literal(number: &str, suffix: Option<char>) -> Sql {
    let of = match suffix {
        Some('L') => Type::Integer("long"),
        Some('S') => Type::Integer("short"),
        Some('B') => Type::Integer("byte"),
        Some('F') => Type::Float("float"),
        _ if suffix == Some('D') || number.contains(['.', 'e']) => Type::Float("double"),
        _ => Type::Integer("integer"),
    };
    let fraction = matches!(of, Type::Float(_)) && !number.contains(['.', 'e']);
    Sql::atom(if fraction { format!("{number}.0") } else { number.to_owned() }, of)
}

pub(super) fn joined(list: &[Sql]) -> String {
    list.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// Text as a literal of SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Words that are no names without quotes.
const RESERVED: [&str; 66] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "at",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "cross",
    "current_date",
    "date",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "filter",
    "for",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "map",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "position",
    "qualify",
    "right",
    "select",
    "semi",
    "set",
    "some",
    "struct",
    "table",
    "then",
    "time",
    "timestamp",
    "true",
    "union",
    "when",
];
const MORE_RESERVED: [&str; 9] = ["where", "with", "window", "using", "values", "user", "trim", "l", "r"];

/// A column's name in SQL.
pub(super) fn quote(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !RESERVED.contains(&name)
        && !MORE_RESERVED.contains(&name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
