//! Logging: points, parameters and tags of many runs in one transaction.
//!
//! Requests that wait are written together: one read of their runs, one update of their documents, one insert into the journal. Each
//! request is checked on its own before anything of it is taken, so one that is refused takes nothing along and hinders nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{Metastore, MetastoreError, Session, Value};

use super::document::{Document, Point};
use super::keys::{Keys, Numbered};
use super::models::{ModelMetric, log_model_metrics};
use super::pack::Packing;
use super::series::encode_journal;
use super::{MetricRow, NAME_TAG, PARENT_TAG, Refusal, Text, placeholders};

/// What is logged in one transaction.
#[derive(Debug, Clone, Default)]
pub struct TrackedBatch {
    /// Points; an exact repeat is dropped.
    pub metrics: Vec<MetricRow>,
    /// Parameters and tags. A later tag replaces an earlier one.
    pub texts: Vec<Text>,
    /// Points that also tell of a model.
    pub model_metrics: Vec<ModelMetric>,
    /// What becomes of a parameter that has another value already.
    pub params: ParamRule,
}

/// What becomes of a parameter that has another value already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParamRule {
    /// The new value replaces it: a step that is tried again.
    #[default]
    Replace,
    /// The batch is refused: MLflow's rule.
    Keep,
}

/// Requests in one transaction.
const GROUP: usize = 256;
/// Rows in one statement.
const CHUNK: usize = 100;
/// A quiet time after which what is in the journal is packed.
const QUIET: Duration = Duration::from_secs(3);

/// A request and the one who waits for it.
#[derive(Debug)]
pub(crate) struct LogRequest {
    run_id: String,
    batch: TrackedBatch,
    answer: oneshot::Sender<Result<(), MetastoreError>>,
}

/// Where requests wait.
pub(crate) type LogQueue = mpsc::Sender<LogRequest>;

impl Metastore {
    /// Logs points, parameters and tags of a run: all of them or, with an error, none.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such run, it is deleted, or a parameter may not change; if the database fails.
    pub async fn log_tracked_batch(&self, run_id: String, batch: TrackedBatch) -> Result<(), MetastoreError> {
        let (answer, answered) = oneshot::channel();
        let request = LogRequest { run_id, batch, answer };
        let queue = self.log_queue().ok_or(MetastoreError::WriterGone)?;
        queue.send(request).await.map_err(|_| MetastoreError::WriterGone)?;
        answered.await.map_err(|_| MetastoreError::WriterGone)?
    }
}

/// Writes what is asked for until nobody can ask any more, and packs what was written in between. `store` must not have the queue.
pub(crate) async fn log_until_closed(store: Metastore, mut requests: mpsc::Receiver<LogRequest>) {
    let mut packing = Packing::default();
    let mut group = Vec::new();
    loop {
        // Woken at times, to pack what has become quiet.
        match tokio::time::timeout(QUIET, requests.recv_many(&mut group, GROUP)).await {
            Ok(0) => return,
            Ok(_) => {
                let written = write_group(&store, std::mem::take(&mut group)).await;
                packing.note(written);
                packing.pack_full(&store).await;
            }
            Err(_) => packing.pack_some(&store).await,
        }
    }
}

/// Points that a transaction left in the journal, by the run's number.
pub(super) type Journaled = BTreeMap<i64, usize>;

async fn write_group(store: &Metastore, group: Vec<LogRequest>) -> Journaled {
    // One that tells of models may be refused by the database alone.
    let (with_models, plain): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|request| !request.batch.model_metrics.is_empty());
    let mut journaled = Journaled::new();
    let groups = with_models.into_iter().map(|request| vec![request]).chain([plain]);
    for group in groups.filter(|group| !group.is_empty()) {
        let mut answers = Vec::with_capacity(group.len());
        let mut wanted = Vec::with_capacity(group.len());
        for request in group {
            answers.push(request.answer);
            wanted.push((request.run_id, request.batch));
        }
        let keys = store.keys();
        let written = store.write(move |session| Box::pin(log_group(session, keys, wanted))).await;
        match written {
            Ok((outcomes, points)) => {
                journaled.extend(points);
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    answer.send(outcome.map_err(Into::into)).ok();
                }
            }
            Err(MetastoreError::Refused(refusal)) if answers.len() == 1 => {
                answers.into_iter().for_each(|answer| drop(answer.send(Err(refusal.clone().into()))));
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let text = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                for answer in answers {
                    answer.send(Err(MetastoreError::stale(text.clone()))).ok();
                }
            }
        }
    }
    journaled
}

/// A run that is being written.
struct Open {
    number: i64,
    active: bool,
    document: Document,
    changed: bool,
    name: Option<String>,
    parent: Option<String>,
    journal: Vec<(u32, Point)>,
}

async fn log_group(
    session: &mut Session,
    keys: std::sync::Arc<Keys>,
    wanted: Vec<(String, TrackedBatch)>,
) -> Result<(Vec<Result<(), Refusal>>, Journaled), MetastoreError> {
    let ids: BTreeSet<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
    let mut open = open_runs(session, &ids).await?;
    let names: BTreeSet<&str> = wanted.iter().flat_map(|(_, batch)| names_of(batch)).collect();
    let numbered = keys.ensure(session, names).await?;
    let mut outcomes = Vec::with_capacity(wanted.len());
    for (id, batch) in &wanted {
        outcomes.push(take_batch(&mut open, &numbered, id, batch));
    }
    for ((id, batch), outcome) in wanted.iter().zip(&outcomes) {
        if outcome.is_ok() {
            log_model_metrics(session, id, &batch.model_metrics).await?;
        }
    }
    let changed: Vec<Open> = open.into_values().filter(|run| run.changed).collect();
    store_runs(session, &changed).await?;
    let journaled = changed.iter().filter(|run| !run.journal.is_empty());
    Ok((outcomes, journaled.map(|run| (run.number, run.journal.len())).collect()))
}

fn names_of(batch: &TrackedBatch) -> impl Iterator<Item = &str> {
    let metrics = batch.metrics.iter().map(|point| point.name.as_str());
    let texts = batch.texts.iter().filter(|(family, name, _)| !is_column(family, name));
    metrics.chain(texts.map(|(_, name, _)| name.as_str()))
}

fn is_column(family: &str, name: &str) -> bool {
    family == "tag" && matches!(name, NAME_TAG | PARENT_TAG)
}

/// Reads runs; on PostgreSQL holds them until the transaction ends, so that two writers of a run come one after the other as they do on
/// SQLite.
async fn open_runs(
    session: &mut Session,
    ids: &BTreeSet<&str>,
) -> Result<HashMap<String, Open>, MetastoreError> {
    let ids: Vec<&str> = ids.iter().copied().collect();
    let lock = if session.is_postgres() { " ORDER BY id FOR UPDATE" } else { "" };
    let mut open = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let sql = format!(
            "SELECT number, id, lifecycle, document FROM tracked_run WHERE id IN ({}){lock}",
            placeholders(1, ids.len())
        );
        let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
        for row in session.fetch_all(&sql, &args).await? {
            let run = Open {
                number: row.int("number")?,
                active: row.text("lifecycle")? == "active",
                document: Document::decode(&row.bytes("document")?)?,
                changed: false,
                name: None,
                parent: None,
                journal: Vec::new(),
            };
            open.insert(row.text("id")?, run);
        }
    }
    Ok(open)
}

fn take_batch(
    open: &mut HashMap<String, Open>,
    numbered: &Numbered,
    id: &str,
    batch: &TrackedBatch,
) -> Result<(), Refusal> {
    let run = open.get_mut(id).ok_or_else(|| Refusal::NoRun { id: id.to_owned() })?;
    if !run.active {
        return Err(Refusal::RunDeleted { id: id.to_owned() });
    }
    let number = |name: &str| numbered.get(name).copied().unwrap_or_default();
    if batch.params == ParamRule::Keep {
        for (_, name, content) in batch.texts.iter().filter(|(family, _, _)| family == "param") {
            match run.document.param(number(name)) {
                Some(old) if old != content => {
                    return Err(Refusal::ParamChanged {
                        run_id: id.to_owned(),
                        key: name.clone(),
                        old: old.to_owned(),
                        new: content.clone(),
                    });
                }
                _ => {}
            }
        }
    }
    run.changed |= !batch.metrics.is_empty() || !batch.texts.is_empty();
    for (family, name, content) in &batch.texts {
        match (family.as_str(), name.as_str()) {
            ("tag", NAME_TAG) => run.name = Some(content.clone()),
            ("tag", PARENT_TAG) => run.parent = Some(content.clone()),
            ("tag", _) => run.document.set_tag(number(name), content.clone()),
            _ => run.document.set_param(number(name), content.clone()),
        }
    }
    for row in &batch.metrics {
        let key = number(&row.name);
        if let Some(displaced) = run.document.log(key, row.point()) {
            run.journal.push((key, displaced));
        }
    }
    Ok(())
}

async fn store_runs(session: &mut Session, runs: &[Open]) -> Result<(), MetastoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    let mut statements: Vec<(String, Vec<Value<'_>>)> = Vec::new();
    statements.extend(runs.chunks(CHUNK).filter_map(journal_statement));
    for run in runs {
        let columns = [(&run.name, "name"), (&run.parent, "parent_id")];
        for (value, column) in
            columns.into_iter().filter_map(|(value, column)| Some((value.as_ref()?, column)))
        {
            let sql = format!("UPDATE tracked_run SET {column} = $2 WHERE number = $1");
            statements.push((sql, vec![run.number.into(), value.into()]));
        }
    }
    // Last, since it waits for others that count changes.
    statements.push(("UPDATE tracked_clock SET changed = changed + 1 WHERE id = 1".to_owned(), Vec::new()));
    statements.extend(runs.chunks(CHUNK).map(document_statement));
    session.execute_all(statements).await
}

fn document_statement(runs: &[Open]) -> (String, Vec<Value<'_>>) {
    let mut args: Vec<Value<'_>> = Vec::with_capacity(runs.len() * 2);
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        rows.push(format!("({})", placeholders(args.len() + 1, 2)));
        args.extend([run.number.into(), run.document.encode().into()]);
    }
    let sql = format!(
        "UPDATE tracked_run SET changed = (SELECT changed FROM tracked_clock WHERE id = 1), document = new.column2 \
         FROM (VALUES {}) AS new WHERE number = new.column1",
        rows.join(", ")
    );
    (sql, args)
}

fn journal_statement(runs: &[Open]) -> Option<(String, Vec<Value<'_>>)> {
    let (mut args, mut rows): (Vec<Value<'_>>, Vec<String>) = (Vec::new(), Vec::new());
    for run in runs.iter().filter(|run| !run.journal.is_empty()) {
        rows.push(format!("({})", placeholders(args.len() + 1, 3)));
        let points = i64::try_from(run.journal.len()).unwrap_or(i64::MAX);
        args.extend([run.number.into(), points.into(), encode_journal(&run.journal).into()]);
    }
    let sql = format!("INSERT INTO tracked_journal (run, points, body) VALUES {}", rows.join(", "));
    (!rows.is_empty()).then_some((sql, args))
}
