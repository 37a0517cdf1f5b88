//! Packing: moves points from the journal into chunks of series, in the background.

use std::collections::BTreeMap;

use crate::{Metastore, MetastoreError, Session, Value};

use super::document::{Document, Point, Statistics};
use super::log::Journaled;
use super::points::in_order;
use super::series::{decode_chunk, decode_journal, encode_chunk};
use super::{next_change, placeholders};

/// Points in a chunk that is full.
const CHUNK_POINTS: usize = 1_024;
/// A run with so much in the journal is packed at once. Each metric's open chunk is read and written anew for it, half a chunk on average:
/// where runs log a hundred metrics at a time, packing every eighty batches was 6 % of the samples of a profile, without SQLite's own.
const FULL_ROWS: usize = 256;
const FULL_POINTS: usize = 65_536;
/// Runs that are packed in a row before somebody may write again.
const AT_ONCE: usize = 16;
/// Rows in one statement.
const ROWS: usize = 100;

/// Which runs have points in the journal, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Packing {
    waiting: BTreeMap<i64, (usize, usize)>,
    /// Whether what others left was looked for.
    looked: bool,
}

impl Packing {
    /// Whether nothing waits to be packed.
    pub(super) fn is_done(&self) -> bool {
        self.looked && self.waiting.is_empty()
    }

    /// Takes notice of what was written.
    pub(super) fn note(&mut self, written: Journaled) {
        for (run, points) in written {
            let (rows, all) = self.waiting.entry(run).or_default();
            *rows += 1;
            *all += points;
        }
    }

    /// Packs the runs that have much.
    pub(super) async fn pack_full(&mut self, store: &Metastore) {
        let full =
            self.waiting.iter().filter(|(_, (rows, points))| *rows >= FULL_ROWS || *points >= FULL_POINTS);
        for run in full.map(|(run, _)| *run).collect::<Vec<_>>() {
            self.pack(store, run).await;
        }
    }

    /// Packs some of the runs, whatever they have: nobody writes at the moment.
    pub(super) async fn pack_some(&mut self, store: &Metastore) {
        if !self.looked {
            self.looked = true;
            match store.list_unpacked_runs().await {
                Ok(runs) => self.waiting.extend(runs.into_iter().map(|run| (run, (0, 0)))),
                Err(error) => {
                    tracing::warn!(%error, "points that an earlier program left stay in the journal")
                }
            }
        }
        for run in self.waiting.keys().take(AT_ONCE).copied().collect::<Vec<_>>() {
            self.pack(store, run).await;
        }
    }

    async fn pack(&mut self, store: &Metastore, run: i64) {
        self.waiting.remove(&run);
        if let Err(error) = store.pack_run(run).await {
            // Its points can be read where they are; the next write to the run tries again.
            tracing::warn!(%error, "points of a run stay in the journal");
        }
    }
}

impl Metastore {
    async fn list_unpacked_runs(&self) -> Result<Vec<i64>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let rows = session.fetch_all("SELECT DISTINCT run FROM tracked_journal", &[]).await?;
                rows.iter().map(|row| row.int("run")).collect()
            })
        })
        .await
    }

    /// Moves what the journal has of a run into its series.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pack_run(&self, run: i64) -> Result<(), MetastoreError> {
        self.write(move |session| Box::pin(pack(session, run))).await
    }
}

/// Points by metric.
type Points = BTreeMap<u32, Vec<Point>>;

async fn pack(session: &mut Session, run: i64) -> Result<(), MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT document FROM tracked_run WHERE number = $1{lock}");
    let Some(row) = session.fetch_optional(&sql, &[run.into()]).await? else { return Ok(()) };
    let mut document = Document::decode(&row.bytes("document")?)?;
    let mut journal = Vec::new();
    let rows =
        session.fetch_all("SELECT seq, body FROM tracked_journal WHERE run = $1", &[run.into()]).await?;
    for row in &rows {
        decode_journal(&row.bytes("body")?, &mut journal)?;
    }
    if journal.is_empty() {
        return Ok(());
    }
    let mut points = Points::new();
    for (metric, point) in journal {
        points.entry(metric).or_default().push(point);
    }
    let mut next = next_chunks(session, run).await?;
    let mut open = open_chunks(session, run).await?;
    let mut chunks = Vec::new();
    let mut repeated = Vec::new();
    for (metric, mut points) in points {
        let (chunk, stored) =
            open.remove(&metric).unwrap_or_else(|| (next.remove(&metric).unwrap_or(0), Vec::new()));
        points.extend(stored);
        let written = points.len();
        in_order(&mut points);
        // What is the document's latest belongs to the document alone.
        if let Some(latest) = document.metric(metric).map(|metric| metric.latest) {
            points.retain(|point| *point != latest);
        }
        if points.len() < written {
            repeated.push(metric);
        }
        chunks.extend(full_chunks(metric, chunk, &points));
    }
    store_chunks(session, run, &chunks).await?;
    session.execute("DELETE FROM tracked_journal WHERE run = $1", &[run.into()]).await?;
    if !repeated.is_empty() {
        count_again(session, run, &mut document, &repeated).await?;
    }
    Ok(())
}

/// A chunk to be stored: metric, number, points.
pub(super) type Chunk = (u32, i64, Vec<Point>);

/// Points of a metric in chunks, the last of which may not be full, numbered from `first`.
pub(super) fn full_chunks(metric: u32, first: i64, points: &[Point]) -> impl Iterator<Item = Chunk> + '_ {
    let chunks = points.chunks(CHUNK_POINTS).zip(first..);
    chunks.map(move |(points, chunk)| (metric, chunk, points.to_vec()))
}

/// The number of the chunk that would come next, by metric.
async fn next_chunks(session: &mut Session, run: i64) -> Result<BTreeMap<u32, i64>, MetastoreError> {
    let sql = "SELECT metric, MAX(chunk) + 1 AS next FROM tracked_series WHERE run = $1 GROUP BY metric";
    let rows = session.fetch_all(sql, &[run.into()]).await?;
    rows.iter().map(|row| Ok((metric_of(row)?, row.int("next")?))).collect()
}

/// The chunk that is not full yet, by metric.
async fn open_chunks(
    session: &mut Session,
    run: i64,
) -> Result<BTreeMap<u32, (i64, Vec<Point>)>, MetastoreError> {
    let sql = "SELECT metric, chunk, body FROM tracked_series WHERE run = $1 AND points < $2";
    let full = i64::try_from(CHUNK_POINTS).unwrap_or(i64::MAX);
    let rows = session.fetch_all(sql, &[run.into(), full.into()]).await?;
    rows.iter()
        .map(|row| Ok((metric_of(row)?, (row.int("chunk")?, decode_chunk(&row.bytes("body")?)?))))
        .collect()
}

fn metric_of(row: &crate::Row) -> Result<u32, MetastoreError> {
    u32::try_from(row.int("metric")?).map_err(|_| MetastoreError::stale("a series has no metric"))
}

pub(super) async fn store_chunks(
    session: &mut Session,
    run: i64,
    chunks: &[Chunk],
) -> Result<(), MetastoreError> {
    for chunks in chunks.chunks(ROWS) {
        let mut args: Vec<Value<'_>> = vec![run.into()];
        let mut rows = Vec::with_capacity(chunks.len());
        for (metric, chunk, points) in chunks {
            rows.push(format!("($1, {})", placeholders(args.len() + 1, 4)));
            let count = i64::try_from(points.len()).unwrap_or(i64::MAX);
            args.extend([(*metric).into(), (*chunk).into(), count.into(), encode_chunk(points).into()]);
        }
        let sql = format!(
            "INSERT INTO tracked_series (run, metric, chunk, points, body) VALUES {} \
             ON CONFLICT (run, metric, chunk) DO UPDATE SET points = excluded.points, body = excluded.body",
            rows.join(", ")
        );
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// Statistics anew for metrics of which points were written twice: they had been counted twice.
async fn count_again(
    session: &mut Session,
    run: i64,
    document: &mut Document,
    metrics: &[u32],
) -> Result<(), MetastoreError> {
    for metric in metrics {
        let sql = "SELECT body FROM tracked_series WHERE run = $1 AND metric = $2";
        let mut points = Vec::new();
        for row in session.fetch_all(sql, &[run.into(), (*metric).into()]).await? {
            points.extend(decode_chunk(&row.bytes("body")?)?);
        }
        in_order(&mut points);
        if let Some(known) = document.metric_mut(*metric) {
            let mut statistics = Statistics::of(known.latest);
            let others = points.into_iter().filter(|point| *point != known.latest);
            others.for_each(|point| statistics.add(point));
            known.statistics = (statistics.count + statistics.nans > 1).then(|| Box::new(statistics));
        }
    }
    let change = next_change(session).await?;
    let sql = "UPDATE tracked_run SET document = $2, changed = $3 WHERE number = $1";
    session.execute(sql, &[run.into(), document.encode().into(), change.into()]).await.map(drop)
}
