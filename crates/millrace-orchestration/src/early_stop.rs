//! Trials of a search that fall behind: while they run, what they have logged is compared with what the others have, and who is too far behind
//! is stopped.
//!
//! Nothing is kept: after a restart the numbers are read again, and lead to the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_contract::RunTracker;
use millrace_spec::early_stop::Stop;
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use millrace_spec::sweep::Objective;
use tokio_util::sync::CancellationToken;

use crate::attempt::tracking_run_id;
use crate::state::RunSnapshot;

/// Between two looks at what the trials have logged.
const LOOK: Duration = Duration::from_secs(1);

/// The trials of one search; it ends with this.
pub(crate) struct EarlyStops {
    trials: Arc<Mutex<BTreeMap<u32, Trial>>>,
    watch: tokio::task::JoinHandle<()>,
}

struct Trial {
    tracking_run: String,
    /// What stops it, as long as it goes on.
    goes_on: Option<CancellationToken>,
    /// Whether everything that it has logged was read.
    is_read: bool,
    /// What it has logged, oldest first.
    values: Vec<f64>,
    /// Why it was stopped.
    verdict: Option<String>,
}

impl EarlyStops {
    /// Watches the trials of a step, if its search stops any early. Those that have begun before are looked at, too.
    pub(crate) fn of(step: &Step, run: &RunSnapshot, tracker: &Arc<dyn RunTracker>) -> Option<Self> {
        let sweep = step.mapping.as_ref()?.sweep()?;
        let rule = (sweep.stop.clone()?, sweep.objective.clone());
        let trials: Arc<Mutex<BTreeMap<u32, Trial>>> = Arc::default();
        let watch = tokio::spawn(watch(trials.clone(), rule, tracker.clone()));
        let stops = Self { trials, watch };
        let items = run.steps.get(&step.id).and_then(|step| step.items.as_ref());
        for (item, trial) in items.into_iter().flat_map(|items| items.iter()) {
            if trial.attempt > 0 && trial.state.is_final() {
                stops.enter(&run.id, &step.id, (item, trial.attempt), None);
            }
        }
        Some(stops)
    }

    /// A trial that begins; without what stops it, one that is over.
    pub(crate) fn enter(
        &self,
        run_id: &str,
        step: &StepId,
        (item, attempt): (u32, u32),
        goes_on: Option<CancellationToken>,
    ) {
        let key = StepKey::item(step.clone(), item).to_string();
        let trial = Trial {
            tracking_run: tracking_run_id(run_id, &key, attempt),
            goes_on,
            is_read: false,
            values: Vec::new(),
            verdict: None,
        };
        self.trials.lock().unwrap_or_else(PoisonError::into_inner).insert(item, trial);
    }

    /// A trial is over; gives why it was stopped, if that is why.
    pub(crate) fn leave(&self, item: u32) -> Option<Problem> {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        let trial = trials.get_mut(&item)?;
        trial.goes_on = None;
        let verdict = trial.verdict.as_ref()?;
        let problem = Problem::error("trial-stopped", format!("it was stopped early: {verdict}"));
        Some(problem.hint("without `stop:` every trial goes on to its end"))
    }
}

impl Drop for EarlyStops {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch(
    trials: Arc<Mutex<BTreeMap<u32, Trial>>>,
    (stop, objective): (Stop, Objective),
    tracker: Arc<dyn RunTracker>,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let unread: Vec<(u32, String, bool)> = {
            let trials = trials.lock().unwrap_or_else(PoisonError::into_inner);
            let unread = trials.iter().filter(|(_, trial)| !trial.is_read);
            unread.map(|(item, trial)| (*item, trial.tracking_run.clone(), trial.goes_on.is_none())).collect()
        };
        for (item, tracking_run, is_over) in unread {
            let values = match tracker.metric_history(&tracking_run, &objective.metric).await {
                Ok(values) => values,
                Err(error) => {
                    tracing::warn!(%error, "what a trial has logged cannot be read; it is not stopped meanwhile");
                    continue;
                }
            };
            let mut trials = trials.lock().unwrap_or_else(PoisonError::into_inner);
            // Another attempt may have taken its place.
            let same = trials.get_mut(&item).filter(|trial| trial.tracking_run == tracking_run);
            if let Some(trial) = same {
                trial.values = values;
                trial.is_read = is_over;
            }
        }
        judge(&mut trials.lock().unwrap_or_else(PoisonError::into_inner), &stop, &objective);
    }
}

/// Stops those that are behind, one after the other: who is stopped is still compared with.
fn judge(trials: &mut BTreeMap<u32, Trial>, stop: &Stop, objective: &Objective) {
    let running: Vec<u32> = trials
        .iter()
        .filter(|(_, trial)| trial.goes_on.is_some() && trial.verdict.is_none())
        .map(|(item, _)| *item)
        .collect();
    for item in running {
        let others = trials.iter().filter(|(other, _)| **other != item);
        let others: Vec<&[f64]> = others.map(|(_, trial)| trial.values.as_slice()).collect();
        let own = trials.get(&item).map(|trial| trial.values.as_slice()).unwrap_or_default();
        let Some(why) = stop.verdict(objective, own, &others) else { continue };
        if let Some(trial) = trials.get_mut(&item) {
            trial.verdict = Some(why);
            if let Some(goes_on) = &trial.goes_on {
                goes_on.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_spec::early_stop::{Slack, StopRule};

    use super::*;

    #[test]
    fn who_is_behind_is_stopped_and_who_is_over_is_compared_with() {
        let token = CancellationToken::new();
        let trial = |values: &[f64], goes_on: Option<CancellationToken>| Trial {
            tracking_run: String::new(),
            goes_on,
            is_read: false,
            values: values.to_vec(),
            verdict: None,
        };
        let ahead = CancellationToken::new();
        let mut trials = BTreeMap::from([
            (0, trial(&[0.9, 0.9], None)),
            (1, trial(&[0.2, 0.3], Some(token.clone()))),
            (2, trial(&[0.8, 0.85], Some(ahead.clone()))),
            (3, trial(&[0.1], Some(CancellationToken::new()))),
        ]);
        let stop = Stop { rule: StopRule::Bandit(Slack::Amount(0.1)), after: 1, every: 1 };
        judge(&mut trials, &stop, &Objective::parse("maximize auc").unwrap());
        assert!(token.is_cancelled() && !ahead.is_cancelled());
        let stopped: Vec<u32> =
            trials.iter().filter(|(_, trial)| trial.verdict.is_some()).map(|(item, _)| *item).collect();
        assert_eq!(stopped, [1], "the last one has only begun");
    }
}
