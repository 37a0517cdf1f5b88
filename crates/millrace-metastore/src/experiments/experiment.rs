//! Experiments, as MLflow's clients make, change and delete them.

use crate::{Metastore, MetastoreError, Row, Session};

use super::{Refusal, Text};

/// An experiment with its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentFull {
    /// From 0, which is `Default`.
    pub id: i64,
    /// Name, unique among deleted ones too.
    pub name: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Since when, microseconds since 1970.
    pub deleted_at: Option<i64>,
    /// Where its runs keep files, if not here.
    pub artifact_location: Option<String>,
    /// Tags.
    pub tags: Vec<(String, String)>,
}

pub(super) const SELECT_EXPERIMENT: &str = "SELECT this.id, this.name, this.created_at, this.updated_at, this.lifecycle, this.deleted_at, this.artifact_location";

impl Metastore {
    /// Makes an experiment and gives its id.
    ///
    /// # Errors
    /// [`Refusal::NameTaken`], or if the database fails.
    pub async fn create_experiment(
        &self,
        name: String,
        artifact_location: Option<String>,
        tags: Vec<(String, String)>,
        now: i64,
    ) -> Result<i64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_free_name(session, &name).await?;
                let id = insert_experiment(session, &name, artifact_location.as_deref(), now).await?;
                for (key, value) in &tags {
                    set_tag(session, id, key, value).await?;
                }
                Ok(id)
            })
        })
        .await
    }

    /// An experiment by its id, deleted or not.
    ///
    /// # Errors
    /// [`Refusal::NoExperiment`], or if the database fails.
    pub async fn find_experiment(&self, id: i64) -> Result<ExperimentFull, MetastoreError> {
        let found = self.experiments_where("this.id = $1", id).await?;
        found.into_iter().next().ok_or_else(|| Refusal::NoExperiment { id }.into())
    }

    /// An experiment by its name, deleted or not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_experiment_named(
        &self,
        name: String,
    ) -> Result<Option<ExperimentFull>, MetastoreError> {
        Ok(self.experiments_where("this.name = $1", name).await?.into_iter().next())
    }

    async fn experiments_where(
        &self,
        condition: &'static str,
        value: impl Into<crate::Value<'static>> + Send + 'static,
    ) -> Result<Vec<ExperimentFull>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!("{SELECT_EXPERIMENT} FROM experiment AS this WHERE {condition}");
                let rows = session.fetch_all(&sql, &[value.into()]).await?;
                let mut found = rows.iter().map(experiment_full).collect::<Result<Vec<_>, _>>()?;
                for experiment in &mut found {
                    read_tags(session, experiment).await?;
                }
                Ok(found)
            })
        })
        .await
    }

    /// Renames an experiment.
    ///
    /// # Errors
    /// [`Refusal`] if there is none, it is deleted or the name is taken; if the database fails.
    pub async fn rename_experiment(&self, id: i64, name: String, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, id).await?;
                rename(session, id, &name, now).await
            })
        })
        .await
    }

    /// Renames an experiment, deleted or not: so a deleted one gives its name free and can still be restored.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or the name is taken; if the database fails.
    pub async fn rename_experiment_in_any_state(
        &self,
        id: i64,
        name: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lifecycle(session, id).await?;
                rename(session, id, &name, now).await
            })
        })
        .await
    }

    /// Deletes an experiment and all its runs; they can be restored.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or it is deleted; if the database fails.
    pub async fn delete_experiment(&self, id: i64, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, id).await?;
                mark(session, id, "deleted", now).await
            })
        })
        .await
    }

    /// Restores an experiment and all its runs, even those that were deleted one by one before.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or it is not deleted; if the database fails.
    pub async fn restore_experiment(&self, id: i64, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                match lifecycle(session, id).await?.as_str() {
                    "deleted" => mark(session, id, "active", now).await,
                    _ => Err(Refusal::ExperimentActive { id }.into()),
                }
            })
        })
        .await
    }

    /// Sets a tag of an experiment.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or it is deleted; if the database fails.
    pub async fn set_experiment_tag(&self, id: i64, tag: (String, String)) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, id).await?;
                set_tag(session, id, &tag.0, &tag.1).await
            })
        })
        .await
    }

    /// Removes a tag of an experiment.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such experiment or tag, or it is deleted; if the database fails.
    pub async fn delete_experiment_tag(&self, id: i64, key: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, id).await?;
                let sql =
                    "DELETE FROM experiment_text WHERE experiment_id = $1 AND family = 'tag' AND name = $2";
                if session.execute(sql, &[id.into(), key.as_str().into()]).await? == 0 {
                    return Err(Refusal::NoTag { what: "experiment", id: id.to_string(), key }.into());
                }
                Ok(())
            })
        })
        .await
    }
}

pub(super) async fn insert_experiment(
    session: &mut Session,
    name: &str,
    artifact_location: Option<&str>,
    now: i64,
) -> Result<i64, MetastoreError> {
    if session.is_postgres() {
        // Two transactions must not take the same next id.
        session.execute("LOCK TABLE experiment IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    }
    let sql = "INSERT INTO experiment (id, name, created_at, updated_at, artifact_location) \
               SELECT MAX(id) + 1, $1, $2, $2, $3 FROM \
               (SELECT id FROM experiment UNION ALL SELECT greatest FROM experiment_gone) AS taken WHERE 1 = 1 \
               ON CONFLICT (name) DO NOTHING";
    session.execute(sql, &[name.into(), now.into(), artifact_location.into()]).await?;
    let row = session.fetch_optional("SELECT id FROM experiment WHERE name = $1", &[name.into()]).await?;
    row.map_or_else(|| Err(MetastoreError::stale("a new experiment was not stored")), |row| row.int("id"))
}

async fn rename(session: &mut Session, id: i64, name: &str, now: i64) -> Result<(), MetastoreError> {
    let sql = "SELECT id FROM experiment WHERE id = $1 AND name = $2";
    if session.fetch_optional(sql, &[id.into(), name.into()]).await?.is_none() {
        require_free_name(session, name).await?;
    }
    let sql = "UPDATE experiment SET name = $2, updated_at = $3 WHERE id = $1";
    session.execute(sql, &[id.into(), name.into(), now.into()]).await.map(drop)
}

async fn require_free_name(session: &mut Session, name: &str) -> Result<(), MetastoreError> {
    let sql = "SELECT lifecycle FROM experiment WHERE name = $1";
    match session.fetch_optional(sql, &[name.into()]).await? {
        None => Ok(()),
        Some(row) => {
            let deleted = row.text("lifecycle")? == "deleted";
            Err(Refusal::NameTaken { name: name.to_owned(), deleted }.into())
        }
    }
}

pub(super) async fn lifecycle(session: &mut Session, id: i64) -> Result<String, MetastoreError> {
    let row = session.fetch_optional("SELECT lifecycle FROM experiment WHERE id = $1", &[id.into()]).await?;
    row.ok_or(Refusal::NoExperiment { id })?.text("lifecycle")
}

pub(super) async fn require_active(session: &mut Session, id: i64) -> Result<(), MetastoreError> {
    match lifecycle(session, id).await?.as_str() {
        "active" => Ok(()),
        _ => Err(Refusal::ExperimentDeleted { id }.into()),
    }
}

pub(super) async fn mark(
    session: &mut Session,
    id: i64,
    lifecycle: &'static str,
    now: i64,
) -> Result<(), MetastoreError> {
    let deleted_at = (lifecycle == "deleted").then_some(now);
    let sql = "UPDATE experiment SET lifecycle = $2, updated_at = $3, deleted_at = $4 WHERE id = $1";
    session.execute(sql, &[id.into(), lifecycle.into(), now.into(), deleted_at.into()]).await?;
    if session.is_postgres() {
        // In the order in which loggers hold them, and before the counter.
        let sql = "SELECT number FROM tracked_run WHERE experiment_id = $1 ORDER BY id FOR UPDATE";
        session.fetch_all(sql, &[id.into()]).await?;
    }
    let changed = super::next_change(session).await?;
    let sql = "UPDATE tracked_run SET lifecycle = $2, changed = $3, deleted_at = $4 WHERE experiment_id = $1";
    session.execute(sql, &[id.into(), lifecycle.into(), changed.into(), deleted_at.into()]).await?;
    Ok(())
}

async fn set_tag(session: &mut Session, id: i64, key: &str, value: &str) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO experiment_text (experiment_id, family, name, content) VALUES ($1, 'tag', $2, $3) \
               ON CONFLICT (experiment_id, family, name) DO UPDATE SET content = excluded.content";
    session.execute(sql, &[id.into(), key.into(), value.into()]).await?;
    Ok(())
}

pub(super) async fn read_tags(
    session: &mut Session,
    experiment: &mut ExperimentFull,
) -> Result<(), MetastoreError> {
    let sql = "SELECT name, content FROM experiment_text WHERE experiment_id = $1 ORDER BY name";
    let rows = session.fetch_all(sql, &[experiment.id.into()]).await?;
    let tags = rows.iter().map(|row| Ok((row.text("name")?, row.text("content")?)));
    experiment.tags = tags.collect::<Result<_, MetastoreError>>()?;
    Ok(())
}

pub(super) fn experiment_full(row: &Row) -> Result<ExperimentFull, MetastoreError> {
    Ok(ExperimentFull {
        id: row.int("id")?,
        name: row.text("name")?,
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
        deleted: row.text("lifecycle")? == "deleted",
        deleted_at: row.opt_int("deleted_at")?,
        artifact_location: row.opt_text("artifact_location")?,
        tags: Vec::new(),
    })
}

/// A row that names its owner beside family, name and content.
pub(super) fn owned_text(row: &Row) -> Result<(String, Text), MetastoreError> {
    Ok((row.text("owner")?, (row.text("family")?, row.text("name")?, row.text("content")?)))
}
