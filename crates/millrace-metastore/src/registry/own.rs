//! Models with their content, as steps register them and as endpoints and pages look for them.

use std::collections::HashMap;

use super::labels::point_alias;
use super::models::insert_model;
use super::versions::{NewVersion, insert_version, read_version};
use super::{
    CHUNK, DELETED, MODEL, ModelVersionRow, RegistryRefusal, SELECT_VERSION, add_labels, is_prompt,
    lock_model, version_row,
};
use crate::assets::{self, AssetNode, AssetVersionRow, VersionSelector};
use crate::{Metastore, MetastoreError, Session, Value};

/// A version that a step registers.
#[derive(Debug, Clone)]
pub struct NewModelAsset {
    /// What the registry says of it, with its content.
    pub version: NewVersion,
    /// What it was made from.
    pub inputs: Vec<AssetNode>,
    /// Aliases to point at it.
    pub aliases: Vec<String>,
}

/// A version with its content.
pub type RegisteredAsset = (AssetVersionRow, ModelVersionRow);

impl Metastore {
    /// Records a version under the next number of its name, which is made if there is none. A newest version with the same digest is
    /// returned instead, its aliases moved.
    ///
    /// # Errors
    /// [`RegistryRefusal::IsPrompt`], or if the database fails.
    pub async fn register_model_asset(
        &self,
        new: NewModelAsset,
        now: i64,
    ) -> Result<RegisteredAsset, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let name = new.version.name.as_str();
                insert_model(session, name, None, &[], now).await?;
                lock_model(session, name).await?;
                if is_prompt(session, name).await? {
                    return Err(RegistryRefusal::IsPrompt { name: name.to_owned() }.into());
                }
                let digest = new.version.content.as_ref().map(|content| content.digest.as_str());
                let same = assets::newest(session, MODEL, name).await?;
                let version = match same.filter(|row| Some(row.digest.as_str()) == digest) {
                    Some(row) => row.version,
                    None => {
                        let made = insert_version(session, &new.version, now).await?;
                        assets::insert_edges(session, (MODEL, name, made.version), &new.inputs).await?;
                        made.version
                    }
                };
                for alias in &new.aliases {
                    point_alias(session, (name, version), alias, now).await?;
                }
                let content = assets::find(session, MODEL, name, &VersionSelector::Number(version)).await?;
                let content =
                    content.ok_or_else(|| RegistryRefusal::NoVersion { name: name.to_owned(), version })?;
                Ok((content, read_version(session, name, version).await?))
            })
        })
        .await
    }

    /// One version of a model with its content.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_model_asset(
        &self,
        name: String,
        selector: VersionSelector,
    ) -> Result<Option<RegisteredAsset>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let found = assets::find(session, MODEL, &name, &selector).await?;
                Ok(with_versions(session, found.into_iter().collect()).await?.pop())
            })
        })
        .await
    }

    /// The newest version of every model with its content, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_newest_model_assets(&self) -> Result<Vec<RegisteredAsset>, MetastoreError> {
        let rows = self.list_newest_assets(MODEL).await?;
        self.read(move |session| Box::pin(with_versions(session, rows))).await
    }

    /// All versions of a model with their content, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_model_assets(&self, name: String) -> Result<Vec<RegisteredAsset>, MetastoreError> {
        let rows = self.list_asset_versions(MODEL, name).await?;
        self.read(move |session| Box::pin(with_versions(session, rows))).await
    }
}

/// Adds what the registry says of them, in the same order.
async fn with_versions(
    session: &mut Session,
    contents: Vec<AssetVersionRow>,
) -> Result<Vec<RegisteredAsset>, MetastoreError> {
    let mut found = HashMap::new();
    for contents in contents.chunks(CHUNK) {
        let args: Vec<Value<'_>> =
            contents.iter().flat_map(|row| [row.name.as_str().into(), row.version.into()]).collect();
        let pairs: Vec<String> =
            (0..contents.len()).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
        let sql = format!(
            "{SELECT_VERSION} FROM model_version AS this WHERE (this.name, this.version) IN (VALUES {}) AND this.stage <> '{DELETED}'",
            pairs.join(", ")
        );
        let rows = session.fetch_all(&sql, &args).await?;
        let mut versions = rows.iter().map(version_row).collect::<Result<Vec<_>, _>>()?;
        add_labels(session, &mut versions).await?;
        found.extend(versions.into_iter().map(|row| ((row.name.clone(), row.version), row)));
    }
    let both = |content: AssetVersionRow| {
        let version = found.remove(&(content.name.clone(), content.version))?;
        Some((content, version))
    };
    Ok(contents.into_iter().filter_map(both).collect())
}
