//! From events to runs.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use millrace_contract::{Event, Explain as _};
use millrace_metastore::MetastoreError;
use millrace_metastore::inbox::{EventRow, EventVerdict};
use millrace_spec::expression;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::triggers::event::{EventTrigger, Shared as Keys};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::book::Page;
use super::filter::{self, Judgement};
use super::gather::gather;
use crate::engine::{RunEvents, RunRequest};
use crate::error::OrchestrationError;
use crate::events::RunEventKind;

/// Longest time between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// Pause after the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of a trigger that one round looks at.
const AT_ONCE: i64 = 500;
/// Runs that are stored together: the database commits them in one go.
const TOGETHER: usize = 16;
/// Tries after the first that failed.
const RETRIES: i64 = 5;
const SECOND: i64 = 1_000_000;
/// An event that is over is known so long, so that the same again starts nothing.
const KEPT: i64 = 14 * 24 * 3_600 * SECOND;
const FORGET_EVERY: i64 = 3_600 * SECOND;

/// Pipeline and name of a trigger.
type TriggerKey = (String, String);

pub(super) async fn work(shared: &Shared, stop: &CancellationToken) {
    let mut worker = Worker::new(shared);
    let mut runs = shared.engine.subscribe();
    loop {
        let pause = match worker.round().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(error = %crate::error::chain(&error), "the inbox cannot be worked on");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.came.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = a_run_ends(&mut runs), if !worker.waiting_for_runs.is_empty() => {}
        }
    }
}

async fn a_run_ends(runs: &mut tokio::sync::broadcast::Receiver<crate::events::RunEvent>) {
    loop {
        match runs.recv().await {
            Ok(event) => {
                let is_over = |state: &str| !matches!(state, "queued" | "running");
                if matches!(event.kind, RunEventKind::RunChanged { state } if is_over(state)) {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

pub(super) struct Worker<'s> {
    shared: &'s Shared,
    /// Triggers with events that wait for a run of their key.
    waiting_for_runs: BTreeSet<TriggerKey>,
    forgot_at: i64,
}

impl<'s> Worker<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared, waiting_for_runs: BTreeSet::new(), forgot_at: 0 }
    }

    /// Looks at everything that is due; answers how long nothing will be.
    pub(super) async fn round(&mut self) -> Result<Duration, OrchestrationError> {
        let store = self.shared.engine.store();
        let now = self.shared.now();
        if now - self.forgot_at > FORGET_EVERY {
            store.forget_events(now - KEPT).await.map_err(read_failed)?;
            self.forgot_at = now;
        }
        let mut triggers: BTreeSet<TriggerKey> =
            store.list_triggers_with_due_events(now).await.map_err(read_failed)?.into_iter().collect();
        triggers.append(&mut self.waiting_for_runs);
        if !triggers.is_empty() {
            let page = self.shared.book.page().await;
            for key in triggers {
                self.work_on(&page, key).await?;
            }
        }
        let next = store.next_event_due().await.map_err(read_failed)?;
        let until = next.map_or(i64::MAX, |next| next - self.shared.now());
        let pause = u64::try_from(until).map_or(Duration::ZERO, Duration::from_micros);
        Ok(pause.min(ROUND))
    }

    async fn work_on(&mut self, page: &Page, key: TriggerKey) -> Result<(), OrchestrationError> {
        let store = self.shared.engine.store();
        let now = self.shared.now();
        let waiting = store.list_waiting_events(key.clone(), now, AT_ONCE).await.map_err(read_failed)?;
        let found = page.pipelines.get(&key.0).zip(page.event_trigger(&key.0, &key.1));
        let Some((pipeline, trigger)) = found else {
            let why = format!("there is no trigger `{}` in a sound pipeline `{}`", key.1, key.0);
            let verdicts = waiting.iter().map(|row| (row.new.id.clone(), failed(row, &why, now))).collect();
            return store.judge_events(verdicts, now).await.map_err(write_failed);
        };
        if self.is_paused(&key).await? {
            let reason = "the trigger was paused when it came".to_owned();
            let verdict =
                |row: &EventRow| (row.new.id.clone(), EventVerdict::Filtered { reason: reason.clone() });
            return store
                .judge_events(waiting.iter().map(verdict).collect(), now)
                .await
                .map_err(write_failed);
        }
        let mut verdicts = Vec::new();
        let mut passed = Vec::new();
        for row in waiting {
            let id = row.new.id.clone();
            let event = match serde_json::from_str::<Event>(&row.new.event) {
                Ok(event) => event,
                Err(error) => {
                    verdicts.push((id, failed(&row, &format!("the event cannot be read: {error}"), now)));
                    continue;
                }
            };
            match filter::judge(trigger, &event) {
                Judgement::Unwanted(reason) => verdicts.push((id, EventVerdict::Filtered { reason })),
                Judgement::Failed(why) => verdicts.push((id, failed(&row, &why, now))),
                Judgement::Passes { order_key: None } if is_simple(&trigger.shared) => passed.push(vec![row]),
                Judgement::Passes { order_key } => {
                    verdicts.push((id, EventVerdict::Held { order_key, next_at: now }));
                }
            }
        }
        store.judge_events(verdicts, now).await.map_err(write_failed)?;
        self.start_all(pipeline, &key.1, trigger, passed).await?;
        if !is_simple(&trigger.shared) {
            self.gather_and_start(pipeline, trigger, key).await?;
        }
        Ok(())
    }

    async fn gather_and_start(
        &mut self,
        pipeline: &Pipeline,
        trigger: &EventTrigger,
        key: TriggerKey,
    ) -> Result<(), OrchestrationError> {
        let store = self.shared.engine.store();
        let held = store.list_held_events(key.clone()).await.map_err(read_failed)?;
        let busy = store.list_busy_order_keys(key.clone()).await.map_err(read_failed)?;
        let busy: HashSet<String> = busy.into_iter().collect();
        let now = self.shared.now();
        let gathered = gather(&trigger.shared, &held, &busy, now);
        let mut runs = Vec::new();
        for ids in gathered.runs {
            runs.push(store.find_events(ids).await.map_err(read_failed)?);
        }
        self.start_all(pipeline, &key.1, trigger, runs).await?;
        if gathered.waits_for_runs {
            self.waiting_for_runs.insert(key.clone());
        }
        let micros = i64::try_from(ROUND.as_micros()).unwrap_or(i64::MAX);
        let next_at = gathered.next_at.unwrap_or(i64::MAX).min(now + micros);
        store.postpone_held_events(key, now, next_at).await.map_err(write_failed)
    }

    async fn is_paused(&self, key: &TriggerKey) -> Result<bool, OrchestrationError> {
        let states = self.shared.engine.store().list_trigger_states().await.map_err(read_failed)?;
        Ok(states.iter().any(|state| state.paused && state.pipeline == key.0 && state.trigger == key.1))
    }

    async fn start_all(
        &self,
        pipeline: &Pipeline,
        name: &str,
        trigger: &EventTrigger,
        runs: Vec<Vec<EventRow>>,
    ) -> Result<(), OrchestrationError> {
        let starting = runs.into_iter().map(|rows| self.start(pipeline, name, trigger, rows));
        let mut starting = futures::stream::iter(starting).buffer_unordered(TOGETHER);
        let mut failure = None;
        while let Some(started) = starting.next().await {
            if let Err(error) = started {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Starts one run; a failure that is not the database's is noted at its events.
    async fn start(
        &self,
        pipeline: &Pipeline,
        name: &str,
        trigger: &EventTrigger,
        rows: Vec<EventRow>,
    ) -> Result<(), OrchestrationError> {
        let why = match request(name, trigger, &rows) {
            Ok(request) => match self.shared.engine.submit(pipeline.clone(), request).await {
                Ok(_) => return Ok(()),
                Err(OrchestrationError::Store { error: MetastoreError::Stale { .. }, .. }) => return Ok(()),
                Err(error @ OrchestrationError::Store { .. }) => return Err(error),
                Err(error) => {
                    let problem = error.problem();
                    std::iter::once(problem.message).chain(problem.hints).collect::<Vec<_>>().join("; ")
                }
            },
            Err(why) => why,
        };
        let now = self.shared.now();
        let verdicts = rows.iter().map(|row| (row.new.id.clone(), failed(row, &why, now))).collect();
        self.shared.engine.store().judge_events(verdicts, now).await.map_err(write_failed)
    }
}

/// Whether each event starts a run of its own, whenever it comes.
fn is_simple(keys: &Keys) -> bool {
    keys.order_by.is_none() && keys.debounce.is_none() && keys.batch.is_none()
}

/// What is asked of the engine for these events, oldest first.
fn request(name: &str, trigger: &EventTrigger, rows: &[EventRow]) -> Result<RunRequest, String> {
    let read = |row: &EventRow| {
        let event = serde_json::from_str::<Event>(&row.new.event);
        event.map(|event| event.to_value()).map_err(|error| format!("the event cannot be read: {error}"))
    };
    let all: Vec<Value> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let newest = all.last().cloned().unwrap_or_default();
    let context = filter::context(&newest);
    let mut inputs = trigger.shared.inputs.clone();
    for (input, value) in &mut inputs {
        *value =
            expression::render(value, &context).map_err(|error| format!("the input `{input}`: {error}"))?;
    }
    let of = |name: &str| newest.get(name).cloned().unwrap_or_default();
    let cause = json!({
        "by": trigger.source.word(), "trigger": name, "event": rows.last().map(|row| row.new.id.clone()),
        "events": rows.len(), "type": of("type"), "subject": of("subject"),
    });
    let ids = rows.iter().map(|row| row.new.id.clone()).collect();
    let gathered = if rows.len() > 1 || trigger.shared.batch.is_some() { all } else { Vec::new() };
    let events = Some(RunEvents { ids, newest, all: gathered });
    Ok(RunRequest { inputs, cause, events, ..RunRequest::default() })
}

fn failed(row: &EventRow, why: &str, now: i64) -> EventVerdict {
    let again = (row.attempts < RETRIES).then(|| now + (SECOND << row.attempts.clamp(0, 16)));
    EventVerdict::Failed { reason: why.to_owned(), next_at: again }
}

fn read_failed(error: MetastoreError) -> OrchestrationError {
    OrchestrationError::store("read the inbox")(error)
}

fn write_failed(error: MetastoreError) -> OrchestrationError {
    OrchestrationError::store("write the inbox")(error)
}
