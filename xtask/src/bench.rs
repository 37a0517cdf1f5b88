//! `cargo xtask bench`: the figures of the foundation, each beside its bar and a floor measured in the same run.

mod data;
mod http;
mod orchestration;
mod peers;
mod postgres;
mod tracking;
mod triggers;
mod workspace;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::http::Client;
use self::workspace::{Running, Workspace};
use crate::shell::run;

/// One figure.
struct Figure {
    what: &'static str,
    /// Measured.
    value: f64,
    unit: &'static str,
    /// What it should stay below.
    bar: f64,
    /// The least that the machine needs for it, and what that is.
    floor: Option<(f64, &'static str)>,
}

/// Runs the bench that is named; that of the foundation if none is.
pub(crate) fn dispatch(root: &Path, arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => bench(root),
        ["data"] => data::bench(root),
        ["folders"] => data::bench_folders(root, "release"),
        ["folders", "small"] => data::bench_folders(root, "debug"),
        ["orchestration"] => orchestration::bench(root),
        ["tracking", "peer"] => tracking::bench_peer(root, "release"),
        ["tracking", "peer", profile] => tracking::bench_peer(root, profile),
        ["tracking"] => tracking::bench(root, 1_000_000),
        ["tracking", runs] => tracking::bench(root, runs.parse().context("how many runs?")?),
        _ => bail!("there is no bench `{}`", arguments.join(" ")),
    }
}

/// Builds the program as users get it, measures, prints a table. Fails if a bar is missed.
fn bench(root: &Path) -> Result<()> {
    run(root, "cargo", &["build", "--release", "--package", "millrace"])?;
    let program = workspace::program(root)?;
    let fsync = seconds_of_fsync()?;
    let mut figures = vec![
        pipeline_figure(
            "chain of 50 in-process steps",
            &program,
            &workspace::chain(50),
            0.15,
            (50.0 * fsync, "50 fsyncs"),
        )?,
        pipeline_figure(
            "fan-out of 200 in-process steps",
            &program,
            &workspace::fan_out(200),
            0.2,
            (fsync, "one fsync"),
        )?,
        pipeline_figure(
            "200 `run: /bin/true` steps",
            &program,
            &workspace::commands(200),
            1.0,
            (spawns(200)?, "200 spawns"),
        )?,
        cold_run(&program)?,
    ];
    figures.extend(server_figures(&program)?);
    figures.extend(demo_figures(&program, root)?);
    print_table(&figures);
    let missed: Vec<&str> =
        figures.iter().filter(|figure| figure.value > figure.bar).map(|figure| figure.what).collect();
    if missed.is_empty() {
        return Ok(());
    }
    bail!("missed: {}", missed.join("; "))
}

fn print_table(figures: &[Figure]) {
    println!("{:<58} {:>10} {:>10} {:>7}  floor", "WHAT", "MEASURED", "BAR", "RATIO");
    for figure in figures {
        let (ratio, floor) = figure.floor.map_or_else(Default::default, |(floor, what)| {
            (format!("{:.1}x", figure.value / floor), format!("{what}: {}", shown(floor, figure.unit)))
        });
        let mark = if figure.value > figure.bar { "  MISSED" } else { "" };
        let (value, bar) = (shown(figure.value, figure.unit), shown(figure.bar, figure.unit));
        println!("{:<58} {value:>10} {bar:>10} {ratio:>7}  {floor}{mark}", figure.what);
    }
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" if value < 0.01 => format!("{:.2} ms", value * 1e3),
        "s" if value < 1.0 => format!("{:.0} ms", value * 1e3),
        "s" => format!("{value:.2} s"),
        _ => format!("{value:.1} {unit}"),
    }
}

/// The median of five runs, as the engine counts them: from the request to the last step's commit.
fn pipeline_figure(
    what: &'static str,
    program: &Path,
    pipeline: &str,
    bar: f64,
    floor: (f64, &'static str),
) -> Result<Figure> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", pipeline)])?;
    let seconds =
        || -> Result<f64> { Ok(workspace.run("p")?["duration_ms"].as_f64().context("no duration")? / 1e3) };
    let value = median((0..5).map(|_| seconds()).collect::<Result<_>>()?);
    Ok(Figure { what, value, unit: "s", bar, floor: Some(floor) })
}

/// The whole process of a one-step pipeline, against the process that only prints its version.
fn cold_run(program: &Path) -> Result<Figure> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", &workspace::chain(1))])?;
    workspace.run("p")?;
    let timed = |arguments: &[&str]| -> Result<f64> {
        let begun = Instant::now();
        workspace.call(arguments)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let value = median((0..9).map(|_| timed(&["run", "p", "--quiet"])).collect::<Result<_>>()?);
    let floor = median((0..9).map(|_| timed(&["--version"])).collect::<Result<_>>()?);
    Ok(Figure {
        what: "cold `millrace run` of one step, whole process",
        value,
        unit: "s",
        bar: 0.1,
        floor: Some((floor, "`--version`")),
    })
}

/// Start, memory and the first page of a server.
fn server_figures(program: &Path) -> Result<Vec<Figure>> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", &workspace::chain(50))])?;
    for _ in 0..5 {
        workspace.run("p")?;
    }
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    let mut page = 0;
    for _ in 0..5 {
        let server = Running::start(&workspace)?;
        starts.push(server.started_in.as_secs_f64());
        page = home_page_bytes(&server)?;
        std::thread::sleep(Duration::from_millis(500));
        memory.push(server.resident_bytes()? / 1e6);
    }
    Ok(vec![
        Figure {
            what: "`millrace up` until it answers",
            value: median(starts),
            unit: "s",
            bar: 0.3,
            floor: None,
        },
        Figure {
            what: "idle server, resident memory",
            value: median(memory),
            unit: "MB",
            bar: 100.0,
            floor: None,
        },
        Figure {
            what: "home page, compressed, with all that it loads",
            value: page as f64 / 1e3,
            unit: "kB",
            bar: 250.0,
            floor: None,
        },
    ])
}

/// What a browser loads for the first page: the document and the scripts and styles that it names.
fn home_page_bytes(server: &Running) -> Result<usize> {
    let mut client = Client::connect(server.address)?;
    let plain = client.get("/", &[])?;
    let text = String::from_utf8_lossy(&plain.body).into_owned();
    let mut bytes = client.get("/", &[("accept-encoding", "br")])?.body.len();
    for part in
        text.split(['"', '\'']).filter(|part| part.starts_with("/assets/") || part.starts_with("./assets/"))
    {
        bytes += client.get(part.trim_start_matches('.'), &[("accept-encoding", "br")])?.body.len();
    }
    Ok(bytes)
}

/// The second run of the demo, a warm Python step and one scored row.
fn demo_figures(program: &Path, root: &Path) -> Result<Vec<Figure>> {
    let script = "import time\nbegun = time.perf_counter()\nimport pandas, sklearn.linear_model\nimport millrace\n\
                  rows = pandas.DataFrame({'x': range(1000)})\nmillrace.output_value('own', int((time.perf_counter() - begun) * 1e6))\n";
    let pipeline = "pipeline: warm\nsteps:\n  warm: {python: warm.py, environment: envs/train.lock, cache: false, outputs: {own: integer}}\n";
    let workspace =
        Workspace::of_example(program, root, &[("warm.py", script), ("pipelines/warm.yaml", pipeline)])?;
    let server = Running::demo(&workspace)?;
    let mut client = Client::connect(server.address)?;
    let again = server.run("flights")?;
    let mut warm = Vec::new();
    for _ in 0..9 {
        let steps = server.run_view("warm")?;
        let step = steps["steps"].get(0).context("no step")?;
        let attempt = step["attempts"].get(0).context("no attempt")?;
        let wall = attempt["wall_ms"]
            .as_f64()
            .map_or_else(|| workspace::span_seconds(attempt), |ms| Ok(ms / 1e3))?;
        warm.push(wall - step["outputs"]["own"].as_f64().unwrap_or(0.0) / 1e6);
    }
    let endpoint =
        client.get("/api/endpoints", &[])?.json()?[0]["name"].as_str().context("no endpoint")?.to_owned();
    let view = client.get(&format!("/api/endpoints/{endpoint}"), &[])?.json()?;
    let body = serde_json::json!({"rows": [view["example"]]}).to_string();
    let path = format!("/endpoints/{endpoint}/score");
    let mut scored = Vec::new();
    let mut floor = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        client.get("/health", &[])?;
        floor.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let answer = client.post(&path, &body)?;
        scored.push(begun.elapsed().as_secs_f64());
        if answer.status != 200 {
            bail!("the endpoint answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
    }
    Ok(vec![
        Figure { what: "unchanged second run of the demo", value: again, unit: "s", bar: 0.5, floor: None },
        Figure {
            what: "warm Python step with pandas and scikit-learn, over its own work",
            value: median(warm),
            unit: "s",
            bar: 0.05,
            floor: None,
        },
        Figure {
            what: "one row of the demo's endpoint, p50 at the client",
            value: median(scored),
            unit: "s",
            bar: 1e-3,
            floor: Some((median(floor), "GET /health")),
        },
    ])
}

/// Seconds of one append and fsync in the folder of the benches.
fn seconds_of_fsync() -> Result<f64> {
    use std::io::Write as _;
    let folder = tempfile::tempdir()?;
    let mut file = std::fs::File::create(folder.path().join("log"))?;
    let mut once = || -> Result<f64> {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        Ok(begun.elapsed().as_secs_f64())
    };
    Ok(median((0..101).map(|_| once()).collect::<Result<_>>()?))
}

/// Seconds of starting `/bin/true` so often, one after the other.
fn spawns(count: u32) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..count {
        Command::new("/bin/true").stdout(Stdio::null()).status()?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A field that must be text.
fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no `{name}` in {value}"))
}
