//! Rules of retention as documents, and what they are evaluated over.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Metastore, MetastoreError, Session, Value};

use super::placeholders;

/// In the place of an experiment: the default of those without rules of their own.
pub const ALL_EXPERIMENTS: i64 = -1;
/// Ids in one statement.
const CHUNK: usize = 200;

impl Metastore {
    /// The documents of all rules, by experiment; [`ALL_EXPERIMENTS`] is the default.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_retention(&self) -> Result<BTreeMap<i64, String>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let rows = session.fetch_all("SELECT experiment_id, document FROM retention", &[]).await?;
                rows.iter().map(|row| Ok((row.int("experiment_id")?, row.text("document")?))).collect()
            })
        })
        .await
    }

    /// Sets the rules of an experiment; without a document it has none of its own any more.
    ///
    /// # Errors
    /// [`super::Refusal::NoExperiment`], or if the database fails.
    pub async fn set_retention(
        &self,
        experiment: i64,
        document: Option<String>,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if experiment != ALL_EXPERIMENTS {
                    super::experiment::lifecycle(session, experiment).await?;
                }
                let Some(document) = document else {
                    let sql = "DELETE FROM retention WHERE experiment_id = $1";
                    return session.execute(sql, &[experiment.into()]).await.map(drop);
                };
                let sql = "INSERT INTO retention (experiment_id, document, updated_at) VALUES ($1, $2, $3) \
                           ON CONFLICT (experiment_id) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at";
                let args = [experiment.into(), document.as_str().into(), now.into()];
                session.execute(sql, &args).await.map(drop)
            })
        })
        .await
    }

    /// Those of these runs that a version of a registered model, a deployment or a pipeline run that is not over refers to.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_referenced_runs(&self, ids: Vec<String>) -> Result<BTreeSet<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let mut found = BTreeSet::new();
                for ids in ids.chunks(CHUNK) {
                    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                    found.extend(referenced(session, &ids).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// Deletes runs, which can be restored; those that are deleted or gone stay so. Gives how many were deleted.
    ///
    /// # Errors
    /// If the database fails; some of them may be deleted then.
    pub async fn delete_tracked_runs(&self, ids: Vec<String>, now: i64) -> Result<u64, MetastoreError> {
        self.mark_runs(ids, "deleted", Some(now)).await
    }

    /// Restores deleted runs; those that are not deleted or gone stay so. Gives how many were restored.
    ///
    /// # Errors
    /// If the database fails; some of them may be restored then.
    pub async fn restore_tracked_runs(&self, ids: Vec<String>) -> Result<u64, MetastoreError> {
        self.mark_runs(ids, "active", None).await
    }

    async fn mark_runs(
        &self,
        ids: Vec<String>,
        lifecycle: &'static str,
        deleted_at: Option<i64>,
    ) -> Result<u64, MetastoreError> {
        let ids: Vec<String> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut marked = 0;
        for ids in ids.chunks(CHUNK) {
            let ids = ids.to_vec();
            let done = self.write(move |session| {
                Box::pin(async move { mark(session, &ids, lifecycle, deleted_at).await })
            });
            marked += done.await?;
        }
        Ok(marked)
    }

    /// Runs of an experiment that were deleted before a time, the one that was deleted first first. One of which it is not known when it
    /// was deleted counts from now on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_runs_deleted_before(
        &self,
        experiment: i64,
        before: i64,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<(i64, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let (from, id) = after.unwrap_or((i64::MIN, String::new()));
                let sql = "SELECT id, deleted_at FROM tracked_run WHERE lifecycle = 'deleted' AND deleted_at < $2 \
                           AND experiment_id = $1 AND (deleted_at > $3 OR (deleted_at = $3 AND id > $4)) \
                           ORDER BY deleted_at, id LIMIT $5";
                let args = [experiment.into(), before.into(), from.into(), id.as_str().into(), limit.into()];
                let rows = session.fetch_all(sql, &args).await?;
                rows.iter().map(|row| Ok((row.int("deleted_at")?, row.text("id")?))).collect()
            })
        })
        .await
    }

    /// Begins to count for what was deleted before it was written down when.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn date_deleted_runs(&self, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for table in ["tracked_run", "experiment"] {
                    let sql = format!("UPDATE {table} SET deleted_at = $1 WHERE lifecycle = 'deleted' AND deleted_at IS NULL");
                    session.execute(&sql, &[now.into()]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Logged models of an experiment that were deleted before a time and that no version of a registered model is of.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_models_deleted_before(
        &self,
        experiment: i64,
        before: i64,
        limit: i64,
    ) -> Result<Vec<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                // Nothing but its deletion changes a deleted model.
                let sql = "SELECT id FROM logged_model WHERE experiment_id = $1 AND lifecycle = 'deleted' AND updated_at < $2 \
                           AND NOT EXISTS (SELECT 1 FROM model_version WHERE model_version.model_id = logged_model.id) \
                           ORDER BY id LIMIT $3";
                let rows = session.fetch_all(sql, &[experiment.into(), before.into(), limit.into()]).await?;
                rows.iter().map(|row| row.text("id")).collect()
            })
        })
        .await
    }

    /// Whether a version of a registered model or a deployment refers to a run or logged model of an experiment.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_experiment_referenced(&self, experiment: i64) -> Result<bool, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT 1 AS found FROM model_version AS version JOIN tracked_run AS run ON run.id = version.run_id \
                           WHERE run.experiment_id = $1 \
                           UNION ALL SELECT 1 FROM model_version AS version JOIN logged_model AS model ON model.id = version.model_id \
                           WHERE model.experiment_id = $1 \
                           UNION ALL SELECT 1 FROM deployment JOIN tracked_run AS run ON run.id = deployment.run_id \
                           WHERE run.experiment_id = $1 LIMIT 1";
                Ok(session.fetch_optional(sql, &[experiment.into()]).await?.is_some())
            })
        })
        .await
    }
}

/// Those of these runs that something that is kept refers to.
pub(super) async fn referenced(
    session: &mut Session,
    ids: &[&str],
) -> Result<BTreeSet<String>, MetastoreError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let marks = placeholders(1, ids.len());
    let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
    let sql = format!(
        "SELECT run_id AS id FROM model_version WHERE run_id IN ({marks}) \
         UNION SELECT model.source_run_id FROM logged_model AS model JOIN model_version AS version ON version.model_id = model.id \
         WHERE model.source_run_id IN ({marks}) \
         UNION SELECT run_id FROM deployment WHERE run_id IN ({marks}) \
         UNION SELECT id FROM pipeline_run WHERE state IN ('queued', 'running') AND id IN ({marks}) \
         UNION SELECT run.id FROM tracked_run AS run JOIN pipeline_run AS pipeline ON pipeline.id = run.parent_id \
         WHERE pipeline.state IN ('queued', 'running') AND run.id IN ({marks})"
    );
    session.fetch_all(&sql, &args).await?.iter().map(|row| row.text("id")).collect()
}

/// `ids` in order, as everywhere where runs are held.
async fn mark(
    session: &mut Session,
    ids: &[String],
    lifecycle: &'static str,
    deleted_at: Option<i64>,
) -> Result<u64, MetastoreError> {
    let marks = placeholders(1, ids.len());
    let mut args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
    if session.is_postgres() {
        let sql = format!("SELECT number FROM tracked_run WHERE id IN ({marks}) ORDER BY id FOR UPDATE");
        session.fetch_all(&sql, &args).await?;
    }
    let changed = super::next_change(session).await?;
    let (state, at, change) = (ids.len() + 1, ids.len() + 2, ids.len() + 3);
    args.extend([lifecycle.into(), deleted_at.into(), changed.into()]);
    let sql = format!(
        "UPDATE tracked_run SET lifecycle = ${state}, deleted_at = ${at}, changed = ${change} \
         WHERE lifecycle <> ${state} AND id IN ({marks})"
    );
    session.execute(&sql, &args).await
}
