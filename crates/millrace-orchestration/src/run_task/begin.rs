//! What begins: attempts, items, and what ends without an attempt.

use std::collections::HashMap;

use futures::FutureExt as _;
use millrace_metastore::runs::{ItemRow, PoolClaim, StepChange};
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::mapping;
use millrace_spec::pipeline::Step;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{RunTask, panicked, to_json};
use crate::attempt::{self, AttemptEnd, AttemptResult, AttemptStart};
use crate::context::{Wanted, add_item, expression_context};
use crate::early_stop::EarlyStops;
use crate::items::Items;
use crate::planner::Decision;
use crate::recovery::Interrupted;
use crate::state::{StepRun, StepState};

impl RunTask {
    /// Takes over an attempt that an earlier engine had begun.
    pub(super) fn take_back(&mut self, step: StepKey, left: Interrupted) {
        match left {
            Interrupted::Command(_) | Interrupted::Waiting { .. } => {
                let values = self.values_of(&step.step);
                self.launch(&step, values, Some(left));
            }
            Interrupted::Gone => {
                let attempt = self.run.find(&step).map_or(0, |step| step.attempt);
                self.settle(AttemptEnd::of(step, attempt, AttemptResult::Lost));
            }
        }
    }

    /// Remembers since when a step could have begun. Items are not remembered one by one.
    pub(super) fn note_ready(&mut self, key: &StepKey) {
        let now = self.shared.now();
        if key.item.is_none() {
            self.ready_since.entry(key.step.clone()).or_insert(now);
        }
    }

    /// Marks a step or an item as running in memory; the row follows in the same round.
    pub(super) fn begin(&mut self, key: &StepKey) -> Option<StepChange> {
        let waits = self.waits(&key.step);
        let definition = self.definition(&key.step)?.clone();
        let claims = definition.pool.iter().map(|(pool, slots)| self.shared.settings.claim(pool, *slots));
        let pools: Vec<PoolClaim> = claims.collect();
        let state = if waits { StepState::Waiting } else { StepState::Running };
        let attempt = self.run.update(key, |run| {
            run.attempt += 1;
            run.state = state;
            run.retry_at = None;
            run.attempt
        })?;
        let item = key.item.and_then(|number| self.item_row(&key.step, number));
        let ready_at = match key.item {
            None => self.ready_since.swap_remove(&key.step),
            Some(_) => None,
        };
        let ready_at = ready_at.unwrap_or_else(|| self.shared.now());
        Some(StepChange::Begin {
            step: key.to_string(),
            attempt: attempt.into(),
            ready_at,
            waits,
            pools,
            item,
        })
    }

    fn item_row(&mut self, id: &StepId, number: u32) -> Option<ItemRow> {
        let position = self.run.steps.get_index_of(id).unwrap_or_default();
        let kind = self.definition(id)?.kind.clone();
        let items = self.run.steps.get_mut(id)?.items.as_mut()?;
        items.skip_begun();
        Some(ItemRow {
            of: id.to_string(),
            number: number.into(),
            label: items.value(number).map(mapping::label).unwrap_or_default(),
            kind,
            position: i64::try_from(position).unwrap_or(i64::MAX),
        })
    }

    pub(super) fn undo_begin(&mut self, name: &str) {
        let Ok(key) = name.parse::<StepKey>() else { return };
        self.run.update(&key, |run| {
            run.attempt = run.attempt.saturating_sub(1);
            run.state = if run.attempt == 0 { StepState::Pending } else { StepState::Retrying };
        });
    }

    /// Changes that need no attempt: steps and items that end without one, and steps whose items are known.
    pub(super) fn change_without_attempt(&mut self, decision: Decision) -> Vec<StepChange> {
        let (id, state, reason, problem) = match decision {
            Decision::Skip { step, reason } => (step, StepState::Skipped, Some(reason), None),
            Decision::CancelStep { step } => (step, StepState::Cancelled, None, None),
            Decision::Fail { step, problem } => (step, StepState::Failed, None, Some(problem)),
            Decision::EndItems { step, state, problem } => {
                self.early.remove(&step);
                (step, state, None, problem)
            }
            Decision::Expand { step, items } => return self.expand(step, items).into_iter().collect(),
            Decision::CloseItems { step, state, reason } => return self.close_items(&step, state, &reason),
            Decision::Start { .. }
            | Decision::StopItems { .. }
            | Decision::WakeAt { .. }
            | Decision::Finish { .. } => return Vec::new(),
        };
        let error = problem.as_ref().map(to_json);
        let Some(step) = self.run.steps.get_mut(&id) else { return Vec::new() };
        step.state = state;
        step.error = problem;
        vec![StepChange::End { step: id.to_string(), state: state.as_str().to_owned(), reason, error }]
    }

    fn expand(&mut self, id: StepId, values: Vec<Value>) -> Option<StepChange> {
        let change = StepChange::Expand {
            step: id.to_string(),
            items: to_json(&values),
            total: i64::try_from(values.len()).unwrap_or(i64::MAX),
            ready_at: self.shared.now(),
        };
        let step = self.run.steps.get_mut(&id)?;
        *step =
            StepRun { state: StepState::Running, items: Some(Box::new(Items::new(values))), ..step.clone() };
        Some(change)
    }

    /// Items that never began have no row; the others are told.
    fn close_items(&mut self, id: &StepId, state: StepState, reason: &str) -> Vec<StepChange> {
        let Some(items) = self.run.steps.get_mut(id).and_then(|step| step.items.as_mut()) else {
            return Vec::new();
        };
        let begun = items.close(state);
        let ended = |item| StepChange::End {
            step: StepKey::item(id.clone(), item).to_string(),
            state: state.as_str().to_owned(),
            reason: Some(reason.to_owned()),
            error: None,
        };
        let closed = StepChange::CloseItems { step: id.to_string() };
        begun.into_iter().map(ended).chain([closed]).collect()
    }

    pub(super) fn stop_of(&mut self, id: &StepId) -> &CancellationToken {
        let cancel = &self.cancel;
        // `finally` runs although the run was cancelled; everything else stops with it.
        let cleans_up = self.run.pipeline.finally.contains_key(id);
        let token = || if cleans_up { CancellationToken::new() } else { cancel.child_token() };
        self.stops.entry(id.clone()).or_insert_with(token)
    }

    /// Begins the work of what was stored as begun.
    pub(super) fn launch_all(&mut self, starts: &[StepKey]) {
        let mut values: HashMap<&StepId, Value> = HashMap::new();
        for key in starts {
            let values = values.entry(&key.step).or_insert_with(|| self.values_of(&key.step)).clone();
            self.launch(key, values, None);
        }
    }

    /// What the expressions of a step may name, but for its item and secrets.
    fn values_of(&self, id: &StepId) -> Value {
        let nothing = Wanted::default();
        let wanted = self.wanted.get(id).unwrap_or(&nothing);
        let needs = self.definition(id).map(|step| step.needs.as_slice()).unwrap_or_default();
        expression_context(&self.run, needs, wanted)
    }

    /// A trial of a search that stops early those that fall behind.
    fn watch_trial(&mut self, key: &StepKey, attempt: u32, step: &Step, cancel: &CancellationToken) {
        let Some(item) = key.item else { return };
        if !self.early.contains_key(&key.step) {
            let Some(stops) = EarlyStops::of(step, &self.run, &self.shared.services.tracker) else { return };
            self.early.insert(key.step.clone(), stops);
        }
        if let Some(stops) = self.early.get(&key.step) {
            stops.enter(&self.run.id, &key.step, (item, attempt), Some(cancel.clone()));
        }
    }

    fn launch(&mut self, key: &StepKey, mut values: Value, resume: Option<Interrupted>) {
        let Some(step) = self.definition(&key.step).cloned() else { return };
        if let (Some(number), Some(mapping)) = (key.item, &step.mapping) {
            let items = self.run.steps.get(&key.step).and_then(|step| step.items.as_ref());
            let value = items.and_then(|items| items.value(number)).cloned().unwrap_or_default();
            add_item(&mut values, mapping, number, &value);
        }
        let attempt = self.run.find(key).map_or(1, |step| step.attempt);
        let cancel = self.stop_of(&key.step).child_token();
        self.watch_trial(key, attempt, &step, &cancel);
        let start = AttemptStart {
            run_id: self.run.id.clone(),
            pipeline: self.run.pipeline.name.to_string(),
            key: key.clone(),
            attempt,
            force: self.force.covers(key.step.as_str()),
            cancel,
            values,
            step,
            resume,
        };
        let (key, shared) = (key.clone(), self.shared.clone());
        self.attempts.spawn(async move {
            let work = std::panic::AssertUnwindSafe(attempt::carry_out(shared, start)).catch_unwind();
            work.await.unwrap_or_else(|_| {
                let problem = panicked(&key);
                AttemptEnd::of(key, attempt, AttemptResult::Failed { problem, transient: false })
            })
        });
    }
}
