//! A problem as people read it: message, place, the line with a caret, notes, hints.

use std::fmt::Write as _;

use crate::problem::{Problem, Severity};

/// Longest part of a line that is shown, characters.
const WIDTH: usize = 120;

/// Renders a problem. `source` gives the text of the file it names, if there is one to show; `colour` adds ANSI colours.
pub fn render(problem: &Problem, source: Option<&str>, colour: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let word = match problem.severity {
        Severity::Error => paint("1;31", "error"),
        Severity::Warning => paint("1;33", "warning"),
    };
    let mut out = format!("{word}[{}]: {}\n", problem.code, problem.message);
    let mut margin = 0;
    if let Some(place) = &problem.place {
        margin = place.line.to_string().len();
        let arrow = paint("34", "-->");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:margin$}{arrow} {}:{}:{}", "", place.file, place.line, place.column);
        let line = source.and_then(|text| text.lines().nth(place.line.saturating_sub(1) as usize));
        if let Some(line) = line {
            let column = place.column.saturating_sub(1) as usize;
            // A far column is brought into view; a tab counts as one character, as in the column.
            let skipped = column.saturating_sub(WIDTH / 2);
            let shown: String = line
                .chars()
                .skip(skipped)
                .take(WIDTH)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            let room = shown.chars().count().saturating_sub(column - skipped).max(1);
            let carets = "^".repeat((place.length as usize).clamp(1, room));
            let bar = paint("34", "|");
            let _ = writeln!(out, "{:margin$} {bar}", "");
            let _ = writeln!(out, "{} {bar} {}", place.line, shown.trim_end());
            let _ = writeln!(
                out,
                "{:margin$} {bar} {:pad$}{}",
                "",
                "",
                paint("1;31", &carets),
                pad = column - skipped
            );
        }
    }
    for note in &problem.notes {
        for (index, line) in note.lines().enumerate() {
            let sign = if index == 0 { "=" } else { " " };
            let _ = writeln!(out, "{:margin$} {sign} {line}", "");
        }
    }
    for hint in &problem.hints {
        let _ = writeln!(out, "{} {hint}", paint("1;36", "hint:"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    #[test]
    fn a_problem_shows_its_line_and_the_way_out() {
        let place = Place { file: "pipelines/daily.yaml".to_owned(), line: 3, column: 11, length: 6 };
        let problem = Problem::error("unknown-step", "there is no step `trian`")
            .at(place)
            .note("steps are train, score")
            .hint("did you mean `train`?");
        let text = "steps:\n  score:\n    needs: [trian]\r\n";
        let place_fixed =
            Problem { place: problem.place.clone().map(|p| Place { column: 13, length: 5, ..p }), ..problem };
        insta::assert_snapshot!(render(&place_fixed, Some(text), false), @r"
        error[unknown-step]: there is no step `trian`
         --> pipelines/daily.yaml:3:13
          |
        3 |     needs: [trian]
          |             ^^^^^
          = steps are train, score
        hint: did you mean `train`?
        ");
    }

    #[test]
    fn a_far_column_and_a_missing_source_are_shown_as_well_as_can_be() {
        let place = Place { file: "p.yaml".to_owned(), line: 1, column: 301, length: 500 };
        let problem = Problem::error("x", "y").at(place);
        let rendered = render(&problem, Some(&format!("{}bad", "é".repeat(300))), false);
        assert!(rendered.lines().all(|line| line.chars().count() <= WIDTH + 6), "{rendered}");
        assert!(rendered.contains("^^^"));
        assert_eq!(render(&problem, None, false), "error[x]: y\n --> p.yaml:1:301\n");
    }
}
