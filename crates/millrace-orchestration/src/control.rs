//! What people do to runs: cancel, hold, let go on, run again in part.

use std::collections::BTreeSet;

use millrace_metastore::runs::StepRunRow;
use millrace_metastore::runs_items::ItemFilter;
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use serde_json::json;

use crate::engine::{Engine, Force, RunRequest};
use crate::error::OrchestrationError;
use crate::recovery::document;
use crate::state::{RunState, StepState};
use crate::submit::{TakeOver, TakenStep};
use crate::windows::RunWindow;

/// Which part of a pipeline runs; what it needs is taken over from earlier runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// A step and what comes after it.
    From(String),
    /// A step alone.
    Only(String),
}

/// What of a run is done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunOf {
    /// Everything; the cache may still stand in.
    Everything,
    /// What did not succeed, and what comes after it.
    Failed,
    /// A step and what comes after it, and what did not succeed.
    From(String),
}

impl Engine {
    /// Asks a run to end: running steps are stopped, waiting ones do not begin, `finally` still runs.
    ///
    /// # Errors
    /// If the run is absent or over.
    pub async fn cancel(&self, run_id: &str) -> Result<(), OrchestrationError> {
        let asked = self.shared.store.request_run_cancel(run_id.to_owned()).await;
        if asked.map_err(OrchestrationError::store("cancel the run"))? {
            self.shared.cancel_token(run_id).cancel();
            return Ok(());
        }
        self.is_over(run_id).await
    }

    /// Holds a run: what runs goes on, nothing begins. It survives restarts.
    ///
    /// # Errors
    /// If the run is absent or over.
    pub async fn pause(&self, run_id: &str) -> Result<(), OrchestrationError> {
        self.set_paused(run_id, true).await
    }

    /// Lets a run that is held go on.
    ///
    /// # Errors
    /// If the run is absent or over.
    pub async fn resume(&self, run_id: &str) -> Result<(), OrchestrationError> {
        self.set_paused(run_id, false).await
    }

    async fn set_paused(&self, run_id: &str, paused: bool) -> Result<(), OrchestrationError> {
        let stored = self.shared.store.set_run_paused(run_id.to_owned(), paused).await;
        if stored.map_err(OrchestrationError::store("hold the run"))? {
            self.shared.tell_pause(run_id, paused);
            return Ok(());
        }
        self.is_over(run_id).await
    }

    async fn is_over(&self, run_id: &str) -> Result<(), OrchestrationError> {
        let state = self.state(run_id).await?;
        Err(OrchestrationError::RunIsOver { id: run_id.to_owned(), state: state.as_str() })
    }

    /// Starts a run anew with the inputs it had. `pipeline` is the definition as it is now; that of the run if the file is gone.
    ///
    /// What is not done again is taken over from the run, unless its definition changed since.
    ///
    /// # Errors
    /// If the run is absent or goes on, a step is unknown, or the database fails.
    pub async fn rerun(
        &self,
        run_id: &str,
        what: RerunOf,
        pipeline: Option<Pipeline>,
    ) -> Result<String, OrchestrationError> {
        let store = &self.shared.store;
        let row = store.find_pipeline_run(run_id.to_owned()).await;
        let row = row.map_err(OrchestrationError::store("read the run"))?;
        let row = row.ok_or_else(|| OrchestrationError::UnknownRun { id: run_id.to_owned() })?;
        let over = RunState::parse(&row.state).is_some_and(RunState::is_final);
        if !over && what != RerunOf::Everything {
            return Err(OrchestrationError::RunGoesOn { id: row.id });
        }
        let before: Pipeline = document("definition", &row.id, &row.definition)?;
        let now = pipeline.unwrap_or_else(|| before.clone());
        let take_over = match &what {
            RerunOf::Everything => None,
            RerunOf::Failed => Some(self.taken_from(run_id, &before, &now, None).await?),
            RerunOf::From(step) => {
                let step = known(&now, step)?;
                Some(self.taken_from(run_id, &before, &now, Some(&step)).await?)
            }
        };
        let mut inputs: indexmap::IndexMap<String, serde_json::Value> =
            document("inputs", &row.id, &row.inputs)?;
        inputs.retain(|name, _| now.inputs.contains_key(name));
        let cause = json!({"by": "rerun", "of": run_id});
        // What somebody names is to be done again, whatever the cache has.
        let force = match what {
            RerunOf::From(step) => Force::Steps(vec![step]),
            RerunOf::Everything | RerunOf::Failed => Force::Nothing,
        };
        // The same window, not the one that is complete by now.
        let options: serde_json::Value = document("options", &row.id, &row.options)?;
        let window = options.get("window").and_then(RunWindow::of_document);
        self.submit(now, RunRequest { inputs, cause, force, take_over, window, ..RunRequest::default() })
            .await
    }

    /// What a run leaves to a rerun of it. Steps that did not succeed, changed or come after such ones are not taken.
    async fn taken_from(
        &self,
        run_id: &str,
        before: &Pipeline,
        now: &Pipeline,
        from: Option<&StepId>,
    ) -> Result<TakeOver, OrchestrationError> {
        let rows = self.shared.store.list_step_runs(run_id.to_owned()).await;
        let rows = rows.map_err(OrchestrationError::store("read the steps"))?;
        let row_of = |id: &StepId| rows.iter().find(|row| row.step == id.as_str());
        let succeeded = |row: &StepRunRow| StepState::parse(&row.state).is_some_and(StepState::is_success);
        let same = |step: &Step| before.steps.get(&step.id).is_some_and(|earlier| same_work(earlier, step));
        let fresh = now.steps.values().filter(|step| {
            from == Some(&step.id) || !same(step) || row_of(&step.id).is_none_or(|row| !succeeded(row))
        });
        let done_again = with_dependents(now, fresh.map(|step| step.id.clone()).collect());
        let mut take_over = TakeOver::default();
        for step in now.steps.values() {
            let Some(row) = row_of(&step.id) else { continue };
            let all_needs_stay = step.needs.iter().all(|need| !done_again.contains(need));
            // Of a step of which some items failed, the others stay.
            let partly = row.items_total.is_some() && all_needs_stay && same(step) && from != Some(&step.id);
            if !done_again.contains(&step.id) || partly {
                take_over.steps.insert(step.id.clone(), self.taken(run_id, row.clone()).await?);
            }
        }
        Ok(take_over)
    }

    async fn taken(&self, run_id: &str, row: StepRunRow) -> Result<TakenStep, OrchestrationError> {
        let store = &self.shared.store;
        let (mut items, mut succeeded) = (None, Vec::new());
        if row.items_total.is_some() {
            let document = store.find_items_document(run_id.to_owned(), row.step.clone()).await;
            items = document.map_err(OrchestrationError::store("read the items"))?;
            let states = [StepState::Succeeded, StepState::Cached].map(|state| state.as_str().to_owned());
            let filter = ItemFilter { states: states.to_vec(), after: None, limit: i64::MAX };
            let rows = store.list_step_items(run_id.to_owned(), row.step.clone(), filter).await;
            succeeded = rows.map_err(OrchestrationError::store("read the items"))?;
        }
        Ok(TakenStep { from_run: run_id.to_owned(), row, items, succeeded })
    }

    /// What a part of a pipeline takes over from the newest results of the others.
    ///
    /// # Errors
    /// If the step is unknown, or something it needs has no earlier result.
    pub async fn take_over_for(
        &self,
        pipeline: &Pipeline,
        selection: &Selection,
    ) -> Result<TakeOver, OrchestrationError> {
        let (step, runs) = match selection {
            Selection::From(name) => {
                let step = known(pipeline, name)?;
                (step.clone(), with_dependents(pipeline, [step].into()))
            }
            Selection::Only(name) => {
                let step = known(pipeline, name)?;
                (step.clone(), [step].into())
            }
        };
        let needed: BTreeSet<&StepId> = pipeline
            .steps
            .values()
            .filter(|step| runs.contains(&step.id))
            .flat_map(|step| &step.needs)
            .filter(|need| !runs.contains(*need))
            .collect();
        let mut take_over = TakeOver::default();
        for id in pipeline.steps.keys().filter(|id| !runs.contains(*id)) {
            if !needed.contains(id) {
                take_over.left_out.push(id.clone());
                continue;
            }
            let found = self.shared.store.newest_result(pipeline.name.to_string(), id.to_string()).await;
            let found = found.map_err(OrchestrationError::store("read earlier results"))?;
            let (run_id, row) = found.ok_or_else(|| {
                let message = format!("`{step}` needs `{id}`, which has no earlier result");
                let problem = Problem::error("no-earlier-result", message);
                OrchestrationError::Invalid(Box::new(
                    problem.hint(format!("begin earlier: `millrace run {} --from {id}`", pipeline.name)),
                ))
            })?;
            take_over.steps.insert(id.clone(), self.taken(&run_id, row).await?);
        }
        if matches!(selection, Selection::Only(_)) {
            take_over.left_out.extend(pipeline.finally.keys().cloned());
        }
        Ok(take_over)
    }
}

fn known(pipeline: &Pipeline, name: &str) -> Result<StepId, OrchestrationError> {
    let found = pipeline.steps.keys().find(|id| id.as_str() == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = pipeline.steps.keys().map(StepId::as_str).collect();
        let problem = Problem::error("unknown-step", format!("`{}` has no step `{name}`", pipeline.name));
        OrchestrationError::Invalid(Box::new(match nearest(name, &names) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("its steps are {}", names.join(", "))),
        }))
    })
}

/// These steps and all that come after them.
fn with_dependents(pipeline: &Pipeline, mut steps: BTreeSet<StepId>) -> BTreeSet<StepId> {
    loop {
        let more: Vec<StepId> = pipeline
            .steps
            .values()
            .filter(|step| !steps.contains(&step.id) && step.needs.iter().any(|need| steps.contains(need)))
            .map(|step| step.id.clone())
            .collect();
        if more.is_empty() {
            return steps;
        }
        steps.extend(more);
    }
}

/// Whether two definitions do the same: how often they are tried and where they wait does not matter.
fn same_work(one: &Step, other: &Step) -> bool {
    let over = |step: &Step| step.mapping.as_ref().map(|mapping| mapping.over.clone());
    one.kind == other.kind
        && one.config == other.config
        && one.inputs == other.inputs
        && one.outputs == other.outputs
        && one.env == other.env
        && one.environment == other.environment
        && over(one) == over(other)
}
