//! The demo as a stranger meets it, then every page of its server in a browser.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell::{output, run};
use crate::tools;

/// The picture in the README, and the page it is taken from.
const PICTURE: (&str, &str) = ("docs/images/run.png", "readme.png");

/// The administrator's token of a server that asks for a login; nobody else reaches it.
const TOKEN: &str = "the-token-of-a-journey";

/// A server that ends with this.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs the demo twice, the second time from the step cache, then walks the pages; the UI must have been built. Returns the folder of the
/// pictures.
pub(crate) fn journey(root: &Path) -> Result<PathBuf> {
    let program = built_program(root)?;
    let program = program.to_string_lossy();
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().join("flights");
    let demo = ["demo", &*folder.to_string_lossy(), "--no-serve", "--listen", "127.0.0.1:0", "--json"];
    let first = states(&output(root, &program, &demo)?)?;
    if first.iter().any(|(_, state)| state != "succeeded") {
        bail!("the demo's first run left {first:?}");
    }
    let second = states(&output(root, &program, &demo)?)?;
    if second.iter().any(|(_, state)| state != "cached") {
        bail!("the demo's second run should have reused every step, and left {second:?}");
    }
    let (server, url) = serve(&program, &folder, &[])?;
    let pictures = target(root).join("journey");
    run(&root.join("web"), "node", &["e2e/real.mjs", &url, &pictures.to_string_lossy()])?;
    drop(server);
    orchestrated(root, &program)?;
    data(root, &program)?;
    accounts(root, &program, &folder)?;
    Ok(pictures)
}

/// Makes accounts, and changes what people change, on a server of the demo that asks for a login.
fn accounts(root: &Path, program: &str, folder: &Path) -> Result<()> {
    let (_server, url) = serve(program, folder, &["--login"])?;
    let pictures = target(root).join("accounts");
    run(&root.join("web"), "node", &["e2e/accounts.mjs", &url, &pictures.to_string_lossy(), TOKEN])
}

/// Walks the pages of triggers, windows, events and items, on a server whose workspace has them in every state.
fn orchestrated(root: &Path, program: &str) -> Result<()> {
    let web = root.join("web");
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().to_string_lossy();
    run(&web, "node", &["e2e/orchestration.mjs", &folder])?;
    let (_server, url) = serve(program, scratch.path(), &[])?;
    let pictures = target(root).join("orchestrated");
    run(&web, "node", &["e2e/orchestrated.mjs", &url, &pictures.to_string_lossy(), &folder])
}

/// Changes flows on their canvas, on a server whose workspace is changed by that.
fn data(root: &Path, program: &str) -> Result<()> {
    let web = root.join("web");
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().to_string_lossy();
    run(&web, "node", &["e2e/data.mjs", &folder])?;
    // What the flow's nodes did is shown on its page.
    run(scratch.path(), program, &["run", "load"])?;
    let (_server, url) = serve(program, scratch.path(), &[])?;
    let pictures = target(root).join("data");
    run(&web, "node", &["e2e/data.mjs", &url, &pictures.to_string_lossy(), &folder])
}

/// Walks MLflow's own pages, from the wheel that the tests' clients are of, on a server that they logged to.
pub(crate) fn mlflow_pages(root: &Path, python: &Path) -> Result<()> {
    let program = built_program(root)?;
    let scratch = tempfile::tempdir()?;
    std::fs::write(scratch.path().join("millrace.yaml"), "name: pages\n")?;
    let python = python.to_string_lossy();
    let pages = "import mlflow.server; print(mlflow.server.__path__[0] + '/js/build')";
    let pages = output(root, &python, &["-c", pages])?;
    let (_server, url) = serve(&program.to_string_lossy(), scratch.path(), &["--mlflow-ui", pages.trim()])?;
    let made = output(root, &python, &["python/tests/mlflow_pages.py", &url])?;
    let made = made.lines().last().context("the client printed nothing")?;
    let pictures = target(root).join("mlflow-pages");
    run(&root.join("web"), "node", &["e2e/mlflow.mjs", &url, &pictures.to_string_lossy(), made])
}

/// The journey, and the README's picture of it.
pub(crate) fn picture(root: &Path) -> Result<()> {
    run(&root.join("web"), "npm", &["ci", "--no-audit", "--no-fund"])?;
    run(&root.join("web"), "npm", &["run", "--silent", "build"])?;
    let pictures = journey(root)?;
    let (to, from) = PICTURE;
    let to = root.join(to);
    std::fs::create_dir_all(to.parent().unwrap_or(root))?;
    std::fs::copy(pictures.join(from), &to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

/// Whether there is what a browser test needs.
pub(crate) fn possible() -> bool {
    tools::has("npm") && Path::new("/usr/bin/chromium").exists()
}

/// The debug program, with the features that the tests build the libraries with.
pub(crate) fn built_program(root: &Path) -> Result<PathBuf> {
    run(root, "cargo", &["build", "--quiet", "--workspace", "--bin", "millrace"])?;
    Ok(target(root).join("debug/millrace"))
}

#[allow(clippy::disallowed_methods, reason = "a chore reads the environment where it needs it")]
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Steps and their states in what `--json` printed: the last line that is about a run.
fn states(printed: &str) -> Result<Vec<(String, String)>> {
    let documents = serde_json::Deserializer::from_str(printed).into_iter::<Value>();
    let run = documents.filter_map(Result::ok).filter(|document| document.get("steps").is_some()).last();
    let run = run.with_context(|| format!("the demo printed no run: {printed}"))?;
    let steps = run.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |step: &Value, key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(steps.iter().map(|step| (text(step, "step"), text(step, "state"))).collect())
}

fn serve(program: &str, folder: &Path, more: &[&str]) -> Result<(Up, String)> {
    let mut child = Command::new(program)
        .args(["up", "--listen", "127.0.0.1:0", "--json"])
        .args(more)
        .current_dir(folder)
        .env("MILLRACE_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the server")?;
    let told = child.stdout.take().context("the server has no output")?;
    let server = Up(child);
    let mut line = String::new();
    BufReader::new(told).read_line(&mut line)?;
    let told: Value = serde_json::from_str(&line).with_context(|| format!("the server said: {line}"))?;
    let url = told.get("url").and_then(Value::as_str).context("the server named no address")?.to_owned();
    Ok((server, url))
}
