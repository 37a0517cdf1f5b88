//! `cargo xtask bench orchestration`: what a run, a step and an item cost, each beside its bar and a floor of the same run.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::http::Client;
use super::workspace::{self, Running, Workspace};
use super::{Figure, median, peers, pipeline_figure, print_table, seconds_of_fsync, spawns, text, triggers};
use crate::shell::run;

/// Items of the long list.
const ITEMS: u32 = 10_000;
/// Runs for the sustained rate, and connections that ask for them.
const RUNS: usize = 3_000;
const CLIENTS: usize = 8;
/// Commands that run while the server is killed.
const ATTACHED: u32 = 1_000;

/// Builds the program as users get it, measures, prints a table. Fails if a bar is missed.
pub(super) fn bench(root: &Path) -> Result<()> {
    run(root, "cargo", &["build", "--release", "--package", "millrace"])?;
    let program = workspace::program(root)?;
    let fsync = seconds_of_fsync()?;
    let chain = workspace::chain(50);
    let fan = workspace::fan_out(200);
    let mut figures = vec![
        pipeline_figure("chain of 50 in-process steps", &program, &chain, 0.15, (50.0 * fsync, "50 fsyncs"))?,
        pipeline_figure("fan-out of 200 in-process steps", &program, &fan, 0.2, (fsync, "one fsync"))?,
        items_figure(&program, fsync)?,
    ];
    figures.extend(page_figures(&program)?);
    figures.push(rate_figure(&program, fsync)?);
    figures.extend(triggers::start_figures(&program, fsync)?);
    figures.push(triggers::waiting_figure(&program)?);
    figures.push(reattach_figure(&program)?);
    figures.push(idle_figure(&program)?);
    print_table(&figures);
    let own = |at: usize| figures.get(at).map_or(f64::NAN, |figure: &Figure| figure.value);
    peers::print(root, [own(0), own(1)])?;
    let missed: Vec<&str> =
        figures.iter().filter(|figure| figure.value > figure.bar).map(|figure| figure.what).collect();
    if missed.is_empty() {
        return Ok(());
    }
    bail!("missed: {}", missed.join("; "))
}

fn items(cache: bool) -> String {
    format!(
        "steps:\n  each: {{set: {{n: '${{{{ item }}}}'}}, cache: {cache}, foreach: '${{{{ range(0, {ITEMS}) | list }}}}'}}\n"
    )
}

/// The long list, against the commits that it needs if as many items begin together as attempts may run.
fn items_figure(program: &Path, fsync: f64) -> Result<Figure> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let commits = f64::from(ITEMS) / (8 * cores) as f64;
    let what = "foreach of 10,000 in-process items";
    pipeline_figure(what, program, &items(false), 5.0, (commits * fsync, "a fsync for each full load"))
}

/// The page of a run and of its items, while the items are done and afterwards.
fn page_figures(program: &Path) -> Result<Vec<Figure>> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", &items(true))])?;
    let server = Running::start(&workspace)?;
    let mut client = Client::connect(server.address)?;
    let started = client.post("/api/pipelines/p/runs", "{}")?.json()?;
    let id = text(&started, "id")?.to_owned();
    let mut pages = Vec::new();
    let mut bytes = 0;
    loop {
        let begun = Instant::now();
        let answer = client.get(&format!("/api/runs/{id}"), &[])?;
        pages.push(begun.elapsed().as_secs_f64());
        bytes = bytes.max(answer.body.len());
        match text(&answer.json()?["run"], "status")? {
            "queued" | "running" => {}
            "succeeded" => break,
            other => bail!("the run {other}"),
        }
    }
    let mut listed = Vec::new();
    for after in (0..ITEMS - 100).step_by(500) {
        let begun = Instant::now();
        let page =
            client.get(&format!("/api/runs/{id}/steps/each/items?after={after}&limit=100"), &[])?.json()?;
        listed.push(begun.elapsed().as_secs_f64());
        if page["items"].as_array().map(Vec::len) != Some(100) {
            bail!("a page of items is short: {page}");
        }
    }
    let health = floor_of_requests(&mut client)?;
    let floor = Some((health, "GET /health"));
    let figure = |what, value, bar, floor| Figure { what, value, unit: "s", bar, floor };
    Ok(vec![
        figure("page of the run while 10,000 items are done, p50", median(pages), 0.1, floor),
        figure("a hundred of its items, p50", median(listed), 0.05, floor),
        Figure { what: "that page", value: bytes as f64 / 1e3, unit: "kB", bar: 64.0, floor: None },
    ])
}

fn floor_of_requests(client: &mut Client) -> Result<f64> {
    let mut all = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        client.get("/health", &[])?;
        all.push(begun.elapsed().as_secs_f64());
    }
    Ok(median(all))
}

/// Seconds that a thousand small runs take, asked for by several clients, until the last of them is over.
fn rate_figure(program: &Path, fsync: f64) -> Result<Figure> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", &workspace::chain(1))])?;
    let server = Running::start(&workspace)?;
    let begun = Instant::now();
    let asked: Vec<Result<()>> = std::thread::scope(|scope| {
        let ask = || -> Result<()> {
            let mut client = Client::connect(server.address)?;
            for _ in 0..RUNS / CLIENTS {
                let answer = client.post("/api/pipelines/p/runs", "{}")?;
                if answer.status != 200 {
                    bail!("a run was refused: {}", String::from_utf8_lossy(&answer.body));
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect()
    });
    asked.into_iter().collect::<Result<()>>()?;
    let mut client = Client::connect(server.address)?;
    for state in ["queued", "running"] {
        while !client.get(&format!("/api/runs?status={state}&limit=1"), &[])?.json()?["runs"]
            .as_array()
            .is_some_and(Vec::is_empty)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let value = begun.elapsed().as_secs_f64() * 1_000.0 / RUNS as f64;
    Ok(Figure {
        what: "a thousand small runs with their history (bar: 300 a second)",
        value,
        unit: "s",
        bar: 1_000.0 / 300.0,
        floor: Some((1_000.0 * fsync / CLIENTS as f64, "a fsync for each load of the clients")),
    })
}

/// From the start of a server to its having found a thousand commands that went on while there was none.
fn reattach_figure(program: &Path) -> Result<Figure> {
    let pipeline = format!(
        "steps:\n  each: {{run: {{command: [sleep, '600']}}, foreach: '${{{{ range(0, {ATTACHED}) | list }}}}', retry: 0}}\n"
    );
    let files =
        [("pipelines/p.yaml", pipeline.as_str()), ("millrace.yaml", "name: bench\nmax_running: 1000\n")];
    let workspace = Workspace::new(program, &files)?;
    let server = Running::start(&workspace)?;
    let mut client = Client::connect(server.address)?;
    let started = client.post("/api/pipelines/p/runs", "{}")?.json()?;
    let id = text(&started, "id")?.to_owned();
    let running = |client: &mut Client| -> Result<u64> {
        let page = client.get(&format!("/api/runs/{id}"), &[])?.json()?;
        let counts: &Value = &page["steps"][0]["items"]["counts"];
        if let Some(failed) = counts["failed"].as_u64() {
            bail!("{failed} commands failed: {}", page["steps"][0]["items"]["failures"]);
        }
        Ok(counts["running"].as_u64().unwrap_or(0))
    };
    let patience = Instant::now() + Duration::from_secs(120);
    while running(&mut client)? < u64::from(ATTACHED) {
        if Instant::now() > patience {
            bail!("only {} commands run", running(&mut client)?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(server);
    // The engine has looked for every attempt before the server answers.
    let again = Running::start(&workspace)?;
    let mut client = Client::connect(again.address)?;
    let found = running(&mut client)?;
    let value = again.started_in.as_secs_f64();
    client.post(&format!("/api/runs/{id}/cancel"), "")?;
    let over = |client: &mut Client| -> Result<bool> {
        let page = client.get(&format!("/api/runs/{id}"), &[])?.json()?;
        Ok(text(&page["run"], "status")? == "cancelled")
    };
    while !over(&mut client)? {
        std::thread::sleep(Duration::from_millis(50));
    }
    if found != u64::from(ATTACHED) {
        bail!("only {found} of {ATTACHED} commands were found again");
    }
    Ok(Figure {
        what: "restart with 1,000 running commands, until it answers",
        value,
        unit: "s",
        bar: 2.0,
        floor: Some((spawns(10)?, "ten spawns")),
    })
}

fn idle_figure(program: &Path) -> Result<Figure> {
    let workspace = Workspace::new(program, &[("pipelines/p.yaml", &workspace::chain(50))])?;
    workspace.run("p")?;
    let server = Running::start(&workspace)?;
    std::thread::sleep(Duration::from_millis(500));
    let value = server.resident_bytes().context("the server's memory")? / 1e6;
    Ok(Figure { what: "idle server, resident memory", value, unit: "MB", bar: 100.0, floor: None })
}
