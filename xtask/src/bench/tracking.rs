//! `cargo xtask bench tracking`: experiment tracking with a million runs, over HTTP, beside bars and what a request costs at least.

mod peer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::http::Client;
use super::workspace::{Running, Workspace};
use super::{Figure, median, print_table, workspace};
use crate::shell::{command, run};

/// Requests for a figure of CPU time, which the kernel counts in hundredths of a second.
const REQUESTS: u32 = 2_000;
const TRAINERS: u32 = 100;
const TRAINING: Duration = Duration::from_secs(60);
const API: &str = "/api/2.0/mlflow";

/// Measures, prints a table. Fails if a bar is missed.
pub(super) fn bench(root: &Path, runs: u64) -> Result<()> {
    run(root, "cargo", &["build", "--release", "--package", "millrace"])?;
    let program = workspace::program(root)?;
    let database = fill(root, &program, runs)?;
    let workspace = Workspace::new(&program, &[])?;
    let server = Running::with_database(&workspace, &database)?;
    let mut figures = vec![figure("start, until it answers", server.started_in.as_secs_f64(), "s", 1.0)];
    std::thread::sleep(Duration::from_secs(1));
    figures.push(figure("resident memory after the start", server.resident_bytes()? / 1e6, "MB", 150.0));
    let mut client = Client::connect(server.address)?;
    let begun = Instant::now();
    let health = cpu_of(&server, REQUESTS, || client.get("/health", &[]).map(drop))?;
    let ceiling = f64::from(REQUESTS) / begun.elapsed().as_secs_f64();
    println!("the client's ceiling on one connection: {ceiling:.0} requests of GET /health a second");
    let floor = Some((health, "GET /health"));
    let run_id = create_run(&mut client)?;
    let mut step = 0;
    let batch = cpu_of(&server, REQUESTS, || {
        step += 1;
        let metrics: Vec<Value> =
            (0..100).map(|key| point(&format!("m{key}"), f64::from(step).sin(), step)).collect();
        ok(&client.post(
            &format!("{API}/runs/log-batch"),
            &json!({"run_id": run_id, "metrics": metrics}).to_string(),
        )?)
    })?;
    figures.push(Figure { floor, ..figure("log-batch of 100 metrics, server CPU", batch, "s", 0.5e-3) });
    let metric = log_metric_cpu(&server)?;
    figures.push(Figure { floor, ..figure("log-metric, 8 connections, server CPU", metric, "s", 0.1e-3) });
    figures.extend(search_figures(&mut client)?);
    figures.extend(history_figures(&mut client)?);
    figures.push(bytes_a_point(&database)?);
    figures.push(trainers(&server)?);
    print_table(&figures);
    drop(server);
    peer::compare(root, &program)?;
    let missed: Vec<&str> =
        figures.iter().filter(|figure| figure.value > figure.bar).map(|figure| figure.what).collect();
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}

/// MLflow's server beside ours, alone.
pub(super) fn bench_peer(root: &Path, profile: &str) -> Result<()> {
    peer::compare(root, &workspace::program_of(root, profile)?)
}

fn figure(what: &'static str, value: f64, unit: &'static str, bar: f64) -> Figure {
    Figure { what, value, unit, bar, floor: None }
}

/// A database with so many runs; kept beside the build, since filling it takes minutes.
fn fill(root: &Path, program: &Path, runs: u64) -> Result<PathBuf> {
    let target = program.parent().and_then(Path::parent).context("the program lies in no target folder")?;
    let filled = target.join(format!("bench-runs-{runs}.db"));
    if !filled.exists() {
        let part = target.join("bench-runs.part.db");
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(format!("{}{ending}", part.display())).ok();
        }
        let (path, runs) = (part.to_string_lossy().into_owned(), runs.to_string());
        run(root, "cargo", &["bench", "--workspace", "--bench", "runs", "--", &path, &runs])?;
        std::fs::rename(&part, &filled)?;
    }
    let database = target.join("bench-runs.db");
    for ending in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{ending}", database.display())).ok();
    }
    std::fs::copy(&filled, &database)?;
    // Else the first fsyncs of what is measured wait for half a gigabyte that is still on its way to the disk.
    std::fs::File::open(&database)?.sync_all()?;
    Ok(database)
}

fn ok(answer: &super::http::Answer) -> Result<()> {
    if answer.status == 200 {
        return Ok(());
    }
    bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

fn point(key: &str, value: f64, step: i32) -> Value {
    json!({"key": key, "value": value, "timestamp": 1_800_000_000_000_i64 + i64::from(step) * 250, "step": step})
}

fn create_run(client: &mut Client) -> Result<String> {
    let body = json!({"experiment_id": "0", "start_time": 1_800_000_000_000_i64}).to_string();
    let answer = client.post(&format!("{API}/runs/create"), &body)?.json()?;
    Ok(answer["run"]["info"]["run_id"].as_str().context("no run")?.to_owned())
}

/// Seconds of the server's CPU for each of so many requests.
fn cpu_of(server: &Running, requests: u32, mut request: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..20 {
        request()?;
    }
    let before = server.cpu_seconds()?;
    for _ in 0..requests {
        request()?;
    }
    Ok((server.cpu_seconds()? - before) / f64::from(requests))
}

fn log_metric_cpu(server: &Running) -> Result<f64> {
    const CONNECTIONS: u32 = 8;
    let log = |count: u32| -> Result<()> {
        let mut client = Client::connect(server.address)?;
        let run_id = create_run(&mut client)?;
        for step in 0..i32::try_from(count)? {
            let mut body = point("loss", f64::from(step).cos(), step);
            body["run_id"] = run_id.as_str().into();
            ok(&client.post(&format!("{API}/runs/log-metric"), &body.to_string())?)?;
        }
        Ok(())
    };
    log(20)?;
    let before = server.cpu_seconds()?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| log(REQUESTS))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    Ok((server.cpu_seconds()? - before) / f64::from(CONNECTIONS * REQUESTS))
}

fn search_figures(client: &mut Client) -> Result<Vec<Figure>> {
    let searches = [
        ("newest 100 of all", "", json!([]), 5e-3),
        (
            "100 by `metrics.x > v and params.y = 'z'`, ordered by metric",
            "metrics.x0 > 0.5 and params.y0 = 'v3'",
            json!(["metrics.x0 DESC"]),
            10e-3,
        ),
        ("100 ordered by a metric", "", json!(["metrics.x1 DESC"]), 25e-3),
        (
            "100 by OR, IN and LIKE",
            "metrics.x2 > 0.999 OR params.y1 IN ('v1', 'v2') OR params.y2 LIKE '%9'",
            json!([]),
            50e-3,
        ),
    ];
    let mut figures = Vec::new();
    for (what, filter, order, bar) in searches {
        let body = json!({"experiment_ids": ["0"], "filter": filter, "order_by": order, "max_results": 100});
        let body = body.to_string();
        let mut times = Vec::new();
        for _ in 0..32 {
            let begun = Instant::now();
            let answer = client.post(&format!("{API}/runs/search"), &body)?;
            times.push(begun.elapsed().as_secs_f64());
            ok(&answer)?;
        }
        println!("the first search of {what} took {:.2} s", times.remove(0));
        figures.push(figure(what, median(times), "s", bar));
    }
    Ok(figures)
}

fn history_figures(client: &mut Client) -> Result<Vec<Figure>> {
    let run_id = create_run(client)?;
    for first in (0..25_000).step_by(1_000) {
        let metrics: Vec<Value> =
            (first..first + 1_000).map(|step| point("long", f64::from(step).sin(), step)).collect();
        let body = json!({"run_id": run_id, "metrics": metrics}).to_string();
        ok(&client.post(&format!("{API}/runs/log-batch"), &body)?)?;
    }
    let path = format!("/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run_id}&metric_key=long");
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let answer = client.get(&path, &[])?;
        times.push(begun.elapsed().as_secs_f64());
        ok(&answer)?;
    }
    Ok(vec![figure("get-history-bulk of 25,000 points", median(times), "s", 15e-3)])
}

/// What the series of this run's points take, with 16 bytes for each row's own fields.
fn bytes_a_point(database: &Path) -> Result<Figure> {
    // The packer takes what is left when nobody writes.
    std::thread::sleep(Duration::from_secs(8));
    let script = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('select sum(length(body)) + 16 * count(*), sum(points) from tracked_series').fetchone())";
    let output = command("python3").args(["-c", script]).arg(database).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("no series")?;
    match numbers.as_slice() {
        [bytes, points] => Ok(figure("stored bytes a metric point", bytes / points, "bytes", 12.0)),
        _ => bail!("the series cannot be measured: {text}"),
    }
}

/// Many trainers that log ten times a second: the slowest of a hundred answers, and none with an error.
fn trainers(server: &Running) -> Result<Figure> {
    let train = || -> Result<Vec<f64>> {
        let mut client = Client::connect(server.address)?;
        let run_id = create_run(&mut client)?;
        let (begun, mut times, mut step) = (Instant::now(), Vec::new(), 0);
        while begun.elapsed() < TRAINING {
            step += 1;
            let metrics: Vec<Value> =
                (0..10).map(|key| point(&format!("t{key}"), f64::from(step), step)).collect();
            let body = json!({"run_id": run_id, "metrics": metrics}).to_string();
            let asked = Instant::now();
            ok(&client.post(&format!("{API}/runs/log-batch"), &body)?)?;
            times.push(asked.elapsed().as_secs_f64());
            std::thread::sleep(Duration::from_millis(100).saturating_sub(asked.elapsed()));
        }
        Ok(times)
    };
    let mut times = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..TRAINERS).map(|_| scope.spawn(train)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().unwrap_or_else(|_| bail!("a trainer panicked"))?);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    times.sort_by(f64::total_cmp);
    println!("{TRAINERS} trainers made {} requests in {TRAINING:?}", times.len());
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok(figure("100 trainers logging for 60 s, p99", p99, "s", 50e-3))
}
