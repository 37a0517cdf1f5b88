//! Searches: what each trial is judged by, and which is best.

use std::sync::Arc;

use millrace_contract::{StepContext, StepError, StepOutcome};
use millrace_spec::pipeline::Step;
use millrace_spec::sweep::Sweep;
use serde_json::{Map, Value};

use crate::attempt::tracking_failed;
use crate::engine::Shared;
use crate::items::Items;
use crate::state::StepRun;

impl Items {
    /// The best trial of a search: its `params`, its `index`, the number that it is judged by as `objective`, and its outputs; `None` if no
    /// trial has left that number. Of two that are as good, the first.
    pub fn best(&self, sweep: &Sweep) -> Option<Value> {
        let mut best: Option<(f64, u32, &StepRun)> = None;
        for (item, run) in self.iter() {
            let Some(number) = measured(sweep, run) else { continue };
            if best.is_none_or(|(than, ..)| sweep.objective.is_better(number, than)) {
                best = Some((number, item, run));
            }
        }
        best.map(|(_, item, run)| self.trial(sweep, item, run))
    }

    /// Every trial of a search, in order, each as [`Items::best`].
    pub fn trials(&self, sweep: &Sweep) -> Value {
        self.iter().map(|(item, run)| self.trial(sweep, item, run)).collect()
    }

    fn trial(&self, sweep: &Sweep, item: u32, run: &StepRun) -> Value {
        let mut fields = Map::new();
        if let Some(outcome) = &run.outcome {
            fields.extend(outcome.outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        fields.insert("index".to_owned(), item.into());
        fields.insert("params".to_owned(), self.value(item).cloned().unwrap_or_default());
        fields.insert("state".to_owned(), run.state.as_str().into());
        fields.insert("objective".to_owned(), measured(sweep, run).into());
        Value::Object(fields)
    }
}

/// The number by which a trial is judged: an output, or a metric.
fn measured(sweep: &Sweep, run: &StepRun) -> Option<f64> {
    let outcome = run.outcome.as_ref()?;
    let metric = &sweep.objective.metric;
    let output = outcome.outputs.get(metric).and_then(Value::as_f64);
    output.or_else(|| outcome.metrics.get(metric).copied()).filter(|number| !number.is_nan())
}

/// A trial of a search is judged by a number that its program may have logged, in a process of its own.
pub(crate) async fn take_objective(
    shared: &Arc<Shared>,
    step: &Step,
    context: &StepContext,
    outcome: &mut StepOutcome,
) -> Result<(), StepError> {
    let Some(sweep) = step.mapping.as_ref().and_then(|mapping| mapping.sweep()) else { return Ok(()) };
    let name = &sweep.objective.metric;
    let tracker = &shared.services.tracker;
    let logged = tracker.metric(&context.tracking_run_id, name).await.map_err(tracking_failed)?;
    if let Some(number) = logged {
        outcome.metrics.entry(name.clone()).or_insert(number);
    }
    Ok(())
}
