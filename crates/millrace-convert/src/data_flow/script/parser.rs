use super::lexer::{Part, Token, tokens};
use super::{
    Declared, Expr, Kind, MAX_DEPTH, MAX_HEIGHT, Parameter, Piece, Script, ScriptError, Span, Transformation,
    Type,
};

/// Operators by how strongly they bind.
const OPERATORS: [(&str, u8); 20] = [
    ("->", 1),
    ("||", 2),
    ("&&", 3),
    ("|", 4),
    ("^", 5),
    ("&", 6),
    ("==", 7),
    ("===", 7),
    ("!=", 7),
    ("<=>", 7),
    (">", 8),
    ("<", 8),
    (">=", 8),
    ("<=", 8),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
    ("~", 11),
];

pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, ScriptError>;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Read<Self> {
        Ok(Self { text, tokens: tokens(text)?, at: 0, depth: 0 })
    }

    fn token(&self) -> &Token {
        self.after(0)
    }

    fn after(&self, count: usize) -> &Token {
        self.tokens.get(self.at + count).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        let end = Span { from: self.text.len(), to: self.text.len() };
        self.tokens.get(self.at).map_or(end, |(_, span)| *span)
    }

    /// From there to the end of the token before.
    fn since(&self, from: usize) -> Span {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        Span { from, to: before.map_or(from, |(_, span)| span.to.max(from)) }
    }

    fn refuse<T>(&self, wanted: &str) -> Read<T> {
        let span = self.span();
        let found = self.text.get(span.from..span.to).unwrap_or_default();
        let found: String = found.chars().take(30).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        Err(ScriptError { message: format!("{wanted} is expected here, not {found}"), span })
    }

    fn skip(&mut self, symbol: &str) -> bool {
        let is_it = matches!(self.token(), Token::Symbol(found) if *found == symbol);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, symbol: &str) -> Read<()> {
        if self.skip(symbol) { Ok(()) } else { self.refuse(&format!("`{symbol}`")) }
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self.token(), Token::Word(word) if word == wanted)
    }

    fn name(&mut self, what: &str) -> Read<String> {
        match self.token().clone() {
            Token::Word(name) | Token::Braced(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.refuse(what),
        }
    }

    /// An expression, unless it is so high that whoever walks through it would run out of stack.
    fn built(&self, kind: Kind, from: usize) -> Read<Expr> {
        let span = self.since(from);
        let below = kind.children().into_iter().map(|child| child.height).max().unwrap_or(0);
        if usize::from(below) >= MAX_HEIGHT {
            return Err(ScriptError {
                message: format!("it has more than {MAX_HEIGHT} operations within each other"),
                span,
            });
        }
        Ok(Expr { kind, span, height: below + 1 })
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(ScriptError {
                message: format!("it is nested deeper than {MAX_DEPTH} levels"),
                span: self.span(),
            });
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    pub(super) fn script(mut self) -> Read<Script> {
        let mut script = Script::default();
        while *self.token() != Token::End {
            if self.is_word("parameters") && *self.after(1) == Token::Symbol("{") {
                self.at += 2;
                while !self.skip("}") {
                    script.parameters.push(self.parameter()?);
                    self.skip(",");
                }
            } else {
                script.transformations.push(self.transformation()?);
            }
        }
        Ok(script)
    }

    pub(super) fn whole_expression(mut self) -> Read<Expr> {
        let found = self.expression(0)?;
        if *self.token() == Token::End { Ok(found) } else { self.refuse("the end") }
    }

    fn parameter(&mut self) -> Read<Parameter> {
        let from = self.span().from;
        let name = self.name("the name of a parameter")?;
        if !self.is_word("as") {
            return self.refuse("`as` and a type");
        }
        self.at += 1;
        let of = self.data_type()?;
        let default = if self.skip("(") {
            let default = self.expression(0)?;
            self.expect(")")?;
            Some(default)
        } else {
            None
        };
        Ok(Parameter { name, of, default, span: self.since(from) })
    }

    fn transformation(&mut self) -> Read<Transformation> {
        let from = self.span().from;
        let mut inputs = Vec::new();
        let kind = loop {
            let name = self.name("a stream or a transformation")?;
            if self.skip("(") {
                break name;
            }
            let part = if self.skip("@") { Some(self.name("a part of a split")?) } else { None };
            inputs.push((name, part));
            self.skip(",");
        };
        let arguments = self.arguments(")")?;
        let span = self.since(from);
        self.expect("~>")?;
        let name = self.name("the name of the stream")?;
        let mut parts = Vec::new();
        if self.skip("@") {
            self.expect("(")?;
            while !self.skip(")") {
                parts.push(self.name("the name of a part")?);
                self.skip(",");
            }
        }
        Ok(Transformation { inputs, kind, arguments, name, parts, span })
    }

    /// What stands up to a closing bracket.
    fn arguments(&mut self, close: &str) -> Read<Vec<Expr>> {
        let mut arguments = Vec::new();
        while !self.skip(close) {
            arguments.push(self.deeper(Self::argument)?);
            if !self.skip(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn argument(&mut self) -> Read<Expr> {
        let from = self.span().from;
        if let (Token::Word(key), Token::Symbol(":")) = (self.token().clone(), self.after(1)) {
            self.at += 2;
            let value = self.deeper(Self::argument)?;
            return self.built(Kind::Setting(key, Box::new(value)), from);
        }
        let first = self.expression(0)?;
        if self.skip("=") {
            let value = self.deeper(Self::argument)?;
            let kind = Kind::Assign(Box::new(first), Box::new(value));
            return self.built(kind, from);
        }
        if self.is_word("as") {
            let Some(path) = first.as_path().map(|path| path.join(".")) else { return self.refuse("`,`") };
            self.at += 1;
            let of = self.data_type()?;
            let format = match self.token().clone() {
                Token::Text(format) => {
                    self.at += 1;
                    Some(format)
                }
                _ => None,
            };
            let kind = Kind::Declared(Declared { name: path, of, format });
            return self.built(kind, from);
        }
        Ok(first)
    }

    fn expression(&mut self, least: u8) -> Read<Expr> {
        self.deeper(|parser| parser.operators(least))
    }

    fn operators(&mut self, least: u8) -> Read<Expr> {
        let from = self.span().from;
        let mut left = self.unary()?;
        loop {
            if least == 0 && self.skip("?") {
                let of = self.data_type()?;
                left = self.built(Kind::Typed(Box::new(left), of), from)?;
                continue;
            }
            let Token::Symbol(symbol) = *self.token() else { return Ok(left) };
            let Some((operator, strength)) = OPERATORS.iter().find(|(operator, _)| *operator == symbol)
            else {
                return Ok(left);
            };
            if *strength <= least {
                return Ok(left);
            }
            self.at += 1;
            let right = self.expression(*strength)?;
            let kind = Kind::Binary(operator, Box::new(left), Box::new(right));
            left = self.built(kind, from)?;
        }
    }

    fn unary(&mut self) -> Read<Expr> {
        let from = self.span().from;
        for operator in ["!", "-"] {
            if self.skip(operator) {
                let inner = self.deeper(Self::unary)?;
                return self.built(Kind::Unary(operator, Box::new(inner)), from);
            }
        }
        let mut found = self.primary()?;
        loop {
            if self.skip(".") {
                let field = self.name("the name of a field")?;
                found = self.built(Kind::Field(Box::new(found), field), from)?;
            } else if self.skip("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                found = self.built(Kind::Index(Box::new(found), Box::new(index)), from)?;
            } else {
                return Ok(found);
            }
        }
    }

    fn primary(&mut self) -> Read<Expr> {
        let span = self.span();
        let kind = match self.token().clone() {
            Token::Text(text) => self.taken(Kind::Text(vec![Piece::Plain(text)])),
            Token::Inserting(parts) => {
                self.at += 1;
                Kind::Text(parts.iter().map(|part| self.piece(part)).collect::<Read<_>>()?)
            }
            Token::Number(number, suffix) => self.taken(Kind::Number(number, suffix)),
            Token::Parameter(name) if name == "$" => self.taken(Kind::Matched),
            Token::Parameter(name) => self.taken(Kind::Parameter(name)),
            Token::Item(name) => self.taken(Kind::Item(name)),
            Token::Word(name) => {
                self.at += 1;
                self.named(name)?
            }
            Token::Braced(name) => {
                self.at += 1;
                self.column(name)?
            }
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.deeper(Self::argument)?;
                if self.skip(",") || matches!(inner.kind, Kind::Declared(_)) {
                    return self.refuse("an expression, not a list of columns,");
                }
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.at += 1;
                Kind::List(self.arguments("]")?)
            }
            Token::Symbol("@") => {
                self.at += 1;
                self.expect("(")?;
                Kind::Struct(self.arguments(")")?)
            }
            Token::Symbol(":") => {
                self.at += 1;
                Kind::Local(self.name("the name of a local variable")?)
            }
            _ => return self.refuse("a value"),
        };
        self.built(kind, span.from)
    }

    fn taken(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn named(&mut self, name: String) -> Read<Kind> {
        if self.skip("(") {
            return Ok(Kind::Call { name, arguments: self.arguments(")")? });
        }
        self.column(name)
    }

    /// A column, or something of a stream: `stream@column`, `sink#lookup(key)`.
    fn column(&mut self, name: String) -> Read<Kind> {
        if self.skip("@") {
            let column = self.name("the name of a column")?;
            return Ok(Kind::Name { stream: Some(name), name: column });
        }
        if self.skip("#") {
            self.name("`lookup` or `output`")?;
            self.expect("(")?;
            self.arguments(")")?;
            return Ok(Kind::Cached { sink: name });
        }
        Ok(Kind::Name { stream: None, name })
    }

    /// A value within a text is read as an expression of its own.
    fn piece(&self, part: &Part) -> Read<Piece> {
        let (from, to) = match part {
            Part::Plain(text) => return Ok(Piece::Plain(text.clone())),
            Part::Value(from, to) => (*from, *to),
        };
        let shifted = |mut error: ScriptError| {
            error.span = Span { from: error.span.from + from, to: error.span.to + from };
            error
        };
        let text = self.text.get(from..to).unwrap_or_default();
        let mut parser = Parser::new(text).map_err(shifted)?;
        parser.depth = self.depth + 1;
        let inner = parser.whole_expression().map_err(shifted)?;
        Ok(Piece::Inserted(Expr { span: Span { from, to }, ..inner }))
    }

    fn data_type(&mut self) -> Read<Type> {
        self.deeper(Self::plain_type)
    }

    fn plain_type(&mut self) -> Read<Type> {
        let mut of = if self.skip("(") {
            let mut fields = Vec::new();
            while !self.skip(")") {
                let name = self.name("the name of a field")?;
                if !self.is_word("as") {
                    return self.refuse("`as` and a type");
                }
                self.at += 1;
                fields.push((name, self.data_type()?));
                if let Token::Text(_) = self.token() {
                    self.at += 1;
                }
                self.skip(",");
            }
            Type::Struct(fields)
        } else if self.skip("[") {
            self.data_type()?;
            self.skip(",");
            self.data_type()?;
            self.expect("]")?;
            Type::Map
        } else {
            let word = self.name("a type")?;
            self.named_type(&word)?
        };
        while *self.token() == Token::Symbol("[") {
            if *self.after(1) == Token::Symbol("]") {
                self.at += 2;
                of = Type::List(Box::new(of));
            } else {
                // The values that become columns, or rows, of a pivot: they are the names of the columns.
                self.at += 1;
                self.arguments("]")?;
            }
        }
        Ok(of)
    }

    fn named_type(&mut self, word: &str) -> Read<Type> {
        Ok(match word {
            "string" => Type::Text,
            "integer" | "int" => Type::Integer("integer"),
            "long" => Type::Integer("long"),
            "short" => Type::Integer("short"),
            "byte" => Type::Integer("byte"),
            "double" => Type::Float("double"),
            "float" => Type::Float("float"),
            "boolean" => Type::Boolean,
            "date" => Type::Date,
            "timestamp" => Type::Timestamp,
            "binary" => Type::Binary,
            "any" => Type::Any,
            "decimal" => {
                let (mut precision, mut scale) = (10, 0);
                if self.skip("(") {
                    precision = self.digits(38)?;
                    self.skip(",");
                    scale = self.digits(precision)?;
                    self.expect(")")?;
                }
                Type::Decimal(precision, scale)
            }
            _ => {
                self.at -= 1;
                return self.refuse("a type");
            }
        })
    }

    fn digits(&mut self, most: u8) -> Read<u8> {
        let found = match self.token() {
            Token::Number(number, _) => number.parse::<u8>().ok().filter(|number| *number <= most),
            _ => None,
        };
        let Some(found) = found else { return self.refuse(&format!("a number up to {most}")) };
        self.at += 1;
        Ok(found)
    }
}
