//! Says why a program failed: how it ended, its last lines, and for Python the user's own line.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use millrace_contract::{CommandExit, StepContext, StepError};
use millrace_spec::problem::{Place, Problem};

/// Lines of standard error that are repeated.
const LAST_LINES: usize = 20;
/// Bytes of the log's end in which they are looked for.
const TAIL_BYTES: u64 = 64 * 1024;

pub(super) fn explain(context: &StepContext, exit: &CommandExit) -> StepError {
    let step = &context.step;
    let (code, message) = match exit {
        CommandExit::Exited { code, .. } => {
            ("program-failed", format!("the program of step `{step}` ended with exit code {code}"))
        }
        CommandExit::Signalled { out_of_memory: true, .. } => (
            "out-of-memory",
            format!("the program of step `{step}` was killed because the machine ran out of memory"),
        ),
        CommandExit::Signalled { signal, .. } => {
            let name =
                nix::sys::signal::Signal::try_from(*signal).map_or("unknown", |signal| signal.as_str());
            (
                "program-killed",
                format!("the program of step `{step}` was ended by the signal {signal} ({name})"),
            )
        }
        CommandExit::TimedOut => ("timeout", format!("step `{step}` ran longer than its timeout")),
        CommandExit::Cancelled => return StepError::cancelled(),
        CommandExit::Lost => ("lost", format!("the program of step `{step}` is gone without an exit record")),
        CommandExit::NotStarted { message } => {
            ("not-started", format!("the program of step `{step}` cannot be started: {message}"))
        }
    };
    let tail = tail(&context.folder.join("stderr.log"));
    let mut problem = Problem::error(code, message);
    if let Some((place, error)) = python_place(&tail, &context.workspace) {
        problem = problem.at(place);
        problem.message = format!("{}: {error}", problem.message);
    }
    let lines: Vec<&str> = tail.lines().collect();
    for line in lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default() {
        problem = problem.note(*line);
    }
    if matches!(exit, CommandExit::TimedOut) {
        problem = problem.hint("raise `timeout:` of the step");
    }
    problem = problem.hint(format!("millrace logs {} {step}", context.run_id));
    match exit {
        CommandExit::Lost => StepError::transient(problem),
        _ => StepError::permanent(problem),
    }
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs_err::File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(content)
    };
    // A program that never started has no log, and then there is nothing to repeat.
    String::from_utf8_lossy(&read().unwrap_or_default()).trim_end().to_owned()
}

/// The innermost frame of the last Python traceback that is in the workspace, and the exception's own line.
fn python_place(text: &str, workspace: &Path) -> Option<(Place, String)> {
    let (_, trace) = text.rsplit_once("Traceback (most recent call last):")?;
    let error = trace.lines().find(|line| !line.is_empty() && !line.starts_with(' '))?;
    let mut frames = trace.lines().filter_map(|line| {
        let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
        let number = rest.split(',').next()?.trim().parse().ok()?;
        let path = Path::new(file);
        let relative = if path.is_absolute() { path.strip_prefix(workspace).ok()? } else { path };
        let hidden = relative.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            name.starts_with('.') || name == "site-packages"
        });
        (!hidden).then(|| Place {
            file: relative.to_string_lossy().into_owned(),
            line: number,
            column: 1,
            length: 1,
        })
    });
    Some((frames.next_back()?, error.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_is_reduced_to_the_users_innermost_line() {
        let text = r#"warming up
Traceback (most recent call last):
  File "/w/train.py", line 12, in <module>
    main()
  File "/w/features/dates.py", line 7, in main
    frame["month"]
  File "/w/.millrace/cache/environments/ab/lib/python3.11/site-packages/pandas/core/frame.py", line 4090, in __getitem__
    indexer = self.columns.get_loc(key)
KeyError: 'month'
"#;
        let (place, error) = python_place(text, Path::new("/w")).unwrap();
        assert_eq!((place.file.as_str(), place.line), ("features/dates.py", 7));
        assert_eq!(error, "KeyError: 'month'");
        assert_eq!(python_place("sh: 1: nope: not found", Path::new("/w")), None);
    }
}
