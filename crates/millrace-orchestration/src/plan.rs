//! What a run would do: which steps run, which are reused, and why; nothing is done.
//!
//! The planner is asked as in a run. A step whose result is known to stand in counts as done; what comes after one that would run cannot be
//! known, since it depends on what that one leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::StepOutcome;
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::attempt::{AttemptEnd, AttemptResult, AttemptStart, build_context};
use crate::cache::ReuseDecision;
use crate::context::{Wanted, add_item, expression_context};
use crate::engine::{Engine, RunRequest};
use crate::error::OrchestrationError;
use crate::inputs;
use crate::items::Items;
use crate::planner::{Decision, decide};
use crate::reuse::look_in_cache;
use crate::state::{RunSnapshot, RunState, StepRun, StepState};
use crate::windows::{self, RunWindow};

/// Items that are looked up one by one; of longer lists the rest counts as running.
const ITEMS_LOOKED_AT: u32 = 1_000;

/// What would become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// It runs.
    Run,
    /// An earlier result stands in.
    Reuse,
    /// It depends on what a step leaves that runs.
    Depends,
    /// It does not run.
    Skip,
    /// It cannot begin.
    Fail,
}

impl PlannedAction {
    /// The word shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Reuse => "reuse",
            Self::Depends => "depends",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its key.
    pub step: String,
    /// The kind's word.
    pub kind: String,
    /// What would become of it.
    pub action: PlannedAction,
    /// Why, one clause.
    pub why: String,
    /// How many items it is done for, if that is known and it has items.
    pub items: Option<u32>,
    /// Of those, for how many an earlier result stands in.
    pub items_reused: Option<u32>,
    /// Why it cannot begin.
    pub problem: Option<Problem>,
}

impl Engine {
    /// What a run of `pipeline` would do now, in the file's order.
    ///
    /// # Errors
    /// If the inputs do not fit.
    pub async fn plan(
        &self,
        pipeline: &Pipeline,
        request: &RunRequest,
    ) -> Result<Vec<PlannedStep>, OrchestrationError> {
        let inputs = inputs::resolve(pipeline, &request.inputs)
            .map_err(|problem| OrchestrationError::Invalid(Box::new(problem)))?;
        let mut plan =
            Plan { engine: self, request, run: snapshot(pipeline, inputs), found: BTreeMap::new() };
        let (zone, now) = (&self.shared.settings.timezone, self.shared.now());
        let window = request.window.clone().or_else(|| windows::last_complete(pipeline, zone, now));
        plan.run.window = window.as_ref().map(RunWindow::document);
        plan.take_over();
        while plan.round().await {}
        Ok(plan.finish())
    }
}

/// A run in its first moment.
fn snapshot(pipeline: &Pipeline, inputs: IndexMap<String, Value>) -> RunSnapshot {
    let ids = pipeline.steps.keys().chain(pipeline.finally.keys());
    RunSnapshot {
        partial: false,
        event: None,
        events: Vec::new(),
        id: String::new(),
        inputs,
        state: RunState::Running,
        cancel_requested: false,
        paused: false,
        created_at: 0,
        deadline_at: None,
        url: String::new(),
        parent: None,
        window: None,
        steps: ids.map(|id| (id.clone(), StepRun::pending())).collect(),
        pipeline: pipeline.clone(),
    }
}

struct Plan<'a> {
    engine: &'a Engine,
    request: &'a RunRequest,
    run: RunSnapshot,
    found: BTreeMap<StepId, PlannedStep>,
}

impl Plan<'_> {
    fn take_over(&mut self) {
        let Some(take_over) = &self.request.take_over else { return };
        for (id, taken) in &take_over.steps {
            let outcome = taken.row.outcome.as_deref().and_then(|text| serde_json::from_str(text).ok());
            if let Some(step) = self.run.steps.get_mut(id) {
                step.state = StepState::Cached;
                step.outcome = outcome;
            }
            let why = format!("what it left in run {} stands in", taken.from_run);
            self.note(id, PlannedAction::Reuse, why);
        }
        for id in &take_over.left_out {
            if let Some(step) = self.run.steps.get_mut(id) {
                step.state = StepState::Skipped;
            }
            self.note(id, PlannedAction::Skip, "this run leaves it out".to_owned());
        }
    }

    /// Looks at what is decidable now. `false` once nothing new is.
    async fn round(&mut self) -> bool {
        let mut moved = false;
        for decision in decide(&self.run, self.engine.shared.now(), 1) {
            match decision {
                Decision::Start { step } if step.item.is_none() && !self.found.contains_key(&step.step) => {
                    moved = true;
                    self.look_at(&step.step).await;
                }
                Decision::Expand { step, items } if !self.found.contains_key(&step) => {
                    moved = true;
                    self.look_at_items(&step, items).await;
                }
                Decision::Skip { step, reason } => {
                    moved = true;
                    self.set(&step, StepState::Skipped, None);
                    self.note(&step, PlannedAction::Skip, reason);
                }
                Decision::Fail { step, problem } => {
                    moved = true;
                    self.set(&step, StepState::Failed, None);
                    self.fail(&step, problem);
                }
                _ => {}
            }
        }
        moved
    }

    async fn look_at(&mut self, id: &StepId) {
        let Some(step) = self.definition(id) else { return };
        match self.lookup(&step, id.clone().into(), self.values(&step)).await {
            Err(problem) => self.fail(id, problem),
            Ok((decision, Some(outcome))) => {
                self.set(id, StepState::Cached, Some(outcome));
                self.note(id, PlannedAction::Reuse, clause(&decision));
            }
            Ok((decision, None)) => self.note(id, PlannedAction::Run, clause(&decision)),
        }
    }

    async fn look_at_items(&mut self, id: &StepId, values: Vec<Value>) {
        let Some(step) = self.definition(id) else { return };
        let Some(mapping) = &step.mapping else { return };
        let total = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let mut items = Items::new(values);
        let base = self.values(&step);
        let (mut reused, mut first_reason) = (0, None);
        for item in 0..total.min(ITEMS_LOOKED_AT) {
            let mut context = base.clone();
            add_item(&mut context, mapping, item, items.value(item).unwrap_or(&Value::Null));
            match self.lookup(&step, StepKey::item(id.clone(), item), context).await {
                Err(problem) => return self.fail(id, problem),
                Ok((_, Some(outcome))) => {
                    reused += 1;
                    items.update(item, |run| {
                        run.state = StepState::Cached;
                        run.outcome = Some(outcome);
                    });
                }
                Ok((decision, None)) => {
                    first_reason.get_or_insert_with(|| format!("`{id}[{item}]` runs {}", clause(&decision)));
                }
            }
        }
        let done = reused == total;
        let (action, why) = match first_reason {
            _ if done => (PlannedAction::Reuse, format!("the results of its {total} items stand in")),
            Some(reason) => (PlannedAction::Run, reason),
            None => (PlannedAction::Run, format!("{} items are not looked at", total - ITEMS_LOOKED_AT)),
        };
        if done && let Some(run) = self.run.steps.get_mut(id) {
            run.state = StepState::Cached;
            run.items = Some(Box::new(items));
        }
        self.note(id, action, why);
        if let Some(planned) = self.found.get_mut(id) {
            planned.items = Some(total);
            planned.items_reused = Some(reused);
        }
    }

    /// Looks up a step as an attempt of it would.
    async fn lookup(
        &self,
        step: &Arc<Step>,
        key: StepKey,
        values: Value,
    ) -> Result<(ReuseDecision, Option<StepOutcome>), Problem> {
        let shared = &self.engine.shared;
        let Some(kind) = shared.kinds.get(step.kind.as_str()) else {
            return Err(Problem::error("unknown-kind", format!("there is no step kind `{}`", step.kind)));
        };
        let start = AttemptStart {
            run_id: self.run.id.clone(),
            pipeline: self.run.pipeline.name.to_string(),
            force: self.request.force.covers(key.step.as_str()),
            key,
            step: step.clone(),
            values,
            attempt: 1,
            cancel: CancellationToken::new(),
            resume: None,
        };
        let context = build_context(shared, &start, kind.as_ref()).await.map_err(|error| error.problem)?;
        let mut end = AttemptEnd::of(start.key.clone(), 1, AttemptResult::Cancelled);
        let outcome = look_in_cache(shared, &start, kind.as_ref(), &context, &mut end).await;
        let why = "this kind of step always runs".to_owned();
        Ok((end.reuse.unwrap_or(ReuseDecision::NotReusable { why }), outcome))
    }

    fn definition(&self, id: &StepId) -> Option<Arc<Step>> {
        let pipeline = &self.run.pipeline;
        pipeline.steps.get(id).or_else(|| pipeline.finally.get(id)).cloned().map(Arc::new)
    }

    fn values(&self, step: &Step) -> Value {
        expression_context(&self.run, &step.needs, &Wanted::by_work_of(step))
    }

    fn set(&mut self, id: &StepId, state: StepState, outcome: Option<StepOutcome>) {
        if let Some(step) = self.run.steps.get_mut(id) {
            step.state = state;
            step.outcome = outcome;
        }
    }

    fn note(&mut self, id: &StepId, action: PlannedAction, why: String) {
        let kind = self.definition(id).map(|step| step.kind.clone()).unwrap_or_default();
        let step = id.to_string();
        let planned = PlannedStep { step, kind, action, why, items: None, items_reused: None, problem: None };
        self.found.insert(id.clone(), planned);
    }

    fn fail(&mut self, id: &StepId, problem: Problem) {
        self.note(id, PlannedAction::Fail, problem.message.clone());
        if let Some(planned) = self.found.get_mut(id) {
            planned.problem = Some(problem);
        }
    }

    /// The steps in the file's order; those that could not be decided depend on others.
    fn finish(mut self) -> Vec<PlannedStep> {
        let steps: Vec<Step> = self.run.pipeline.steps.values().cloned().collect();
        for step in &steps {
            if !self.found.contains_key(&step.id) {
                let runs = |need: &&StepId| {
                    self.found.get(*need).is_none_or(|planned| planned.action != PlannedAction::Reuse)
                };
                let needs: Vec<String> =
                    step.needs.iter().filter(runs).map(|need| format!("`{need}`")).collect();
                self.note(&step.id, PlannedAction::Depends, format!("it comes after {}", needs.join(", ")));
            }
        }
        let at_the_end: Vec<StepId> = self.run.pipeline.finally.keys().cloned().collect();
        for id in &at_the_end {
            if !self.found.contains_key(id) {
                self.note(id, PlannedAction::Run, "it comes at the end of each run".to_owned());
            }
        }
        let order: Vec<StepId> = steps.into_iter().map(|step| step.id).chain(at_the_end).collect();
        order.iter().filter_map(|id| self.found.remove(id)).collect()
    }
}

/// The reason without the word that tells what happened.
fn clause(decision: &ReuseDecision) -> String {
    let sentence = decision.sentence();
    match sentence.strip_prefix("ran ") {
        Some(reason) => reason.to_owned(),
        None => sentence,
    }
}
