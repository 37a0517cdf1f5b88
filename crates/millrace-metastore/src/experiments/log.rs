//! Logging: points, parameters and tags of many runs in one transaction.
//!
//! Requests that wait are written together: one read of their runs, one update of their documents, one insert into the journal. Each
//! request is checked on its own before anything of it is taken, so one that is refused takes nothing along and hinders nobody.
//!
//! On SQLite, a group is written by one statement, whose trigger does the rest: the connection has a thread of its own, and each statement
//! that it answers wakes the one that waits. The documents of runs that were written lately are remembered, so that nothing is read before: that
//! nobody else changed them is a condition of the statement.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{Metastore, MetastoreError, Session, Value};

use super::document::{Document, Point};
use super::keys::{Keys, Numbered};
use super::models::{ModelMetric, log_model_metrics};
use super::pack::Packing;
use super::remembered::Remembered;
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
/// Longest wait for requests that are expected to come at the same time.
const GATHER: Duration = Duration::from_millis(1);
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
    let mut remembered = Remembered::default();
    let mut group = Vec::new();
    let mut expected = 1;
    loop {
        let wait_for_quiet = async {
            if packing.is_done() {
                // An idle server is not woken for nothing.
                return std::future::pending().await;
            }
            tokio::time::sleep(QUIET).await;
        };
        tokio::select! {
            biased;
            came = requests.recv_many(&mut group, GROUP) => {
                if came == 0 {
                    return;
                }
                gather(&mut requests, &mut group, expected).await;
                expected = group.len();
                let written = write_group(&store, &mut remembered, std::mem::take(&mut group)).await;
                packing.note(written);
                packing.pack_full(&store).await;
            }
            () = wait_for_quiet => packing.pack_some(&store).await,
        }
    }
}

/// Waits for the others of those who log at the same time: they have been answered together, and come again one after the other. Without it
/// the first one of them has a transaction of its own each time, and all others wait for it.
async fn gather(requests: &mut mpsc::Receiver<LogRequest>, group: &mut Vec<LogRequest>, expected: usize) {
    let until = tokio::time::Instant::now() + GATHER;
    while group.len() < expected {
        let missing = expected - group.len();
        match tokio::time::timeout_at(until, requests.recv_many(group, missing)).await {
            Ok(came) if came > 0 => {}
            _ => return,
        }
    }
}

/// Points that a transaction left in the journal, by the run's number.
pub(super) type Journaled = BTreeMap<i64, usize>;

async fn write_group(store: &Metastore, remembered: &mut Remembered, group: Vec<LogRequest>) -> Journaled {
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
        match write_wanted(store, remembered, wanted).await {
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

/// What became of each request, and what the journal got.
type Written = (Vec<Result<(), Refusal>>, Journaled);

async fn write_wanted(
    store: &Metastore,
    remembered: &mut Remembered,
    wanted: Vec<(String, TrackedBatch)>,
) -> Result<Written, MetastoreError> {
    let keys = store.keys();
    if let Some(mut session) = store.writer().await?
        && let Some(written) = write_remembered(&mut session, remembered, &keys, &wanted).await
    {
        return Ok(written);
    }
    let (known, keeps) = (keys.clone(), !store.is_postgres());
    let grouped = store.write(move |session| Box::pin(log_group(session, known, wanted))).await?;
    keys.learn_numbered(&grouped.numbered);
    let journaled = journaled(&grouped.open);
    if keeps {
        remembered.keep(grouped.open);
    }
    Ok((grouped.outcomes, journaled))
}

/// Writes a group to runs that are all remembered; `None` if they are not, or somebody changed one: then nothing was written.
async fn write_remembered(
    session: &mut Session,
    remembered: &mut Remembered,
    keys: &Keys,
    wanted: &[(String, TrackedBatch)],
) -> Option<Written> {
    if wanted.iter().any(|(_, batch)| !batch.model_metrics.is_empty()) {
        return None;
    }
    let mut open = remembered.take(wanted.iter().map(|(id, _)| id.as_str()))?;
    let (outcomes, all_known) = {
        let (keys, unknown) = (keys.remembered(), Cell::new(false));
        let number = |name: &str| {
            keys.number(name).unwrap_or_else(|| {
                unknown.set(true);
                0
            })
        };
        let outcomes = wanted.iter().map(|(id, batch)| take_batch(&mut open, &number, id, batch));
        (outcomes.collect::<Vec<_>>(), !unknown.get())
    };
    let runs: Vec<&Open> = open.values().collect();
    // What is remembered may be out of date, which only the condition finds out: nobody is refused because of it.
    if !all_known || outcomes.iter().any(Result::is_err) || !runs.iter().all(|run| run.changed) {
        return None;
    }
    let (sql, args) = log_statement(&runs);
    session.commit_alone(&sql, &args).await.ok()?;
    let journaled = journaled(&open);
    remembered.keep(open);
    Some((outcomes, journaled))
}

/// A run that is being written.
pub(super) struct Open {
    number: i64,
    active: bool,
    document: Document,
    /// Bytes that it was counted with when it was remembered.
    pub(super) size: usize,
    changed: bool,
    /// What this process calls the state that it left the run in, if it did.
    was: Option<i64>,
    /// What it calls the state that is being written.
    becomes: i64,
    name: Option<String>,
    parent: Option<String>,
    journal: Vec<(u32, Point)>,
}

impl Open {
    /// A run as it is stored.
    pub(super) fn read(number: i64, active: bool, document: Document) -> Self {
        Self {
            number,
            active,
            document,
            size: 0,
            changed: false,
            was: None,
            becomes: new_mark(),
            name: None,
            parent: None,
            journal: Vec::new(),
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.document.memory()
    }

    /// What was to be stored is.
    pub(super) fn settle(&mut self) {
        self.was = Some(std::mem::replace(&mut self.becomes, new_mark()));
        self.changed = false;
        self.name = None;
        self.parent = None;
        self.journal.clear();
    }
}

fn journaled(open: &HashMap<String, Open>) -> Journaled {
    let written = open.values().filter(|run| run.changed && !run.journal.is_empty());
    written.map(|run| (run.number, run.journal.len())).collect()
}

/// What a transaction did.
struct Grouped {
    outcomes: Vec<Result<(), Refusal>>,
    numbered: Numbered,
    open: HashMap<String, Open>,
}

async fn log_group(
    session: &mut Session,
    keys: std::sync::Arc<Keys>,
    wanted: Vec<(String, TrackedBatch)>,
) -> Result<Grouped, MetastoreError> {
    let ids: BTreeSet<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
    let mut open = open_runs(session, &ids).await?;
    let names: BTreeSet<&str> = wanted.iter().flat_map(|(_, batch)| names_of(batch)).collect();
    let numbered = keys.ensure(session, names).await?;
    let number = |name: &str| numbered.get(name).copied().unwrap_or_default();
    let mut outcomes = Vec::with_capacity(wanted.len());
    for (id, batch) in &wanted {
        outcomes.push(take_batch(&mut open, &number, id, batch));
    }
    for ((id, batch), outcome) in wanted.iter().zip(&outcomes) {
        if outcome.is_ok() {
            log_model_metrics(session, id, &batch.model_metrics).await?;
        }
    }
    let changed: Vec<&Open> = open.values().filter(|run| run.changed).collect();
    if session.is_postgres() {
        session.execute_all(store_statements(&changed)).await?;
    } else if !changed.is_empty() {
        let (sql, args) = log_statement(&changed);
        session.execute(&sql, &args).await?;
    }
    open.retain(|_, run| run.changed);
    Ok(Grouped { outcomes, numbered, open })
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
            let document = Document::decode(&row.bytes("document")?)?;
            let run = Open::read(row.int("number")?, row.text("lifecycle")? == "active", document);
            open.insert(row.text("id")?, run);
        }
    }
    Ok(open)
}

fn take_batch(
    open: &mut HashMap<String, Open>,
    number: &impl Fn(&str) -> u32,
    id: &str,
    batch: &TrackedBatch,
) -> Result<(), Refusal> {
    let run = open.get_mut(id).ok_or_else(|| Refusal::NoRun { id: id.to_owned() })?;
    if !run.active {
        return Err(Refusal::RunDeleted { id: id.to_owned() });
    }
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

/// A statement and its values.
type Statement<'a> = (String, Vec<Value<'a>>);

/// A name for a state of a run, as no other process gives it: they begin anywhere among 2^62 numbers and count on.
fn new_mark() -> i64 {
    static NEXT: LazyLock<AtomicI64> = LazyLock::new(|| {
        // The random part of an id.
        let (_, anywhere) = uuid::Uuid::now_v7().as_u64_pair();
        AtomicI64::new(i64::try_from(anywhere & (u64::MAX >> 2)).unwrap_or_default())
    });
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Writes runs on SQLite. Fails if one that was left in a known state is in another: then somebody else wrote to it, deleted it, or packed it.
fn log_statement<'a>(runs: &[&'a Open]) -> Statement<'a> {
    let mut args: Vec<Value<'_>> = Vec::with_capacity(runs.len() * 8);
    let mut rows = Vec::with_capacity(runs.len());
    let text = |value: &'a Option<String>| value.as_ref().map_or(Value::NullText, Value::from);
    for run in runs {
        rows.push(format!("({})", placeholders(args.len() + 1, 8)));
        args.extend([
            run.number.into(),
            run.was.map_or(Value::NullInt, Value::from),
            run.becomes.into(),
            text(&run.name),
            text(&run.parent),
            i64::try_from(run.journal.len()).unwrap_or(i64::MAX).into(),
            encode_journal(&run.journal).into(),
            run.document.encode().into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO tracked_log (run, was, becomes, name, parent_id, points, journal, document) VALUES {}",
        rows.join(", ")
    );
    (sql, args)
}

/// Writes runs on PostgreSQL, which holds them.
fn store_statements<'a>(runs: &[&'a Open]) -> Vec<Statement<'a>> {
    if runs.is_empty() {
        return Vec::new();
    }
    let mut statements: Vec<Statement<'_>> = Vec::new();
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
    statements
}

fn document_statement<'a>(runs: &[&'a Open]) -> Statement<'a> {
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

fn journal_statement<'a>(runs: &[&'a Open]) -> Option<Statement<'a>> {
    let (mut args, mut rows): (Vec<Value<'_>>, Vec<String>) = (Vec::new(), Vec::new());
    for run in runs.iter().filter(|run| !run.journal.is_empty()) {
        rows.push(format!("({})", placeholders(args.len() + 1, 3)));
        let points = i64::try_from(run.journal.len()).unwrap_or(i64::MAX);
        args.extend([run.number.into(), points.into(), encode_journal(&run.journal).into()]);
    }
    let sql = format!("INSERT INTO tracked_journal (run, points, body) VALUES {}", rows.join(", "));
    (!rows.is_empty()).then_some((sql, args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_group_waits_for_those_that_were_in_the_one_before_and_not_long() {
        let (queue, mut requests) = mpsc::channel(8);
        let request = || LogRequest {
            run_id: "r".to_owned(),
            batch: TrackedBatch::default(),
            answer: oneshot::channel().0,
        };
        let begun = tokio::time::Instant::now();
        let late = queue.clone();
        tokio::spawn(async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                late.send(request()).await.unwrap();
            }
        });
        let mut group = vec![request()];
        gather(&mut requests, &mut group, 3).await;
        assert_eq!((group.len(), begun.elapsed()), (3, Duration::ZERO));

        // One more comes; the other two do not.
        gather(&mut requests, &mut group, 6).await;
        assert_eq!(group.len(), 4);
        assert!((GATHER..GATHER * 4).contains(&begun.elapsed()), "{:?}", begun.elapsed());

        // Who is alone waits for nobody.
        let begun = tokio::time::Instant::now();
        gather(&mut requests, &mut group, 1).await;
        assert_eq!((group.len(), begun.elapsed()), (4, Duration::ZERO));
    }
}
