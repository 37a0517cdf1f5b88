//! Experiments that come from elsewhere, and everything that there is of them, deleted or not.

use crate::imports::{EXPERIMENT, note_name};
use crate::{Metastore, MetastoreError, Session, Value};

use super::experiment::{SELECT_EXPERIMENT, experiment_full, read_tags};
use super::linked::read_linked;
use super::points::read_points;
use super::{
    ExperimentFull, ImportedRun, Keys, MetricRow, NAME_TAG, PARENT_TAG, SELECT_RUN, placeholders, run_rows,
};

/// The default experiment, which every store has.
const DEFAULT: i64 = 0;
/// Points of runs that are read together, unless one run has more.
const MANY: usize = 200_000;

impl Metastore {
    /// Records an experiment of a source under its number, or under the next one if that is taken, and gives the number. The default
    /// experiment is joined with ours; of its tags those are added that ours has not.
    ///
    /// # Errors
    /// If its name is taken or the database fails.
    pub async fn import_experiment(
        &self,
        identity: String,
        number: i64,
        experiment: ExperimentFull,
    ) -> Result<i64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let here = match experiment.id {
                    DEFAULT => DEFAULT,
                    _ => insert(session, &experiment).await?,
                };
                for (key, value) in &experiment.tags {
                    let sql = "INSERT INTO experiment_text (experiment_id, family, name, content) VALUES ($1, 'tag', $2, $3) \
                               ON CONFLICT (experiment_id, family, name) DO NOTHING";
                    session.execute(sql, &[here.into(), key.as_str().into(), value.as_str().into()]).await?;
                }
                note_name(session, &identity, (EXPERIMENT, &number.to_string()), &here.to_string()).await?;
                Ok(here)
            })
        })
        .await
    }

    /// Takes note that an experiment of a source is one that is here.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_imported_experiment(
        &self,
        identity: String,
        number: i64,
        here: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                note_name(session, &identity, (EXPERIMENT, &number.to_string()), &here.to_string()).await
            })
        })
        .await
    }

    /// All experiments, deleted ones too, by number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_every_experiment(&self) -> Result<Vec<ExperimentFull>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!("{SELECT_EXPERIMENT} FROM experiment AS this ORDER BY this.id");
                let rows = session.fetch_all(&sql, &[]).await?;
                let mut found = rows.iter().map(experiment_full).collect::<Result<Vec<_>, _>>()?;
                for experiment in &mut found {
                    read_tags(session, experiment).await?;
                }
                Ok(found)
            })
        })
        .await
    }

    /// Runs with everything that they logged, in any order; those that are absent are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_whole_runs(&self, ids: Vec<String>) -> Result<Vec<ImportedRun>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let args: Vec<Value<'_>> = ids.iter().map(Into::into).collect();
                let condition = format!("this.id IN ({})", placeholders(1, ids.len().max(1)));
                if ids.is_empty() { Ok(Vec::new()) } else { whole(session, &keys, &condition, &args).await }
            })
        })
        .await
    }

    /// Runs with everything that they logged, deleted or not, that come after a number; each with its number. `limit` at most, and fewer if
    /// they have many points.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_whole_runs(
        &self,
        experiments: Vec<i64>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(i64, ImportedRun)>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                if experiments.is_empty() {
                    return Ok(Vec::new());
                }
                let sql = format!(
                    "SELECT number, id FROM tracked_run WHERE number > $1 AND experiment_id IN ({}) ORDER BY number LIMIT {limit}",
                    placeholders(2, experiments.len())
                );
                let mut args: Vec<Value<'_>> = vec![after.into()];
                args.extend(experiments.iter().map(|id| Value::from(*id)));
                let (mut found, mut points) = (Vec::new(), 0);
                for row in session.fetch_all(&sql, &args).await? {
                    let id = row.text("id")?;
                    let runs = whole(session, &keys, "this.id = $1", &[id.into()]).await?;
                    let number = row.int("number")?;
                    points += runs.iter().map(|run| run.points.len()).sum::<usize>();
                    found.extend(runs.into_iter().map(|run| (number, run)));
                    if points >= MANY {
                        break;
                    }
                }
                Ok(found)
            })
        })
        .await
    }
}

async fn insert(session: &mut Session, experiment: &ExperimentFull) -> Result<i64, MetastoreError> {
    if session.is_postgres() {
        // Two transactions must not take the same next number.
        session.execute("LOCK TABLE experiment IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    }
    let sql = "SELECT id FROM experiment WHERE id = $1";
    let taken = session.fetch_optional(sql, &[experiment.id.into()]).await?.is_some();
    let id = if taken { "(SELECT MAX(id) + 1 FROM experiment)" } else { "$1" };
    let sql = format!(
        "INSERT INTO experiment (id, name, created_at, updated_at, lifecycle, artifact_location) \
         SELECT COALESCE({id}, $1), $2, $3, $4, $5, $6 RETURNING id"
    );
    let args = [
        experiment.id.into(),
        experiment.name.as_str().into(),
        experiment.created_at.into(),
        experiment.updated_at.into(),
        if experiment.deleted { "deleted" } else { "active" }.into(),
        experiment.artifact_location.as_deref().into(),
    ];
    let row = session.fetch_optional(&sql, &args).await?;
    row.ok_or_else(|| MetastoreError::stale("an experiment was not stored"))?.int("id")
}

/// Rows with all their points and links.
async fn whole(
    session: &mut Session,
    keys: &Keys,
    condition: &str,
    args: &[Value<'_>],
) -> Result<Vec<ImportedRun>, MetastoreError> {
    let sql = format!(
        "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id WHERE {condition}"
    );
    let rows = session.fetch_all(&sql, args).await?;
    let rows = run_rows(session, keys, &rows).await?;
    let mut linked = read_linked(session, rows.iter().map(|row| row.id.clone()).collect()).await?;
    let mut found = Vec::with_capacity(rows.len());
    for mut row in rows {
        let values = std::mem::take(&mut row.values);
        let mut tags = values.tags;
        tags.push((NAME_TAG.to_owned(), row.name.clone()));
        tags.extend(row.parent_id.clone().map(|parent| (PARENT_TAG.to_owned(), parent)));
        let points = read_points(session, &row.id, None).await?;
        let names = keys.names(session, &points.keys().copied().collect()).await?;
        let rows_of = |(key, points): (u32, Vec<super::Point>)| {
            let name = names.get(&key).map(ToString::to_string).unwrap_or_default();
            points.into_iter().map(move |point| MetricRow::of(&name, point)).collect::<Vec<_>>()
        };
        let datasets = linked.datasets.extract_if(.., |(owner, _)| *owner == row.id);
        let datasets = datasets.map(|(_, data)| data).collect();
        let models = linked.models.extract_if(.., |(owner, _)| *owner == row.id);
        let models = models.map(|(_, link)| link).collect();
        found.push(ImportedRun {
            points: points.into_iter().flat_map(rows_of).collect(),
            params: values.params,
            tags,
            datasets,
            models,
            row,
        });
    }
    Ok(found)
}
