//! YAML 1.2 as a tree in which every key and value knows its place.
//!
//! Keys are text and unique. Anchors and aliases are allowed, merge keys (`<<`) and tags are not: what a file means should be readable
//! where it stands. Limits keep a hostile file from exhausting memory.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use crate::problem::{Place, Problem};

/// Longest file, bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes after aliases are expanded, so that "billion laughs" ends here.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// Where.
    pub place: Place,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; integers stay exact.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where.
    pub place: Place,
}

impl Node {
    /// The value as JSON, places forgotten.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(truth) => Value::Bool(*truth),
            NodeValue::Number(number) => Value::Number(number.clone()),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Map(fields) => Value::Object(
                fields.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The fields of a mapping; `None` for anything else.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            NodeValue::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// The text of a string; `None` for anything else.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A field of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// What it is, for messages: `a list`, `text`, …
    pub fn type_word(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "a truth value",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a mapping",
        }
    }

    /// The node at a JSON pointer, or the deepest one on the way to it.
    pub fn nearest(&self, pointer: &str) -> &Self {
        let mut here = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &here.value {
                NodeValue::Map(_) => here.get(&part),
                NodeValue::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(node) => here = node,
                None => break,
            }
        }
        here
    }
}

/// Reads one document.
///
/// # Errors
/// One problem with its place: bad syntax, a repeated key, a limit, a second document.
pub fn parse(file: &str, text: &str) -> Result<Node, Box<Problem>> {
    if text.len() > MAX_BYTES {
        return Err(Box::new(Problem::error(
            "file-too-large",
            format!("`{file}` is larger than {} MB", MAX_BYTES >> 20),
        )));
    }
    let mut builder = Builder { file, anchors: HashMap::new(), nodes: 0 };
    let mut events = Parser::new_from_str(text);
    let mut root = None;
    while let Some(event) = events.next() {
        let (event, span) = event.map_err(|error| syntax_problem(file, &error))?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) if root.is_none() => {}
            Event::DocumentStart(_) => {
                return Err(Box::new(
                    Problem::error("second-document", "a file holds one document")
                        .at(builder.place(span))
                        .hint("remove the `---` and what follows, or put it into a file of its own"),
                ));
            }
            other => root = Some(builder.node(other, span, &mut events, 0)?),
        }
    }
    let start = Place { file: file.to_owned(), line: 1, column: 1, length: 1 };
    Ok(root.unwrap_or(Node { value: NodeValue::Null, place: start }))
}

struct Builder<'a> {
    file: &'a str,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

type Events<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

impl Builder<'_> {
    fn place(&self, span: Span) -> Place {
        let same_line = span.start.line() == span.end.line();
        let length = if same_line { span.end.index().saturating_sub(span.start.index()).max(1) } else { 1 };
        Place {
            file: self.file.to_owned(),
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX).max(1),
            column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(1),
        }
    }

    fn problem(&self, code: &str, message: String, span: Span) -> Box<Problem> {
        Box::new(Problem::error(code, message).at(self.place(span)))
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Box<Problem>> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.problem(
                "file-too-large",
                format!("more than {MAX_NODES} values after aliases are expanded"),
                span,
            ));
        }
        Ok(())
    }

    fn node(
        &mut self,
        event: Event<'_>,
        span: Span,
        events: &mut Events<'_>,
        depth: usize,
    ) -> Result<Node, Box<Problem>> {
        if depth > MAX_DEPTH {
            return Err(self.problem(
                "nested-too-deep",
                format!("nested deeper than {MAX_DEPTH} levels"),
                span,
            ));
        }
        self.count(1, span)?;
        let (value, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag),
            Event::SequenceStart(anchor, tag) => (self.list(events, depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.map(events, depth)?, anchor, tag),
            _ => (NodeValue::Null, 0, None),
        };
        if tag.is_some() {
            return Err(self.problem("yaml-tag", "tags such as `!name` are not used here".to_owned(), span));
        }
        let node = Node { value, place: self.place(span) };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Box<Problem>> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.problem(
                "yaml-alias",
                "the alias stands inside its own anchor".to_owned(),
                span,
            ));
        };
        self.count(count_nodes(&node), span)?;
        Ok(Node { value: node.value, place: self.place(span) })
    }

    fn list(&mut self, events: &mut Events<'_>, depth: usize) -> Result<NodeValue, Box<Problem>> {
        let mut items = Vec::new();
        while let Some(event) = events.next() {
            let (event, span) = event.map_err(|error| syntax_problem(self.file, &error))?;
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, span, events, depth + 1)?);
        }
        Ok(NodeValue::List(items))
    }

    fn map(&mut self, events: &mut Events<'_>, depth: usize) -> Result<NodeValue, Box<Problem>> {
        let mut fields: Vec<(Key, Node)> = Vec::new();
        while let Some(event) = events.next() {
            let (event, span) = event.map_err(|error| syntax_problem(self.file, &error))?;
            let name = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.problem("yaml-key", "a key is text".to_owned(), span)),
            };
            if name == "<<" {
                return Err(self.problem(
                    "yaml-merge",
                    "merge keys (`<<`) are not used here; write the keys out".to_owned(),
                    span,
                ));
            }
            if let Some((first, _)) = fields.iter().find(|(key, _)| key.name == name) {
                let problem =
                    self.problem("repeated-key", format!("the key `{name}` stands here twice"), span);
                return Err(Box::new(problem.note(format!("first on line {}", first.place.line))));
            }
            let key = Key { name, place: self.place(span) };
            let Some(value) = events.next() else { break };
            let (value, span) = value.map_err(|error| syntax_problem(self.file, &error))?;
            fields.push((key, self.node(value, span, events, depth + 1)?));
        }
        Ok(NodeValue::Map(fields))
    }
}

fn count_nodes(node: &Node) -> usize {
    1 + match &node.value {
        NodeValue::List(items) => items.iter().map(count_nodes).sum(),
        NodeValue::Map(fields) => fields.iter().map(|(_, node)| count_nodes(node)).sum(),
        _ => 0,
    }
}

/// The core schema of YAML 1.2: `yes`, `on` and `22:30` are text.
fn scalar(text: &str, style: ScalarStyle) -> NodeValue {
    if style != ScalarStyle::Plain {
        return NodeValue::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeValue::Null,
        "true" | "True" | "TRUE" => return NodeValue::Bool(true),
        "false" | "False" | "FALSE" => return NodeValue::Bool(false),
        _ => {}
    }
    let looks_like_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if looks_like_number {
        if let Ok(integer) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
            return NodeValue::Number(integer.into());
        }
        if let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64) {
            return NodeValue::Number(number);
        }
    }
    NodeValue::Text(text.to_owned())
}

fn syntax_problem(file: &str, error: &saphyr_parser::ScanError) -> Box<Problem> {
    let mark = error.marker();
    let place = Place {
        file: file.to_owned(),
        line: u32::try_from(mark.line()).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(mark.col() + 1).unwrap_or(u32::MAX),
        length: 1,
    };
    let problem = Problem::error("yaml-syntax", format!("this is not YAML: {}", error.info())).at(place);
    Box::new(if error.info().contains("mapping values are not allowed") {
        problem.hint("put text that contains `: ` into quotes, and indent keys of one mapping alike")
    } else if error.info().contains("tab") {
        problem.hint("indent with spaces, not tabs")
    } else {
        problem
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> String {
        let problem = parse("p.yaml", text).unwrap_err();
        let place = problem.place.as_ref().unwrap();
        format!("{}:{}: {}", place.line, place.column, problem.message)
    }

    #[test]
    fn values_have_the_types_of_yaml_1_2() {
        let text = "a: 1\nb: 1.50\nc: yes\nd: \"7\"\ne: ~\nf: [x, true]\ng: 22:30\nh: 1e3\ni: -.5\n";
        let json = json!({"a": 1, "b": 1.5, "c": "yes", "d": "7", "e": null, "f": ["x", true], "g": "22:30", "h": 1000.0, "i": -0.5});
        assert_eq!(parse("p.yaml", text).unwrap().to_json(), json);
    }

    #[test]
    fn every_value_knows_its_place() {
        let node = parse("p.yaml", "steps:\n  één:\n    sql: select 1\n").unwrap();
        let sql = node.nearest("/steps/één/sql");
        assert_eq!((sql.place.line, sql.place.column, sql.place.length), (3, 10, 8));
        assert_eq!(node.nearest("/steps/nowhere/sql").place.line, 2);
    }

    #[test]
    fn what_would_be_misread_is_refused_where_it_stands() {
        assert_eq!(refused("a: 1\na: 2\n"), "2:1: the key `a` stands here twice");
        assert_eq!(refused("a: {<<: b}\n"), "1:5: merge keys (`<<`) are not used here; write the keys out");
        assert_eq!(refused("a: !x 1\n"), "1:4: tags such as `!name` are not used here");
        assert_eq!(refused("a: 1\n---\nb: 2\n"), "2:1: a file holds one document");
        assert!(refused("a: [1, 2\n").contains("this is not YAML"));
        assert!(refused(&"[".repeat(100)).contains("deeper than 64"));
    }

    #[test]
    fn aliases_are_expanded_up_to_a_limit() {
        assert_eq!(parse("p.yaml", "a: &x [1]\nb: *x\n").unwrap().to_json(), json!({"a": [1], "b": [1]}));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{},", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        assert!(refused(&bomb).contains("aliases are expanded"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ -~éß\n\t]|: |- |\n  ){0,80}") {
            if let Ok(node) = parse("p.yaml", &text) {
                node.to_json();
            }
        }
    }
}
