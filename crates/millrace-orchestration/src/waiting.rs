//! Attempts that only wait for something outside: begun once, looked at now and then, given up when the run is cancelled or the time is up.

use std::sync::Arc;
use std::time::Duration;

use millrace_contract::{Look, StepContext, StepError, StepKind, StepOutcome};
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::attempt::{AttemptStart, TIMED_OUT};
use crate::engine::Shared;
use crate::error::chain;
use crate::events::RunEventKind;
use crate::recovery::Interrupted;
use crate::state::StepState;

/// Shortest time between two looks, whatever the kind asks for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Waits until what the step waits for has come, over restarts: the time counts from the attempt's begin.
pub(crate) async fn see_through(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    kind: &dyn StepKind,
    context: &StepContext,
) -> Result<StepOutcome, StepError> {
    let nudge = shared.nudge_of(&context.run_id, &context.step);
    let ended = look_until_done(shared, start, kind, context, &nudge).await;
    shared.forget_nudge(&context.run_id, &context.step);
    ended
}

async fn look_until_done(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    kind: &dyn StepKind,
    context: &StepContext,
    nudge: &tokio::sync::Notify,
) -> Result<StepOutcome, StepError> {
    let (handle, began_at) = match &start.resume {
        Some(Interrupted::Waiting { handle: Some(handle), began_at }) => (handle.clone(), *began_at),
        Some(Interrupted::Waiting { handle: None, began_at }) => {
            (begin(shared, kind, context).await?, *began_at)
        }
        _ => {
            let began_at = shared.now();
            (begin(shared, kind, context).await?, began_at)
        }
    };
    let deadline = start.step.timeout_ms.map(|limit| began_at.saturating_add_unsigned(limit * 1_000));
    let mut told = String::new();
    loop {
        let (reason, look_again) = match kind.look(context, &handle).await? {
            Look::Done(outcome) => return Ok(outcome),
            Look::Waiting { reason, look_again } => (reason, look_again.max(SHORTEST_PAUSE)),
        };
        if reason != told {
            tell(shared, context, &reason).await;
            told = reason;
        }
        let left = deadline.map(|at| Duration::from_micros(u64::try_from(at - shared.now()).unwrap_or(0)));
        if left.is_some_and(|left| left.is_zero()) {
            kind.abandon(context, &handle).await;
            return Err(StepError::permanent(Problem::error(TIMED_OUT, "the step ran into its timeout")));
        }
        tokio::select! {
            () = tokio::time::sleep(left.map_or(look_again, |left| left.min(look_again))) => {}
            () = nudge.notified() => {}
            () = context.cancel.cancelled() => {
                kind.abandon(context, &handle).await;
                return Err(StepError::cancelled());
            }
        }
    }
}

async fn begin(shared: &Arc<Shared>, kind: &dyn StepKind, context: &StepContext) -> Result<Value, StepError> {
    let handle = kind.begin_waiting(context).await?;
    shared.store_handle(&context.run_id, &context.step, context.attempt, &handle).await?;
    Ok(handle)
}

/// Stores and publishes on what the step waits. People read it; nothing depends on it, so a failure is only logged.
async fn tell(shared: &Arc<Shared>, context: &StepContext, reason: &str) {
    let stored = shared.store.store_waiting_reason(
        context.run_id.clone(),
        context.step.clone(),
        context.attempt.into(),
        reason.to_owned(),
    );
    if let Err(error) = stored.await {
        tracing::warn!(run = %context.run_id, step = %context.step, error = %chain(&error), "the reason for waiting is not stored");
    }
    let kind = RunEventKind::StepChanged {
        step: context.step.clone(),
        state: StepState::Waiting.as_str(),
        attempt: context.attempt,
    };
    shared.publish(&context.run_id, &context.pipeline, kind);
}
