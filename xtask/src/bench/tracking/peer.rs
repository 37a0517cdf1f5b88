//! MLflow's own server beside ours: the same runs in both, the same requests, on the same machine in the same run.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{API, create_run, ok, point};
use crate::bench::http::Client;
use crate::bench::workspace::{self, Running, Workspace};
use crate::bench::{median, shown};
use crate::shell::command;
use crate::tools;

/// Runs of both stores. MLflow's searches grow faster than the runs, so that more of them only take longer.
const RUNS: u32 = 10_000;
/// Requests for a figure of CPU time.
const REQUESTS: i32 = 200;
/// Searches of each kind; MLflow needs seconds for one.
const SEARCHES: usize = 3;
/// How long its server may take to start.
const PATIENCE: Duration = Duration::from_secs(180);

/// One of the two servers.
struct Side {
    client: Client,
    process: u32,
}

/// Measures both and prints what each needs. Says so and measures nothing where MLflow cannot be installed.
pub(in crate::bench) fn compare(root: &Path, program: &Path) -> Result<()> {
    let python = match tools::client_python(root) {
        Ok(python) => python,
        Err(error) => {
            println!("MLflow is not compared: {error:#}");
            return Ok(());
        }
    };
    let python = python.to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("mlflow.db");
    let fill = root.join("xtask/peers/mlflow_runs.py");
    let filled = command(&python).arg(&fill).arg(&database).arg(RUNS.to_string()).status()?;
    if !filled.success() {
        bail!("{} failed: {filled}", fill.display());
    }
    let source = format!("sqlite:///{}", database.display());
    let workspace = Workspace::new(program, &[])?;
    let begun = Instant::now();
    workspace.call(&["import", "mlflow", &source])?;
    println!("`millrace import mlflow` took {RUNS} runs over in {:.1} s", begun.elapsed().as_secs_f64());
    let ours = Running::start(&workspace)?;
    let ours = measure(&mut Side { client: Client::connect(ours.address)?, process: ours.process() })?;
    let theirs = Mlflow::start(&python, &source, folder.path())?;
    let process = theirs.child.id();
    let theirs = measure(&mut Side { client: Client::connect(theirs.address)?, process })?;
    println!(
        "{:<58} {:>10} {:>10} {:>7}",
        format!("WHAT, {RUNS} RUNS IN EACH"),
        "MILLRACE",
        "MLFLOW",
        "RATIO"
    );
    for ((what, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let ratio = format!("{:.0}x", theirs / ours.max(f64::MIN_POSITIVE));
        println!("{what:<58} {:>10} {:>10} {ratio:>7}", shown(*ours, "s"), shown(*theirs, "s"));
    }
    Ok(())
}

/// What a server needs for each kind of request, seconds.
fn measure(side: &mut Side) -> Result<Vec<(&'static str, f64)>> {
    let run_id = create_run(&mut side.client)?;
    let batch = cpu(side, |client, step| {
        let metrics: Vec<Value> =
            (0..100).map(|key| point(&format!("m{key}"), f64::from(step).sin(), step)).collect();
        let body = json!({"run_id": run_id, "metrics": metrics}).to_string();
        ok(&client.post(&format!("{API}/runs/log-batch"), &body)?)
    })?;
    let metric = cpu(side, |client, step| {
        let mut body = point("loss", f64::from(step).cos(), step);
        body["run_id"] = run_id.as_str().into();
        ok(&client.post(&format!("{API}/runs/log-metric"), &body.to_string())?)
    })?;
    let mut measured = vec![
        ("log-batch of 100 metrics, server CPU", batch),
        ("log-metric, one connection, server CPU", metric),
    ];
    for (what, filter, order) in [
        ("newest 100", "", json!([])),
        (
            "100 by `metrics.x > v and params.y = 'z'`, ordered by metric",
            "metrics.x0 > 0.5 and params.y0 = 'v3'",
            json!(["metrics.x0 DESC"]),
        ),
        ("100 ordered by a metric", "", json!(["metrics.x1 DESC"])),
    ] {
        let body = json!({"experiment_ids": ["1"], "filter": filter, "order_by": order, "max_results": 100});
        measured.push((what, search(&mut side.client, &body.to_string())?));
    }
    Ok(measured)
}

/// Seconds of CPU of the server and its children for each request.
fn cpu(side: &mut Side, request: impl Fn(&mut Client, i32) -> Result<()>) -> Result<f64> {
    (0..10).try_for_each(|step| request(&mut side.client, step))?;
    let before = workspace::cpu_of_tree(side.process)?;
    (10..10 + REQUESTS).try_for_each(|step| request(&mut side.client, step))?;
    Ok((workspace::cpu_of_tree(side.process)? - before) / f64::from(REQUESTS))
}

/// The median of warm searches.
fn search(client: &mut Client, body: &str) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=SEARCHES {
        let begun = Instant::now();
        let answer = client.post(&format!("{API}/runs/search"), body)?;
        times.push(begun.elapsed().as_secs_f64());
        ok(&answer)?;
        let found = answer.json()?["runs"].as_array().map_or(0, Vec::len);
        if found != 100 {
            bail!("a search found {found} runs instead of 100: {body}");
        }
    }
    times.remove(0);
    Ok(median(times))
}

/// MLflow's server with one worker and no runner of jobs, which is the most that it does on so few cores.
struct Mlflow {
    child: Child,
    address: SocketAddr,
}

impl Mlflow {
    fn start(python: &str, source: &str, folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let port = address.port().to_string();
        let options =
            ["--backend-store-uri", source, "--host", "127.0.0.1", "--port", &port, "--workers", "1"];
        let mut server = command(python);
        server.args(["-m", "mlflow", "server"]).args(options).current_dir(folder);
        server.env("MLFLOW_DISABLE_TELEMETRY", "true").env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut started = Self { child: server.spawn().context("MLflow's server does not start")?, address };
        let begun = Instant::now();
        while !started.answers() {
            if let Some(status) = started.child.try_wait()? {
                bail!("MLflow's server ended: {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("MLflow's server does not answer after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(started)
    }

    fn answers(&self) -> bool {
        let health = || Client::connect(self.address)?.get("/health", &[]);
        health().is_ok_and(|answer| answer.status == 200)
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        // Its workers are children of their own, which end with a signal to the first one.
        let process = self.child.id().to_string();
        command("kill").arg(&process).status().ok();
        self.child.wait().ok();
    }
}
