//! The task of one run: asks the planner, stores the transition, carries it out, waits for what ends next.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use indexmap::IndexMap;
use millrace_metastore::MetastoreError;
use millrace_metastore::runs::{RunTransition, StepCacheRow, StepChange, TransitionResult};
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attempt::{self, AttemptEnd, AttemptResult, AttemptStart};
use crate::engine::Shared;
use crate::error::chain;
use crate::events::RunEventKind;
use crate::planner::{Decision, decide, next_retry};
use crate::recovery::{Interrupted, LoadedRun};
use crate::request::Force;
use crate::state::{RunSnapshot, RunState, StepState};

/// Attempts that may be lost with their process before the step counts as failed.
const LOST_RETRIES: u32 = 3;
/// How often a run that waits for a slot or its key looks again, beside being told.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Time before a transition that the database did not take in is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts the task of a run.
pub(crate) fn spawn(shared: &Arc<Shared>, loaded: LoadedRun) {
    let task = RunTask {
        shared: shared.clone(),
        cancel: shared.cancel_token(&loaded.run.id),
        run: loaded.run,
        force: loaded.force,
        attempts: JoinSet::new(),
        ended: Vec::new(),
        waits_for_slot: false,
        ready_since: IndexMap::new(),
        published: IndexMap::new(),
    };
    shared.tasks.spawn(task.drive(loaded.interrupted));
}

struct RunTask {
    shared: Arc<Shared>,
    run: RunSnapshot,
    force: Force,
    cancel: CancellationToken,
    attempts: JoinSet<AttemptEnd>,
    /// Changes of ended attempts that go into the next transition.
    ended: Vec<StepChange>,
    waits_for_slot: bool,
    /// Since when a step that finds no room could have begun.
    ready_since: IndexMap<StepId, i64>,
    /// What was last told about each step.
    published: IndexMap<StepId, (StepState, u32)>,
}

impl RunTask {
    async fn drive(mut self, interrupted: Vec<(StepId, Interrupted)>) {
        if !self.wait_for_admission().await {
            return;
        }
        if self.run.cancel_requested {
            self.cancel.cancel();
        }
        for (step, left) in interrupted {
            self.take_back(step, left);
        }
        while !self.shared.stop.is_cancelled() {
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
        self.shared.forget_run(&self.run.id);
    }

    /// Waits for the concurrency key. `false` if the engine stops first.
    async fn wait_for_admission(&mut self) -> bool {
        while self.run.state == RunState::Queued {
            let freed = self.shared.freed.notified();
            if self.cancel.is_cancelled() {
                self.run.cancel_requested = true;
            }
            let now = self.shared.now();
            match self.shared.store.admit_pipeline_run(self.run.id.clone(), now).await {
                Ok(true) => self.run.state = RunState::Running,
                Ok(false) if self.run.cancel_requested => self.run.state = RunState::Running,
                Ok(false) => tokio::select! {
                    () = freed => {}
                    () = self.cancel.cancelled() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.shared.stop.cancelled() => return false,
                },
                Err(error) => {
                    tracing::error!(run = %self.run.id, error = %chain(&error), "the run cannot be admitted");
                    return false;
                }
            }
        }
        self.publish_run();
        true
    }

    /// Takes over an attempt that an earlier engine had begun.
    fn take_back(&mut self, step: StepId, left: Interrupted) {
        match left {
            Interrupted::Command(_) | Interrupted::Waiting { .. } => {
                let run = Arc::new(self.run.clone());
                self.launch(&step, &run, Some(left));
            }
            Interrupted::Gone => {
                let attempt = self.run.steps.get(&step).map_or(0, |step| step.attempt);
                self.settle(AttemptEnd {
                    step,
                    attempt,
                    result: AttemptResult::Lost,
                    reuse: None,
                    exit: None,
                    remember: None,
                    assets: Vec::new(),
                });
            }
        }
    }

    /// Decides until nothing can be decided, storing each round, then carries it out.
    async fn advance(&mut self) -> Result<Next, String> {
        let mut changes = std::mem::take(&mut self.ended);
        let mut starts = Vec::new();
        let mut wake_at = None;
        let mut finish = None;
        self.run.cancel_requested |= self.cancel.is_cancelled();
        loop {
            let mut decided_something = false;
            for decision in decide(&self.run, self.shared.now()) {
                match decision {
                    Decision::Start { step } if !self.waits(&step) && !self.has_room() => {
                        self.note_ready(&step)
                    }
                    Decision::Start { step } => {
                        decided_something = true;
                        changes.push(self.begin(&step));
                        starts.push(step);
                    }
                    Decision::WakeAt { at } => wake_at = Some(at),
                    Decision::Finish { state } => finish = Some(state),
                    other => {
                        decided_something = true;
                        changes.extend(self.end_without_attempt(other));
                    }
                }
            }
            if finish.is_some() || !decided_something {
                break;
            }
        }
        self.store_round(changes, finish, &mut starts).await?;
        self.publish_changes();
        if !starts.is_empty() {
            let run = Arc::new(self.run.clone());
            for step in &starts {
                self.launch(step, &run, None);
            }
        }
        match finish {
            Some(state) => {
                self.run.state = state;
                self.finish().await;
                Ok(Next::Over)
            }
            None => Ok(Next::Wait(wake_at)),
        }
    }

    async fn store_round(
        &mut self,
        changes: Vec<StepChange>,
        finish: Option<RunState>,
        starts: &mut Vec<StepId>,
    ) -> Result<(), String> {
        self.waits_for_slot = false;
        if changes.is_empty() && finish.is_none() {
            return Ok(());
        }
        let frees = changes.iter().any(|change| matches!(change, StepChange::EndAttempt { .. }));
        let error = self.run.first_error().map(|(_, problem)| to_json(problem));
        let transition = RunTransition {
            run_id: self.run.id.clone(),
            epoch: self.shared.epoch,
            now: self.shared.now(),
            max_running: self.shared.settings.max_running.into(),
            steps: changes,
            run: finish.map(|state| (state.as_str().to_owned(), error)),
        };
        match self.store_in_the_end(transition).await {
            Ok(TransitionResult::Stored { waiting }) => {
                for name in &waiting {
                    self.undo_begin(name);
                }
                starts.retain(|step| waiting.iter().all(|name| name != step.as_str()));
                self.waits_for_slot = !waiting.is_empty();
                if frees || finish.is_some() {
                    self.shared.freed.notify_waiters();
                }
                Ok(())
            }
            Ok(TransitionResult::StaleEpoch) => {
                Err("another server has taken over this workspace".to_owned())
            }
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
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether this run alone leaves room for one more attempt; asking the database for each of a thousand ready steps would cost more than
    /// the steps.
    fn has_room(&self) -> bool {
        let running = self.run.steps.values().filter(|step| step.state == StepState::Running).count();
        running < self.shared.settings.max_running as usize
    }

    /// Whether a step only waits for something outside, so that no limit holds it back.
    fn waits(&self, id: &StepId) -> bool {
        let step = self.definition(id);
        step.is_some_and(|step| {
            self.shared.kinds.get(step.kind.as_str()).is_some_and(|kind| kind.waits(&step.config))
        })
    }

    fn note_ready(&mut self, id: &StepId) {
        let now = self.shared.now();
        self.ready_since.entry(id.clone()).or_insert(now);
    }

    /// Marks a step as running in memory; the row follows in the same round.
    fn begin(&mut self, id: &StepId) -> StepChange {
        let waits = self.waits(id);
        let pools = self.definition(id).map(|step| step.pool.clone()).unwrap_or_default();
        let pools = pools
            .into_iter()
            .map(|(pool, slots)| {
                let size = self.shared.settings.pools.get(&pool).copied().unwrap_or(1);
                (pool, i64::from(slots), i64::from(size))
            })
            .collect();
        let mut attempt = 1;
        if let Some(step) = self.run.steps.get_mut(id) {
            step.attempt += 1;
            attempt = step.attempt;
            step.state = if waits { StepState::Waiting } else { StepState::Running };
            step.retry_at = None;
        }
        let ready_at = self.ready_since.swap_remove(id).unwrap_or_else(|| self.shared.now());
        StepChange::Begin { step: id.to_string(), attempt: attempt.into(), ready_at, waits, pools }
    }

    fn undo_begin(&mut self, name: &str) {
        let found = self.run.steps.iter_mut().find(|(id, _)| id.as_str() == name);
        if let Some((_, step)) = found {
            step.attempt = step.attempt.saturating_sub(1);
            step.state = if step.attempt == 0 { StepState::Pending } else { StepState::Retrying };
        }
    }

    fn end_without_attempt(&mut self, decision: Decision) -> Option<StepChange> {
        let (id, state, reason, problem) = match decision {
            Decision::Skip { step, reason } => (step, StepState::Skipped, Some(reason), None),
            Decision::CancelStep { step } => (step, StepState::Cancelled, None, None),
            Decision::Fail { step, problem } => (step, StepState::Failed, None, Some(problem)),
            Decision::Start { .. } | Decision::WakeAt { .. } | Decision::Finish { .. } => return None,
        };
        let step = self.run.steps.get_mut(&id)?;
        step.state = state;
        step.error.clone_from(&problem);
        Some(StepChange::End {
            step: id.to_string(),
            state: state.as_str().to_owned(),
            reason,
            error: problem.as_ref().map(to_json),
        })
    }

    fn launch(&mut self, id: &StepId, run: &Arc<RunSnapshot>, resume: Option<Interrupted>) {
        let Some(step) = self.definition(id).cloned() else { return };
        // `finally` runs although the run was cancelled; everything else stops with it.
        let cleans_up = self.run.pipeline.finally.contains_key(id);
        let start = AttemptStart {
            attempt: self.run.steps.get(id).map_or(1, |step| step.attempt),
            force: self.force.covers(id.as_str()),
            cancel: if cleans_up { CancellationToken::new() } else { self.cancel.child_token() },
            run: run.clone(),
            step,
            resume,
        };
        let (step, attempt, shared) = (id.clone(), start.attempt, self.shared.clone());
        self.attempts.spawn(async move {
            let work = std::panic::AssertUnwindSafe(attempt::carry_out(shared, start)).catch_unwind();
            work.await.unwrap_or_else(|_| AttemptEnd {
                result: AttemptResult::Failed(panicked(&step)),
                step,
                attempt,
                reuse: None,
                exit: None,
                remember: None,
                assets: Vec::new(),
            })
        });
    }

    fn definition(&self, id: &StepId) -> Option<&Step> {
        self.run.pipeline.steps.get(id).or_else(|| self.run.pipeline.finally.get(id))
    }

    async fn wait_for_something(&mut self, wake_at: Option<i64>) {
        let pause = match wake_at {
            Some(at) => Duration::from_micros(u64::try_from(at - self.shared.now()).unwrap_or(0)),
            None if self.waits_for_slot => LOOK_AGAIN,
            None => Duration::from_secs(3_600),
        };
        let mut asked = self.run.cancel_requested;
        let shared = self.shared.clone();
        tokio::select! {
            Some(ended) = self.attempts.join_next() => self.settle_joined(ended),
            () = self.cancel.cancelled(), if !asked => asked = true,
            () = shared.freed.notified(), if self.waits_for_slot => {}
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.cancelled() => {}
        }
        self.run.cancel_requested = asked;
        // Everything else that has ended by now goes into the same transition.
        while let Some(ended) = self.attempts.try_join_next() {
            self.settle_joined(ended);
        }
    }

    fn settle_joined(&mut self, ended: Result<AttemptEnd, tokio::task::JoinError>) {
        match ended {
            Ok(end) => self.settle(end),
            // Panics are caught inside; only an aborted task comes here.
            Err(error) => tracing::debug!(run = %self.run.id, %error, "an attempt was abandoned"),
        }
    }

    /// Turns the end of an attempt into the step's new state and a change to be stored.
    fn settle(&mut self, end: AttemptEnd) {
        self.shared.forget_progress(&self.run.id, end.step.as_str());
        let now = self.shared.now();
        let retry = self.definition(&end.step).map(|step| step.retry.clone()).unwrap_or_default();
        let kind = self.definition(&end.step).map(|step| step.kind.clone()).unwrap_or_default();
        let cancelled = self.run.cancel_requested || self.cancel.is_cancelled();
        let Some(step) = self.run.steps.get_mut(&end.step) else { return };
        let lost = matches!(end.result, AttemptResult::Lost);
        step.lost += u32::from(lost);
        let tried = step.attempt.saturating_sub(step.lost);
        let again = |wanted: bool| if wanted && !cancelled { next_retry(&retry, tried, now) } else { None };
        let (attempt_state, final_state, retry_at, outcome, problem) = match end.result {
            AttemptResult::Succeeded(outcome) => {
                ("succeeded", StepState::Succeeded, None, Some(outcome), None)
            }
            AttemptResult::Cached(outcome) => ("cached", StepState::Cached, None, Some(outcome), None),
            AttemptResult::Failed(problem) => ("failed", StepState::Failed, again(true), None, Some(problem)),
            AttemptResult::TimedOut => {
                ("timed_out", StepState::TimedOut, again(true), None, Some(timed_out(&end.step)))
            }
            AttemptResult::Rejected(problem) => ("rejected", StepState::Rejected, None, None, Some(problem)),
            AttemptResult::Cancelled => ("cancelled", StepState::Cancelled, None, None, None),
            AttemptResult::Lost if cancelled => ("lost", StepState::Cancelled, None, None, None),
            AttemptResult::Lost if step.lost <= LOST_RETRIES => {
                ("lost", StepState::Failed, Some(now), None, None)
            }
            AttemptResult::Lost => ("lost", StepState::Failed, None, None, Some(lost_too_often(&end.step))),
        };
        step.state = if retry_at.is_some() { StepState::Retrying } else { final_state };
        step.retry_at = retry_at;
        step.error.clone_from(&problem);
        step.outcome.clone_from(&outcome);
        let outcome_document = outcome.as_ref().map(to_json);
        let cache = match (end.remember, &outcome_document) {
            (Some(remember), Some(outcome)) => Some(StepCacheRow {
                cache_key: remember.key,
                pipeline: self.run.pipeline.name.to_string(),
                step: end.step.to_string(),
                kind,
                components: to_json(&remember.components),
                outcome: outcome.clone(),
                run_id: self.run.id.clone(),
                created_at: now,
            }),
            _ => None,
        };
        self.ended.push(StepChange::EndAttempt {
            step: end.step.to_string(),
            attempt: end.attempt.into(),
            attempt_state: attempt_state.to_owned(),
            step_state: step.state.as_str().to_owned(),
            retry_at,
            lost,
            outcome: outcome_document,
            error: problem.as_ref().map(to_json),
            reuse: end.reuse.as_ref().map(to_json),
            exit: end.exit.as_ref().map(to_json),
            cache,
            assets: end.assets,
        });
    }

    fn publish_changes(&mut self) {
        for (id, step) in &self.run.steps {
            let now = (step.state, step.attempt);
            if self.published.insert(id.clone(), now) != Some(now) && now != (StepState::Pending, 0) {
                let kind = RunEventKind::StepChanged {
                    step: id.to_string(),
                    state: step.state.as_str(),
                    attempt: step.attempt,
                };
                self.shared.publish(&self.run.id, self.run.pipeline.name.as_str(), kind);
            }
        }
    }

    fn publish_run(&self) {
        let kind = RunEventKind::RunChanged { state: self.run.state.as_str() };
        self.shared.publish(&self.run.id, self.run.pipeline.name.as_str(), kind);
    }

    async fn finish(&self) {
        // The pipeline's own tracked run is begun by the first step that logs.
        let tracked = |id: &StepId| {
            let step = self.run.pipeline.steps.get(id).or_else(|| self.run.pipeline.finally.get(id));
            step.and_then(|step| self.shared.kinds.get(step.kind.as_str())).is_some_and(|kind| kind.tracked())
        };
        let logged_something = self.run.steps.iter().any(|(id, step)| match step.state {
            StepState::Succeeded => {
                tracked(id) || step.outcome.as_ref().is_some_and(|outcome| !outcome.metrics.is_empty())
            }
            StepState::Failed | StepState::TimedOut | StepState::Cancelled => step.attempt > 0 && tracked(id),
            _ => false,
        });
        if logged_something {
            let word = match self.run.state {
                RunState::Succeeded => "FINISHED",
                RunState::Cancelled => "KILLED",
                _ => "FAILED",
            };
            if let Err(error) = self.shared.services.tracker.end_run(&self.run.id, word).await {
                tracing::warn!(run = %self.run.id, %error, "the tracked run stays open");
            }
        }
        self.publish_run();
    }
}

enum Next {
    Over,
    /// Until this instant, or until something ends.
    Wait(Option<i64>),
}

fn timed_out(step: &StepId) -> Problem {
    Problem::error("step-timed-out", format!("`{step}` ran into its timeout"))
        .hint(format!("raise `timeout:` of `{step}`"))
}

fn lost_too_often(step: &StepId) -> Problem {
    Problem::error("step-lost", format!("the process of `{step}` vanished {} times", LOST_RETRIES + 1))
        .hint("look for the kernel's out-of-memory killer in `dmesg`")
}

fn panicked(step: &StepId) -> Problem {
    Problem::error("step-panicked", format!("`{step}` ended in a bug of Millrace"))
        .hint("look for `panicked` in the server's log")
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
