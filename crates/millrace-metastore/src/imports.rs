//! What was taken over from another tracking server: where from, and what its things are called here.
//!
//! What is taken over is stored by [`crate::experiments`], [`crate::registry`], [`crate::traces`] and [`crate::eval_datasets`]; whatever is
//! there already stays as it is, so that an import that was interrupted is begun again.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Session};

/// Names of experiments, which are their numbers.
pub const EXPERIMENT: &str = "experiment";
/// Names of registered models.
pub const MODEL: &str = "model";

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSource {
    /// When it was first read, microseconds since 1970.
    pub began_at: i64,
    /// When all of it was here and compared last.
    pub finished_at: Option<i64>,
    /// Experiments of the source and their numbers here.
    pub experiments: HashMap<i64, i64>,
    /// Registered models of the source and their names here.
    pub models: HashMap<String, String>,
}

impl Metastore {
    /// Takes note that a source is read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_import(&self, identity: String, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO import_source (identity, began_at) VALUES ($1, $2) ON CONFLICT (identity) DO NOTHING";
                session.execute(sql, &[identity.as_str().into(), now.into()]).await.map(drop)
            })
        })
        .await
    }

    /// What is known of a source, if it was ever read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_import(&self, identity: String) -> Result<Option<ImportSource>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let args = [identity.as_str().into()];
                let sql = "SELECT began_at, finished_at FROM import_source WHERE identity = $1";
                let Some(row) = session.fetch_optional(sql, &args).await? else { return Ok(None) };
                let mut source = ImportSource {
                    began_at: row.int("began_at")?,
                    finished_at: row.opt_int("finished_at")?,
                    ..ImportSource::default()
                };
                let sql = "SELECT kind, name, here FROM import_name WHERE identity = $1";
                for row in session.fetch_all(sql, &args).await? {
                    let (name, here) = (row.text("name")?, row.text("here")?);
                    if row.text("kind")? == MODEL {
                        source.models.insert(name, here);
                    } else if let (Ok(name), Ok(here)) = (name.parse(), here.parse()) {
                        source.experiments.insert(name, here);
                    }
                }
                Ok(Some(source))
            })
        })
        .await
    }

    /// Takes note that everything of a source is here.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn finish_import(&self, identity: String, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE import_source SET finished_at = $2 WHERE identity = $1";
                session.execute(sql, &[identity.as_str().into(), now.into()]).await.map(drop)
            })
        })
        .await
    }
}

/// Takes note of what something of a source is called here.
pub(crate) async fn note_name(
    session: &mut Session,
    identity: &str,
    (kind, name): (&str, &str),
    here: &str,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO import_name (identity, kind, name, here) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (identity, kind, name) DO UPDATE SET here = excluded.here";
    session.execute(sql, &[identity.into(), kind.into(), name.into(), here.into()]).await.map(drop)
}
