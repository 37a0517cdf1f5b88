//! Which version of a table is meant.

use deltalake::DeltaTable;
use futures::StreamExt as _;
use millrace_contract::{QueryError, TableMoment};

use super::{chain, handle, open};
use crate::engine::{DataFusionEngine, store};

/// The version of the table at `uri` that is meant, which is there; `None` if there is no table.
pub(crate) async fn version_at(
    engine: &DataFusionEngine,
    uri: &str,
    moment: &TableMoment,
) -> Result<Option<u64>, QueryError> {
    // Looking must not make the folder.
    let exists = match store::parse(uri)?.to_file_path() {
        Ok(path) => path.join("_delta_log").exists(),
        Err(()) => {
            let found = handle(engine, uri)?.verify_deltatable_existence().await;
            found.map_err(|error| QueryError::Read { uri: uri.to_owned(), message: chain(&error) })?
        }
    };
    if exists { found(engine, uri, moment).await.map(Some) } else { Ok(None) }
}

async fn found(engine: &DataFusionEngine, uri: &str, moment: &TableMoment) -> Result<u64, QueryError> {
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let newest = |table: &DeltaTable| table.version().ok_or_else(|| refused("it has no version".to_owned()));
    let time = match moment {
        TableMoment::Newest => return newest(&open(engine, uri, None).await?),
        TableMoment::Version(version) => {
            let last = newest(&open(engine, uri, None).await?)?;
            if *version > last {
                return Err(refused(format!("there is no version {version}, the newest is {last}")));
            }
            return newest(&open(engine, uri, Some(*version)).await?);
        }
        TableMoment::At(time) => time.as_millisecond(),
    };
    let table = open(engine, uri, None).await?;
    let mut version = newest(&table)?;
    let mut commits = table.history(None);
    loop {
        let Some(commit) = commits.next().await else {
            let message = format!("its log begins after {}", shown(time));
            return Err(refused(message));
        };
        let commit = commit.map_err(|error| refused(chain(&error)))?;
        let Some(at) = commit.in_commit_timestamp.or(commit.timestamp) else {
            return Err(refused(format!(
                "version {version} does not say when it was written; name a version instead"
            )));
        };
        if at <= time {
            return Ok(version);
        }
        version = match version.checked_sub(1) {
            Some(version) => version,
            None => return Err(refused(format!("its first version is of {}", shown(at)))),
        };
    }
}

/// A time as people write it.
fn shown(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |time| time.to_string())
}
