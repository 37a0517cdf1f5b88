//! YAML as people write it, with comments: what an importer makes is read and edited afterwards.

use serde_json::Value;

/// Longest list that stands on one line, characters.
const SHORT: usize = 90;

/// A value to be written.
#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    Plain(Value),
    List(Vec<Self>),
    Map(Map),
}

/// A mapping with comments between its fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map(Vec<Line>);

#[derive(Debug, Clone)]
enum Line {
    Comment(String),
    Field(String, Yaml),
}

impl From<Value> for Yaml {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => {
                let mut map = Map::default();
                for (key, value) in fields {
                    map.put(&key, value);
                }
                Self::Map(map)
            }
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            plain => Self::Plain(plain),
        }
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Plain(text.into())
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl Map {
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Yaml>) {
        self.0.push(Line::Field(key.to_owned(), value.into()));
    }

    /// The same unless there is nothing in it.
    pub(crate) fn put_some(&mut self, key: &str, map: Self) {
        if !map.0.is_empty() {
            self.put(key, map);
        }
    }

    pub(crate) fn comment(&mut self, text: &str) {
        self.0.push(Line::Comment(text.replace('\n', " ")));
    }

    /// The comments of another one, which itself is left out.
    pub(crate) fn comments_of(&mut self, other: Self) {
        self.0.extend(other.0.into_iter().filter(|line| matches!(line, Line::Comment(_))));
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|line| matches!(line, Line::Field(name, _) if name == key))
    }

    /// Adds what another one has.
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is anything in it, if only a comment.
    pub(crate) fn has_lines(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn has_fields(&self) -> bool {
        self.0.iter().any(|line| matches!(line, Line::Field(..)))
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    fn write(&self, depth: usize, text: &mut String) {
        for line in &self.0 {
            let indent = "  ".repeat(depth);
            match line {
                Line::Comment(comment) => text.push_str(&format!("{indent}# {comment}\n")),
                Line::Field(key, value) => {
                    text.push_str(&format!("{indent}{}:", scalar(key)));
                    value.write(depth, text);
                }
            }
        }
    }
}

impl Yaml {
    /// What stands behind `key:`, with the end of its line.
    fn write(&self, depth: usize, text: &mut String) {
        match self {
            Self::Map(map) if map.has_fields() => {
                text.push('\n');
                map.write(depth + 1, text);
            }
            Self::Map(map) => {
                text.push_str(" {}\n");
                map.write(depth + 1, text);
            }
            Self::Plain(Value::String(lines)) if is_block(lines) => {
                let indent = "  ".repeat(depth + 1);
                text.push_str(if lines.ends_with('\n') { " |\n" } else { " |-\n" });
                for line in lines.trim_end_matches('\n').lines() {
                    text.push_str(if line.is_empty() { "" } else { &indent });
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Self::List(items) if self.flow().chars().count() > SHORT => {
                text.push('\n');
                for item in items {
                    text.push_str(&format!("{}- {}\n", "  ".repeat(depth + 1), item.flow()));
                }
            }
            other => text.push_str(&format!(" {}\n", other.flow())),
        }
    }

    /// On one line.
    fn flow(&self) -> String {
        match self {
            Self::Plain(Value::String(text)) => scalar(text),
            Self::Plain(value) => value.to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::flow).collect::<Vec<_>>().join(", "))
            }
            Self::Map(map) => {
                let fields = map.0.iter().filter_map(|line| match line {
                    Line::Field(key, value) => Some(format!("{}: {}", scalar(key), value.flow())),
                    Line::Comment(_) => None,
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Text of several lines that a block shows as it is.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && text.chars().all(|letter| letter == '\n' || !letter.is_control())
}

/// Text without quotes where nothing could take it for something else, also by readers of YAML 1.1.
fn scalar(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "_./- ".contains(letter);
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_')
        && !text.ends_with(' ')
        && text.chars().all(harmless)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let value = json!({
            "a": {"on": "yes", "no": ["x", "1.10", 7, null], "empty": {}},
            "script": "one\n  two: 3\n\n# no comment\n", "tail": "a\nb", "odd": " lead\nline", "quote": "a: \"b\" # c",
            "long": vec!["a rather long text of its own"; 5], "deep": [[{"k": "${{ inputs.x }}"}]], "é": "ß\t",
        });
        let Yaml::Map(mut map) = Yaml::from(value.clone()) else { panic!("it is one") };
        map.comment("the\nend");
        let text = map.text();
        let read =
            millrace_spec::yaml::parse("x", &text).unwrap_or_else(|problem| panic!("{problem:?}\n{text}"));
        assert_eq!(read.to_json(), value, "{text}");
        insta::assert_snapshot!(text, @r#"
        a:
          "on": "yes"
          "no": [x, "1.10", 7, null]
          empty: {}
        script: |
          one
            two: 3

          # no comment
        tail: |-
          a
          b
        odd: " lead\nline"
        quote: "a: \"b\" # c"
        long:
          - a rather long text of its own
          - a rather long text of its own
          - a rather long text of its own
          - a rather long text of its own
          - a rather long text of its own
        deep: [[{k: "${{ inputs.x }}"}]]
        "é": "ß\t"
        # the end
        "#);
    }
}
