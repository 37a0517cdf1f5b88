//! Runs commands, saying which.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// A command without what `cargo run` told this chore of its own package: build scripts that depend on those variables (`ring`'s) would
/// run anew, and everything above them would be compiled anew, whenever a chore and a plain cargo command take turns.
#[allow(clippy::disallowed_methods, reason = "a chore hands its environment on")]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let own =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    for (name, _) in std::env::vars_os() {
        if own.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// What `program` prints in `folder`; fails if it does.
pub(crate) fn output(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    eprintln!("$ {program} {}", arguments.join(" "));
    let output = command(program)
        .args(arguments)
        .current_dir(folder)
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!("`{program} {}` failed: {}", arguments.join(" "), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{program}` printed something that is not text"))
}

/// Runs `program` in `folder` and fails if it does.
pub(crate) fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", arguments.join(" "));
    let status = command(program)
        .args(arguments)
        .current_dir(folder)
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        bail!("`{program} {}` failed: {status}", arguments.join(" "));
    }
    Ok(())
}
