//! What ends: an attempt's end becomes the step's new state and a change to be stored.

use millrace_contract::{CommandExit, StepOutcome};
use millrace_metastore::runs::{StepCacheRow, StepChange};
use millrace_spec::ids::StepKey;
use millrace_spec::problem::Problem;

use super::{RunTask, to_json};
use crate::attempt::{AttemptEnd, AttemptResult};
use crate::cost;
use crate::retry::{Failure, next_retry};
use crate::state::StepState;

/// Attempts that may be lost with their process before the step counts as failed.
const LOST_RETRIES: u32 = 3;

/// What an end means for the step.
struct Verdict {
    /// State word of the attempt.
    attempt_state: &'static str,
    /// State of the step if it is not tried again.
    state: StepState,
    retry_at: Option<i64>,
    outcome: Option<StepOutcome>,
    problem: Option<Problem>,
}

impl Verdict {
    fn of(attempt_state: &'static str, state: StepState) -> Self {
        Self { attempt_state, state, retry_at: None, outcome: None, problem: None }
    }
}

impl RunTask {
    pub(super) fn settle_joined(&mut self, ended: Result<AttemptEnd, tokio::task::JoinError>) {
        match ended {
            Ok(end) => self.settle(end),
            // Panics are caught inside; only an aborted task comes here.
            Err(error) => tracing::debug!(run = %self.run.id, %error, "an attempt was abandoned"),
        }
    }

    /// Turns the end of an attempt into the step's new state and a change to be stored.
    pub(super) fn settle(&mut self, end: AttemptEnd) {
        let AttemptEnd { key, attempt, result, reuse, exit, cost, remember, assets } = end;
        self.shared.forget_progress(&self.run.id, &key.to_string());
        let now = self.shared.now();
        let lost = matches!(result, AttemptResult::Lost);
        let Some((tried, lost_so_far)) = self.run.update(&key, |step| {
            step.lost += u32::from(lost);
            (step.attempt.saturating_sub(step.lost), step.lost)
        }) else {
            return;
        };
        let behind = self.early.get(&key.step).zip(key.item).and_then(|(stops, item)| stops.leave(item));
        let is_behind = matches!(result, AttemptResult::Cancelled) && !self.is_stopped(&key);
        let verdict = match behind.filter(|_| is_behind) {
            // Not a failure of the search: nobody asks for more of it.
            Some(problem) => {
                Verdict { problem: Some(problem), ..Verdict::of("cancelled", StepState::Skipped) }
            }
            None => self.judge(&key, result, exit.as_ref(), (tried, lost_so_far)),
        };
        let state = if verdict.retry_at.is_some() { StepState::Retrying } else { verdict.state };
        let outcome_document = verdict.outcome.as_ref().map(to_json);
        let error = verdict.problem.as_ref().map(to_json);
        self.run.update(&key, |step| {
            step.state = state;
            step.retry_at = verdict.retry_at;
            step.error = verdict.problem;
            step.outcome = verdict.outcome;
        });
        let cache = match (remember, &outcome_document) {
            (Some(remember), Some(outcome)) => Some(StepCacheRow {
                cache_key: remember.key,
                pipeline: self.run.pipeline.name.to_string(),
                step: key.to_string(),
                kind: self.definition(&key.step).map(|step| step.kind.clone()).unwrap_or_default(),
                components: to_json(&remember.components),
                outcome: outcome.clone(),
                run_id: self.run.id.clone(),
                created_at: now,
            }),
            _ => None,
        };
        self.ended.push(StepChange::EndAttempt {
            step: key.to_string(),
            attempt: attempt.into(),
            attempt_state: verdict.attempt_state.to_owned(),
            step_state: state.as_str().to_owned(),
            retry_at: verdict.retry_at,
            lost,
            outcome: outcome_document,
            error,
            reuse: reuse.as_ref().map(to_json),
            exit: exit.as_ref().map(to_json),
            cost: cost::row(cost),
            cache,
            assets,
        });
    }

    /// Whether the run or the step is being ended.
    fn is_stopped(&self, key: &StepKey) -> bool {
        self.run.cancel_requested
            || self.cancel.is_cancelled()
            || self.stops.get(&key.step).is_some_and(tokio_util::sync::CancellationToken::is_cancelled)
    }

    fn judge(
        &self,
        key: &StepKey,
        result: AttemptResult,
        exit: Option<&CommandExit>,
        (tried, lost): (u32, u32),
    ) -> Verdict {
        let stopped = self.is_stopped(key);
        match result {
            AttemptResult::Succeeded(outcome) => {
                Verdict { outcome: Some(outcome), ..Verdict::of("succeeded", StepState::Succeeded) }
            }
            AttemptResult::Cached(outcome) => {
                Verdict { outcome: Some(outcome), ..Verdict::of("cached", StepState::Cached) }
            }
            AttemptResult::Failed { problem, transient } => {
                let failure = Failure {
                    transient,
                    timed_out: false,
                    exit_code: exit.and_then(exit_code),
                    code: problem.code.clone(),
                    message: problem.message.clone(),
                };
                self.tried(key, Verdict::of("failed", StepState::Failed), failure, problem, (tried, stopped))
            }
            AttemptResult::TimedOut => {
                let problem = timed_out(key);
                let failure = Failure {
                    timed_out: true,
                    code: problem.code.clone(),
                    message: problem.message.clone(),
                    ..Failure::default()
                };
                let verdict = Verdict::of("timed_out", StepState::TimedOut);
                self.tried(key, verdict, failure, problem, (tried, stopped))
            }
            AttemptResult::Rejected(problem) => {
                Verdict { problem: Some(problem), ..Verdict::of("rejected", StepState::Rejected) }
            }
            AttemptResult::Cancelled => Verdict::of("cancelled", StepState::Cancelled),
            AttemptResult::Lost if stopped => Verdict::of("lost", StepState::Cancelled),
            AttemptResult::Lost if lost <= LOST_RETRIES => {
                Verdict { retry_at: Some(self.shared.now()), ..Verdict::of("lost", StepState::Failed) }
            }
            AttemptResult::Lost => {
                Verdict { problem: Some(lost_too_often(key)), ..Verdict::of("lost", StepState::Failed) }
            }
        }
    }

    /// A failed attempt, which its rule may try again.
    fn tried(
        &self,
        key: &StepKey,
        verdict: Verdict,
        failure: Failure,
        problem: Problem,
        (tried, stopped): (u32, bool),
    ) -> Verdict {
        let Some(step) = self.definition(&key.step).filter(|_| !stopped) else {
            return Verdict { problem: Some(problem), ..verdict };
        };
        let seed = format!("{}/{key}", self.run.id);
        match next_retry(&step.retry, &failure, tried, self.shared.now(), &seed) {
            Ok(retry_at) => Verdict { retry_at, problem: Some(problem), ..verdict },
            Err(broken) => Verdict { problem: Some(broken.at(step.place.clone())), ..verdict },
        }
    }
}

fn exit_code(exit: &CommandExit) -> Option<i32> {
    match exit {
        CommandExit::Exited { code, .. } => Some(*code),
        CommandExit::Signalled { signal, .. } => Some(128 + *signal),
        _ => None,
    }
}

fn timed_out(step: &StepKey) -> Problem {
    Problem::error("step-timed-out", format!("`{step}` ran into its timeout"))
        .hint(format!("raise `timeout:` of `{}`", step.step))
}

fn lost_too_often(step: &StepKey) -> Problem {
    Problem::error("step-lost", format!("the process of `{step}` vanished {} times", LOST_RETRIES + 1))
        .hint("look for the kernel's out-of-memory killer in `dmesg`")
}
