//! The points of a metric, wherever they are: in chunks of its series, in the journal, and the latest in the run's document.

use std::collections::BTreeMap;

use crate::{Metastore, MetastoreError, Session, Value};

use super::MetricRow;
use super::document::{Document, Point};
use super::series::{decode_chunk, decode_journal};

impl Metastore {
    /// Points of one metric of a run by time, step and number, after the point `after`, `limit` at most.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_metric_history(
        &self,
        run_id: String,
        name: String,
        after: Option<MetricRow>,
        limit: i64,
    ) -> Result<Vec<MetricRow>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let Some(key) = keys.id(session, &name).await? else { return Ok(Vec::new()) };
                let points = read_points(session, &run_id, Some(key)).await?.remove(&key).unwrap_or_default();
                let after = after.map(|row| row.point().in_history());
                let begins =
                    points.partition_point(|point| after.is_some_and(|after| point.in_history() <= after));
                let rest = points.get(begins..).unwrap_or_default().iter();
                Ok(rest
                    .take(usize::try_from(limit).unwrap_or(0))
                    .map(|point| MetricRow::of(&name, *point))
                    .collect())
            })
        })
        .await
    }

    /// The histories of one metric of several runs, in the order of the ids; a run without the metric has none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_metric_histories(
        &self,
        run_ids: Vec<String>,
        name: String,
    ) -> Result<Vec<(String, Vec<MetricRow>)>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let Some(key) = keys.id(session, &name).await? else { return Ok(Vec::new()) };
                let mut histories = Vec::with_capacity(run_ids.len());
                for run_id in run_ids {
                    let points = read_points(session, &run_id, Some(key)).await?.remove(&key);
                    let rows =
                        points.unwrap_or_default().into_iter().map(|point| MetricRow::of(&name, point));
                    histories.push((run_id, rows.collect()));
                }
                Ok(histories)
            })
        })
        .await
    }

    /// All points of a run, or those of one metric: by name, step and time.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tracked_metrics(
        &self,
        run_id: String,
        name: Option<String>,
    ) -> Result<Vec<MetricRow>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let key = match &name {
                    None => None,
                    Some(name) => match keys.id(session, name).await? {
                        None => return Ok(Vec::new()),
                        found => found,
                    },
                };
                let found = read_points(session, &run_id, key).await?;
                let names = keys.names(session, &found.keys().copied().collect()).await?;
                let mut rows: Vec<MetricRow> = found
                    .iter()
                    .filter_map(|(key, points)| Some((names.get(key)?, points)))
                    .flat_map(|(name, points)| points.iter().map(|point| MetricRow::of(name, *point)))
                    .collect();
                rows.sort_by(|a, b| {
                    (&a.name, a.step, a.logged_at)
                        .cmp(&(&b.name, b.step, b.logged_at))
                        .then(a.number.total_cmp(&b.number))
                });
                Ok(rows)
            })
        })
        .await
    }
}

/// Points by metric, each in the order of a history and once; of one metric, or of all.
pub(super) async fn read_points(
    session: &mut Session,
    run_id: &str,
    key: Option<u32>,
) -> Result<BTreeMap<u32, Vec<Point>>, MetastoreError> {
    let mut found: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
    let sql = "SELECT number, document FROM tracked_run WHERE id = $1";
    let Some(run) = session.fetch_optional(sql, &[run_id.into()]).await? else { return Ok(found) };
    let number = run.int("number")?;
    // The journal before the chunks and the document first of all: a packer at work in between only moves points on, so none is missed.
    let document = Document::decode(&run.bytes("document")?)?;
    let sql = "SELECT body FROM tracked_journal WHERE run = $1";
    let mut journal = Vec::new();
    for row in session.fetch_all(sql, &[number.into()]).await? {
        decode_journal(&row.bytes("body")?, &mut journal)?;
    }
    let (one, mut args): (_, Vec<Value<'_>>) = match key {
        Some(_) => (" AND metric = $2", vec![number.into()]),
        None => ("", vec![number.into()]),
    };
    args.extend(key.map(Value::from));
    let sql = format!("SELECT metric, body FROM tracked_series WHERE run = $1{one}");
    for row in session.fetch_all(&sql, &args).await? {
        let metric = u32::try_from(row.int("metric")?).unwrap_or_default();
        found.entry(metric).or_default().extend(decode_chunk(&row.bytes("body")?)?);
    }
    let latest = document.metrics.iter().map(|(key, metric)| (*key, metric.latest));
    for (metric, point) in journal.into_iter().chain(latest) {
        if key.is_none_or(|key| key == metric) {
            found.entry(metric).or_default().push(point);
        }
    }
    found.values_mut().for_each(in_order);
    Ok(found)
}

/// Sorts points as a history has them and drops repeats.
pub(super) fn in_order(points: &mut Vec<Point>) {
    points.sort_by_key(Point::in_history);
    points.dedup();
}
