//! Purging experiments.

use crate::traces::TraceRange;
use crate::{Metastore, MetastoreError, Session};

use super::{BATCH, Kept, PurgeRule, Purged};
use crate::experiments::Refusal;
use crate::experiments::experiment::{lifecycle, mark};

impl Metastore {
    /// Purges an experiment with its runs, logged models and traces. Its name is free afterwards.
    ///
    /// # Errors
    /// [`Refusal`] if there is none, it is the default one, it is not deleted and the rule asks for that, or a pipeline run that is not
    /// over writes to it; if the database fails. Some of it may be gone then, and the rest is deleted and can be purged again.
    pub async fn purge_experiment(
        &self,
        id: i64,
        rule: PurgeRule,
        now: i64,
    ) -> Result<Purged, MetastoreError> {
        if id == 0 {
            return Err(Refusal::DefaultExperiment.into());
        }
        self.write(move |session| Box::pin(begin(session, id, rule, now))).await?;
        let mut purged = Purged::default();
        loop {
            let ids = self.some_ids("tracked_run", id).await?;
            if ids.is_empty() {
                break;
            }
            let gone = self.purge_runs(ids, PurgeRule::Any, now).await?;
            if let Some((id, _)) = gone.kept.iter().find(|(_, why)| *why == Kept::InUse) {
                return Err(Refusal::RunInUse { id: id.clone() }.into());
            }
            purged.add(Purged { kept: Vec::new(), ..gone });
        }
        loop {
            let ids = self.some_ids("logged_model", id).await?;
            if ids.is_empty() {
                break;
            }
            let gone = self.purge_logged_models(ids, PurgeRule::Any, now).await?;
            purged.add(Purged { kept: Vec::new(), ..gone });
        }
        let traces = self.delete_traces(id, TraceRange::Until { until_ms: None, most: None }).await?;
        purged.traces = traces.unsigned_abs();
        self.write(move |session| Box::pin(finish(session, id))).await?;
        Ok(purged)
    }

    /// Ids of a table's rows that are of a deleted experiment.
    async fn some_ids(&self, table: &'static str, experiment: i64) -> Result<Vec<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                require_deleted(session, experiment).await?;
                let sql = format!("SELECT id FROM {table} WHERE experiment_id = $1 LIMIT {BATCH}");
                let rows = session.fetch_all(&sql, &[experiment.into()]).await?;
                rows.iter().map(|row| row.text("id")).collect()
            })
        })
        .await
    }
}

/// Nothing new comes into a deleted experiment.
async fn begin(session: &mut Session, id: i64, rule: PurgeRule, now: i64) -> Result<(), MetastoreError> {
    let state = lifecycle(session, id).await?;
    let sql = "SELECT run.id FROM pipeline_run AS pipeline JOIN tracked_run AS run ON run.id = pipeline.id \
               WHERE pipeline.state IN ('queued', 'running') AND run.experiment_id = $1 \
               UNION ALL SELECT run.id FROM pipeline_run AS pipeline JOIN tracked_run AS run ON run.parent_id = pipeline.id \
               WHERE pipeline.state IN ('queued', 'running') AND run.experiment_id = $1 LIMIT 1";
    if let Some(row) = session.fetch_optional(sql, &[id.into()]).await? {
        return Err(Refusal::RunInUse { id: row.text("id")? }.into());
    }
    match (state.as_str(), rule) {
        ("deleted", _) => Ok(()),
        (_, PurgeRule::Any) => mark(session, id, "deleted", now).await,
        (_, PurgeRule::Deleted | PurgeRule::Unreferenced) => Err(Refusal::ExperimentActive { id }.into()),
    }
}

async fn require_deleted(session: &mut Session, id: i64) -> Result<(), MetastoreError> {
    match lifecycle(session, id).await?.as_str() {
        "deleted" => Ok(()),
        _ => Err(Refusal::ExperimentActive { id }.into()),
    }
}

/// Takes the experiment itself, if nothing came meanwhile.
async fn finish(session: &mut Session, id: i64) -> Result<(), MetastoreError> {
    if session.is_postgres() {
        // Waits for who is adding something to it.
        let sql = "SELECT id FROM experiment WHERE id = $1 FOR UPDATE";
        session.fetch_all(sql, &[id.into()]).await?;
    }
    require_deleted(session, id).await?;
    let sql = "SELECT id FROM tracked_run WHERE experiment_id = $1 UNION ALL SELECT id FROM logged_model WHERE experiment_id = $1 LIMIT 1";
    if session.fetch_optional(sql, &[id.into()]).await?.is_some() {
        return Err(MetastoreError::stale(format!(
            "something was added to the experiment {id} while it was purged; purge it again"
        )));
    }
    session.execute("DELETE FROM eval_dataset_experiment WHERE experiment_id = $1", &[id.into()]).await?;
    session.execute("DELETE FROM retention WHERE experiment_id = $1", &[id.into()]).await?;
    session.execute("DELETE FROM experiment WHERE id = $1", &[id.into()]).await?;
    let sql = "UPDATE experiment_gone SET greatest = $1 WHERE id = 1 AND greatest < $1";
    session.execute(sql, &[id.into()]).await.map(drop)
}
