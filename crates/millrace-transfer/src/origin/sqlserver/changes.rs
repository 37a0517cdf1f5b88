//! Change tracking: which rows changed since a version, without their values, which the table has.
//! <https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-tracking-sql-server>

use async_trait::async_trait;
use millrace_contract::{BatchStream, ChangedBetween, RowChange};
use serde_json::json;

use super::{Connection, Query, Refused, SqlServer, heard, quoted, relation};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::tracking::{Tracked, Tracking};

/// The version of the last change, and the first one since which changes are kept.
const VERSIONS: &str = "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS newest, CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@P1)) AS least";
/// The columns that change tracking knows a row by.
const KEYS: &str = "SELECT c.name FROM sys.indexes AS i \
                    JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id \
                    JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id \
                    WHERE i.is_primary_key = 1 AND i.object_id = OBJECT_ID(@P1) ORDER BY k.key_ordinal";

/// A table whose changes the server tracks.
pub(super) struct Changes {
    pub(super) server: SqlServer,
    pub(super) tracking: Tracking,
}

impl Changes {
    /// The table as queries have it.
    fn relation(&self) -> Result<String, Refused> {
        let table = self.tracking.table.trim();
        relation(table).ok_or_else(|| Refused::Said(format!("`{table}` names no table")))
    }

    async fn connect(&self) -> Result<Connection, Refused> {
        heard(self.server.connect()).await
    }

    /// The newest version, and the first since which changes are kept.
    async fn versions(&self, connection: &mut Connection) -> Result<(u64, u64), Refused> {
        let relation = self.relation()?;
        let row = connection.query(VERSIONS, &[&relation]).await?.into_row().await?;
        let version = |name: &str| {
            let found = row.as_ref().map_or(Ok(None), |row| row.try_get::<i64, _>(name))?;
            Ok::<_, Refused>(found.and_then(|version| u64::try_from(version).ok()))
        };
        let newest = version("newest")?.ok_or_else(|| {
            Refused::Said(
                "the database does not track changes: `ALTER DATABASE … SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)`"
                    .to_owned(),
            )
        })?;
        let least = version("least")?.ok_or_else(|| {
            Refused::Said(format!(
                "changes of the table are not tracked, or not shown to this user: `ALTER TABLE {relation} ENABLE CHANGE_TRACKING`, \
                 `GRANT VIEW CHANGE TRACKING ON {relation} TO …`"
            ))
        })?;
        Ok((newest, least))
    }

    /// The columns that make a row one with another.
    async fn keys(&self, connection: &mut Connection) -> Result<Vec<String>, Refused> {
        let relation = self.relation()?;
        let rows = connection.query(KEYS, &[&relation]).await?.into_first_result().await?;
        let keys = rows.iter().map(|row| Ok(row.try_get::<&str, _>(0)?.unwrap_or_default().to_owned()));
        let keys: Vec<String> = keys.collect::<Result<_, Refused>>()?;
        match keys.is_empty() {
            true => Err(Refused::Said("the table has no primary key".to_owned())),
            false => Ok(keys),
        }
    }

    /// The rows that changed, as a query.
    ///
    /// A row that has changed again after `until` is left to the next copy. What is not in the table any more is deleted, whatever was done to it
    /// before.
    fn sql(
        &self,
        relation: &str,
        (columns, keys): (&[String], &[String]),
        between: ChangedBetween,
    ) -> String {
        let list: Vec<String> = columns
            .iter()
            .map(|name| format!("{}.{}", if keys.contains(name) { "CT" } else { "T" }, quoted(name)))
            .collect();
        let same: Vec<String> =
            keys.iter().map(|key| quoted(key)).map(|key| format!("T.{key} = CT.{key}")).collect();
        let absent = keys.first().map(|key| format!("T.{} IS NULL", quoted(key))).unwrap_or_default();
        let (delete, upsert, op) =
            (RowChange::Delete.word(), RowChange::Upsert.word(), quoted(&self.tracking.op));
        format!(
            "(SELECT {}, CASE WHEN {absent} THEN N'{delete}' ELSE N'{upsert}' END AS {op} \
             FROM CHANGETABLE(CHANGES {relation}, {}) AS CT LEFT OUTER JOIN {relation} AS T ON {} WHERE CT.SYS_CHANGE_VERSION <= {})",
            list.join(", "),
            between.since,
            same.join(" AND "),
            between.until
        )
    }

    async fn query(&self, between: ChangedBetween) -> Result<Query, CopyError> {
        let failed = |refused: Refused| self.server.failed(&self.tracking.label, &refused);
        let asked = async {
            let mut connection = self.connect().await?;
            let (_, least) = self.versions(&mut connection).await?;
            let relation = self.relation()?;
            let table = Query { from: relation.clone(), ..Query::default() };
            let columns = self.server.describe(&mut connection, &table).await?;
            let columns: Vec<String> =
                columns.into_iter().map(|column| column.field.name().clone()).collect();
            let keys = self.keys(&mut connection).await?;
            Ok((least, self.sql(&relation, (&columns, &keys), between), columns))
        };
        let (least, sql, columns) = asked.await.map_err(failed)?;
        self.kept(between.since, least)?;
        self.tracking.check_op(columns.iter().map(String::as_str))?;
        // What the step says of rows was said of the table.
        let config = CopyConfig::plain(&json!("erp:changes"), indexmap::IndexMap::new())?;
        Query::of(&sql, &config)
    }

    fn kept(&self, since: u64, least: u64) -> Result<(), CopyError> {
        if since >= least {
            return Ok(());
        }
        Err(self.tracking.forgotten(&format!(
            "the server keeps changes since version {least}, and version {since} was copied (`CHANGE_RETENTION` says how long)"
        )))
    }
}

#[async_trait]
impl Tracked for Changes {
    async fn now(&self, since: Option<u64>) -> Result<u64, CopyError> {
        let asked = async { self.versions(&mut self.connect().await?).await };
        let versions = asked.await.map_err(|refused| self.server.failed(&self.tracking.label, &refused));
        let (newest, least) = versions?;
        match since {
            Some(since) if since > newest => Err(self.tracking.forgotten(&format!(
                "the server's newest version is {newest}, and version {since} was copied"
            ))),
            Some(since) => self.kept(since, least).map(|()| newest),
            None => Ok(newest),
        }
    }

    async fn changes(&self, between: ChangedBetween) -> Result<BatchStream, CopyError> {
        let Tracking { label, config, outcome, .. } = &self.tracking;
        self.server.rows(self.query(between).await?, label, config, outcome.clone()).await
    }
}
