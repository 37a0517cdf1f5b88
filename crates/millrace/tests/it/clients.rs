//! Unmodified clients in Python, driven by the scripts in `python/tests`.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the clients are")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a script exits with if it lacks a package.
const SKIPPED: i32 = 77;

/// Runs a script with the clients' interpreter and fails if it does; without one it says so and gives `false`.
pub(crate) fn drive(script: &str, arguments: &[&str], folder: &Path) -> bool {
    drive_with(script, arguments, folder, &[])
}

/// The interpreter that has the clients; without one it says so.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let python = std::env::var_os("MILLRACE_TEST_PYTHON");
    if python.is_none() {
        eprintln!(
            "skipped: MILLRACE_TEST_PYTHON names no interpreter with the clients; `cargo xtask test` sets it"
        );
    }
    python.map(PathBuf::from)
}

/// The same with variables of the environment.
pub(crate) fn drive_with(
    script: &str,
    arguments: &[&str],
    folder: &Path,
    variables: &[(String, String)],
) -> bool {
    let Some(python) = interpreter() else { return false };
    let script = format!("{}/../../python/tests/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .current_dir(folder)
        .env("NO_PROXY", "127.0.0.1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.code() == Some(SKIPPED) {
        eprintln!("skipped: {}", text(&output.stdout));
        return false;
    }
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    true
}
