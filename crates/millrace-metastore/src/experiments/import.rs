//! Runs that were tracked elsewhere, with their ids, times and all their points.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Metastore, MetastoreError, Session, Value};

use super::document::{Document, Point};
use super::garbage::revive;
use super::keys::Numbered;
use super::linked::{DatasetInput, ModelLink, link_statements};
use super::pack::{Chunk, full_chunks, store_chunks};
use super::points::in_order;
use super::{MetricRow, NAME_TAG, PARENT_TAG, TrackedRunRow, next_change, placeholders};

/// A run with everything that it logged. `row.values` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct ImportedRun {
    /// The run.
    pub row: TrackedRunRow,
    /// All points of all metrics.
    pub points: Vec<MetricRow>,
    /// Parameters.
    pub params: Vec<(String, String)>,
    /// Tags; the two that are columns go there.
    pub tags: Vec<(String, String)>,
    /// Datasets that it read.
    pub datasets: Vec<DatasetInput>,
    /// Models that it read or made.
    pub models: Vec<ModelLink>,
}

/// Rows in one statement.
const CHUNK: usize = 100;

impl Metastore {
    /// Records runs in one transaction; gives how many were new. A run that is there already stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_tracked_runs(&self, runs: Vec<ImportedRun>) -> Result<usize, MetastoreError> {
        let keys = self.keys();
        self.write(move |session| {
            Box::pin(async move {
                let names: BTreeSet<&str> = runs.iter().flat_map(names_of).collect();
                let numbered = keys.ensure(session, names).await?;
                let prepared: Vec<Prepared<'_>> = runs.iter().map(|run| prepare(run, &numbered)).collect();
                let changed = next_change(session).await?;
                let mut new = 0;
                for runs in prepared.chunks(CHUNK) {
                    new += insert(session, runs, changed).await?;
                }
                Ok(new)
            })
        })
        .await
    }
}

fn names_of(run: &ImportedRun) -> impl Iterator<Item = &str> {
    let points = run.points.iter().map(|point| point.name.as_str());
    let tags = run.tags.iter().filter(|(name, _)| !matches!(name.as_str(), NAME_TAG | PARENT_TAG));
    points.chain(run.params.iter().chain(tags).map(|(name, _)| name.as_str()))
}

struct Prepared<'a> {
    run: &'a ImportedRun,
    row: &'a TrackedRunRow,
    name: &'a str,
    parent: Option<&'a str>,
    document: Vec<u8>,
    /// Points that are not the latest, by metric.
    rest: BTreeMap<u32, Vec<Point>>,
}

fn prepare<'a>(run: &'a ImportedRun, numbered: &Numbered) -> Prepared<'a> {
    let number = |name: &str| numbered.get(name).copied().unwrap_or_default();
    let mut document = Document::default();
    let mut points: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
    for row in &run.points {
        points.entry(number(&row.name)).or_default().push(row.point());
    }
    let mut rest: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
    for (key, points) in &mut points {
        // Without repeats, so that statistics are exact.
        in_order(points);
        let displaced: Vec<Point> = points.iter().filter_map(|point| document.log(*key, *point)).collect();
        if !displaced.is_empty() {
            rest.insert(*key, displaced);
        }
    }
    rest.values_mut().for_each(in_order);
    let (mut name, mut parent) = (run.row.name.as_str(), run.row.parent_id.as_deref());
    for (key, value) in &run.tags {
        match key.as_str() {
            NAME_TAG => name = value,
            PARENT_TAG => parent = Some(value),
            _ => document.set_tag(number(key), value.clone()),
        }
    }
    for (key, value) in &run.params {
        document.set_param(number(key), value.clone());
    }
    Prepared { run, row: &run.row, name, parent, document: document.encode(), rest }
}

async fn insert(session: &mut Session, runs: &[Prepared<'_>], changed: i64) -> Result<usize, MetastoreError> {
    let ids: Vec<&str> = runs.iter().map(|run| run.row.id.as_str()).collect();
    revive(session, &ids).await?;
    let mut args: Vec<Value<'_>> = vec![changed.into()];
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        rows.push(format!("({}, $1)", placeholders(args.len() + 1, 10)));
        let lifecycle = if run.row.deleted { "deleted" } else { "active" };
        args.extend([
            run.row.id.as_str().into(),
            run.row.experiment_id.into(),
            run.parent.into(),
            run.name.into(),
            run.row.status.as_str().into(),
            run.row.started_at.into(),
            run.row.ended_at.into(),
            run.row.user_id.as_str().into(),
            lifecycle.into(),
            run.document.as_slice().into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO tracked_run (id, experiment_id, parent_id, name, status, started_at, ended_at, user_id, lifecycle, document, changed) \
         VALUES {} ON CONFLICT (id) DO NOTHING RETURNING number, id",
        rows.join(", ")
    );
    let inserted = session.fetch_all(&sql, &args).await?;
    let numbers = inserted.iter().map(|row| Ok((row.text("id")?, row.int("number")?)));
    let numbers: HashMap<String, i64> = numbers.collect::<Result<_, MetastoreError>>()?;
    for run in runs {
        let Some(number) = numbers.get(&run.row.id) else { continue };
        let chunks: Vec<Chunk> =
            run.rest.iter().flat_map(|(metric, points)| full_chunks(*metric, 0, points)).collect();
        store_chunks(session, *number, &chunks).await?;
        let ImportedRun { row, datasets, models, .. } = run.run;
        if !(datasets.is_empty() && models.is_empty()) {
            session.execute_all(link_statements(row.experiment_id, &row.id, datasets, models)).await?;
        }
    }
    Ok(numbers.len())
}
