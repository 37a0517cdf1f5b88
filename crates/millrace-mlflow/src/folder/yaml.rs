//! `meta.yaml`: one mapping.

use std::path::Path;

use millrace_spec::yaml::{self, Node, NodeValue};
use serde_json::Value;

use crate::record::{Broken, clean};

/// A file with one mapping.
pub(super) struct Meta {
    place: String,
    text: String,
    root: Node,
}

impl Meta {
    pub(super) fn read(path: &Path) -> Result<Self, Broken> {
        let place = path.display().to_string();
        let text = super::text(path)?;
        let root = yaml::parse(&place, &text).map_err(|problem| {
            let line = problem.place.as_ref().map_or(String::new(), |at| format!(" (line {})", at.line));
            Broken::new(place.as_str(), format!("{}{line}", problem.message))
        })?;
        if root.as_map().is_none() {
            return Err(Broken::new(place, "it is empty, or no mapping"));
        }
        Ok(Self { place, text, root })
    }

    pub(super) fn broken(&self, reason: &str) -> Broken {
        Broken::new(self.place.as_str(), reason)
    }

    /// A field as text. Python writes some texts so that others read a number, `1e3`; these are taken as they are written.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let node = self.root.get(name)?;
        match &node.value {
            NodeValue::Null => None,
            NodeValue::Text(text) => Some(clean(text.clone())),
            NodeValue::Bool(_) | NodeValue::Number(_) => {
                let line = self.text.lines().nth(usize::try_from(node.place.line).ok()?.checked_sub(1)?)?;
                let written = line.chars().skip(usize::try_from(node.place.column).ok()?.checked_sub(1)?);
                Some(written.take(usize::try_from(node.place.length).ok()?).collect())
            }
            NodeValue::List(_) | NodeValue::Map(_) => None,
        }
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match &self.root.get(name)?.value {
            NodeValue::Number(number) => number.as_i64(),
            NodeValue::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// All of it as JSON.
    pub(super) fn json(&self) -> Value {
        self.root.to_json()
    }

    pub(super) fn map(&self, name: &str) -> Vec<(String, String)> {
        let fields = self.root.get(name).and_then(Node::as_map).unwrap_or_default();
        let text = |node: &Node| match node.to_json() {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        fields.iter().map(|(key, node)| (clean(key.name.clone()), clean(text(node)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_wrote_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.yaml");
        let text = "name: 1e3\nquoted: '7'\nfolded: \"a\\n\\\n  \\ b\\xE9\"\nwrapped: one\n  two\ntime: 1795833808276\nnone: null\nyes: 'yes'\n";
        std::fs::write(&path, text).unwrap();
        let meta = Meta::read(&path).unwrap();
        let texts = ["name", "quoted", "folded", "wrapped", "none", "yes"].map(|name| meta.text(name));
        let expected = [Some("1e3"), Some("7"), Some("a\n bé"), Some("one two"), None, Some("yes")];
        assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
        assert_eq!(meta.int("time"), Some(1_795_833_808_276));
    }

    #[test]
    fn a_broken_file_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.yaml");
        std::fs::write(&path, "name: [1\n").unwrap();
        let broken = Meta::read(&path).err().unwrap();
        assert!(
            broken.place.ends_with("meta.yaml") && broken.reason.contains("this is not YAML"),
            "{broken:?}"
        );
        std::fs::write(&path, "").unwrap();
        assert_eq!(Meta::read(&path).err().unwrap().reason, "it is empty, or no mapping");
    }
}
