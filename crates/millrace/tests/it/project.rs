//! A workspace in a temporary folder, and the program run in it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A workspace that is removed in the end.
pub(crate) struct Project {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Project {
    /// A workspace with these files beside `millrace.yaml`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() };
        project.write("millrace.yaml", "name: test\n");
        files.iter().for_each(|(path, content)| project.write(path, content));
        project
    }

    /// The same with variables of the environment for every command.
    pub(crate) fn with_variables(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables = variables;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let target = self.path().join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap_or_default()
    }

    /// The program with a home in the project's folder, so that it neither sees nor makes keys of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).current_dir(self.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command.env("XDG_CONFIG_HOME", self.path().join("config")).env_remove("MILLRACE_SECRETS_KEY");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the program and does not wait.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Exit code, standard output and standard error, with what differs from run to run replaced.
    pub(crate) fn millrace(&self, arguments: &[&str]) -> String {
        self.said(&self.output(arguments))
    }

    /// The same of a program that reads `input` from its standard input.
    pub(crate) fn fed(&self, mut command: Command, input: impl AsRef<[u8]>) -> String {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have ended with an error before it read anything.
        child.stdin.take().unwrap().write_all(input.as_ref()).ok();
        self.said(&child.wait_with_output().unwrap())
    }

    fn said(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| filtered(&String::from_utf8_lossy(bytes), self.path());
        format!(
            "exit {}\n{}----\n{}",
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr)
        )
    }

    /// The last JSON document that the program prints: what became of a run, after the problems of its steps.
    pub(crate) fn last_json(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The one JSON document that the program prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

/// Returns as soon as it holds; fails when it does not for a minute.
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < patience, "nothing happened for a minute");
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// One look after the other without a pause would take a core from what is waited for.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Replaces the folder, ids, times and durations.
fn filtered(text: &str, folder: &Path) -> String {
    let text = text.replace(&*folder.to_string_lossy(), "[folder]");
    let filters = [
        (r"[0-9a-f]{32}", "[id]"),
        (r"\b[0-9a-f]{16}\b", "[key]"),
        (r"\b[0-9a-f]{10}\b", "[id]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", "[time]"),
        (r"in \d+(\.\d+)? (ms|s)\b", "in [duration]"),
        (r"(?m)\d+(\.\d+)? (ms|s)$", "[duration]"),
    ];
    filters.iter().fold(text, |text, (pattern, word)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}
