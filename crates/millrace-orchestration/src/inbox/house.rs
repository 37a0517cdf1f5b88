//! What happens in this workspace: runs that end, versions of datasets and models, aliases, alerts.
//!
//! Versions are counted, so a cursor of theirs is a number. Runs and alerts have only times, which several servers give: each look begins
//! some minutes before the last one, and what was told already is known by its id.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_contract::{Clock, Event, EventSource, Polled};
use millrace_metastore::monitoring::AlertTransitionRow;
use millrace_metastore::runs::PipelineRunRow;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{
    AlertChange, AlertWord, EventSpec, ModelChange, ModelWord, PipelineEnd,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::error::chain;
use crate::events::{RunEvent, RunEventKind};

/// How often it is looked though nothing was heard of.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How far two servers' clocks may differ, and how long a transaction may take; microseconds.
const OVERLAP: i64 = 60 * 1_000_000;
/// Changes of an alert that one look takes in.
const AT_ONCE: u32 = 100;

pub(super) fn is_of_this_house(spec: &EventSpec) -> bool {
    matches!(spec, EventSpec::Pipeline(_) | EventSpec::Dataset(_) | EventSpec::Model(_) | EventSpec::Alert(_))
}

/// Returns when a run or a step of this server is over.
pub(super) async fn something_ends(changes: &mut Receiver<RunEvent>) {
    loop {
        match changes.recv().await.map(|event| event.kind) {
            Ok(RunEventKind::RunChanged { state } | RunEventKind::StepChanged { state, .. }) => {
                if !matches!(state, "queued" | "running" | "pending" | "retrying" | "waiting") {
                    return;
                }
            }
            Ok(RunEventKind::StepProgress { .. }) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The source of a trigger of `pipeline`, if it is one of this house.
pub(super) fn open(
    spec: &EventSpec,
    pipeline: &str,
    store: &Metastore,
    clock: &Arc<dyn Clock>,
) -> Option<Box<dyn EventSource>> {
    let (store, clock) = (store.clone(), clock.clone());
    Some(match spec.clone() {
        EventSpec::Pipeline(spec) => Box::new(Runs { spec, store, clock }),
        EventSpec::Dataset(spec) => {
            Box::new(Datasets { name: spec.dataset, pipeline: pipeline.to_owned(), store })
        }
        EventSpec::Model(spec) => Box::new(Models { spec, pipeline: pipeline.to_owned(), store }),
        EventSpec::Alert(spec) => Box::new(AlertsOf { spec, store, clock }),
        _ => return None,
    })
}

fn polled(events: Vec<Event>, cursor: Value) -> Polled {
    Polled { events, cursor, look_again: LOOK_AGAIN }
}

fn failed(error: MetastoreError) -> Problem {
    Problem::error("store-failed", "the workspace's database failed").note(chain(&error))
}

fn event(id: String, kind: &str, subject: &str, at: i64, fact: (&str, Value)) -> Event {
    let event = Event {
        id,
        source: "millrace".to_owned(),
        kind: format!("millrace.{kind}"),
        subject: Some(subject.to_owned()),
        time: Timestamp::from_microsecond(at).ok().map(|at| at.to_string()),
        data: fact.1.clone(),
        facts: Map::new(),
    };
    event.with_fact(fact.0, fact.1)
}

/// Runs of a pipeline that end.
struct Runs {
    spec: PipelineEnd,
    store: Metastore,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl EventSource for Runs {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let Some(seen) = cursor.and_then(Seen::read) else {
            return Ok(polled(Vec::new(), Seen::from(self.clock.now()).to_value()));
        };
        let ended = self.store.list_ended_runs(self.spec.pipeline.to_string(), seen.look_from()).await;
        let ended = ended.map_err(failed)?;
        let mut events = Vec::new();
        for (id, state, _) in &ended {
            if seen.told.contains(id) || !self.spec.states.iter().any(|wanted| wanted.word() == state) {
                continue;
            }
            if let Some(row) = self.store.find_pipeline_run(id.clone()).await.map_err(failed)? {
                events.push(run_event(&row));
            }
        }
        let next = seen.after(ended.into_iter().map(|(id, _, at)| (id, at)));
        Ok(polled(events, next.to_value()))
    }
}

/// How far a source that has only times was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// When the trigger began: nothing before it counts.
    begun: i64,
    /// The newest time that was seen.
    until: i64,
    /// What was seen within the overlap before it.
    told: Vec<String>,
}

impl Seen {
    fn from(now: Timestamp) -> Self {
        Self { begun: now.as_microsecond(), until: now.as_microsecond(), told: Vec::new() }
    }

    fn read(cursor: &Value) -> Option<Self> {
        serde_json::from_value(cursor.clone()).ok()
    }

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn look_from(&self) -> i64 {
        (self.until - OVERLAP).max(self.begun)
    }

    /// The same after a look from [`Seen::look_from`] found these.
    fn after(&self, found: impl Iterator<Item = (String, i64)>) -> Self {
        let found: Vec<(String, i64)> = found.collect();
        let until = found.iter().map(|(_, at)| *at).fold(self.until, i64::max);
        let told = found.into_iter().filter(|(_, at)| *at > until - OVERLAP).map(|(id, _)| id).collect();
        Self { begun: self.begun, until, told }
    }
}

fn run_event(row: &PipelineRunRow) -> Event {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let facts = json!({
        "id": row.id, "number": row.number, "pipeline": row.pipeline, "state": row.state, "inputs": read(&row.inputs),
        "cause": read(&row.cause), "error": row.error.as_deref().map(read),
    });
    let at = row.ended_at.unwrap_or(row.created_at);
    event(format!("run:{}:{}", row.id, row.state), "pipeline.ended", &row.pipeline, at, ("run", facts))
}

/// Versions of a dataset.
struct Datasets {
    name: String,
    /// Whose own versions do not count: it would start itself for ever.
    pipeline: String,
    store: Metastore,
}

#[async_trait]
impl EventSource for Datasets {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let after = cursor.and_then(|cursor| cursor.get("version")).and_then(Value::as_i64);
        let rows =
            self.store.list_asset_versions_after("dataset", self.name.clone(), after.unwrap_or(0)).await;
        let rows = rows.map_err(failed)?;
        let newest = rows.last().map_or_else(|| after.unwrap_or(0), |row| row.version);
        let mut events = Vec::new();
        for row in rows.iter().filter(|_| after.is_some()) {
            let run_id = run_of(&row.details);
            if is_made_by(&self.store, run_id.as_deref(), &self.pipeline).await? {
                continue;
            }
            let facts =
                json!({"name": row.name, "version": row.version, "digest": row.digest, "run_id": run_id});
            let id = format!("dataset:{}@{}", row.name, row.version);
            events.push(event(id, "dataset.version", &row.name, row.created_at, ("dataset", facts)));
        }
        Ok(polled(events, json!({"version": newest})))
    }
}

/// The run that made a version.
fn run_of(details: &str) -> Option<String> {
    let details: Value = serde_json::from_str(details).ok()?;
    details.pointer("/producer/run_id")?.as_str().map(str::to_owned)
}

/// Whether a run is one of the pipeline.
async fn is_made_by(store: &Metastore, run_id: Option<&str>, pipeline: &str) -> Result<bool, Problem> {
    let Some(run_id) = run_id else { return Ok(false) };
    let run = store.find_pipeline_run(run_id.to_owned()).await.map_err(failed)?;
    Ok(run.is_some_and(|run| run.pipeline == pipeline))
}

/// Versions and aliases of a model.
struct Models {
    spec: ModelChange,
    /// Whose own versions do not count, as with datasets.
    pipeline: String,
    store: Metastore,
}

#[async_trait]
impl EventSource for Models {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let name = self.spec.model.clone();
        let after = cursor.and_then(|cursor| cursor.get("version")).and_then(Value::as_i64);
        let rows = self.store.list_asset_versions_after("model", name.clone(), after.unwrap_or(0)).await;
        let rows = rows.map_err(failed)?;
        let newest = rows.last().map_or_else(|| after.unwrap_or(0), |row| row.version);
        let mut events = Vec::new();
        if self.spec.events.contains(&ModelWord::Version) && after.is_some() {
            for row in &rows {
                if is_made_by(&self.store, run_of(&row.details).as_deref(), &self.pipeline).await? {
                    continue;
                }
                let facts = json!({"name": name, "version": row.version, "digest": row.digest});
                let id = format!("model:{name}@{}", row.version);
                events.push(event(id, "model.version", &name, row.created_at, ("model", facts)));
            }
        }
        let before = cursor.and_then(|cursor| cursor.get("aliases")).and_then(Value::as_object).cloned();
        let mut moves = cursor.and_then(|cursor| cursor.get("moves")).and_then(Value::as_i64).unwrap_or(0);
        let mut aliases = Map::new();
        for (alias, version) in self.store.list_model_aliases(name.clone()).await.map_err(failed)? {
            let known = before.as_ref().and_then(|before| before.get(&alias)).and_then(Value::as_i64);
            let is_wanted = self.spec.aliases.is_empty() || self.spec.aliases.contains(&alias);
            if before.is_some()
                && known != Some(version)
                && is_wanted
                && self.spec.events.contains(&ModelWord::Alias)
            {
                // The count tells two moves to the same version apart.
                moves += 1;
                let facts = json!({"name": name, "version": version, "alias": alias, "before": known});
                let id = format!("model:{name}:{alias}:{version}:{moves}");
                events.push(Event { time: None, ..event(id, "model.alias", &name, 0, ("model", facts)) });
            }
            aliases.insert(alias, version.into());
        }
        Ok(polled(events, json!({"version": newest, "aliases": aliases, "moves": moves})))
    }
}

/// Changes of an alert.
struct AlertsOf {
    spec: AlertChange,
    store: Metastore,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl EventSource for AlertsOf {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let Some(seen) = cursor.and_then(Seen::read) else {
            return Ok(polled(Vec::new(), Seen::from(self.clock.now()).to_value()));
        };
        let rows =
            self.store.list_alert_transitions(self.spec.alert.clone(), AT_ONCE).await.map_err(failed)?;
        let fresh: Vec<&AlertTransitionRow> =
            rows.iter().rev().filter(|row| row.happened_at > seen.look_from()).collect();
        let told = |row: &&&AlertTransitionRow| !seen.told.contains(&row.id);
        let events = fresh.iter().filter(told).filter_map(|row| self.event(row)).collect();
        let next = seen.after(fresh.iter().map(|row| (row.id.clone(), row.happened_at)));
        Ok(polled(events, next.to_value()))
    }
}

impl AlertsOf {
    fn event(&self, row: &AlertTransitionRow) -> Option<Event> {
        let (word, state) = match (row.from.as_str(), row.to.as_str()) {
            ("pending", "firing") => (AlertWord::Firing, "firing"),
            ("recovering", "normal") => (AlertWord::Resolved, "resolved"),
            _ => return None,
        };
        if !self.spec.states.contains(&word) {
            return None;
        }
        let facts = json!({"name": row.rule, "state": state, "value": row.value, "threshold": row.threshold});
        let id = format!("alert:{}", row.id);
        Some(event(id, &format!("alert.{state}"), &row.rule, row.happened_at, ("alert", facts)))
    }
}
