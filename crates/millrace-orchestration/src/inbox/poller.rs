//! Asks sources: one task a trigger, made and ended as the files change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use millrace_contract::{EventSource, Listener, Polled, beat};
use millrace_metastore::inbox::EventCursorRow;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::EventSpec;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Shared, house, new_row};
use crate::error::chain;

/// How often the files are looked at, as schedules are.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);
/// How often a server that waits looks whether it is its turn to listen.
const LOOK: Duration = Duration::from_secs(5);
/// Ends of runs and steps that come together are looked at together.
const GATHER: Duration = Duration::from_millis(20);
/// Pause after the first failure of a source; doubled with each, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn watch(shared: &Arc<Shared>, stop: &CancellationToken) {
    let tasks = TaskTracker::new();
    let mut going: HashMap<(String, String), (String, CancellationToken)> = HashMap::new();
    loop {
        let page = shared.book.page().await;
        let mut wanted = BTreeMap::new();
        for (pipeline, trigger, spec) in page.event_triggers().filter(|(.., spec)| spec.source.is_polled()) {
            let rule = serde_json::to_string(&spec.source).unwrap_or_default();
            wanted.insert((pipeline.to_owned(), trigger.to_owned()), (rule, spec.source.clone()));
        }
        going.retain(|key, (rule, end)| {
            let stays = wanted.get(key).is_some_and(|(wanted, _)| wanted == rule);
            if !stays {
                end.cancel();
            }
            stays
        });
        for (key, (rule, spec)) in wanted {
            if !going.contains_key(&key) {
                let end = stop.child_token();
                going.insert(key.clone(), (rule.clone(), end.clone()));
                let asking = Asking { shared: shared.clone(), key, rule, spec };
                tasks.spawn(asking.until(end));
            }
        }
        if stop.run_until_cancelled(beat(LOOK_AT_FILES)).await.is_none() {
            break;
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// A source that is asked again and again.
struct Asking {
    shared: Arc<Shared>,
    key: (String, String),
    /// The source as it is written.
    rule: String,
    spec: EventSpec,
}

impl Asking {
    async fn until(self, end: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !end.is_cancelled() {
            let asked = end.run_until_cancelled(self.ask_until_it_fails(&mut pause)).await;
            let Some(problem) = asked else { return };
            let (pipeline, trigger) = &self.key;
            tracing::warn!(pipeline, trigger, problem = problem.message, "events cannot be asked for");
            self.note(&problem).await;
            end.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask_until_it_fails(&self, pause: &mut Duration) -> Problem {
        loop {
            if let Err(problem) = self.ask(pause).await {
                return problem;
            }
        }
    }

    /// Asks until it fails, or until another server has to listen.
    async fn ask(&self, pause: &mut Duration) -> Result<(), Problem> {
        let store = self.shared.engine.store();
        let mut known =
            store.find_event_cursor(self.key.0.clone(), self.key.1.clone()).await.map_err(stored)?;
        // Another rule begins anew: nothing is owed for what it did not watch.
        known = known.filter(|cursor| cursor.rule == self.rule && cursor.position != "null");
        let mut cursor: Option<Value> =
            known.as_ref().and_then(|row| serde_json::from_str(&row.position).ok());
        let mut had_failed = known.as_ref().is_some_and(|row| row.error.is_some());
        let mut is_noted = known.is_some() && !had_failed;
        self.wait_for_its_turn().await?;
        let mut source = self.open().await?;
        let mut changes = self.shared.engine.subscribe();
        loop {
            let Polled { events, cursor: next, look_again } = source.poll(cursor.as_ref()).await?;
            let moved = cursor.as_ref() != Some(&next);
            if moved || !events.is_empty() || !is_noted {
                let (pipeline, trigger) = &self.key;
                let rows: Vec<_> = events.iter().map(|event| new_row(pipeline, trigger, event)).collect();
                let found = !rows.is_empty();
                let new = store.receive_polled(rows, self.row(&next, found)).await.map_err(stored)?;
                if new > 0 {
                    self.shared.came.notify_one();
                }
                is_noted = true;
                if std::mem::take(&mut had_failed) {
                    self.shared.engine.wake_triggers();
                }
            }
            source.acknowledge().await?;
            cursor = Some(next);
            *pause = FIRST_PAUSE;
            if events.is_empty() && self.spec.has_one_listener() && !self.is_its_turn().await? {
                return Ok(());
            }
            if house::is_of_this_house(&self.spec) {
                // What changes here is seen at once; a change by another server with the next look.
                tokio::select! {
                    () = tokio::time::sleep(look_again) => {}
                    () = house::something_ends(&mut changes) => tokio::time::sleep(GATHER).await,
                }
            } else {
                tokio::time::sleep(look_again).await;
            }
        }
    }

    /// Whether this server is the one that listens, where only one may.
    async fn is_its_turn(&self) -> Result<bool, Problem> {
        if !self.spec.has_one_listener() {
            return Ok(true);
        }
        let first = self.shared.engine.is_first_server().await;
        first.map_err(|error| {
            Problem::error("store-failed", "the servers cannot be looked for").note(chain(&error))
        })
    }

    async fn wait_for_its_turn(&self) -> Result<(), Problem> {
        while !self.is_its_turn().await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn open(&self) -> Result<Box<dyn EventSource>, Problem> {
        if let Some(source) =
            house::open(&self.spec, &self.key.0, self.shared.engine.store(), &self.shared.clock)
        {
            return Ok(source);
        }
        let listener = Listener { pipeline: self.key.0.clone(), trigger: self.key.1.clone() };
        let opened = self.shared.sources.open(&self.spec, &listener).await?;
        opened.ok_or_else(|| {
            Problem::error("unknown-source", format!("this program cannot watch `{}`", self.spec.word()))
        })
    }

    fn row(&self, position: &Value, found: bool) -> EventCursorRow {
        let now = self.shared.now();
        EventCursorRow {
            pipeline: self.key.0.clone(),
            trigger: self.key.1.clone(),
            rule: self.rule.clone(),
            position: position.to_string(),
            asked_at: now,
            found_at: found.then_some(now),
            error: None,
            failing_since: None,
        }
    }

    async fn note(&self, problem: &Problem) {
        let text = std::iter::once(&problem.message).chain(&problem.notes).chain(&problem.hints);
        let error = Some(text.cloned().collect::<Vec<_>>().join("; "));
        let row = EventCursorRow { error, ..self.row(&Value::Null, false) };
        if let Err(error) = self.shared.engine.store().note_event_source_error(row).await {
            tracing::error!(error = %chain(&error), "the failure of a source cannot be noted");
        }
    }
}

fn stored(error: millrace_metastore::MetastoreError) -> Problem {
    Problem::error("store-failed", "the inbox cannot be read or written").note(chain(&error))
}
