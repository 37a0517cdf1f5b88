//! Why a step that could run does not: which limit, and who holds what it waits for.

use jiff::Timestamp;
use millrace_metastore::queue::Holder;
use millrace_metastore::runs::{PipelineRunRow, StepRunRow};
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::Pipeline;

use crate::state::{RunState, StepState};

/// Holders that are named; the others are counted.
const NAMED: usize = 3;

/// A sentence for each thing that a step waits for; none if it is over or runs. `steps` are all steps of the run, `now` is in
/// microseconds since 1970.
///
/// # Errors
/// If the database fails.
pub async fn why_waiting(
    store: &Metastore,
    run: &PipelineRunRow,
    steps: &[StepRunRow],
    step: &StepRunRow,
    now: i64,
) -> Result<Vec<String>, MetastoreError> {
    let state = StepState::parse(&step.state).unwrap_or(StepState::Pending);
    let goes_on = matches!(state, StepState::Pending | StepState::Retrying) || step.waits_for.is_some();
    if state.is_final() || !goes_on {
        return Ok(Vec::new());
    }
    let mut sentences = Vec::new();
    if run.paused {
        sentences.push(format!("the run is held; let it go on with `millrace resume {}`", run.id));
    }
    if run.state == RunState::Queued.as_str() {
        sentences.extend(why_queued(store, run).await?);
    }
    if let Some(waits_for) = &step.waits_for {
        sentences.push(why_no_room(store, run, step, (waits_for, now)).await?);
    } else if state == StepState::Pending {
        sentences.extend(unmet_needs(run, steps, step));
    }
    Ok(sentences)
}

/// That a run goes on beyond its deadline; nothing if it does not. `now` is in microseconds since 1970.
pub fn why_late(run: &PipelineRunRow, now: i64) -> Option<String> {
    let deadline = run.deadline_at?;
    let over = RunState::parse(&run.state).is_some_and(RunState::is_final);
    (!over && deadline < now)
        .then(|| format!("the run is late: it was to be over by {} UTC", instant(deadline)))
}

async fn why_queued(store: &Metastore, run: &PipelineRunRow) -> Result<Option<String>, MetastoreError> {
    let Some(key) = &run.concurrency_key else { return Ok(None) };
    let open = store.open_runs_of_key(key.clone()).await?;
    let running: Vec<&str> = open
        .iter()
        .filter(|(id, state)| state == RunState::Running.as_str() && *id != run.id)
        .map(|(id, _)| id.as_str())
        .collect();
    Ok((!running.is_empty()).then(|| {
        let limit = run.concurrency_limit.unwrap_or(1);
        let ahead = open.iter().take_while(|(id, _)| *id != run.id).count().saturating_sub(running.len());
        let ahead = if ahead == 0 { String::new() } else { format!("; {ahead} runs wait before it") };
        format!(
            "the run waits for the concurrency key `{key}`, whose limit is {limit}: {} goes on{ahead}",
            running.join(", ")
        )
    }))
}

async fn why_no_room(
    store: &Metastore,
    run: &PipelineRunRow,
    step: &StepRunRow,
    (waits_for, now): (&str, i64),
) -> Result<String, MetastoreError> {
    let (what, pool) = match waits_for.split_once(':') {
        Some(("pool", pool)) => (format!("the pool `{pool}`"), Some(pool.to_owned())),
        Some(("rate", pool)) => {
            return Ok(format!("it waits for the rate of the pool `{pool}`, which lets no more begin now"));
        }
        _ => ("a slot of the workspace".to_owned(), None),
    };
    let holders = store.list_holders(pool).await?;
    let queue = store.list_queued_steps(now).await?;
    let ahead = queue
        .iter()
        .filter(|queued| queued.waits_for == waits_for)
        .take_while(|queued| (queued.run_id.as_str(), queued.step.as_str()) != (&run.id, &step.step))
        .count();
    let ahead = if ahead == 0 { String::new() } else { format!("; {ahead} steps wait before it") };
    let held = if holders.is_empty() {
        "asks for more than there is or is kept free for those before it".to_owned()
    } else {
        format!("held by {}", held_by(&holders))
    };
    let since = step.queued_at.map(|at| format!(" since {}", instant(at))).unwrap_or_default();
    Ok(format!("it waits for {what}{since}: {held}{ahead}"))
}

fn held_by(holders: &[Holder]) -> String {
    let named: Vec<String> = holders
        .iter()
        .take(NAMED)
        .map(|holder| format!("`{}` of the run {} of `{}`", holder.step, holder.run_id, holder.pipeline))
        .collect();
    let others = holders.len().saturating_sub(NAMED);
    if others == 0 { named.join(", ") } else { format!("{} and {others} others", named.join(", ")) }
}

fn unmet_needs(run: &PipelineRunRow, steps: &[StepRunRow], step: &StepRunRow) -> Option<String> {
    let pipeline: Pipeline = serde_json::from_str(&run.definition).ok()?;
    let id: StepId = step.step.parse().ok()?;
    let open = |need: &StepId| {
        let row = steps.iter().find(|row| row.step == need.as_str())?;
        let state = StepState::parse(&row.state)?;
        (!state.is_final()).then(|| format!("`{need}`, which is {}", row.state))
    };
    let open: Vec<String> = match pipeline.steps.get(&id) {
        Some(definition) => definition.needs.iter().filter_map(open).collect(),
        None => pipeline.steps.keys().filter_map(open).collect(),
    };
    (!open.is_empty()).then(|| format!("it waits for {}", open.join(", ")))
}

fn instant(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%H:%M:%S")
        .to_string()
}
