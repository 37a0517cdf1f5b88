use millrace_spec::problem::Place;
use serde_json::Value;

use crate::SourceFile;

/// Where things stand in the manifest.
pub(super) struct Places<'t> {
    pub(super) file: String,
    text: &'t str,
    /// Offset of each line's beginning.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(super) fn of(file: &'t SourceFile) -> Self {
        let ends = file.text.match_indices('\n').map(|(at, _)| at + 1);
        Self { file: file.path.clone(), text: &file.text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// The key of an entry, which nothing but the entry itself has a mapping behind.
    pub(super) fn find(&self, key: &str) -> Place {
        let quoted = Value::from(key).to_string();
        let is_entry = |(at, _): &(usize, &str)| {
            let after = self.text.get(at + quoted.len()..).unwrap_or_default().trim_start();
            after.strip_prefix(':').is_some_and(|rest| rest.trim_start().starts_with('{'))
        };
        let at = self.text.match_indices(&quoted).find(is_entry).map_or(0, |(at, _)| at);
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: self.file.clone(),
            line: number(line),
            column: number(column),
            length: number(quoted.chars().count()),
        }
    }
}
