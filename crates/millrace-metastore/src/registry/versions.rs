//! Versions: made, found, described, moved between stages, deleted.

use super::labels::{lock_version, set_tags};
use super::promotions::forget_version;
use super::{
    ARCHIVED, DELETED, ModelVersionRow, RegistryRefusal, SELECT_VERSION, add_labels, events, touch_model,
    version_row,
};
use crate::assets::{self, AssetVersionRow};
use crate::{Metastore, MetastoreError, Session};

/// A version to be recorded.
#[derive(Debug, Clone, Default)]
pub struct NewVersion {
    /// Name of its model.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// Where its files are, if not at the source.
    pub location: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A page that shows the run.
    pub run_link: Option<String>,
    /// The logged model that it is.
    pub model_id: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Each key once.
    pub tags: Vec<(String, String)>,
    /// Its content; kind, name and version in it are given here. A prompt has none.
    pub content: Option<AssetVersionRow>,
}

impl Metastore {
    /// Records a version under the next number of its name.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn create_model_version(
        &self,
        new: NewVersion,
        now: i64,
    ) -> Result<ModelVersionRow, MetastoreError> {
        self.write(move |session| Box::pin(async move { insert_version(session, &new, now).await })).await
    }

    /// One version.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn find_model_version(
        &self,
        name: String,
        version: i64,
    ) -> Result<ModelVersionRow, MetastoreError> {
        self.read(move |session| Box::pin(async move { read_version(session, &name, version).await })).await
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn describe_model_version(
        &self,
        (name, version): (String, i64),
        description: Option<String>,
        now: i64,
    ) -> Result<ModelVersionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                let sql = "UPDATE model_version SET description = $3, updated_at = $4 WHERE name = $1 AND version = $2";
                let args = [name.as_str().into(), version.into(), description.as_deref().into(), now.into()];
                session.execute(sql, &args).await?;
                read_version(session, &name, version).await
            })
        })
        .await
    }

    /// Moves a version to a stage, and those that are in it to the archive if `archive` says so.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn move_model_version(
        &self,
        (name, version): (String, i64),
        stage: &'static str,
        archive: bool,
        now: i64,
    ) -> Result<ModelVersionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                if archive {
                    let sql = "UPDATE model_version SET stage = $4, updated_at = $5 WHERE name = $1 AND stage = $2 AND version <> $3";
                    let args = [name.as_str().into(), stage.into(), version.into(), ARCHIVED.into(), now.into()];
                    session.execute(sql, &args).await?;
                }
                let sql = "UPDATE model_version SET stage = $3, updated_at = $4 WHERE name = $1 AND version = $2";
                session.execute(sql, &[name.as_str().into(), version.into(), stage.into(), now.into()]).await?;
                touch_model(session, &name, now).await?;
                read_version(session, &name, version).await
            })
        })
        .await
    }

    /// Deletes a version with its tags and aliases; its number is not given again, its files stay.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn delete_model_version(
        &self,
        (name, version): (String, i64),
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                for sql in [
                    "DELETE FROM asset_alias WHERE kind = 'model' AND name = $1 AND version = $2",
                    "DELETE FROM asset_version WHERE kind = 'model' AND name = $1 AND version = $2",
                    "DELETE FROM model_tag WHERE name = $1 AND version = $2",
                ] {
                    session.execute(sql, &[name.as_str().into(), version.into()]).await?;
                }
                let sql = format!(
                    "UPDATE model_version SET stage = '{DELETED}', updated_at = $3, description = NULL, source = 'REDACTED-SOURCE-PATH', \
                     location = NULL, run_id = NULL, run_link = NULL, model_id = NULL WHERE name = $1 AND version = $2"
                );
                session.execute(&sql, &[name.as_str().into(), version.into(), now.into()]).await?;
                forget_version(session, (&name, version), now).await?;
                touch_model(session, &name, now).await
            })
        })
        .await
    }
}

/// Inserts a version under the next number of its name, and tells of it.
pub(super) async fn insert_version(
    session: &mut Session,
    new: &NewVersion,
    now: i64,
) -> Result<ModelVersionRow, MetastoreError> {
    // The row of the model is locked by this, so that two who come at once get two numbers.
    let sql = "UPDATE registered_model SET last_version = last_version + 1, updated_at = $2 WHERE name = $1 RETURNING last_version";
    let row = session.fetch_optional(sql, &[new.name.as_str().into(), now.into()]).await?;
    let row = row.ok_or_else(|| RegistryRefusal::NoModel { name: new.name.clone() })?;
    let version = row.int("last_version")?;
    let sql = "INSERT INTO model_version (name, version, created_at, updated_at, stage, description, source, location, run_id, run_link, model_id) \
               VALUES ($1, $2, $3, $3, 'None', $4, $5, $6, $7, $8, $9)";
    let args = [
        new.name.as_str().into(),
        version.into(),
        now.into(),
        new.description.as_deref().into(),
        new.source.as_str().into(),
        new.location.as_deref().into(),
        new.run_id.as_deref().into(),
        new.run_link.as_deref().into(),
        new.model_id.as_deref().into(),
    ];
    session.execute(sql, &args).await?;
    set_tags(session, &new.name, version, &new.tags).await?;
    if let Some(content) = &new.content {
        let row = AssetVersionRow {
            kind: super::MODEL.to_owned(),
            name: new.name.clone(),
            version,
            created_at: now,
            ..content.clone()
        };
        assets::insert_version(session, &row).await?;
    }
    let made = read_version(session, &new.name, version).await?;
    events::version_created(session, &made).await?;
    Ok(made)
}

pub(super) async fn read_version(
    session: &mut Session,
    name: &str,
    version: i64,
) -> Result<ModelVersionRow, MetastoreError> {
    let sql = format!(
        "{SELECT_VERSION} FROM model_version AS this WHERE this.name = $1 AND this.version = $2 AND this.stage <> '{DELETED}'"
    );
    let row = session.fetch_optional(&sql, &[name.into(), version.into()]).await?;
    let absent = || RegistryRefusal::NoVersion { name: name.to_owned(), version };
    let mut found = vec![version_row(&row.ok_or_else(absent)?)?];
    add_labels(session, &mut found).await?;
    found.pop().ok_or_else(|| absent().into())
}
