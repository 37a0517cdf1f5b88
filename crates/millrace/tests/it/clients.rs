//! Unmodified clients in Python, driven by the scripts in `python/tests`.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the clients are")]

use std::path::Path;
use std::process::Command;

/// Runs a script with the clients' interpreter and fails if it does; without one it says so.
pub(crate) fn drive(script: &str, arguments: &[&str], folder: &Path) {
    drive_with(script, arguments, folder, &[]);
}

/// The same with variables of the environment.
pub(crate) fn drive_with(script: &str, arguments: &[&str], folder: &Path, variables: &[(String, String)]) {
    let Some(python) = std::env::var_os("MILLRACE_TEST_PYTHON") else {
        eprintln!(
            "skipped: MILLRACE_TEST_PYTHON names no interpreter with the clients; `cargo xtask test` sets it"
        );
        return;
    };
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
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
