//! Points, parameters and tags: written in one transaction, read by page.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Session, Value};

use super::models::{ModelMetric, log_model_metrics};
use super::run::{lock_active_run, set_tag};
use super::{MetricRow, Refusal, Text, metric_row};

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

/// Points in one statement.
const CHUNK: usize = 100;

impl Metastore {
    /// Logs points, parameters and tags of a run: all of them or, with an error, none.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such run, it is deleted, or a parameter may not change; if the database fails.
    pub async fn log_tracked_batch(&self, run_id: String, batch: TrackedBatch) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_active_run(session, &run_id).await?;
                for (family, name, content) in &batch.texts {
                    match (family.as_str(), batch.params) {
                        ("tag", _) => set_tag(session, &run_id, name, content).await?,
                        (_, ParamRule::Keep) => keep_param(session, &run_id, name, content).await?,
                        (_, ParamRule::Replace) => replace_param(session, &run_id, name, content).await?,
                    }
                }
                for points in batch.metrics.chunks(CHUNK) {
                    insert_points(session, &run_id, points).await?;
                }
                let latest = latest_of(&batch.metrics);
                for points in latest.chunks(CHUNK) {
                    upsert_latest(session, &run_id, points).await?;
                }
                log_model_metrics(session, &run_id, &batch.model_metrics).await
            })
        })
        .await
    }

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
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> =
                    vec![run_id.as_str().into(), name.as_str().into(), limit.into()];
                let mut beyond = "";
                if let Some(after) = after {
                    let (number, is_nan) = after.columns();
                    args.extend([
                        after.logged_at.into(),
                        after.step.into(),
                        number.into(),
                        is_nan.into(),
                    ]);
                    beyond = "AND (logged_at, step, number, is_nan) > ($4, $5, $6, $7)";
                }
                let sql = format!(
                    "SELECT name, step, logged_at, number, is_nan FROM tracked_metric WHERE run_id = $1 AND name = $2 {beyond} \
                     ORDER BY logged_at, step, number, is_nan LIMIT $3"
                );
                let rows = session.fetch_all(&sql, &args).await?;
                rows.iter().map(metric_row).collect()
            })
        })
        .await
    }
}

async fn replace_param(
    session: &mut Session,
    run_id: &str,
    name: &str,
    content: &str,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO tracked_text (run_id, family, name, content) VALUES ($1, 'param', $2, $3) \
               ON CONFLICT (run_id, family, name) DO UPDATE SET content = excluded.content";
    session.execute(sql, &[run_id.into(), name.into(), content.into()]).await.map(drop)
}

async fn keep_param(
    session: &mut Session,
    run_id: &str,
    name: &str,
    content: &str,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO tracked_text (run_id, family, name, content) VALUES ($1, 'param', $2, $3) \
               ON CONFLICT (run_id, family, name) DO NOTHING";
    if session.execute(sql, &[run_id.into(), name.into(), content.into()]).await? == 1 {
        return Ok(());
    }
    let sql = "SELECT content FROM tracked_text WHERE run_id = $1 AND family = 'param' AND name = $2";
    let row = session.fetch_optional(sql, &[run_id.into(), name.into()]).await?;
    match row.map(|row| row.text("content")).transpose()? {
        Some(old) if old != content => Err(Refusal::ParamChanged {
            run_id: run_id.to_owned(),
            key: name.to_owned(),
            old,
            new: content.to_owned(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// The greatest point of each metric by step, time and number, as the columns have it: "not a number" counts as 0.
fn latest_of(points: &[MetricRow]) -> Vec<MetricRow> {
    let rank = |point: &MetricRow| (point.step, point.logged_at, point.columns().0);
    let mut order = Vec::new();
    let mut latest: HashMap<&str, &MetricRow> = HashMap::new();
    for point in points {
        match latest.get(point.name.as_str()) {
            Some(known) if rank(point) <= rank(known) => {}
            known => {
                if known.is_none() {
                    order.push(point.name.as_str());
                }
                latest.insert(&point.name, point);
            }
        }
    }
    order.into_iter().filter_map(|name| latest.get(name).map(|point| (*point).clone())).collect()
}

/// `($1, $2, …), ($1, $8, …)` and the values of points; `$1` is the run.
fn rows_of<'a>(run_id: &'a str, points: &'a [MetricRow]) -> (String, Vec<Value<'a>>) {
    let mut args: Vec<Value<'a>> = vec![run_id.into()];
    let mut rows = Vec::with_capacity(points.len());
    for point in points {
        let (number, is_nan) = point.columns();
        let from = args.len() + 1;
        rows.push(format!("($1, {})", super::placeholders(from, 5)));
        args.extend([
            point.name.as_str().into(),
            point.logged_at.into(),
            point.step.into(),
            number.into(),
            is_nan.into(),
        ]);
    }
    (rows.join(", "), args)
}

async fn insert_points(
    session: &mut Session,
    run_id: &str,
    points: &[MetricRow],
) -> Result<(), MetastoreError> {
    let (rows, args) = rows_of(run_id, points);
    let sql = format!(
        "INSERT INTO tracked_metric (run_id, name, logged_at, step, number, is_nan) VALUES {rows} ON CONFLICT DO NOTHING"
    );
    session.execute(&sql, &args).await.map(drop)
}

async fn upsert_latest(
    session: &mut Session,
    run_id: &str,
    points: &[MetricRow],
) -> Result<(), MetastoreError> {
    let (rows, args) = rows_of(run_id, points);
    let sql = format!(
        "INSERT INTO tracked_latest (run_id, name, logged_at, step, number, is_nan) VALUES {rows} \
         ON CONFLICT (run_id, name) DO UPDATE SET logged_at = excluded.logged_at, step = excluded.step, \
         number = excluded.number, is_nan = excluded.is_nan \
         WHERE (excluded.step, excluded.logged_at, excluded.number) > (tracked_latest.step, tracked_latest.logged_at, tracked_latest.number)"
    );
    session.execute(&sql, &args).await.map(drop)
}
