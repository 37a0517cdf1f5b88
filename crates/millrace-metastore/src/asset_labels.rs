//! Aliases and tags of dataset versions. Those of models are the registry's, which tells webhooks of them: see [`crate::registry`].

use crate::{Metastore, MetastoreError, Session};

/// The kind of datasets in the tables of assets.
const DATASET: &str = "dataset";

/// What points at the versions of a name, and what is said of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetLabels {
    /// Alias and version, by alias.
    pub aliases: Vec<(String, i64)>,
    /// Version, key and value; version 0 is the dataset itself.
    pub tags: Vec<(i64, String, String)>,
}

impl AssetLabels {
    /// The aliases of one version.
    pub fn aliases_of(&self, version: i64) -> Vec<String> {
        let own = self.aliases.iter().filter(|(_, at)| *at == version);
        own.map(|(alias, _)| alias.clone()).collect()
    }

    /// The tags of one version, of the dataset itself for 0.
    pub fn tags_of(&self, version: i64) -> Vec<(String, String)> {
        let own = self.tags.iter().filter(|(of, ..)| *of == version);
        own.map(|(_, key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Metastore {
    /// The aliases and tags of a dataset with all its versions.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_dataset_labels(&self, name: String) -> Result<AssetLabels, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let args = [DATASET.into(), name.as_str().into()];
                let sql =
                    "SELECT alias, version FROM asset_alias WHERE kind = $1 AND name = $2 ORDER BY alias";
                let aliases = session.fetch_all(sql, &args).await?;
                let sql = "SELECT version, key, content FROM asset_tag WHERE kind = $1 AND name = $2 \
                           ORDER BY version, key";
                let tags = session.fetch_all(sql, &args).await?;
                let alias = |row: &crate::Row| Ok((row.text("alias")?, row.int("version")?));
                let tag =
                    |row: &crate::Row| Ok((row.int("version")?, row.text("key")?, row.text("content")?));
                Ok(AssetLabels {
                    aliases: aliases.iter().map(alias).collect::<Result<_, MetastoreError>>()?,
                    tags: tags.iter().map(tag).collect::<Result<_, MetastoreError>>()?,
                })
            })
        })
        .await
    }

    /// The aliases of all datasets: name, alias and version, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_dataset_aliases(&self) -> Result<Vec<(String, String, i64)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT name, alias, version FROM asset_alias WHERE kind = $1 ORDER BY name, alias";
                let rows = session.fetch_all(sql, &[DATASET.into()]).await?;
                rows.iter()
                    .map(|row| Ok((row.text("name")?, row.text("alias")?, row.int("version")?)))
                    .collect()
            })
        })
        .await
    }

    /// Points an alias at a version of a dataset; `false` if there is no such version.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_dataset_alias(
        &self,
        (name, version): (String, i64),
        alias: String,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if !has_version(session, &name, version).await? {
                    return Ok(false);
                }
                let sql = "INSERT INTO asset_alias (kind, name, alias, version) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (kind, name, alias) DO UPDATE SET version = excluded.version";
                let args = [DATASET.into(), name.as_str().into(), alias.as_str().into(), version.into()];
                session.execute(sql, &args).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Removes an alias of a dataset; `false` if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_dataset_alias(&self, name: String, alias: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM asset_alias WHERE kind = $1 AND name = $2 AND alias = $3";
                let args = [DATASET.into(), name.as_str().into(), alias.as_str().into()];
                Ok(session.execute(sql, &args).await? > 0)
            })
        })
        .await
    }

    /// Sets a tag of a version, of the dataset itself for version 0; `false` if there is no such version.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_dataset_tag(
        &self,
        (name, version): (String, i64),
        (key, value): (String, String),
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if !has_version(session, &name, version).await? {
                    return Ok(false);
                }
                let sql = "INSERT INTO asset_tag (kind, name, version, key, content) VALUES ($1, $2, $3, $4, $5) \
                           ON CONFLICT (kind, name, version, key) DO UPDATE SET content = excluded.content";
                let args = [
                    DATASET.into(),
                    name.as_str().into(),
                    version.into(),
                    key.as_str().into(),
                    value.as_str().into(),
                ];
                session.execute(sql, &args).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Removes a tag; `false` if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_dataset_tag(
        &self,
        (name, version): (String, i64),
        key: String,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM asset_tag WHERE kind = $1 AND name = $2 AND version = $3 AND key = $4";
                let args = [DATASET.into(), name.as_str().into(), version.into(), key.as_str().into()];
                Ok(session.execute(sql, &args).await? > 0)
            })
        })
        .await
    }
}

/// Whether there is this version, any version for 0.
async fn has_version(session: &mut Session, name: &str, version: i64) -> Result<bool, MetastoreError> {
    let sql = "SELECT 1 AS one FROM asset_version WHERE kind = $1 AND name = $2 AND (version = $3 OR $3 = 0) LIMIT 1";
    Ok(session.fetch_optional(sql, &[DATASET.into(), name.into(), version.into()]).await?.is_some())
}
