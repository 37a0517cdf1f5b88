//! Registered models that come from elsewhere with all their versions, and all that there are.

use super::labels::set_tags;
use super::models::read_model;
use super::{DELETED, MODEL, ModelVersionRow, RegisteredModelRow, SELECT_VERSION, add_labels, version_row};
use crate::assets::{self, AssetVersionRow};
use crate::imports::{self, note_name};
use crate::{Metastore, MetastoreError, Session};

/// A registered model with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedRegistered {
    /// The name with its tags and aliases; `latest` is not looked at.
    pub row: RegisteredModelRow,
    /// All versions by number, with their content if they are here. A deleted one has the stage `Deleted_Internal`.
    pub versions: Vec<(ModelVersionRow, Option<AssetVersionRow>)>,
}

/// Whether a version is deleted: its number is not given again.
pub fn is_deleted(version: &ModelVersionRow) -> bool {
    version.stage == DELETED
}

impl Metastore {
    /// Records a model of a source with its versions; gives whether it was new. Of one that is there already, versions that are new are
    /// added. No webhook is told of it.
    ///
    /// `name`: what the source calls it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_registered_model(
        &self,
        identity: String,
        name: String,
        model: ImportedRegistered,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let here = model.row.name.as_str();
                note_name(session, &identity, (imports::MODEL, &name), here).await?;
                let last = model.versions.iter().map(|(version, _)| version.version).max().unwrap_or(0);
                let sql = "INSERT INTO registered_model (name, description, last_version, created_at, updated_at) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
                let args = [
                    here.into(),
                    model.row.description.as_deref().into(),
                    last.into(),
                    model.row.created_at.into(),
                    model.row.updated_at.into(),
                ];
                let new = session.execute(sql, &args).await? > 0;
                if new {
                    set_tags(session, here, 0, &model.row.tags).await?;
                } else {
                    let sql = "UPDATE registered_model SET last_version = $2 WHERE name = $1 AND last_version < $2";
                    session.execute(sql, &[here.into(), last.into()]).await?;
                }
                for (version, content) in &model.versions {
                    insert_version(session, here, version, content.as_ref()).await?;
                }
                for (alias, version) in &model.row.aliases {
                    // One that points elsewhere meanwhile stays.
                    let sql = "INSERT INTO asset_alias (kind, name, alias, version) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
                    session.execute(sql, &[MODEL.into(), here.into(), alias.into(), (*version).into()]).await?;
                }
                Ok(new)
            })
        })
        .await
    }

    /// The names of all registered models and prompts, sorted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_registered_names(&self) -> Result<Vec<(String, i64)>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let rows = session
                    .fetch_all("SELECT name, created_at FROM registered_model ORDER BY name", &[])
                    .await?;
                rows.iter().map(|row| Ok((row.text("name")?, row.int("created_at")?))).collect()
            })
        })
        .await
    }

    /// A registered model with all its versions, deleted ones too.
    ///
    /// # Errors
    /// [`super::RegistryRefusal::NoModel`], or if the database fails.
    pub async fn find_whole_registered(&self, name: String) -> Result<ImportedRegistered, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let row = read_model(session, &name).await?;
                let sql = format!(
                    "{SELECT_VERSION} FROM model_version AS this WHERE this.name = $1 ORDER BY this.version"
                );
                let rows = session.fetch_all(&sql, &[name.as_str().into()]).await?;
                let mut versions = rows.iter().map(version_row).collect::<Result<Vec<_>, _>>()?;
                add_labels(session, &mut versions).await?;
                let versions = versions.into_iter().map(|version| (version, None)).collect();
                Ok(ImportedRegistered { row, versions })
            })
        })
        .await
    }
}

async fn insert_version(
    session: &mut Session,
    name: &str,
    version: &ModelVersionRow,
    content: Option<&AssetVersionRow>,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO model_version (name, version, created_at, updated_at, stage, description, source, location, run_id, run_link, model_id) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (name, version) DO NOTHING";
    let args = [
        name.into(),
        version.version.into(),
        version.created_at.into(),
        version.updated_at.into(),
        version.stage.as_str().into(),
        version.description.as_deref().into(),
        version.source.as_str().into(),
        version.location.as_deref().into(),
        version.run_id.as_deref().into(),
        version.run_link.as_deref().into(),
        version.model_id.as_deref().into(),
    ];
    if session.execute(sql, &args).await? == 0 {
        return Ok(());
    }
    set_tags(session, name, version.version, &version.tags).await?;
    if let Some(content) = content {
        let row = AssetVersionRow {
            kind: MODEL.to_owned(),
            name: name.to_owned(),
            version: version.version,
            created_at: version.created_at,
            ..content.clone()
        };
        assets::insert_version(session, &row).await?;
    }
    Ok(())
}
