//! Decides what happens next in a run: a pure function of its rows and the time.
//!
//! Nothing here waits, writes or fails: a condition that cannot be evaluated fails its step with the reason. The caller commits the
//! decisions in one transaction and then carries them out.

use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::mapping::Mapping;
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::context::{ConditionScope, evaluate_condition, items_of};
use crate::items::Items;
use crate::state::{RunSnapshot, RunState, StepState};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Begin the next attempt of a step or of an item.
    Start {
        /// Which.
        step: StepKey,
    },
    /// The items of a step are known; from now on it is done item by item.
    Expand {
        /// Which.
        step: StepId,
        /// What it is done for.
        items: Vec<Value>,
    },
    /// Items that have not begun will not, and none is tried again.
    CloseItems {
        /// Of which step.
        step: StepId,
        /// What they end as.
        state: StepState,
        /// Why, one clause.
        reason: String,
    },
    /// Items that run are stopped.
    StopItems {
        /// Of which step.
        step: StepId,
    },
    /// Every item is over, and so is the step.
    EndItems {
        /// Which.
        step: StepId,
        /// As what.
        state: StepState,
        /// Why it failed.
        problem: Option<Problem>,
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

/// What to do in `run` at `now` (microseconds since 1970), where at most `most` attempts run at once.
///
/// Decisions name each step or item at most once. A step that is skipped here may make others decidable; call again after applying. Of a
/// step with many items no more begin than could run.
pub fn decide(run: &RunSnapshot, now: i64, most: usize) -> Vec<Decision> {
    if run.state != RunState::Running {
        return Vec::new();
    }
    let mut round = Round { run, now, most, decisions: Vec::new(), wake_at: None };
    for (id, step) in &run.pipeline.steps {
        round.step(id, step, Section::Steps);
    }
    let steps_over = run.pipeline.steps.keys().all(|id| is_final(run, id));
    if steps_over {
        for (id, step) in &run.pipeline.finally {
            round.step(id, step, Section::Finally);
        }
    }
    let Round { mut decisions, wake_at, .. } = round;
    if steps_over && run.pipeline.finally.keys().all(|id| is_final(run, id)) {
        decisions.push(Decision::Finish { state: outcome(run) });
    } else if let Some(at) = wake_at {
        decisions.push(Decision::WakeAt { at });
    }
    decisions
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

/// Which part of the file a step stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Steps,
    /// Done whatever became of the others, also of a run that was cancelled.
    Finally,
}

struct Round<'a> {
    run: &'a RunSnapshot,
    now: i64,
    most: usize,
    decisions: Vec<Decision>,
    wake_at: Option<i64>,
}

impl Round<'_> {
    fn step(&mut self, id: &StepId, step: &Step, section: Section) {
        let Some(current) = self.run.steps.get(id) else { return };
        let cancelled = self.run.cancel_requested && section == Section::Steps;
        match current.state {
            StepState::Pending | StepState::Retrying if cancelled => {
                self.decisions.push(Decision::CancelStep { step: id.clone() });
            }
            StepState::Running => {
                if let (Some(items), Some(mapping)) = (&current.items, &step.mapping) {
                    self.items(id, mapping, items, cancelled);
                }
            }
            _ if self.run.paused => {}
            StepState::Retrying => self.retry_or_wait(id, current.retry_at),
            StepState::Pending => self.pending(id, step, section),
            _ => {}
        }
    }

    fn pending(&mut self, id: &StepId, step: &Step, section: Section) {
        let decision = match section {
            Section::Steps if !step.needs.iter().all(|need| is_final(self.run, need)) => return,
            Section::Steps => decide_ready(self.run, id, step),
            Section::Finally => decide_at_the_end(self.run, id, step),
        };
        self.decisions.push(match (decision, &step.mapping) {
            (Decision::Start { .. }, Some(mapping)) => match items_of(self.run, step, mapping) {
                Ok(items) => Decision::Expand { step: id.clone(), items },
                Err(problem) => Decision::Fail { step: id.clone(), problem },
            },
            (decision, _) => decision,
        });
    }

    fn retry_or_wait(&mut self, id: &StepId, retry_at: Option<i64>) {
        match retry_at {
            Some(at) if at > self.now => self.wake(at),
            _ => self.decisions.push(Decision::Start { step: id.clone().into() }),
        }
    }

    fn wake(&mut self, at: i64) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Goes on with a step that is done item by item.
    fn items(&mut self, id: &StepId, mapping: &Mapping, items: &Items, cancelled: bool) {
        let active = items.count(StepState::Running) + items.count(StepState::Waiting);
        let open = items.count(StepState::Pending) + items.count(StepState::Retrying);
        let failures = items.count_where(StepState::is_failure);
        let given_up = match mapping.max_failures {
            Some(tolerated) => failures > tolerated as usize,
            None => mapping.fail_fast && failures > 0,
        };
        if (cancelled || given_up) && open > 0 {
            let (state, reason) = match cancelled {
                true => (StepState::Cancelled, "the run was cancelled".to_owned()),
                false => (StepState::Skipped, format!("{failures} items had failed")),
            };
            self.decisions.push(Decision::CloseItems { step: id.clone(), state, reason });
        } else if open == 0 && active == 0 {
            self.decisions.push(end_of_items(id, mapping, items));
        } else if !self.run.paused && !cancelled {
            let parallel = mapping.parallel.map_or(self.most, |parallel| parallel as usize);
            for item in items.ready(self.now, parallel.saturating_sub(active).min(self.most)) {
                self.decisions.push(Decision::Start { step: StepKey::item(id.clone(), item) });
            }
            if let Some(at) = items.next_retry(self.now) {
                self.wake(at);
            }
        }
        if given_up && mapping.fail_fast && active > 0 {
            self.decisions.push(Decision::StopItems { step: id.clone() });
        }
    }
}

/// What becomes of a step whose items are all over.
fn end_of_items(id: &StepId, mapping: &Mapping, items: &Items) -> Decision {
    let failures = items.count_where(StepState::is_failure);
    let no_best = mapping.sweep().filter(|sweep| items.best(sweep).is_none());
    let (state, problem) = if failures > mapping.max_failures.unwrap_or(0) as usize {
        (StepState::Failed, Some(items_failed(id, items, failures)))
    } else if items.count(StepState::Cancelled) > 0 {
        (StepState::Cancelled, None)
    } else if let Some(sweep) = no_best {
        (StepState::Failed, Some(no_trial(id, items, failures, &sweep.objective.metric)))
    } else if !items.is_empty() && items.count(StepState::Cached) == items.len() {
        (StepState::Cached, None)
    } else {
        (StepState::Succeeded, None)
    };
    Decision::EndItems { step: id.clone(), state, problem }
}

/// A search that has found nothing.
fn no_trial(id: &StepId, items: &Items, failures: usize, metric: &str) -> Problem {
    let failed = items_failed(id, items, failures);
    let message =
        format!("no trial of `{id}` has left the number `{metric}`; {failures} of {} failed", items.len());
    Problem { code: "no-trial".to_owned(), message, hints: Vec::new(), ..failed }
        .hint(format!("log it with `mlflow.log_metric(\"{metric}\", …)`, or give it as an output"))
}

fn items_failed(id: &StepId, items: &Items, failures: usize) -> Problem {
    const SHOWN: usize = 3;
    let mut problem =
        Problem::error("items-failed", format!("{failures} of the {} items of `{id}` failed", items.len()));
    let failed = items.iter().filter(|(_, run)| run.state.is_failure());
    for (item, run) in failed.take(SHOWN) {
        if let Some(error) = &run.error {
            problem.place = problem.place.or_else(|| error.place.clone());
            problem.notes.push(format!("`{id}[{item}]`: {}", error.message));
        }
    }
    problem.hint("rerun those that failed: `millrace rerun RUN --failed`")
}

/// Decides a step of `finally`, which looks at the whole run.
fn decide_at_the_end(run: &RunSnapshot, id: &StepId, step: &Step) -> Decision {
    let scope = ConditionScope::WholeRun;
    match step.condition.as_deref().map(|text| evaluate_condition(run, step, text, scope)) {
        None | Some(Ok(true)) => Decision::Start { step: id.clone().into() },
        Some(Ok(false)) => Decision::Skip { step: id.clone(), reason: "its condition is false".to_owned() },
        Some(Err(problem)) => Decision::Fail { step: id.clone(), problem },
    }
}

/// Decides a step whose needs are all over.
fn decide_ready(run: &RunSnapshot, id: &StepId, step: &Step) -> Decision {
    let step_id = id.clone();
    let unmet =
        step.needs.iter().find(|need| run.steps.get(*need).is_some_and(|other| !other.state.is_success()));
    let Some(text) = step.condition.as_deref() else {
        return match unmet {
            None => Decision::Start { step: step_id.into() },
            Some(need) => {
                let word = run.steps.get(need).map_or("missing", |other| other.state.as_str());
                Decision::Skip { step: step_id, reason: format!("`{need}`, which it needs, is {word}") }
            }
        };
    };
    if let Some(need) = unmet
        && !names_a_status(text)
    {
        let word = run.steps.get(need).map_or("missing", |other| other.state.as_str());
        return Decision::Skip { step: step_id, reason: format!("`{need}`, which it needs, is {word}") };
    }
    match evaluate_condition(run, step, text, ConditionScope::Needs) {
        Ok(true) => Decision::Start { step: step_id.into() },
        Ok(false) => Decision::Skip { step: step_id, reason: "its condition is false".to_owned() },
        Err(problem) => Decision::Fail { step: step_id, problem },
    }
}

/// Whether a condition asks for states itself; otherwise it implies that all needs succeeded, as in GitHub Actions.
fn names_a_status(condition: &str) -> bool {
    ["succeeded(", "failed(", "always(", "all_done(", "any("].iter().any(|call| condition.contains(call))
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
