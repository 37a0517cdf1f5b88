//! Every byte of output: data to standard output, everything else to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::{IsTerminal as _, Write as _};

use millrace_contract::Explain;
use millrace_spec::frame;
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::cli::Output;

/// Prints as the user asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    /// Colours on standard error.
    colour: bool,
    /// Lines on standard error may be rewritten.
    pub(crate) live: bool,
}

impl Printer {
    pub(crate) fn new(output: &Output) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && !crate::boot::no_colour();
        Self {
            json: output.json,
            quiet: output.quiet,
            colour,
            live: terminal && !output.quiet && !output.json,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One that prints results and problems, and nothing that is good to know beside them.
    pub(crate) fn quieter(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// One document: JSON if that was asked for, otherwise `text`.
    pub(crate) fn document(&self, value: &Value, text: impl FnOnce() -> String) {
        if self.json { self.line(&value.to_string()) } else { self.line(text().trim_end()) }
    }

    /// A list: a line of JSON each, or a table.
    pub(crate) fn list(&self, values: &[Value], header: &[&str], row: impl Fn(&Value) -> Vec<String>) {
        if self.json {
            values.iter().for_each(|value| self.line(&value.to_string()));
            return;
        }
        let rows: Vec<Vec<String>> = values.iter().map(row).collect();
        self.line(table(header, &rows).trim_end());
    }

    /// A line of data. A closed pipe is not an error: whoever reads has had enough.
    pub(crate) fn line(&self, text: &str) {
        if !text.is_empty() {
            writeln!(std::io::stdout(), "{text}").ok();
        }
    }

    /// A line for people.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            writeln!(std::io::stderr(), "{text}").ok();
        }
    }

    /// A problem with the line it stands in. With `--json` it goes to standard output as an object.
    pub(crate) fn problem(&self, problem: &Problem, source: Option<&str>) {
        if self.json {
            self.line(&serde_json::to_string(problem).unwrap_or_default());
        } else {
            write!(std::io::stderr(), "{}", frame::render(problem, source, self.colour)).ok();
        }
    }

    /// Something doubtful that does not keep the command from its work.
    pub(crate) fn warning(&self, problem: &Problem) {
        self.note(frame::render(&problem.clone().as_warning(), None, self.colour).trim_end());
    }

    /// Asks for something to be typed on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        write!(std::io::stderr(), "{text}").ok();
    }

    /// An error of a command, with its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        if let Some(problem) = problem_of(error) {
            self.problem(&problem, None);
            return;
        }
        let mut problem = Problem::error("failed", error.to_string());
        problem.notes = error.chain().skip(1).map(ToString::to_string).collect();
        self.problem(&problem, None);
    }

    /// A state's word with its sign, without colour: for data, which may go into a pipe.
    pub(crate) fn state(word: &str) -> String {
        format!("{} {word}", sign(word).1)
    }

    /// A state's word with its sign and colour, padded to `width`: for people, on standard error.
    pub(crate) fn state_cell(&self, word: &str, width: usize) -> String {
        let text = format!("{:<width$}", Self::state(word));
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", sign(word).0) } else { text }
    }
}

/// Colour and sign of a state.
/// `1 window`, `3 windows`.
pub(crate) fn counted<N: std::fmt::Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

fn sign(word: &str) -> (&'static str, &'static str) {
    match word {
        "succeeded" | "started" => ("32", "✓"),
        "cached" => ("36", "="),
        "failed" | "timed_out" | "rejected" | "dead" => ("31", "✗"),
        "cancelled" | "skipped" | "filtered" => ("90", "-"),
        _ => ("34", "·"),
    }
}

/// The problem behind an error, if a room made it.
fn problem_of(error: &anyhow::Error) -> Option<Problem> {
    if let Some(error) = error.downcast_ref::<crate::workspace::WorkspaceError>() {
        return Some(error.problem());
    }
    if let Some(error) = error.downcast_ref::<crate::secrets::SecretsError>() {
        return Some(error.problem());
    }
    if let Some(error @ millrace_mlflow::ImportError::NamesTaken { .. }) = error.downcast_ref() {
        let problem = Problem::error("import-names-taken", error.to_string());
        return Some(problem.hint("give those of the source a prefix: `--experiment-prefix old/`"));
    }
    if let Some(error) = error.downcast_ref::<millrace_orchestration::approvals::ApprovalError>() {
        return Some(error.problem());
    }
    error.downcast_ref::<millrace_orchestration::OrchestrationError>().map(Explain::problem)
}

/// Columns as wide as their widest cell, two blanks between.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = vec![vec!["daily".to_owned(), "1".to_owned()], vec!["é".to_owned(), "20".to_owned()]];
        insta::assert_snapshot!(table(&["PIPELINE", "N"], &rows), @r"
        PIPELINE  N
        daily     1
        é         20
        ");
    }
}
