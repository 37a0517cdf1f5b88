//! The task of one run: asks the planner, stores the transition, carries it out, waits for what ends next.
//!
//! A round costs what changed in it: of a step with ten thousand items only those that begin or end are looked at.

mod begin;
mod settle;
mod tell;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_metastore::MetastoreError;
use millrace_metastore::runs::{RunEnd, RunTransition, StepChange, TransitionResult};
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::pipeline::{OnLimit, Step};
use millrace_spec::problem::Problem;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attempt::AttemptEnd;
use crate::context::{Wanted, run_outputs};
use crate::early_stop::EarlyStops;
use crate::engine::{Force, Shared};
use crate::error::chain;
use crate::leases::{self, Tenure};
use crate::planner::{Decision, decide};
use crate::recovery::{Interrupted, LoadedRun};
use crate::state::{RunSnapshot, RunState, StepState};

/// How often a run that waits for a slot or its key looks again, beside being told.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Time before a transition that the database did not take in is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest sleep of a run that nothing wakes.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// Starts the task of a run.
pub(crate) fn spawn(shared: &Arc<Shared>, loaded: LoadedRun) {
    let run = loaded.run;
    let steps = run.pipeline.steps.iter().chain(&run.pipeline.finally);
    let definitions: IndexMap<StepId, Arc<Step>> =
        steps.map(|(id, step)| (id.clone(), Arc::new(step.clone()))).collect();
    let wanted = definitions.iter().map(|(id, step)| (id.clone(), Wanted::by_work_of(step))).collect();
    let task = RunTask {
        shared: shared.clone(),
        cancel: shared.cancel_token(&run.id),
        paused: shared.follow_pause(&run.id, run.paused),
        freed: shared.freed.subscribe(),
        run,
        epoch: shared.epoch(),
        tenure: shared.tenure(),
        definitions,
        wanted,
        force: loaded.force,
        attempts: JoinSet::new(),
        ended: Vec::new(),
        waits_for_room: false,
        again_at: None,
        ready_since: IndexMap::new(),
        published: IndexMap::new(),
        told_items: HashMap::new(),
        stops: HashMap::new(),
        early: HashMap::new(),
    };
    shared.tasks.spawn(task.drive(loaded.interrupted));
}

struct RunTask {
    shared: Arc<Shared>,
    run: RunSnapshot,
    /// Of the server when it took the run; nothing is stored under another one.
    epoch: i64,
    tenure: Tenure,
    definitions: IndexMap<StepId, Arc<Step>>,
    /// What the work of each step names.
    wanted: HashMap<StepId, Wanted>,
    force: Force,
    cancel: CancellationToken,
    paused: watch::Receiver<bool>,
    /// Told whenever a slot or a concurrency key may have come free.
    freed: watch::Receiver<u64>,
    attempts: JoinSet<AttemptEnd>,
    /// Changes of ended attempts that go into the next transition.
    ended: Vec<StepChange>,
    waits_for_room: bool,
    /// When the rate of a pool lets the next attempt begin.
    again_at: Option<i64>,
    /// Since when a step that finds no room could have begun.
    ready_since: IndexMap<StepId, i64>,
    /// What was last told about each step.
    published: IndexMap<StepId, (StepState, u32)>,
    /// When the progress of a step's items was last told.
    told_items: HashMap<StepId, i64>,
    /// What stops the items of a step that run.
    stops: HashMap<StepId, CancellationToken>,
    /// What stops trials of searches that fall behind.
    early: HashMap<StepId, EarlyStops>,
}

impl RunTask {
    async fn drive(mut self, interrupted: Vec<(StepKey, Interrupted)>) {
        if !self.wait_for_admission().await {
            return;
        }
        if self.run.cancel_requested {
            self.cancel.cancel();
        }
        for (step, left) in interrupted {
            self.take_back(step, left);
        }
        while !self.shared.stop.is_cancelled() && !self.tenure.is_cancelled() {
            match self.advance().await {
                Ok(Next::Over) => break,
                Ok(Next::Wait(until)) => self.wait_for_something(until).await,
                Err(error) => {
                    tracing::error!(run = %self.run.id, %error, "the run cannot go on here");
                    break;
                }
            }
        }
        self.attempts.abort_all();
        if self.tenure.is_cancelled() {
            leases::let_go(&self.shared, &self.run).await;
        }
        self.shared.forget_run(&self.run.id);
    }

    /// Waits for the concurrency key. `false` if the engine stops first.
    async fn wait_for_admission(&mut self) -> bool {
        while self.run.state == RunState::Queued {
            self.freed.mark_unchanged();
            if self.cancel.is_cancelled() {
                self.run.cancel_requested = true;
            }
            let now = self.shared.now();
            match self.shared.store.admit_pipeline_run(self.run.id.clone(), now).await {
                Ok(true) => self.run.state = RunState::Running,
                Ok(false) if self.run.cancel_requested => self.run.state = RunState::Running,
                Ok(false) if self.on_limit() == OnLimit::Skip && !*self.paused.borrow() => {
                    self.leave_out().await;
                    return false;
                }
                Ok(false) => {
                    if self.on_limit() == OnLimit::CancelRunning && !*self.paused.borrow() {
                        self.cancel_older().await;
                    }
                    tokio::select! {
                        Ok(()) = self.freed.changed() => {}
                        Ok(()) = self.paused.changed() => {}
                        () = self.cancel.cancelled() => {}
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        () = self.shared.stop.cancelled() => return false,
                        () = self.tenure.cancelled() => return false,
                    }
                }
                Err(error) => {
                    tracing::error!(run = %self.run.id, error = %chain(&error), "the run cannot be admitted");
                    return false;
                }
            }
        }
        self.publish_run();
        true
    }

    fn on_limit(&self) -> OnLimit {
        self.run.pipeline.concurrency.as_ref().map(|rule| rule.on_limit).unwrap_or_default()
    }

    /// Ends a run that finds no room under its key and is not to wait. Nothing of it has begun, so nothing is cleaned up.
    async fn leave_out(&mut self) {
        let reason = "another run of the same concurrency key goes on";
        let problem = Problem::error("concurrency-limit", format!("it did not run: {reason}"))
            .hint("`on_limit: queue` makes it wait");
        let ends = self.run.steps.keys().map(|id| StepChange::End {
            step: id.to_string(),
            state: StepState::Skipped.as_str().to_owned(),
            reason: Some(reason.to_owned()),
            error: None,
        });
        let changes = ends.collect();
        let state = RunState::Cancelled;
        let error = Some(to_json(&problem));
        let told = self.is_told(state);
        let end = RunEnd { state: state.as_str().to_owned(), error, outputs: None, told };
        if let Err(error) = self.store_round(changes, Some(end), &mut Vec::new()).await {
            tracing::error!(run = %self.run.id, %error, "the run that was left out cannot be ended");
        }
        self.run.state = state;
        self.finish().await;
        self.shared.forget_run(&self.run.id);
    }

    /// Cancels the older runs whose place this one takes.
    async fn cancel_older(&self) {
        let store = &self.shared.store;
        let key = store.find_pipeline_run(self.run.id.clone()).await.ok().flatten();
        let Some(key) = key.and_then(|row| row.concurrency_key) else { return };
        let open = store.open_runs_of_key(key).await.unwrap_or_default();
        let older: Vec<String> =
            open.into_iter().map(|(id, _)| id).take_while(|id| *id != self.run.id).collect();
        let limit = self.run.pipeline.concurrency.as_ref().map_or(1, |rule| rule.limit as usize);
        let too_many = (older.len() + 1).saturating_sub(limit);
        for id in older.into_iter().take(too_many) {
            match store.request_run_cancel(id.clone()).await {
                Ok(_) => self.shared.cancel_token(&id).cancel(),
                Err(error) => {
                    tracing::error!(run = %id, error = %chain(&error), "an older run cannot be cancelled")
                }
            }
        }
    }

    /// Decides until nothing can be decided, storing each round, then carries it out.
    async fn advance(&mut self) -> Result<Next, String> {
        let mut round = RoundWork { changes: std::mem::take(&mut self.ended), ..RoundWork::default() };
        self.run.cancel_requested |= self.cancel.is_cancelled();
        self.run.paused = *self.paused.borrow_and_update();
        self.cancel_if_late();
        // Room that comes free from here on is noticed, also before this run listens.
        self.freed.mark_unchanged();
        self.waits_for_room = false;
        self.again_at = None;
        let mut full = Vec::new();
        loop {
            while self.decide_once(&mut round, &full) && round.finish.is_none() {}
            let RoundWork { changes, mut starts, wake_at, finish, unasked } = std::mem::take(&mut round);
            let finish = finish.map(|state| self.end_of_run(state));
            let over = finish.as_ref().and_then(|end| RunState::parse(&end.state));
            let refused = self.store_round(changes, finish, &mut starts).await?;
            self.publish_changes();
            self.launch_all(&starts);
            if let Some(state) = over {
                self.run.state = state;
                self.finish().await;
                return Ok(Next::Over);
            }
            // What found its pools full took the place of others in this round, which may find room.
            let pools = refused.iter().map(|name| self.pools_of(name)).collect::<Vec<_>>();
            if !unasked || pools.is_empty() || pools.iter().any(IndexMap::is_empty) {
                return Ok(Next::Wait(wake_at));
            }
            full.extend(pools);
        }
    }

    /// The pools that a step or an item of it claims.
    fn pools_of(&self, name: &str) -> IndexMap<String, u32> {
        let key = name.parse::<StepKey>().ok();
        let step = key.and_then(|key| self.definition(&key.step));
        step.map(|step| step.pool.clone()).unwrap_or_default()
    }

    /// Applies what the planner decides now, but for starts that claim what is known to be `full`. `false` once nothing is left to decide.
    fn decide_once(&mut self, round: &mut RoundWork, full: &[IndexMap<String, u32>]) -> bool {
        let most = self.shared.settings.max_running as usize;
        let mut running = self.run.running();
        let mut decided_something = false;
        for decision in decide(&self.run, self.shared.now(), most) {
            match decision {
                Decision::Start { step } => {
                    let waits = self.waits(&step.step);
                    // Asking the database for each of a thousand ready steps would cost more than the steps.
                    let is_full = self.definition(&step.step).is_some_and(|step| full.contains(&step.pool));
                    if !waits && (is_full || running >= most) {
                        round.unasked |= !is_full;
                        self.note_ready(&step);
                        continue;
                    }
                    decided_something = true;
                    running += usize::from(!waits);
                    round.changes.extend(self.begin(&step));
                    round.starts.push(step);
                }
                Decision::WakeAt { at } => round.wake_at = Some(at),
                Decision::Finish { state } => round.finish = Some(state),
                Decision::StopItems { step } => self.stop_of(&step).cancel(),
                other => {
                    decided_something = true;
                    round.changes.extend(self.change_without_attempt(other));
                }
            }
        }
        decided_something
    }

    fn end_of_run(&self, state: RunState) -> RunEnd {
        let late = || (state == RunState::Cancelled && self.is_late()).then(|| to_json(&too_late()));
        let error = self.run.first_error().map(|(_, problem)| to_json(problem)).or_else(late);
        let end =
            RunEnd { state: state.as_str().to_owned(), error, outputs: None, told: self.is_told(state) };
        if state != RunState::Succeeded || self.run.pipeline.outputs.is_empty() {
            return end;
        }
        match run_outputs(&self.run) {
            Ok(outputs) => RunEnd { outputs: Some(to_json(&outputs)), ..end },
            // A part of a pipeline leaves what it can: the steps that it was to leave out are no mistake.
            Err(_) if self.run.partial => end,
            Err(problem) => {
                let (state, error) = (RunState::Failed, Some(to_json(&problem)));
                let told = self.is_told(state);
                RunEnd { state: state.as_str().to_owned(), error, outputs: None, told }
            }
        }
    }

    /// Whether somebody wants to know of such an end.
    fn is_told(&self, state: RunState) -> bool {
        let notices = self.run.pipeline.notify.as_ref();
        notices.is_some_and(|notices| !notices.channels(state.as_str()).is_empty())
    }

    /// Stores the decisions of a round; answers which of its steps and items found no room.
    async fn store_round(
        &mut self,
        changes: Vec<StepChange>,
        finish: Option<RunEnd>,
        starts: &mut Vec<StepKey>,
    ) -> Result<Vec<String>, String> {
        if changes.is_empty() && finish.is_none() {
            return Ok(Vec::new());
        }
        let frees =
            finish.is_some() || changes.iter().any(|change| matches!(change, StepChange::EndAttempt { .. }));
        let transition = RunTransition {
            run_id: self.run.id.clone(),
            epoch: self.epoch,
            now: self.shared.now(),
            max_running: self.shared.settings.max_running.into(),
            steps: changes,
            run: finish,
        };
        match self.store_in_the_end(transition).await {
            Ok(TransitionResult::Stored { waiting, again_at }) => {
                for name in &waiting {
                    self.undo_begin(name);
                }
                starts.retain(|step| waiting.is_empty() || !waiting.contains(&step.to_string()));
                self.waits_for_room |= !waiting.is_empty();
                self.again_at = self.again_at.into_iter().chain(again_at).min();
                if frees {
                    self.shared.freed.send_modify(|times| *times = times.wrapping_add(1));
                    if !self.waits_for_room {
                        self.freed.mark_unchanged();
                    }
                }
                Ok(waiting)
            }
            Ok(TransitionResult::StaleEpoch) => Err("another server has taken over the run".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Stores a transition, however long that takes: a full disk gets room and a lost server comes back, and what has happened meanwhile
    /// must not be forgotten. Ends without having stored only when the engine stops.
    async fn store_in_the_end(&self, transition: RunTransition) -> Result<TransitionResult, MetastoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.shared.store.store_transition(transition.clone()).await {
                Err(error @ (MetastoreError::Statement(_) | MetastoreError::NotCommitted { .. })) => error,
                other => return other,
            };
            tracing::error!(
                run = %self.run.id,
                "the database takes nothing in ({}): is its disk full? The run waits and tries again in {} s",
                chain(&error),
                pause.as_secs(),
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.stop.cancelled() => return Err(error),
                () = self.tenure.cancelled() => return Err(error),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn wait_for_something(&mut self, wake_at: Option<i64>) {
        let now = self.shared.now();
        let until = [wake_at, self.again_at, self.late_at()].into_iter().flatten().min();
        let pause =
            until.map_or(LONGEST_SLEEP, |at| Duration::from_micros(u64::try_from(at - now).unwrap_or(0)));
        let pause = if self.waits_for_room { pause.min(LOOK_AGAIN) } else { pause };
        let mut asked = self.run.cancel_requested;
        let shared = self.shared.clone();
        tokio::select! {
            Some(ended) = self.attempts.join_next() => self.settle_joined(ended),
            () = self.cancel.cancelled(), if !asked => asked = true,
            Ok(()) = self.freed.changed(), if self.waits_for_room => {}
            Ok(()) = self.paused.changed() => {}
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.cancelled() => {}
            () = self.tenure.cancelled() => {}
        }
        self.run.cancel_requested = asked;
        // Everything else that has ended by now goes into the same transition.
        while let Some(ended) = self.attempts.try_join_next() {
            self.settle_joined(ended);
        }
    }

    /// When the run is to be cancelled for being late.
    fn late_at(&self) -> Option<i64> {
        let cancels = self.run.pipeline.deadline.as_ref().is_some_and(|deadline| deadline.cancel);
        self.run.deadline_at.filter(|_| cancels && !self.run.cancel_requested)
    }

    /// Whether it was to be over by now or to be cancelled.
    fn is_late(&self) -> bool {
        let cancels = self.run.pipeline.deadline.as_ref().is_some_and(|deadline| deadline.cancel);
        cancels && self.run.deadline_at.is_some_and(|at| at <= self.shared.now())
    }

    fn cancel_if_late(&mut self) {
        if !self.run.cancel_requested && self.is_late() {
            tracing::warn!(run = %self.run.id, pipeline = %self.run.pipeline.name, "the run is late and is cancelled");
            self.run.cancel_requested = true;
            self.cancel.cancel();
        }
    }

    fn definition(&self, id: &StepId) -> Option<&Arc<Step>> {
        self.definitions.get(id)
    }

    /// Whether a step only waits for something outside, so that no limit holds it back.
    fn waits(&self, id: &StepId) -> bool {
        self.definition(id).is_some_and(|step| {
            self.shared.kinds.get(step.kind.as_str()).is_some_and(|kind| kind.waits(&step.config))
        })
    }
}

/// What one round is to store and to do.
#[derive(Default)]
struct RoundWork {
    changes: Vec<StepChange>,
    starts: Vec<StepKey>,
    wake_at: Option<i64>,
    finish: Option<RunState>,
    /// Whether something was not asked for since the round asks for as much as may run.
    unasked: bool,
}

enum Next {
    Over,
    /// Until this instant, or until something ends.
    Wait(Option<i64>),
}

fn too_late() -> Problem {
    Problem::error("deadline-passed", "it was cancelled, since it was not over by its deadline")
        .hint("give it longer: `deadline:`, or leave out `cancel: true`")
}

fn panicked(step: &StepKey) -> Problem {
    Problem::error("step-panicked", format!("`{step}` ended in a bug of Millrace"))
        .hint("look for `panicked` in the server's log")
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
