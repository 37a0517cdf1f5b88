//! From a place within a script to one in the JSON file that keeps it, escaped, on one line or as a list of lines.

use millrace_spec::problem::Place;
use millrace_spec::yaml::{Node, NodeValue};

use super::script::Span;

/// A script's text, and where its pieces stand in a file.
pub(super) struct ScriptText {
    pub(super) text: String,
    /// Where each piece begins in `text`, the place of its opening quote, and its JSON text from there on.
    pieces: Vec<(usize, Place, String)>,
}

impl ScriptText {
    /// The script of a data flow: `script`, or `scriptLines`. `file` is the text of the file that it stands in.
    pub(super) fn of(details: &Node, file: &str) -> Option<Self> {
        let lines = match details.get("scriptLines").map(|node| &node.value) {
            Some(NodeValue::List(lines)) => lines.iter().collect(),
            _ => vec![details.get("script")?],
        };
        let mut script = Self { text: String::new(), pieces: Vec::new() };
        for line in lines {
            let raw = file.lines().nth(line.place.line.saturating_sub(1) as usize).unwrap_or_default();
            let raw = raw.chars().skip(line.place.column.saturating_sub(1) as usize).collect();
            script.pieces.push((script.text.len(), line.place.clone(), raw));
            script.text.push_str(line.as_text()?);
            script.text.push('\n');
        }
        Some(script)
    }

    /// Where a stretch begins in the file.
    pub(super) fn place(&self, span: Span) -> Place {
        let piece = self.pieces.iter().rev().find(|(from, ..)| *from <= span.from);
        let Some((from, place, raw)) = piece else {
            return Place { file: String::new(), line: 1, column: 1, length: 1 };
        };
        let letters = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default().chars().count();
        let column = raw_column(raw, letters(*from, span.from));
        let length = letters(span.from, span.to).clamp(1, 60);
        Place { column: place.column + column, length: u32::try_from(length).unwrap_or(1), ..place.clone() }
    }
}

/// How many letters of a JSON text stand before its letter of that number, the quote among them.
fn raw_column(raw: &str, count: usize) -> u32 {
    let mut letters = raw.chars();
    let mut column: u32 = u32::from(letters.next() == Some('"'));
    for _ in 0..count {
        column += match letters.next() {
            Some('\\') => match letters.next() {
                Some('u') => {
                    letters.by_ref().take(4).for_each(drop);
                    6
                }
                _ => 2,
            },
            _ => 1,
        };
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_spec::yaml;

    #[test]
    fn places_are_those_of_the_file() {
        let file = "{\"script\": \"a\\n\\tb\\u0020c\",\n \"more\": 1}";
        let tree = yaml::parse("x.json", file).unwrap();
        let script = ScriptText::of(&tree, file).unwrap();
        let place = script.place(Span { from: script.text.find('c').unwrap(), to: script.text.len() - 1 });
        assert_eq!((place.line, file.chars().nth(place.column as usize - 1)), (1, Some('c')));
        let file = "{\"scriptLines\": [\n  \"one\",\n  \"t\\\"wo\"\n]}";
        let tree = yaml::parse("x.json", file).unwrap();
        let script = ScriptText::of(&tree, file).unwrap();
        let at = script.text.find('w').unwrap();
        let place = script.place(Span { from: at, to: at + 1 });
        assert_eq!((place.line, place.column), (3, 7));
    }
}
