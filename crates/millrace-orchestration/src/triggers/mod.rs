//! The loop that starts the runs of schedules and windows, and tells which trigger is overdue.
//!
//! Nothing is polled that is not due: each trigger's next moment is in a heap, files are read again only after they changed, and the
//! database is asked about a trigger when its moment comes. A firing is (trigger, instant) and a window is a row, both taken in the
//! transaction that stores their run, so neither two schedulers nor a clock that steps back can start one twice.

mod expectation;
mod plan;
mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use millrace_contract::{KindDoc, KindFamily, Signal, SignalSink, beat};
use millrace_metastore::schedules::TriggerStateRow;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::{Calendars, PUNCTUAL};
use millrace_spec::triggers::{self, Overlap};
use serde_json::json;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, RunRequest};
use crate::error::{OrchestrationError, chain};
use crate::events::{RunEvent, RunEventKind};
use crate::firing::{Firing, Started};
use crate::windows::{Pass, instant};
use expectation::PlannedEvent;
use plan::{Plan, Planned, PlannedSchedule};
pub use status::{LastFiring, NextFiring, TriggerStatus, describe_trigger, list_triggers, next_firings};

/// It is asked at most so often whether files changed.
const LOOK_AT_FILES: SignedDuration = SignedDuration::from_secs(5);
/// Longest sleep: a clock that is set forward and files that changed are noticed after it at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// After how long a firing that failed is tried again.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// The pages of the kinds of trigger.
pub fn trigger_docs() -> Vec<KindDoc> {
    let doc = |entry: &triggers::Entry| {
        KindDoc::of_schema(KindFamily::Trigger, entry.word, entry.example, (entry.schema)())
    };
    triggers::ALL.iter().map(doc).collect()
}

/// Where the pipelines are.
#[async_trait]
pub trait PipelineSource: Send + Sync {
    /// Every pipeline that loads without errors.
    async fn pipelines(&self) -> Vec<Pipeline>;

    /// The calendars that can be read.
    async fn calendars(&self) -> Calendars;

    /// Another value whenever a file changed that pipelines or calendars are read from.
    async fn stamp(&self) -> u64;

    /// Zone of triggers that name none.
    fn timezone(&self) -> String;

    /// A pipeline by its name or its file.
    ///
    /// # Errors
    /// If there is none, or it has errors.
    async fn find(&self, name_or_file: &str) -> Result<Pipeline, Problem> {
        let all = self.pipelines().await;
        let found = all.into_iter().find(|one| one.name.as_str() == name_or_file || one.file == name_or_file);
        found.ok_or_else(|| {
            Problem::error(
                "unknown-pipeline",
                format!("there is no pipeline `{name_or_file}` without errors"),
            )
            .hint("millrace check")
        })
    }
}

/// Starts the runs of triggers until told to stop.
pub struct TriggerLoop {
    engine: Engine,
    source: Arc<dyn PipelineSource>,
    clock: Arc<dyn millrace_contract::Clock>,
    signals: Arc<dyn SignalSink>,
    plan: Plan,
    /// When the files were last looked at.
    looked_at: Option<Timestamp>,
    /// Triggers that are said to be overdue.
    overdue: HashSet<String>,
    /// Late data that was told of.
    told: HashSet<String>,
}

impl TriggerLoop {
    /// Makes the loop; nothing happens before [`TriggerLoop::run`].
    pub fn new(
        engine: Engine,
        source: Arc<dyn PipelineSource>,
        clock: Arc<dyn millrace_contract::Clock>,
        signals: Arc<dyn SignalSink>,
    ) -> Self {
        Self {
            engine,
            source,
            clock,
            signals,
            plan: Plan::default(),
            looked_at: None,
            overdue: HashSet::new(),
            told: HashSet::new(),
        }
    }

    /// Fires what is due, sleeps until something is, and so on.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut events = self.engine.subscribe();
        loop {
            let pause = self.fire_due().await;
            let engine = self.engine.clone();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = beat(LONGEST_SLEEP) => {}
                () = engine.triggers_changed() => {
                    self.plan.look_at_windows(|_| true);
                    self.plan.look_at_events();
                }
                ended = ended_run(&mut events) => match ended {
                    Some(pipeline) => self.plan.look_at_windows(|window| plan::concerns(window, &pipeline)),
                    None => self.plan.look_at_windows(|_| true),
                },
                () = stop.cancelled() => return,
            }
        }
    }

    /// Fires everything that is due now; answers how long nothing will be.
    pub async fn fire_due(&mut self) -> Duration {
        let now = self.clock.now();
        if let Err(error) = self.read_files(now).await {
            tracing::error!(error = %chain(&error), "the triggers cannot be read");
            return LONGEST_SLEEP;
        }
        while let Some(index) = self.plan.pop_due(now) {
            let next = match self.plan.get(index) {
                Some(Planned::Schedule(schedule)) => self.fire(&schedule, now).await,
                Some(Planned::Window(_)) => self.look_at_window(index, now).await,
                Some(Planned::Event(event)) => self.look_at_event(&event, now).await,
                None => continue,
            };
            let next = next.unwrap_or_else(|error| {
                tracing::error!(trigger = %self.plan.name(index), error = %chain(&error), "a trigger cannot go on");
                now.checked_add(TRY_AGAIN).ok()
            });
            self.plan.schedule(index, next);
        }
        let until = self.plan.next().unwrap_or(Timestamp::MAX).duration_since(self.clock.now());
        Duration::try_from(until).unwrap_or_default().min(LONGEST_SLEEP)
    }

    async fn read_files(&mut self, now: Timestamp) -> Result<(), OrchestrationError> {
        let fresh = |looked: Timestamp| looked <= now && now.duration_since(looked) < LOOK_AT_FILES;
        if self.looked_at.is_some_and(fresh) {
            return Ok(());
        }
        let stamp = self.source.stamp().await;
        self.looked_at = Some(now);
        if self.plan.stamp == Some(stamp) {
            return Ok(());
        }
        let (pipelines, calendars) = (self.source.pipelines().await, self.source.calendars().await);
        let states = self.engine.store().list_trigger_states().await;
        let states = states.map_err(OrchestrationError::store("read the triggers' states"))?;
        let (mut plan, changed) = Plan::new(pipelines, &calendars, &self.source.timezone(), &states, now);
        let stored = self.engine.store().store_trigger_states(changed).await;
        stored.map_err(OrchestrationError::store("store the triggers' states"))?;
        plan.stamp = Some(stamp);
        self.plan = plan;
        Ok(())
    }

    /// Fires a schedule; answers when it is to be looked at next.
    async fn fire(
        &mut self,
        planned: &PlannedSchedule,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OrchestrationError> {
        let schedule = &planned.schedule;
        let (pipeline, trigger) = (planned.pipeline.name.to_string(), planned.trigger.clone());
        let state = self.engine.store().find_trigger_state(pipeline.clone(), trigger.clone()).await;
        let state = state.map_err(OrchestrationError::store("read the trigger's state"))?;
        if state.as_ref().is_some_and(|state| state.paused) {
            self.say_overdue(&planned.name(), None, None);
            return Ok(schedule.next(now).map(|at| schedule.begins(at)));
        }
        // A new or changed rule owes nothing for the past.
        let since = state.as_ref().filter(|state| state.rule == schedule.text);
        let since = since.map_or(now, |state| instant(state.checked_until));
        let mut settled = since.max(now.checked_sub(schedule.jitter).unwrap_or(now));
        let mut note = None;
        let mut failed = None;
        for at in schedule.due(since, now) {
            match self.start(planned, at).await {
                Ok(skipped) => note = skipped,
                Err(error) => {
                    tracing::error!(trigger = %planned.name(), %at, error = %chain(&error), "a trigger did not fire");
                    note = Some(chain(&error));
                    failed = Some(at);
                    // This instant is still owed.
                    settled = settled.min(at.checked_sub(SignedDuration::from_micros(1)).unwrap_or(at));
                    break;
                }
            }
        }
        let next = schedule.next(settled).map(|at| schedule.begins(at));
        let overdue = failed.map(|at| schedule.begins(at));
        self.say_overdue(&planned.name(), overdue, note.as_deref());
        let row = TriggerStateRow {
            pipeline,
            trigger,
            rule: schedule.text.clone(),
            checked_until: settled.as_microsecond(),
            paused: false,
            next_at: next.map(Timestamp::as_microsecond),
            overdue_since: overdue.map(Timestamp::as_microsecond),
            note,
        };
        let stored = self.engine.store().store_trigger_states(vec![row]).await;
        stored.map_err(OrchestrationError::store("store the trigger's state"))?;
        Ok(if failed.is_some() { now.checked_add(TRY_AGAIN).ok() } else { next })
    }

    /// Starts the run of an instant. Answers why it started none.
    async fn start(
        &self,
        planned: &PlannedSchedule,
        at: Timestamp,
    ) -> Result<Option<String>, OrchestrationError> {
        let overlap = planned.schedule.overlap;
        if overlap == Overlap::CancelRunning {
            self.cancel_running(planned).await?;
        }
        let request = RunRequest {
            inputs: planned.inputs.clone(),
            cause: json!({"by": planned.word, "trigger": planned.trigger, "at": at.to_string()}),
            firing: Some(Firing { trigger: planned.trigger.clone(), instant: at.as_microsecond(), overlap }),
            ..RunRequest::default()
        };
        Ok(match self.engine.begin(&planned.pipeline, request).await? {
            Started::New(_) | Started::Earlier(_) => None,
            Started::Skipped { running } => Some(format!("the run {running} was still going on")),
        })
    }

    async fn cancel_running(&self, planned: &PlannedSchedule) -> Result<(), OrchestrationError> {
        let (pipeline, trigger) = (planned.pipeline.name.to_string(), planned.trigger.clone());
        let running = self.engine.store().open_runs_of_trigger(pipeline, trigger).await;
        for run in running.map_err(OrchestrationError::store("find the trigger's runs"))? {
            match self.engine.cancel(&run).await {
                // It ended meanwhile.
                Ok(()) | Err(OrchestrationError::RunIsOver { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn look_at_window(
        &mut self,
        index: usize,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OrchestrationError> {
        let all = self.plan.windows();
        let Some(planned) = self.plan.window(index) else { return Ok(None) };
        let name = self.plan.name(index);
        let (pipeline, trigger) = (planned.pipeline.name.to_string(), planned.trigger.clone());
        let state = self.engine.store().find_trigger_state(pipeline, trigger).await;
        let state = state.map_err(OrchestrationError::store("read the trigger's state"))?;
        let mut pass = Pass { engine: &self.engine, all: &all, now, told: &mut self.told };
        let outlook = pass.look(&planned, state.as_ref()).await?;
        self.say_overdue(&name, outlook.overdue_since, outlook.note.as_deref());
        if outlook.again {
            return Ok(Some(now));
        }
        // Another process may have asked for a window; many triggers are asked about less often.
        let look_again =
            SignedDuration::from_millis(2_000 + 10 * i64::try_from(all.len()).unwrap_or(2_800).min(2_800));
        let at_latest = now.checked_add(look_again).unwrap_or(now);
        Ok(Some(outlook.next_at.filter(|next| *next > now).map_or(at_latest, |next| next.min(at_latest))))
    }

    async fn look_at_event(
        &mut self,
        planned: &PlannedEvent,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OrchestrationError> {
        let state = planned.look(self.engine.store(), now).await?;
        self.say_overdue(&planned.name(), state.overdue_since.map(instant), state.note.as_deref());
        if !planned.is_expected() {
            return Ok(None);
        }
        let at_latest = now.checked_add(expectation::LOOK).unwrap_or(now);
        let next = state.next_at.map(instant).filter(|next| *next > now);
        Ok(Some(next.map_or(at_latest, |next| next.min(at_latest))))
    }

    /// Tells once that a trigger is overdue, or that it is no more.
    fn say_overdue(&mut self, name: &str, since: Option<Timestamp>, why: Option<&str>) {
        let now = self.clock.now();
        let was = self.overdue.contains(name);
        if since.is_none() && !was {
            return;
        }
        match since {
            Some(since) if !was => {
                tracing::warn!(trigger = name, %since, "a trigger is overdue: {}", why.unwrap_or("it did not fire"));
                self.overdue.insert(name.to_owned());
            }
            Some(_) => {}
            None => {
                tracing::info!(trigger = name, "a trigger is no longer overdue");
                self.overdue.remove(name);
            }
        }
        let (pipeline, trigger) = name.split_once('/').unwrap_or((name, ""));
        self.signals.record(Signal {
            name: "millrace_trigger_overdue_seconds".to_owned(),
            labels: vec![
                ("pipeline".to_owned(), pipeline.to_owned()),
                ("trigger".to_owned(), trigger.to_owned()),
            ],
            value: since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0)),
            at: now,
        });
    }
}

/// The pipeline of the next run that ends; `None` if some were missed.
pub(crate) async fn ended_run(events: &mut broadcast::Receiver<RunEvent>) -> Option<String> {
    loop {
        match events.recv().await {
            Ok(RunEvent { pipeline, kind: RunEventKind::RunChanged { state }, .. })
                if !matches!(state, "queued" | "running") =>
            {
                return Some(pipeline);
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Whether a trigger that was expected has not fired, also while no server runs to notice.
pub(crate) fn overdue_since(state: &TriggerStateRow, now: Timestamp) -> Option<Timestamp> {
    let late = |next: i64| now.duration_since(instant(next)) > PUNCTUAL;
    if state.paused {
        return None;
    }
    state.overdue_since.or_else(|| state.next_at.filter(|next| late(*next))).map(instant)
}

#[cfg(test)]
#[path = "trigger_tests.rs"]
mod tests;
