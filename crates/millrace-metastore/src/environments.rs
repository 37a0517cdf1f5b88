//! Which run has an exclusive environment: a row that counts as long as its run is open.

use crate::{Metastore, MetastoreError, Row};

/// Who has an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentHold {
    /// Environment.
    pub environment: String,
    /// The run that has it.
    pub run_id: String,
    /// Pipeline of the run.
    pub pipeline: String,
    /// The step that took it.
    pub step: String,
    /// Microseconds since 1970.
    pub taken_at: i64,
}

const OPEN: &str = "SELECT h.environment, h.run_id, r.pipeline, h.step, h.taken_at FROM environment_hold h \
                    JOIN pipeline_run r ON r.id = h.run_id WHERE r.state IN ('queued', 'running')";

impl Metastore {
    /// Gives an environment to a run, unless another open run has it: then that one is returned.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_environment(
        &self,
        environment: String,
        run_id: String,
        step: String,
        now: i64,
    ) -> Result<Option<EnvironmentHold>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO environment_hold (environment, run_id, step, taken_at) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (environment) DO UPDATE SET run_id = excluded.run_id, step = excluded.step, \
                           taken_at = excluded.taken_at WHERE environment_hold.run_id <> excluded.run_id AND NOT EXISTS \
                           (SELECT 1 FROM pipeline_run r WHERE r.id = environment_hold.run_id AND r.state IN ('queued', 'running'))";
                let args = [(&environment).into(), (&run_id).into(), (&step).into(), now.into()];
                session.execute(sql, &args).await?;
                let sql = format!("{OPEN} AND h.environment = $1");
                let found = session.fetch_optional(&sql, &[(&environment).into()]).await?;
                let holder = found.as_ref().map(hold).transpose()?;
                Ok(holder.filter(|holder| holder.run_id != run_id))
            })
        })
        .await
    }

    /// Environments that open runs have, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_environment_holds(&self) -> Result<Vec<EnvironmentHold>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!("{OPEN} ORDER BY h.environment");
                session.fetch_all(&sql, &[]).await?.iter().map(hold).collect()
            })
        })
        .await
    }
}

fn hold(row: &Row) -> Result<EnvironmentHold, MetastoreError> {
    Ok(EnvironmentHold {
        environment: row.text("environment")?,
        run_id: row.text("run_id")?,
        pipeline: row.text("pipeline")?,
        step: row.text("step")?,
        taken_at: row.int("taken_at")?,
    })
}
