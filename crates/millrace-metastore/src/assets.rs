//! Versions of datasets and models, their aliases, and what they were made from.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Row, Session};

/// A row of `asset_version`. `details` is a document of the tracking room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetVersionRow {
    /// `dataset` or `model`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// Digest of the content.
    pub digest: String,
    /// The stored asset.
    pub asset: String,
    /// Schema, profile, producer, metrics, ….
    pub details: String,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// One end of an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssetNode {
    /// `dataset`, `model`, `source`, ….
    pub kind: String,
    /// Name.
    pub name: String,
    /// Version; 0 for things without.
    pub version: i64,
}

/// Which version is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSelector {
    /// The newest.
    Latest,
    /// This one.
    Number(i64),
    /// The one that an alias points at.
    Alias(String),
    /// The newest that was there at this time; microseconds since 1970.
    AsOf(i64),
}

const COLUMNS: &str = "kind, name, version, digest, asset, details, created_at";

impl Metastore {
    /// Stores a version of a dataset as the next of its name, together with its edges. A newest version with the same digest is returned
    /// instead. Models are registered: see [`crate::registry`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert_asset_version(
        &self,
        new: AssetVersionRow,
        inputs: Vec<AssetNode>,
    ) -> Result<AssetVersionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // Two servers that make a version of one name at once get two numbers.
                session.lock(&format!("{}/{}", new.kind, new.name)).await?;
                let version = match newest(session, &new.kind, &new.name).await? {
                    Some(same) if same.digest == new.digest => return Ok(same),
                    newest => newest.map_or(0, |row| row.version) + 1,
                };
                let row = AssetVersionRow { version, ..new };
                insert_version(session, &row).await?;
                insert_edges(session, (&row.kind, &row.name, row.version), &inputs).await?;
                Ok(row)
            })
        })
        .await
    }

    /// One version of a name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_asset_version(
        &self,
        kind: &'static str,
        name: String,
        selector: VersionSelector,
    ) -> Result<Option<AssetVersionRow>, MetastoreError> {
        self.read(move |session| Box::pin(async move { find(session, kind, &name, &selector).await })).await
    }

    /// The newest version of every name of a kind, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_newest_assets(
        &self,
        kind: &'static str,
    ) -> Result<Vec<AssetVersionRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM asset_version AS one WHERE kind = $1 AND version = \
                     (SELECT MAX(version) FROM asset_version AS other WHERE other.kind = one.kind AND other.name = one.name) \
                     ORDER BY name"
                );
                session.fetch_all(&sql, &[kind.into()]).await?.iter().map(version_row).collect()
            })
        })
        .await
    }

    /// How many versions each name of a kind has.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_asset_versions(
        &self,
        kind: &'static str,
    ) -> Result<HashMap<String, i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql =
                    "SELECT name, COUNT(*) AS versions FROM asset_version WHERE kind = $1 GROUP BY name";
                let rows = session.fetch_all(sql, &[kind.into()]).await?;
                rows.iter().map(|row| Ok((row.text("name")?, row.int("versions")?))).collect()
            })
        })
        .await
    }

    /// All versions of a name, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_asset_versions(
        &self,
        kind: &'static str,
        name: String,
    ) -> Result<Vec<AssetVersionRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 ORDER BY version DESC"
                );
                session
                    .fetch_all(&sql, &[kind.into(), name.as_str().into()])
                    .await?
                    .iter()
                    .map(version_row)
                    .collect()
            })
        })
        .await
    }

    /// Versions of a name after one of them, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_asset_versions_after(
        &self,
        kind: &'static str,
        name: String,
        version: i64,
    ) -> Result<Vec<AssetVersionRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 AND version > $3 ORDER BY version"
                );
                let args = [kind.into(), name.as_str().into(), version.into()];
                session.fetch_all(&sql, &args).await?.iter().map(version_row).collect()
            })
        })
        .await
    }

    /// Edges at a node: what it was made from and what was made from it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_asset_edges(
        &self,
        node: AssetNode,
    ) -> Result<(Vec<AssetNode>, Vec<AssetNode>), MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let args = [node.kind.as_str().into(), node.name.as_str().into(), node.version.into()];
                let up = "SELECT from_kind AS kind, from_name AS name, from_version AS version FROM asset_edge \
                          WHERE kind = $1 AND name = $2 AND version = $3 ORDER BY 1, 2, 3";
                let down = "SELECT kind, name, version FROM asset_edge \
                            WHERE from_kind = $1 AND from_name = $2 AND from_version = $3 ORDER BY 1, 2, 3";
                let made_from = session.fetch_all(up, &args).await?.iter().map(node_row).collect::<Result<_, _>>()?;
                let made = session.fetch_all(down, &args).await?.iter().map(node_row).collect::<Result<_, _>>()?;
                Ok((made_from, made))
            })
        })
        .await
    }
}

/// One version of a name.
pub(crate) async fn find(
    session: &mut Session,
    kind: &str,
    name: &str,
    selector: &VersionSelector,
) -> Result<Option<AssetVersionRow>, MetastoreError> {
    let found = match selector {
        VersionSelector::Latest => return newest(session, kind, name).await,
        VersionSelector::Number(version) => {
            let sql =
                format!("SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 AND version = $3");
            session.fetch_optional(&sql, &[kind.into(), name.into(), (*version).into()]).await?
        }
        VersionSelector::Alias(alias) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 AND version = \
                 (SELECT version FROM asset_alias WHERE kind = $1 AND name = $2 AND alias = $3)"
            );
            session.fetch_optional(&sql, &[kind.into(), name.into(), alias.as_str().into()]).await?
        }
        VersionSelector::AsOf(time) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 AND created_at <= $3 \
                 ORDER BY version DESC LIMIT 1"
            );
            session.fetch_optional(&sql, &[kind.into(), name.into(), (*time).into()]).await?
        }
    };
    found.as_ref().map(version_row).transpose()
}

pub(crate) async fn newest(
    session: &mut Session,
    kind: &str,
    name: &str,
) -> Result<Option<AssetVersionRow>, MetastoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM asset_version WHERE kind = $1 AND name = $2 ORDER BY version DESC LIMIT 1"
    );
    session.fetch_optional(&sql, &[kind.into(), name.into()]).await?.as_ref().map(version_row).transpose()
}

pub(crate) async fn insert_version(
    session: &mut Session,
    row: &AssetVersionRow,
) -> Result<(), MetastoreError> {
    let args = [
        row.kind.as_str().into(),
        row.name.as_str().into(),
        row.version.into(),
        row.digest.as_str().into(),
        row.asset.as_str().into(),
        row.details.as_str().into(),
        row.created_at.into(),
    ];
    let sql = format!("INSERT INTO asset_version ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    session.execute(&sql, &args).await?;
    Ok(())
}

pub(crate) async fn insert_edges(
    session: &mut Session,
    (kind, name, version): (&str, &str, i64),
    inputs: &[AssetNode],
) -> Result<(), MetastoreError> {
    for input in inputs {
        session
            .execute(
                "INSERT INTO asset_edge (kind, name, version, from_kind, from_name, from_version) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                &[
                    kind.into(),
                    name.into(),
                    version.into(),
                    input.kind.as_str().into(),
                    input.name.as_str().into(),
                    input.version.into(),
                ],
            )
            .await?;
    }
    Ok(())
}

fn version_row(row: &Row) -> Result<AssetVersionRow, MetastoreError> {
    Ok(AssetVersionRow {
        kind: row.text("kind")?,
        name: row.text("name")?,
        version: row.int("version")?,
        digest: row.text("digest")?,
        asset: row.text("asset")?,
        details: row.text("details")?,
        created_at: row.int("created_at")?,
    })
}

fn node_row(row: &Row) -> Result<AssetNode, MetastoreError> {
    Ok(AssetNode { kind: row.text("kind")?, name: row.text("name")?, version: row.int("version")? })
}
