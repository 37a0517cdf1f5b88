//! Tells people how runs went: that one is over, or that it goes on beyond its deadline.
//!
//! What is to be told is a row, stored in the transaction in which it came about. It is forgotten once its notes are stored, which have
//! ids of their own: a kill between the two, or two servers at once, tell nobody twice.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use millrace_contract::Note;
use millrace_metastore::LookAgain;
use millrace_metastore::run_notices::{LATE, RunNotice};
use millrace_metastore::runs::PipelineRunRow;
use millrace_spec::expression;
use millrace_spec::ids::StepId;
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::context::{Wanted, expression_context};
use crate::engine::Shared;
use crate::error::{OrchestrationError, chain};
use crate::events::RunEventKind;
use crate::recovery;
use crate::state::{RunSnapshot, RunState};

/// Notices that a round takes.
const MOST: i64 = 100;
/// Problems that no later round is without: the run keeps its own wording and its names of channels.
const NEVER: [&str; 2] = ["message-failed", "unknown-channel"];

/// Rounds until the engine stops, and a last one then: a server that serves one run ends with it. A round is two indexed questions, after a
/// commit or when a deadline is over.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut failed = false;
    let mut waiting = HashSet::new();
    let clock = shared.services.clock.clone();
    let mut commits = shared.store.commits(move || clock.now().as_microsecond());
    loop {
        let stopped = tokio::select! {
            () = shared.notices_due.notified() => false,
            () = commits.next() => false,
            () = shared.stop.cancelled() => true,
        };
        let again = match round(&shared, &mut waiting).await {
            Ok(due_at) => {
                failed = false;
                due_at.into()
            }
            Err(error) => {
                // Once, not every second that a database is away.
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(error = %chain(&error), "nobody can be told how runs went; it is tried again");
                }
                LookAgain::Soon
            }
        };
        commits.looked(again);
        if stopped {
            return;
        }
    }
}

/// `waiting` has the runs of which it was said already that nobody is told of them yet. Answers when the next round has something to do
/// though nothing changes: microseconds since 1970.
async fn round(
    shared: &Arc<Shared>,
    waiting: &mut HashSet<String>,
) -> Result<Option<i64>, OrchestrationError> {
    let failed = OrchestrationError::store;
    let due = shared.store.list_due_run_notices(shared.now(), MOST).await;
    for notice in due.map_err(failed("list what is to be told of runs"))? {
        match tell(shared, &notice).await {
            // It must not keep the others from being told.
            Err(OrchestrationError::Invalid(problem)) if NEVER.contains(&problem.code.as_str()) => {
                tracing::error!(run = %notice.run_id, "nobody is told of the run: {}", problem.message);
            }
            // What cannot be told by this server now, it tries again: somebody may be mending `channels.yaml`.
            Err(OrchestrationError::Invalid(problem)) => {
                if waiting.insert(notice.run_id.clone()) {
                    tracing::warn!(run = %notice.run_id, "nobody is told of the run yet: {}", problem.message);
                }
                continue;
            }
            Err(OrchestrationError::UnknownRun { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        waiting.remove(&notice.run_id);
        shared.store.forget_run_notice(notice).await.map_err(failed("forget what was told"))?;
    }
    shared.store.next_run_notice_due().await.map_err(failed("read what is to be told next"))
}

async fn tell(shared: &Arc<Shared>, notice: &RunNotice) -> Result<(), OrchestrationError> {
    let found = shared.store.find_pipeline_run(notice.run_id.clone()).await;
    let row = found.map_err(OrchestrationError::store("read the run"))?;
    let row = row.ok_or_else(|| OrchestrationError::UnknownRun { id: notice.run_id.clone() })?;
    if notice.event == LATE {
        tell_late(shared, &row, notice.due_at).await
    } else {
        tell_end(shared, &row).await
    }
}

async fn tell_late(
    shared: &Arc<Shared>,
    row: &PipelineRunRow,
    deadline: i64,
) -> Result<(), OrchestrationError> {
    if row.ended_at.is_some_and(|at| at <= deadline) {
        return Ok(());
    }
    tracing::warn!(run = %row.id, pipeline = %row.pipeline, "the run goes on beyond its deadline");
    let run = recovery::load(shared, &row.id, None).await?.run;
    // Pages that show it look again.
    shared.publish(&row.id, &row.pipeline, RunEventKind::RunChanged { state: run.state.as_str() });
    let rule = run.pipeline.deadline.clone().unwrap_or_default();
    let zone = rule.timezone.as_deref().unwrap_or(&shared.settings.timezone);
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let by = Timestamp::from_microsecond(deadline).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone);
    let open: Vec<&str> =
        run.steps.iter().filter(|(_, step)| !step.state.is_final()).map(|(id, _)| id.as_str()).collect();
    let ended = if rule.cancel { "; it is cancelled" } else { "" };
    let open =
        if open.is_empty() { "It is over now.".to_owned() } else { format!("Not over: {}", open.join(", ")) };
    let by = by.strftime("%Y-%m-%d %H:%M:%S %Z");
    let text = format!("{} #{} was to be over by {by}{ended}.\n{open}", row.pipeline, row.number);
    let note = Note {
        id: format!("run-{}-late", row.id),
        subject: format!("{} is late", row.pipeline),
        text,
        path: Some(format!("/runs/{}", row.id)),
    };
    send(shared, &rule.notify, note).await
}

async fn tell_end(shared: &Arc<Shared>, row: &PipelineRunRow) -> Result<(), OrchestrationError> {
    let run = recovery::load(shared, &row.id, None).await?.run;
    let Some(notices) = run.pipeline.notify.clone() else { return Ok(()) };
    let text = match &notices.message {
        Some(message) => written(&run, message)?,
        None => what_happened(&run),
    };
    let note = Note {
        id: format!("run-{}-ended", row.id),
        subject: format!("{} #{} {}", row.pipeline, row.number, row.state),
        text,
        path: Some(format!("/runs/{}", row.id)),
    };
    send(shared, notices.channels(&row.state), note).await
}

/// The message as the pipeline words it.
fn written(run: &RunSnapshot, message: &Value) -> Result<String, OrchestrationError> {
    let all: Vec<StepId> = run.steps.keys().cloned().collect();
    let context = expression_context(run, &all, &Wanted::by_value(message));
    let value = expression::render(message, &context).map_err(|error| {
        let message = format!("the message of `notify` cannot be put together: {error}");
        OrchestrationError::Invalid(Box::new(Problem::error("message-failed", message)))
    })?;
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// What failed and why; nothing for a run that went well.
fn what_happened(run: &RunSnapshot) -> String {
    match run.first_error() {
        Some((step, problem)) if run.state == RunState::Failed => {
            let hints = problem.hints.iter().map(|hint| format!("\nhint: {hint}"));
            format!("{step}: {}{}", problem.message, hints.collect::<String>())
        }
        _ => String::new(),
    }
}

/// One channel at a time, so that one that is gone does not keep the others from being told.
async fn send(shared: &Arc<Shared>, channels: &[String], note: Note) -> Result<(), OrchestrationError> {
    let mut wrong = None;
    for channel in channels {
        let told = shared.services.notifier.notify(std::slice::from_ref(channel), note.clone()).await;
        wrong = wrong.or_else(|| told.err());
    }
    wrong.map_or(Ok(()), |problem| Err(OrchestrationError::Invalid(Box::new(problem))))
}
