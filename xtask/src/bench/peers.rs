//! The same chain and fan-out in Prefect, Dagster and Airflow, where `cargo xtask test orchestrators` has installed them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::shown;
use crate::tools;

/// Steps that do nothing, and how they stand to each other: the two shapes that are measured.
const SHAPES: [(&str, u32); 2] = [("chain", 50), ("fan-out", 200)];

/// Prints what the peers take for the shapes beside what we took; `own` is in the order of [`SHAPES`].
pub(super) fn print(root: &Path, own: [f64; 2]) -> Result<()> {
    let installed = tools::installed_orchestrators(root)?;
    if installed.is_empty() {
        println!("no peers: `cargo xtask test orchestrators` installs Prefect, Dagster and Airflow");
        return Ok(());
    }
    println!("\n{:<26} {:>10} {:>10} {:>9}", "PEER, RUN ALONE, WARM", "PEER", "MILLRACE", "RATIO");
    for (name, python) in installed {
        for ((shape, count), own) in SHAPES.into_iter().zip(own) {
            let seconds = seconds(root, &python, [name, shape, &count.to_string()])?;
            let what = format!("{name}, {shape} of {count}");
            let ratio = format!("{:.0}x", seconds / own);
            println!("{what:<26} {:>10} {:>10} {ratio:>9}", shown(seconds, "s"), shown(own, "s"));
        }
    }
    Ok(())
}

fn seconds(root: &Path, python: &Path, arguments: [&str; 3]) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let script = root.join("xtask/peers/orchestrators.py");
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .arg(folder.path())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    let told: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    match told.and_then(|told| told["seconds"].as_f64()) {
        Some(seconds) => Ok(seconds),
        None => bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)),
    }
}
