//! Deleting for good: runs, logged models and whole experiments, with everything that they had.
//!
//! A thing is deleted first, which can be undone, and purged later. What is to go is taken in batches, one transaction each, so that no
//! writer waits long; a batch holds the rows of its runs before it counts its change, as every writer does. It leaves a number for
//! whoever keeps columns of runs (`tracked_gone`) and the folders of files for the collector ([`super::garbage`]).

mod experiment;
mod runs;

use std::collections::BTreeSet;

use crate::{Metastore, MetastoreError, Session, Value};

use super::garbage::{discard, own_folder};
use super::placeholders;

/// Which runs may be purged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PurgeRule {
    /// Those that are deleted.
    #[default]
    Deleted,
    /// Those that are deleted and that no version of a registered model and no deployment refers to.
    Unreferenced,
    /// All.
    Any,
}

/// What was purged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many runs.
    pub runs: u64,
    /// How many logged models.
    pub models: u64,
    /// How many traces.
    pub traces: u64,
    /// Where files of them are that this server does not keep, and so does not delete; a few of them.
    pub elsewhere: BTreeSet<String>,
    /// What was not purged, and why.
    pub kept: Vec<(String, Kept)>,
}

/// Why something was not purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There is no such thing (any more).
    Absent,
    /// It is not deleted (any more).
    NotDeleted,
    /// A pipeline run that is not over writes to it.
    InUse,
    /// A version of a registered model or a deployment refers to it.
    Registered,
}

/// Addresses of files elsewhere that are told.
const MOST_ELSEWHERE: usize = 10;
/// Microseconds that numbers of runs that are gone are kept for indexes that look rarely; one that comes later begins anew.
const KEPT_FOR: i64 = 24 * 3_600 * 1_000_000;

impl Purged {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.models += other.models;
        self.traces += other.traces;
        self.elsewhere.extend(other.elsewhere);
        while self.elsewhere.len() > MOST_ELSEWHERE {
            self.elsewhere.pop_last();
        }
        self.kept.extend(other.kept);
    }
}

impl Metastore {
    /// Purges logged models.
    ///
    /// # Errors
    /// If the database fails; some of them may be gone then.
    pub async fn purge_logged_models(
        &self,
        ids: Vec<String>,
        rule: PurgeRule,
        now: i64,
    ) -> Result<Purged, MetastoreError> {
        let ids: Vec<String> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut purged = Purged::default();
        for batch in ids.chunks(BATCH) {
            let batch = batch.to_vec();
            let gone = self.write(move |session| {
                Box::pin(async move {
                    let mut gone = Purged::default();
                    let models = hold_models(session, "this.id", &batch, "").await?;
                    let known: BTreeSet<&str> = models.iter().map(|model| model.id.as_str()).collect();
                    let absent = batch.iter().filter(|id| !known.contains(id.as_str()));
                    gone.kept.extend(absent.map(|id| (id.clone(), Kept::Absent)));
                    let (going, staying): (Vec<Model>, Vec<Model>) =
                        models.into_iter().partition(|model| rule == PurgeRule::Any || model.deleted);
                    gone.kept.extend(staying.into_iter().map(|model| (model.id, Kept::NotDeleted)));
                    delete_models(session, &going, &mut gone, now).await?;
                    Ok(gone)
                })
            });
            purged.add(gone.await?);
        }
        Ok(purged)
    }

    /// Forgets which runs are gone since long; gives how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn trim_gone_runs(&self, now: i64) -> Result<u64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let before = now - KEPT_FOR;
                let sql = "SELECT MAX(changed) AS last FROM tracked_gone WHERE gone_at < $1";
                let row = session.fetch_optional(sql, &[before.into()]).await?;
                let Some(last) = row.map(|row| row.opt_int("last")).transpose()?.flatten() else {
                    return Ok(0);
                };
                let sql = "UPDATE tracked_clock SET trimmed = $1 WHERE id = 1 AND trimmed < $1";
                session.execute(sql, &[last.into()]).await?;
                session.execute("DELETE FROM tracked_gone WHERE changed <= $1", &[last.into()]).await
            })
        })
        .await
    }
}

/// Rows in one transaction.
const BATCH: usize = 100;

/// A logged model that is held.
struct Model {
    id: String,
    deleted: bool,
    location: Option<String>,
}

/// Holds the logged models of these ids or source runs until the transaction ends.
async fn hold_models(
    session: &mut Session,
    column: &'static str,
    ids: &[String],
    condition: &'static str,
) -> Result<Vec<Model>, MetastoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let lock = if session.is_postgres() { " FOR UPDATE OF this" } else { "" };
    let sql = format!(
        "SELECT this.id, this.lifecycle, experiment.artifact_location FROM logged_model AS this \
         JOIN experiment ON experiment.id = this.experiment_id WHERE {column} IN ({}){condition} ORDER BY this.id{lock}",
        placeholders(1, ids.len())
    );
    let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
    let model = |row: &crate::Row| {
        Ok(Model {
            id: row.text("id")?,
            deleted: row.text("lifecycle")? == "deleted",
            location: row.opt_text("artifact_location")?,
        })
    };
    session.fetch_all(&sql, &args).await?.iter().map(model).collect()
}

async fn delete_models(
    session: &mut Session,
    models: &[Model],
    purged: &mut Purged,
    now: i64,
) -> Result<(), MetastoreError> {
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    delete_where(session, "tracked_model_link", "model_id", &ids).await?;
    purged.models += delete_where(session, "logged_model", "id", &ids).await?;
    let folders = models.iter().map(|model| (model.location.as_deref(), "models", model.id.as_str()));
    discard_folders(session, folders, purged, now).await
}

/// Leaves the folders of files for the collector, and says where files are that it does not reach.
async fn discard_folders<'a>(
    session: &mut Session,
    owners: impl Iterator<Item = (Option<&'a str>, &'static str, &'a str)>,
    purged: &mut Purged,
    now: i64,
) -> Result<(), MetastoreError> {
    let mut folders = Vec::new();
    for (location, below, id) in owners {
        match own_folder(location, below, id) {
            Some(folder) => folders.push((folder, id.to_owned())),
            None => purged.elsewhere.extend(location.map(str::to_owned)),
        }
    }
    discard(session, &folders, now).await
}

/// Deletes the rows of a table whose column has one of these texts.
async fn delete_where(
    session: &mut Session,
    table: &'static str,
    column: &'static str,
    ids: &[&str],
) -> Result<u64, MetastoreError> {
    let mut gone = 0;
    for ids in ids.chunks(BATCH) {
        let sql = format!("DELETE FROM {table} WHERE {column} IN ({})", placeholders(1, ids.len()));
        let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
        gone += session.execute(&sql, &args).await?;
    }
    Ok(gone)
}
