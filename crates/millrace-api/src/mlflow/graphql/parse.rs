//! GraphQL's executable documents (specification of October 2021, section 2), as far as a client of fixed queries writes them.

use serde_json::{Map, Value};

/// How deep selections and values may lie in each other, so that no document overflows the stack.
const DEEPEST: usize = 20;

/// Operations and fragments, not checked against any type.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) operations: Vec<Operation>,
    pub(super) fragments: Vec<Fragment>,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: Option<String>,
    pub(super) mutation: bool,
    /// Each with its default.
    pub(super) variables: Vec<(String, Option<Input>)>,
    pub(super) selections: Vec<Selection>,
}

#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) name: String,
    pub(super) on: String,
    pub(super) selections: Vec<Selection>,
}

#[derive(Debug)]
pub(super) enum Selection {
    Field(FieldNode),
    /// `...name`
    Spread(String, Vec<Directive>),
    /// `... on Type {…}`
    Inline(Option<String>, Vec<Directive>, Vec<Selection>),
}

#[derive(Debug)]
pub(super) struct FieldNode {
    pub(super) alias: Option<String>,
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Input)>,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
}

#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Input)>,
}

/// A value that may name variables.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Variable(String),
    Constant(Value),
    List(Vec<Input>),
    Object(Vec<(String, Input)>),
}

impl Input {
    /// With the variables' values; one that is not given is absent.
    pub(super) fn resolve(&self, variables: &Map<String, Value>) -> Option<Value> {
        match self {
            Self::Variable(name) => variables.get(name).cloned(),
            Self::Constant(value) => Some(value.clone()),
            Self::List(items) => {
                Some(items.iter().map(|item| item.resolve(variables).unwrap_or(Value::Null)).collect())
            }
            Self::Object(fields) => {
                let field = |(name, value): &(String, Input)| Some((name.clone(), value.resolve(variables)?));
                Some(Value::Object(fields.iter().filter_map(field).collect()))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// `!`, `$`, `(`, …
    Sign(char),
    Dots,
    Name(String),
    Value(Value),
    End,
}

/// Reads a document.
///
/// # Errors
/// What was expected and where it is not.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    let mut parser = Parser { text, at: 0, token: Token::End, depth: 0 };
    parser.advance()?;
    let mut document = Document::default();
    while parser.token != Token::End {
        if parser.is_name("fragment") {
            document.fragments.push(parser.fragment()?);
        } else {
            document.operations.push(parser.operation()?);
        }
    }
    Ok(document)
}

struct Parser<'a> {
    text: &'a str,
    /// Of the first byte after the token.
    at: usize,
    token: Token,
    depth: usize,
}

impl Parser<'_> {
    fn unexpected<T>(&self, wanted: &str) -> Result<T, String> {
        let line = self.text.get(..self.at).unwrap_or_default().lines().count().max(1);
        Err(format!("Syntax Error: Expected {wanted} in line {line}"))
    }

    fn advance(&mut self) -> Result<Token, String> {
        let next = self.lex()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is_name(&self, word: &str) -> bool {
        matches!(&self.token, Token::Name(name) if name == word)
    }

    fn takes(&mut self, sign: char) -> Result<bool, String> {
        let found = self.token == Token::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign)? { Ok(()) } else { self.unexpected(&format!("'{sign}'")) }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => self.unexpected("a name"),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth == DEEPEST {
            return Err(format!("Query exceeds maximum depth of {DEEPEST}"));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn operation(&mut self) -> Result<Operation, String> {
        let mut made =
            Operation { name: None, mutation: false, variables: Vec::new(), selections: Vec::new() };
        if self.token != Token::Sign('{') {
            match self.name()?.as_str() {
                "query" => {}
                "mutation" => made.mutation = true,
                _ => return self.unexpected("'query', 'mutation' or 'fragment'"),
            }
            if matches!(self.token, Token::Name(_)) {
                made.name = Some(self.name()?);
            }
            if self.takes('(')? {
                while !self.takes(')')? {
                    made.variables.push(self.variable()?);
                }
            }
            self.directives()?;
        }
        made.selections = self.selections()?;
        Ok(made)
    }

    fn variable(&mut self) -> Result<(String, Option<Input>), String> {
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        self.type_reference()?;
        let default = if self.takes('=')? { Some(self.input()?) } else { None };
        self.directives()?;
        Ok((name, default))
    }

    fn type_reference(&mut self) -> Result<(), String> {
        if self.takes('[')? {
            self.deeper(Self::type_reference)?;
            self.expect(']')?;
        } else {
            self.name()?;
        }
        self.takes('!')?;
        Ok(())
    }

    fn fragment(&mut self) -> Result<Fragment, String> {
        self.advance()?;
        let name = self.name()?;
        if !self.is_name("on") {
            return self.unexpected("'on'");
        }
        self.advance()?;
        let on = self.name()?;
        self.directives()?;
        Ok(Fragment { name, on, selections: self.selections()? })
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.deeper(|parser| {
            parser.expect('{')?;
            let mut found = Vec::new();
            while !parser.takes('}')? {
                found.push(parser.selection()?);
            }
            if found.is_empty() { parser.unexpected("a name before '}'") } else { Ok(found) }
        })
    }

    fn selection(&mut self) -> Result<Selection, String> {
        if self.token != Token::Dots {
            return Ok(Selection::Field(self.field()?));
        }
        self.advance()?;
        if matches!(&self.token, Token::Name(name) if name != "on") {
            return Ok(Selection::Spread(self.name()?, self.directives()?));
        }
        let on = if self.is_name("on") {
            self.advance()?;
            Some(self.name()?)
        } else {
            None
        };
        Ok(Selection::Inline(on, self.directives()?, self.selections()?))
    }

    fn field(&mut self) -> Result<FieldNode, String> {
        let first = self.name()?;
        let (alias, name) = if self.takes(':')? { (Some(first), self.name()?) } else { (None, first) };
        let (arguments, directives) = (self.arguments()?, self.directives()?);
        let selections = if self.token == Token::Sign('{') { self.selections()? } else { Vec::new() };
        Ok(FieldNode { alias, name, arguments, directives, selections })
    }

    fn arguments(&mut self) -> Result<Vec<(String, Input)>, String> {
        let mut found = Vec::new();
        if self.takes('(')? {
            while !self.takes(')')? {
                found.push(self.named_input()?);
            }
        }
        Ok(found)
    }

    fn directives(&mut self) -> Result<Vec<Directive>, String> {
        let mut found = Vec::new();
        while self.takes('@')? {
            found.push(Directive { name: self.name()?, arguments: self.arguments()? });
        }
        Ok(found)
    }

    fn named_input(&mut self) -> Result<(String, Input), String> {
        let name = self.name()?;
        self.expect(':')?;
        Ok((name, self.input()?))
    }

    fn input(&mut self) -> Result<Input, String> {
        match self.advance()? {
            Token::Value(value) => Ok(Input::Constant(value)),
            Token::Name(name) => Ok(Input::Constant(match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => Value::String(name),
            })),
            Token::Sign('$') => Ok(Input::Variable(self.name()?)),
            Token::Sign('[') => self.deeper(|parser| {
                let mut items = Vec::new();
                while !parser.takes(']')? {
                    items.push(parser.input()?);
                }
                Ok(Input::List(items))
            }),
            Token::Sign('{') => self.deeper(|parser| {
                let mut fields = Vec::new();
                while !parser.takes('}')? {
                    fields.push(parser.named_input()?);
                }
                Ok(Input::Object(fields))
            }),
            _ => self.unexpected("a value"),
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes signs as long as they fit.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|sign| !fits(sign)).unwrap_or(rest.len());
        let taken = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        taken
    }

    fn lex(&mut self) -> Result<Token, String> {
        loop {
            self.run(|sign| sign.is_whitespace() || matches!(sign, ',' | '\u{feff}'));
            if !self.rest().starts_with('#') {
                break;
            }
            self.run(|sign| !matches!(sign, '\n' | '\r'));
        }
        let Some(sign) = self.rest().chars().next() else { return Ok(Token::End) };
        match sign {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.at += 1;
                Ok(Token::Sign(sign))
            }
            '.' if self.rest().starts_with("...") => {
                self.at += 3;
                Ok(Token::Dots)
            }
            '"' => self.string(),
            sign if sign.is_ascii_alphabetic() || sign == '_' => {
                Ok(Token::Name(self.run(|sign| sign.is_ascii_alphanumeric() || sign == '_')))
            }
            sign if sign.is_ascii_digit() || sign == '-' => {
                let digits =
                    self.run(|sign| sign.is_ascii_digit() || matches!(sign, '-' | '+' | '.' | 'e' | 'E'));
                let number: Result<Value, _> = serde_json::from_str(&digits);
                number.map(Token::Value).or_else(|_| self.unexpected("a number"))
            }
            _ => self.unexpected("another sign"),
        }
    }

    /// A text: its escapes are JSON's.
    fn string(&mut self) -> Result<Token, String> {
        if let Some(block) = self.rest().strip_prefix("\"\"\"") {
            let Some(end) = block.find("\"\"\"") else { return self.unexpected("the end of a text") };
            let text = block.get(..end).unwrap_or_default().trim().to_owned();
            self.at += end + 6;
            return Ok(Token::Value(Value::String(text)));
        }
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find(|(_, sign)| {
            let ends = *sign == '"' && !escaped;
            escaped = *sign == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else { return self.unexpected("the end of a text") };
        let read: Result<String, _> = serde_json::from_str(self.rest().get(..=end).unwrap_or_default());
        let text = read.or_else(|_| self.unexpected("a text"))?;
        self.at += end + 1;
        Ok(Token::Value(Value::String(text)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_whole() {
        let document = parse(
            "\u{feff}# what the pages send\nquery GetRun($data: [Input!]! = {a: [1, $b], c: \"x\\\"\\u00e9\"}) @component(name: \"M\") {
               one: mlflowGetRun(input: $data) { ...Some @skip(if: true) ... on Run { id } ... { id } } }
             fragment Some on Run { info { runId } }
             mutation { a(x: -1.5e3, y: ENUM, z: \"\"\" block \"\"\") { b } }",
        )
        .unwrap();
        let [query, mutation] = document.operations.as_slice() else { panic!("{document:?}") };
        assert_eq!(query.name.as_deref(), Some("GetRun"));
        assert!(mutation.mutation && mutation.name.is_none());
        let (name, default) = &query.variables[0];
        let variables = json!({"b": 2}).as_object().unwrap().clone();
        assert_eq!(name, "data");
        assert_eq!(default.as_ref().unwrap().resolve(&variables).unwrap(), json!({"a": [1, 2], "c": "x\"é"}));
        let Selection::Field(field) = &mutation.selections[0] else { panic!("{mutation:?}") };
        let values: Vec<Value> =
            field.arguments.iter().map(|(_, value)| value.resolve(&variables).unwrap()).collect();
        assert_eq!(values, [json!(-1500.0), json!("ENUM"), json!("block")]);
        assert_eq!(document.fragments[0].on, "Run");
    }

    #[test]
    fn what_is_no_document_is_told() {
        for text in [
            "{",
            "{}",
            "}",
            "query",
            "subscription { a }",
            "{ a(b: ) }",
            "{ a(b: \"x) }",
            "{ a(b: 1-) }",
            "query ($a) { b }",
            "{ a .. b }",
            "fragment F { a }",
            "{ ü }",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = "{a".repeat(100_000);
        assert_eq!(parse(&deep).unwrap_err(), "Query exceeds maximum depth of 20");
        assert!(parse(&format!("{{a(b: {}", "[".repeat(100_000))).is_err());
        assert!(parse(&format!("query ($a: {}", "[".repeat(100_000))).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[{}()\\[\\]:$@!=.\"\\\\#,a-z0-9 \n\u{e9}-]{0,80}") {
            let _ = parse(&text);
        }
    }
}
