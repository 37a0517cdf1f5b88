use std::fmt::Write as _;

use millrace_spec::problem::{Place, Problem};
use millrace_spec::yaml::Node;
use serde_json::{Value, json};

use crate::Converted;
use crate::yaml_out::Map;

/// What became of something in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is here and means the same.
    TakenOver,
    /// It is here and means something else, or lies elsewhere.
    Changed,
    /// It is missing here.
    NoCounterpart,
}

impl Outcome {
    /// The word of `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Changed => "changed",
            Self::NoCounterpart => "no_counterpart",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::TakenOver => "taken over",
            Self::Changed => "changed",
            Self::NoCounterpart => "no counterpart",
        }
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What became of it.
    pub outcome: Outcome,
    /// Where it stands in the source.
    pub place: Option<Place>,
    /// What it is there; for what was changed or is missing, how and why.
    pub message: String,
    /// What it is here, such as `steps.train`.
    pub here: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Finding {
    /// A line of `--json`.
    pub fn to_json(&self) -> Value {
        json!({
            "outcome": self.outcome.word(), "message": self.message, "here": self.here, "hint": self.hint,
            "place": self.place.as_ref().map(|place| json!({"file": place.file, "line": place.line, "column": place.column})),
        })
    }
}

/// The report as people read it: a line for each thing, with its place in the source.
pub fn shown(converted: &Converted) -> String {
    let place = |finding: &Finding| {
        let place = finding.place.as_ref();
        place.map(|place| format!("{}:{}:{}", place.file, place.line, place.column)).unwrap_or_default()
    };
    let width = converted.findings.iter().map(|finding| place(finding).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in &converted.findings {
        let here = finding.here.as_ref().map(|here| format!(" → {here}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{:<14}  {:<width$}  {}{here}",
            finding.outcome.label(),
            place(finding),
            finding.message
        );
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "{:<14}  {:<width$}  hint: {hint}", "", "");
        }
    }
    text.trim_end().to_owned()
}

/// What is known of a source so far.
#[derive(Default)]
pub(crate) struct Report(pub(crate) Vec<Finding>);

impl Report {
    /// Notes something that means the same here.
    pub(crate) fn taken(&mut self, place: &Place, what: impl Into<String>, here: impl Into<String>) {
        self.push(Outcome::TakenOver, place, what.into(), Some(here.into()), None);
    }

    /// Notes something that is here but means something else, and leaves a comment.
    pub(crate) fn changed(&mut self, place: &Place, comments: &mut Map, message: &str, hint: Option<&str>) {
        comments.comment(&format!("changed ({}:{}): {message}", place.file, place.line));
        self.push(Outcome::Changed, place, message.to_owned(), None, hint);
    }

    /// Notes what is missing here, and leaves a comment. `message` says what and why, `hint` what to write instead.
    pub(crate) fn gap(&mut self, place: &Place, comments: &mut Map, message: &str, hint: Option<&str>) {
        comments.comment(&format!("not converted ({}:{}): {message}", place.file, place.line));
        self.push(Outcome::NoCounterpart, place, message.to_owned(), None, hint);
    }

    /// A gap for each key of a mapping that is not among those that were read.
    pub(crate) fn others(&mut self, node: &Node, read: &[&str], what: &str, comments: &mut Map) {
        for (key, _) in node.as_map().unwrap_or_default() {
            if !read.contains(&key.name.as_str()) {
                let message = format!("`{}` of {what} has no counterpart", key.name);
                self.gap(&key.place, comments, &message, None);
            }
        }
    }

    /// What was found where nothing is written.
    pub(crate) fn push(
        &mut self,
        outcome: Outcome,
        place: &Place,
        message: String,
        here: Option<String>,
        hint: Option<&str>,
    ) {
        self.0.push(Finding {
            outcome,
            place: Some(place.clone()),
            message,
            here,
            hint: hint.map(str::to_owned),
        });
    }
}

/// A step in the place of one that cannot be said here: it keeps the order of the others, and fails with the reason.
pub(crate) fn stand_in(reason: &str) -> Map {
    let mut step = Map::default();
    let said = reason.replace('\'', "’").replace('\n', " ");
    step.put("run", format!("echo 'not converted: {said}' >&2\nexit 1\n"));
    step
}

/// A file that is not what it was taken for.
pub(crate) fn not_a(what: &str, node: &Node) -> Box<Problem> {
    Box::new(Problem::error("import-format", format!("this is not {what}")).at(node.place.clone()))
}
