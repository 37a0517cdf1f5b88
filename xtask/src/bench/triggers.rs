//! How soon what triggers becomes a run, and what a server that only waits costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::http::Client;
use super::workspace::{Running, Workspace};
use super::{Figure, text};

/// Events that are sent, one after another.
const EVENTS: usize = 400;
/// Firings of a schedule that fires each second.
const TICKS: usize = 20;
/// Pipelines, and schedules of each.
const PIPELINES: usize = 100;
const SCHEDULES: usize = 100;
/// Steps that wait for somebody.
const APPROVALS: usize = 1_000;
/// How long a waiting server is watched.
const WATCHED: Duration = Duration::from_secs(30);

/// From an event's leaving its sender, and from the instant of a schedule, to the start of the run.
#[allow(
    clippy::disallowed_methods,
    reason = "a chore measures against the clock of the server that it starts"
)]
pub(super) fn start_figures(program: &Path, fsync: f64) -> Result<Vec<Figure>> {
    let event = "inputs: {n: 0}\ntriggers: {t: {webhook: hmac, inputs: {n: '${{ event.n }}'}}}\n\
                 steps: {s: {set: {n: '${{ inputs.n }}'}, cache: false}}\n";
    let tick = "triggers: {t: {cron: '* * * * * *'}}\nsteps: {s: {set: {n: 1}, cache: false}}\n";
    let workspace =
        Workspace::new(program, &[("pipelines/event.yaml", event), ("pipelines/tick.yaml", tick)])?;
    let server = Running::start(&workspace)?;
    let mut client = Client::connect(server.address)?;
    let mut sent = Vec::new();
    for n in 0..EVENTS {
        sent.push(jiff::Timestamp::now());
        let answer = client.post("/hooks/event/t", &json!({"n": n}).to_string())?;
        if answer.status != 202 {
            bail!("an event was refused: {}", String::from_utf8_lossy(&answer.body));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut events = Vec::new();
    for run in runs(&mut client, "event", EVENTS)? {
        let id = text(&run, "id")?;
        let n = client.get(&format!("/api/runs/{id}"), &[])?.json()?["inputs"]["n"].as_u64();
        let n = n.and_then(|n| usize::try_from(n).ok()).context("a run has no number")?;
        events.push(
            (started(&run)? - *sent.get(n).context("a run without an event")?).total(jiff::Unit::Second)?,
        );
    }
    let ticks = runs(&mut client, "tick", TICKS)?
        .iter()
        .map(|run| Ok(f64::from(started(run)?.subsec_nanosecond()) / 1e9))
        .collect::<Result<Vec<_>>>()?;
    let floor = Some((2.0 * fsync, "two fsyncs: the event, the run"));
    let figure = |what, value, floor| Figure { what, value, unit: "s", bar: 0.1, floor };
    Ok(vec![
        figure("an event to the start of its run, p99", p99(events)?, floor),
        figure("a schedule's instant to the start of its run, p99", p99(ticks)?, Some((fsync, "one fsync"))),
    ])
}

/// So many runs of a pipeline, when they are over.
fn runs(client: &mut Client, pipeline: &str, count: usize) -> Result<Vec<Value>> {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let page = client
            .get(&format!("/api/runs?pipeline={pipeline}&status=succeeded&limit={count}"), &[])?
            .json()?;
        match page["runs"].as_array() {
            Some(found) if found.len() == count => return Ok(found.clone()),
            Some(found) if Instant::now() > patience => bail!("only {} of {count} runs came", found.len()),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn started(run: &Value) -> Result<jiff::Timestamp> {
    Ok(text(run, "started_at")?.parse()?)
}

fn p99(mut all: Vec<f64>) -> Result<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() * 99 / 100).copied().context("nothing was measured")
}

/// The share of one core that ten thousand schedules and a thousand waiting approvals take.
pub(super) fn waiting_figure(program: &Path) -> Result<Figure> {
    let mut files = vec![(
        "pipelines/gates.yaml".to_owned(),
        format!(
            "steps: {{gate: {{approve: {{by: [role:owner]}}, foreach: '${{{{ range(0, {APPROVALS}) | list }}}}', parallel: {APPROVALS}}}}}\n"
        ),
    )];
    for pipeline in 0..PIPELINES {
        let mut file = String::from("triggers:\n");
        for schedule in 0..SCHEDULES {
            let (minute, hour) = ((pipeline * 7 + schedule) % 60, schedule % 24);
            file.push_str(&format!(
                "  t{schedule}: {{cron: '{minute} {hour} * * *', timezone: Europe/Berlin}}\n"
            ));
        }
        file.push_str("steps: {s: {set: {n: 1}}}\n");
        files.push((format!("pipelines/p{pipeline}.yaml"), file));
    }
    files.push(("access.yaml".to_owned(), "roles:\n  owner: [user:anna]\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, file)| (path.as_str(), file.as_str())).collect();
    let workspace = Workspace::new(program, &files)?;
    let server = Running::start(&workspace)?;
    let mut client = Client::connect(server.address)?;
    client.post("/api/pipelines/gates/runs", "{}")?.json()?;
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        let triggers = client.get("/api/triggers", &[])?.json()?;
        let scheduled = triggers.as_array().map_or(0, Vec::len);
        let asked = client.get("/api/approvals?limit=1", &[])?.json()?;
        let waiting = asked["waiting"].as_u64().unwrap_or(0);
        if scheduled >= PIPELINES * SCHEDULES && waiting >= APPROVALS as u64 {
            break;
        }
        if Instant::now() > patience {
            bail!("only {scheduled} schedules and {waiting} approvals are there");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(Duration::from_secs(2));
    let before = server.cpu_seconds()?;
    std::thread::sleep(WATCHED);
    let value = (server.cpu_seconds()? - before) / WATCHED.as_secs_f64() * 100.0;
    Ok(Figure {
        what: "10,000 schedules and 1,000 waiting approvals, share of a core",
        value,
        unit: "%",
        bar: 1.0,
        floor: None,
    })
}
