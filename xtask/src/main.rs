//! The project's chores: `cargo xtask test | check | lint | tidy | deny | schema | picture | bench`.
//!
//! Only what needs logic is here; everything else is a plain cargo or npm command, printed before it runs.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a chore talks to the terminal")]

mod bench;
mod journey;
mod shell;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::shell::{output, run};

const USAGE: &str = "\
usage: cargo xtask <chore>

  test    installs what the tests need and runs all of them; `test orchestrators` those against Airflow, Prefect and Dagster alone, `test engines` those against Spark
  check   formatting, lints and the rules of the house: the fast feedback
  lint    formatting and clippy, warnings fail
  tidy    who may name what, file length, ARCHITECTURE.md, words
  schema  writes the UI's types and the API's document anew from the Rust types
  picture runs the demo, walks its pages in Chromium and takes the README's picture
  bench   measures the program as users get it, beside bars and floors; `bench tracking [RUNS]` with a million tracked runs, `bench tracking peer` beside MLflow's own server, `bench orchestration`, `bench data` beside DuckDB, Polars and ConnectorX
  deny    licences and sources of everything that is linked in
";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1).unwrap_or_default();
    match workspace_root().and_then(|root| dispatch(&chore, &root)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(chore: &str, root: &Path) -> Result<()> {
    match chore {
        "test" if std::env::args().nth(2).as_deref() == Some("orchestrators") => test_orchestrators(root),
        "test" if std::env::args().nth(2).as_deref() == Some("engines") => test_engines(root),
        "test" => test(root),
        "check" => lint(root).and_then(|()| tidy::check(root)).and_then(|()| tools::typos(root)),
        "bench" => bench::dispatch(root, &std::env::args().skip(2).collect::<Vec<_>>()),
        "deny" => tools::deny(root),
        "schema" => schema(root),
        "picture" => journey::picture(root),
        "lint" => lint(root),
        "tidy" => tidy::check(root),
        _ => bail!("there is no chore `{chore}`\n\n{USAGE}"),
    }
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask lies in the root of the project")
}

fn lint(root: &Path) -> Result<()> {
    run(root, "cargo", &["fmt", "--all", "--check"])?;
    run(root, "cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn test(root: &Path) -> Result<()> {
    tools::install_test_servers()?;
    let client_python = tools::client_python(root)?;
    lint(root)?;
    tidy::check(root)?;
    tools::typos(root)?;
    tools::deny(root)?;
    let mut variables = vec![
        format!("MILLRACE_TEST_PYTHON={}", client_python.display()),
        format!("MILLRACE_TEST_QUEUES={}", tools::queue_python(root)?.display()),
        format!("MILLRACE_TEST_FORMATS={}", tools::formats_python(root)?.display()),
        format!("MILLRACE_TEST_CLICKHOUSE={}", tools::clickhouse_python(root)?.display()),
        format!("MILLRACE_TEST_SAIL={}", tools::sail_python(root)?.display()),
    ];
    variables.extend(
        tools::taps(root)?.into_iter().map(|(variable, tap)| format!("{variable}={}", tap.display())),
    );
    variables.extend(orchestrators(root)?);
    variables.extend(tools::azurite()?.map(|program| format!("MILLRACE_TEST_AZURITE={}", program.display())));
    let runner: &[&str] = if tools::has("cargo-nextest") {
        &["cargo", "nextest", "run", "--workspace", "--all-features"]
    } else {
        &["cargo", "test", "--workspace", "--all-features", "--all-targets"]
    };
    let test: Vec<&str> = variables.iter().map(String::as_str).chain(runner.iter().copied()).collect();
    run(root, "env", &test)?;
    run(root, "cargo", &["test", "--workspace", "--all-features", "--doc"])?;
    run(root, "env", &["PYTHONPATH=python", "python3", "-m", "unittest", "discover", "python/tests"])?;
    web(root, &client_python)
}

/// What names a real Airflow, Prefect and Dagster to the tests of `call` steps.
fn orchestrators(root: &Path) -> Result<Vec<String>> {
    let named = tools::orchestrators(root)?.into_iter();
    Ok(named
        .map(|(name, python)| format!("MILLRACE_TEST_{}={}", name.to_uppercase(), python.display()))
        .collect())
}

/// `call` steps against a real Airflow, Prefect and Dagster, without the other tests.
fn test_orchestrators(root: &Path) -> Result<()> {
    let with = orchestrators(root)?;
    let test = ["cargo", "nextest", "run", "--workspace", "--all-features", "-E", "test(/^orchestrators::/)"];
    run(root, "env", &with.iter().map(String::as_str).chain(test).collect::<Vec<_>>())
}

/// The corpus of flows on Spark itself, and a run of the program on its server. Apart from the other tests, since it is large and slow to start.
fn test_engines(root: &Path) -> Result<()> {
    let spark = format!("MILLRACE_TEST_SPARK={}", tools::spark_python(root)?.display());
    let sail = format!("MILLRACE_TEST_SAIL={}", tools::sail_python(root)?.display());
    let tests = "test(/^elsewhere::/) | test(/^engines::/)";
    let runner = ["cargo", "nextest", "run", "--workspace", "--all-features", "-E", tests];
    run(root, "env", &[spark.as_str(), sail.as_str()].into_iter().chain(runner).collect::<Vec<_>>())
}

/// What is generated from the Rust types and kept in git, so that a change shows in a review.
const GENERATED: &[(&str, &str)] = &[
    ("typescript", "web/src/api/types.gen.ts"),
    ("openapi", "docs/reference/openapi.json"),
    ("functions", "docs/reference/functions.md"),
];

fn schema(root: &Path) -> Result<()> {
    let program = journey::built_program(root)?;
    for (of, file) in GENERATED {
        let text = output(root, &program.to_string_lossy(), &["schema", of])?;
        let target = root.join(file);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&target, text).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

/// The UI's own formatter, linter, type check and tests, that it builds, and every page of it after the demo.
fn web(root: &Path, client_python: &Path) -> Result<()> {
    let folder = &root.join("web");
    if !tools::has("npm") {
        eprintln!("warning: no npm here; the tests of the UI are left out");
        return Ok(());
    }
    run(folder, "npm", &["ci", "--no-audit", "--no-fund"])?;
    for script in ["format:check", "lint", "typecheck", "test", "build"] {
        run(folder, "npm", &["run", "--silent", script])?;
    }
    if !journey::possible() {
        eprintln!("warning: no Chromium here; the journey through the demo's pages is left out");
        return Ok(());
    }
    let pictures = journey::journey(root)?;
    eprintln!("pictures of every page: {}", pictures.display());
    journey::mlflow_pages(root, client_python)
}
