//! Files of runs and logged models that are gone for good.
//!
//! A purge writes down the folders of what it takes in its own transaction; whoever keeps the files deletes them later and says so here.
//! That cannot take what somebody still writes or reads: an id is never given twice, a folder is looked at again after all writers of its
//! time have ended, what a version of a registered model or a deployment names stays, and an import of a run with an old id takes its
//! folder back or is refused.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::{Refusal, placeholders};

/// Scheme of the files that this server keeps.
pub const OWN_ARTIFACTS: &str = "mlflow-artifacts:/";
/// How long after the purge a folder is looked at for the first time: what was checked before the purge is over by then.
const FIRST_LOOK: i64 = 60 * 1_000_000;
/// How long after the purge it is looked at for the last time: uploads that had begun have ended or were cut off, and no address that
/// leads past this server into a bucket is good any more, which is so after a week.
const LAST_LOOK: i64 = 8 * 24 * 3_600 * 1_000_000;
/// Longest time between two tries.
const LONGEST_WAIT: i64 = 3_600 * 1_000_000;
/// Times that a folder must have been found empty.
const LOOKS: i64 = 2;
/// Rows in one statement.
const CHUNK: usize = 200;

/// Where the files of a run lie. `location` is that of its experiment.
pub fn run_artifact_uri(location: Option<&str>, id: &str) -> String {
    location.map_or_else(|| format!("{OWN_ARTIFACTS}{id}"), |base| format!("{base}/{id}/artifacts"))
}

/// Where the files of a logged model lie. `location` is that of its experiment.
pub fn model_artifact_uri(location: Option<&str>, id: &str) -> String {
    location.map_or_else(|| format!("{OWN_ARTIFACTS}{id}"), |base| format!("{base}/models/{id}/artifacts"))
}

/// A folder whose files belong to nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Below the root of all artifacts.
    pub path: String,
    /// The run or logged model that they were of.
    pub owner: String,
    /// When it was purged, microseconds since 1970.
    pub since: i64,
    /// Tries that failed.
    pub attempts: i64,
    /// Paths below it that are still named by a model version or a deployment; an empty one is all of it.
    pub held: Vec<String>,
}

/// What became of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    /// Nothing of it is left.
    Empty,
    /// What is left is held.
    Held,
    /// Some of it could not be deleted.
    Failed {
        /// Why.
        error: String,
    },
}

impl Metastore {
    /// Folders that are due, the one that waits longest first. The caller deletes their files but those that are held, and tells of each
    /// with [`Metastore::settle_garbage`]; until then no run of the same id can be imported.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn claim_garbage(&self, now: i64, limit: i64) -> Result<Vec<Garbage>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "SELECT path, owner, since, attempts FROM artifact_garbage WHERE next_at <= $1 ORDER BY next_at, path LIMIT $2";
                let rows = session.fetch_all(sql, &[now.into(), limit.into()]).await?;
                let mut due = rows.iter().map(garbage).collect::<Result<Vec<_>, _>>()?;
                if due.is_empty() {
                    return Ok(due);
                }
                mark_busy(session, &due).await?;
                add_held(session, &mut due).await?;
                Ok(due)
            })
        })
        .await
    }

    /// Records what became of a folder: it is forgotten once it was found empty long enough after the purge, and looked at again
    /// otherwise.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn settle_garbage(&self, path: String, swept: Swept, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "SELECT path, owner, since, attempts, looks FROM artifact_garbage WHERE path = $1";
                let Some(row) = session.fetch_optional(sql, &[path.as_str().into()]).await? else {
                    return Ok(());
                };
                let (known, looks) = (garbage(&row)?, row.int("looks")?);
                let last = known.since + LAST_LOOK;
                let (looks, attempts, next_at, error) = match swept {
                    Swept::Empty if now >= last && looks + 1 >= LOOKS => {
                        let sql = "DELETE FROM artifact_garbage WHERE path = $1";
                        return session.execute(sql, &[path.as_str().into()]).await.map(drop);
                    }
                    Swept::Empty => (looks + 1, 0, last.max(now + FIRST_LOOK), None),
                    Swept::Held => (0, 0, now + LONGEST_WAIT, None),
                    Swept::Failed { error } => {
                        let exponent = u32::try_from(known.attempts).unwrap_or(u32::MAX).min(6);
                        let wait = (FIRST_LOOK << exponent).min(LONGEST_WAIT);
                        (looks, known.attempts + 1, now + wait, Some(error))
                    }
                };
                let sql = "UPDATE artifact_garbage SET looks = $2, attempts = $3, next_at = $4, error = $5, busy = 0 WHERE path = $1";
                let args = [
                    path.as_str().into(),
                    looks.into(),
                    attempts.into(),
                    next_at.into(),
                    error.as_deref().into(),
                ];
                session.execute(sql, &args).await.map(drop)
            })
        })
        .await
    }

    /// Gives back what a server that was killed had begun to delete; it will be deleted again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release_garbage(&self) -> Result<(), MetastoreError> {
        self.write(|session| {
            Box::pin(async move {
                let sql = "UPDATE artifact_garbage SET busy = 0 WHERE busy = 1";
                session.execute(sql, &[]).await.map(drop)
            })
        })
        .await
    }

    /// Folders whose files are still to be deleted, and how many of these could not be deleted so far.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_garbage(&self) -> Result<(i64, i64), MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS waiting, COUNT(error) AS failing FROM artifact_garbage";
                let row = session.fetch_optional(sql, &[]).await?;
                row.map_or(Ok((0, 0)), |row| Ok((row.int("waiting")?, row.int("failing")?)))
            })
        })
        .await
    }

    /// Notes that a file was written below the folder of a run or logged model that is gone: it is deleted soon.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn discard_artifacts(
        &self,
        path: String,
        owner: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| Box::pin(async move { discard(session, &[(path, owner)], now).await }))
            .await
    }

    /// Whether there is a run or, with `m-` before it, a logged model of this id, deleted or not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn has_artifact_owner(&self, id: String) -> Result<bool, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = if id.starts_with("m-") {
                    "SELECT id FROM logged_model WHERE id = $1"
                } else {
                    "SELECT id FROM tracked_run WHERE id = $1"
                };
                Ok(session.fetch_optional(sql, &[id.as_str().into()]).await?.is_some())
            })
        })
        .await
    }
}

fn garbage(row: &Row) -> Result<Garbage, MetastoreError> {
    Ok(Garbage {
        path: row.text("path")?,
        owner: row.text("owner")?,
        since: row.int("since")?,
        attempts: row.int("attempts")?,
        held: Vec::new(),
    })
}

async fn mark_busy(session: &mut Session, due: &[Garbage]) -> Result<(), MetastoreError> {
    for due in due.chunks(CHUNK) {
        let sql =
            format!("UPDATE artifact_garbage SET busy = 1 WHERE path IN ({})", placeholders(1, due.len()));
        let args: Vec<Value<'_>> = due.iter().map(|one| one.path.as_str().into()).collect();
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// Adds what versions of registered models and deployments name.
async fn add_held(session: &mut Session, due: &mut [Garbage]) -> Result<(), MetastoreError> {
    let sql = "SELECT source AS uri FROM model_version UNION SELECT location FROM model_version WHERE location IS NOT NULL \
               UNION SELECT uri FROM deployment";
    let places: HashMap<String, usize> =
        due.iter().enumerate().map(|(at, one)| (one.owner.clone(), at)).collect();
    for row in session.fetch_all(sql, &[]).await? {
        let uri = row.text("uri")?;
        let parts: Vec<&str> = uri.split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            let Some(one) = places.get(*part).and_then(|at| due.get_mut(*at)) else { continue };
            let below = parts.get(at + 1..).unwrap_or_default().join("/");
            // `runs:/<run>/<path>` leaves out the folder that is between the two elsewhere.
            let between = uri.starts_with("runs:/") && !is_own_folder(one);
            one.held.push(if between { format!("artifacts/{below}") } else { below });
        }
    }
    Ok(())
}

/// Whether the files lie directly in the folder of their owner.
fn is_own_folder(one: &Garbage) -> bool {
    one.path == one.owner
}

/// Writes down folders whose files are to be deleted. One that is known is looked at anew.
pub(super) async fn discard(
    session: &mut Session,
    folders: &[(String, String)],
    now: i64,
) -> Result<(), MetastoreError> {
    for folders in folders.chunks(CHUNK) {
        let mut args: Vec<Value<'_>> = vec![now.into(), (now + FIRST_LOOK).into()];
        let mut rows = Vec::with_capacity(folders.len());
        for (path, owner) in folders {
            rows.push(format!("({}, $1, $2)", placeholders(args.len() + 1, 2)));
            args.extend([path.as_str().into(), owner.as_str().into()]);
        }
        let sql = format!(
            "INSERT INTO artifact_garbage (path, owner, since, next_at) VALUES {} \
             ON CONFLICT (path) DO UPDATE SET since = excluded.since, next_at = excluded.next_at, looks = 0, attempts = 0",
            rows.join(", ")
        );
        session.execute(&sql, &args).await?;
    }
    Ok(())
}

/// The folder below the root of all artifacts; `None` if the files are kept elsewhere.
pub(super) fn own_folder(location: Option<&str>, below: &str, id: &str) -> Option<String> {
    match location {
        None => Some(id.to_owned()),
        Some(base) => {
            let base = base.strip_prefix(OWN_ARTIFACTS)?.trim_matches('/');
            let parts = [base, below, id];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (!base.is_empty()).then(|| parts.join("/"))
        }
    }
}

/// Takes the folders of runs back that come again with their old ids.
///
/// # Errors
/// [`Refusal::FilesGoing`] if the files of one are being deleted at this moment; if the database fails.
pub(super) async fn revive(session: &mut Session, ids: &[&str]) -> Result<(), MetastoreError> {
    for ids in ids.chunks(CHUNK) {
        let of_these = format!("owner IN ({})", placeholders(1, ids.len()));
        let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
        let sql = format!("SELECT owner FROM artifact_garbage WHERE busy = 1 AND {of_these}");
        if let Some(row) = session.fetch_optional(&sql, &args).await? {
            return Err(Refusal::FilesGoing { id: row.text("owner")? }.into());
        }
        session.execute(&format!("DELETE FROM artifact_garbage WHERE {of_these}"), &args).await?;
    }
    Ok(())
}
