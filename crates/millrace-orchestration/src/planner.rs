//! Decides what happens next in a run: a pure function of its rows and the time.
//!
//! Nothing here waits, writes or fails: a condition that cannot be evaluated fails its step with the reason. The caller commits the
//! decisions in one transaction and then carries them out.

use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{Retry, Step};
use millrace_spec::problem::Problem;

use crate::context::{ConditionScope, evaluate_condition};
use crate::state::{RunSnapshot, RunState, StepState};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Begin the next attempt of a step.
    Start {
        /// Which.
        step: StepId,
    },
    /// The step will not run.
    Skip {
        /// Which.
        step: StepId,
        /// Why, one clause.
        reason: String,
    },
    /// The step ends as cancelled without having run.
    CancelStep {
        /// Which.
        step: StepId,
    },
    /// The step cannot be decided: its condition is broken.
    Fail {
        /// Which.
        step: StepId,
        /// Why.
        problem: Problem,
    },
    /// Nothing before this instant unless something else happens; microseconds since 1970.
    WakeAt {
        /// The instant.
        at: i64,
    },
    /// The run is over.
    Finish {
        /// As what.
        state: RunState,
    },
}

/// What to do in `run` at `now` (microseconds since 1970).
///
/// Decisions name each step at most once. A step that is skipped here may make others decidable; call again after applying.
pub fn decide(run: &RunSnapshot, now: i64) -> Vec<Decision> {
    if run.state != RunState::Running {
        return Vec::new();
    }
    let mut decisions = Vec::new();
    let mut wake_at: Option<i64> = None;
    for (id, step) in &run.pipeline.steps {
        decide_step(run, id, step, now, &mut decisions, &mut wake_at);
    }
    let steps_over = run.pipeline.steps.keys().all(|id| is_final(run, id));
    if steps_over {
        for (id, step) in &run.pipeline.finally {
            decide_finally(run, id, step, now, &mut decisions, &mut wake_at);
        }
    }
    if steps_over && run.pipeline.finally.keys().all(|id| is_final(run, id)) {
        decisions.push(Decision::Finish { state: outcome(run) });
    } else if let Some(at) = wake_at {
        decisions.push(Decision::WakeAt { at });
    }
    decisions
}

/// When the attempt after `attempts` failed ones is due, or `None` if there is none.
///
/// Wait = `delay · backoff^(attempts − 1)`, at most a day.
pub fn next_retry(retry: &Retry, attempts: u32, now: i64) -> Option<i64> {
    if attempts > retry.max {
        return None;
    }
    let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
    let wait_ms = (retry.delay_ms as f64 * retry.backoff.max(1.0).powi(exponent)).min(86_400_000.0);
    Some(now + (wait_ms * 1_000.0) as i64)
}

fn is_final(run: &RunSnapshot, id: &StepId) -> bool {
    run.steps.get(id).is_none_or(|step| step.state.is_final())
}

fn outcome(run: &RunSnapshot) -> RunState {
    if run.steps.values().any(|step| step.state.is_failure()) {
        RunState::Failed
    } else if run.cancel_requested || run.steps.values().any(|step| step.state == StepState::Cancelled) {
        RunState::Cancelled
    } else {
        RunState::Succeeded
    }
}

fn decide_step(
    run: &RunSnapshot,
    id: &StepId,
    step: &Step,
    now: i64,
    decisions: &mut Vec<Decision>,
    wake_at: &mut Option<i64>,
) {
    let Some(current) = run.steps.get(id) else { return };
    match current.state {
        StepState::Pending if run.cancel_requested => {
            decisions.push(Decision::CancelStep { step: id.clone() })
        }
        StepState::Retrying if run.cancel_requested => {
            decisions.push(Decision::CancelStep { step: id.clone() })
        }
        StepState::Retrying => retry_or_wait(id, current.retry_at, now, decisions, wake_at),
        StepState::Pending => {
            if !step.needs.iter().all(|need| is_final(run, need)) {
                return;
            }
            decisions.extend(decide_ready(run, id, step));
        }
        _ => {}
    }
}

fn decide_finally(
    run: &RunSnapshot,
    id: &StepId,
    step: &Step,
    now: i64,
    decisions: &mut Vec<Decision>,
    wake_at: &mut Option<i64>,
) {
    let Some(current) = run.steps.get(id) else { return };
    match current.state {
        StepState::Retrying => retry_or_wait(id, current.retry_at, now, decisions, wake_at),
        StepState::Pending => {
            let scope = ConditionScope::WholeRun;
            decisions.extend(
                match step.condition.as_deref().map(|text| evaluate_condition(run, step, text, scope)) {
                    None | Some(Ok(true)) => Some(Decision::Start { step: id.clone() }),
                    Some(Ok(false)) => {
                        Some(Decision::Skip { step: id.clone(), reason: "its condition is false".to_owned() })
                    }
                    Some(Err(problem)) => Some(Decision::Fail { step: id.clone(), problem }),
                },
            );
        }
        _ => {}
    }
}

fn retry_or_wait(
    id: &StepId,
    retry_at: Option<i64>,
    now: i64,
    decisions: &mut Vec<Decision>,
    wake_at: &mut Option<i64>,
) {
    match retry_at {
        Some(at) if at > now => *wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at))),
        _ => decisions.push(Decision::Start { step: id.clone() }),
    }
}

/// Decides a step whose needs are all over.
fn decide_ready(run: &RunSnapshot, id: &StepId, step: &Step) -> Option<Decision> {
    let step_id = id.clone();
    let unmet =
        step.needs.iter().find(|need| run.steps.get(*need).is_some_and(|other| !other.state.is_success()));
    let Some(text) = step.condition.as_deref() else {
        return Some(match unmet {
            None => Decision::Start { step: step_id },
            Some(need) => {
                let word = run.steps.get(need).map_or("missing", |other| other.state.as_str());
                Decision::Skip { step: step_id, reason: format!("`{need}`, which it needs, is {word}") }
            }
        });
    };
    if let Some(need) = unmet
        && !names_a_status(text)
    {
        let word = run.steps.get(need).map_or("missing", |other| other.state.as_str());
        return Some(Decision::Skip {
            step: step_id,
            reason: format!("`{need}`, which it needs, is {word}"),
        });
    }
    Some(match evaluate_condition(run, step, text, ConditionScope::Needs) {
        Ok(true) => Decision::Start { step: step_id },
        Ok(false) => Decision::Skip { step: step_id, reason: "its condition is false".to_owned() },
        Err(problem) => Decision::Fail { step: step_id, problem },
    })
}

/// Whether a condition asks for states itself; otherwise it implies that all needs succeeded, as in GitHub Actions.
fn names_a_status(condition: &str) -> bool {
    ["succeeded(", "failed(", "always(", "any("].iter().any(|call| condition.contains(call))
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
