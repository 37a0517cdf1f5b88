//! The servers on one database: who is there, for how long, and which runs each of them drives.
//!
//! Every start gets an epoch of its own. A run belongs to one epoch; a transition of another is refused (`runs_write`). Leases are kept by
//! the database's clock, so that the servers' own need not agree.

use crate::{Metastore, MetastoreError, Row, Session};

/// A server that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServer {
    /// The machine: an id that no other has.
    pub host: String,
    /// Its process on that machine.
    pub pid: i64,
    /// Start time of that process, clock ticks since boot.
    pub started_ticks: i64,
    /// Of the folder that it holds alone.
    pub state_id: String,
    /// Where that is: its runs leave their files there.
    pub state_folder: String,
    /// Now, microseconds since 1970.
    pub now: i64,
    /// How long the others leave it alone without a word, microseconds.
    pub lease: i64,
}

/// A server as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRow {
    /// Its epoch.
    pub epoch: i64,
    /// The machine.
    pub host: String,
    /// Its process there.
    pub pid: i64,
    /// Start time of that process, clock ticks since boot.
    pub started_ticks: i64,
    /// Of the folder that it holds alone.
    pub state_id: String,
    /// Where that is: its runs leave their files there.
    pub state_folder: String,
    /// When it began, microseconds since 1970.
    pub started_at: i64,
    /// Whether its lease is not over.
    pub alive: bool,
}

/// What is wanted of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunWish {
    /// Which.
    pub run: String,
    /// That it ends.
    pub cancel: bool,
    /// That nothing of it begins.
    pub pause: bool,
}

/// When the runs of another server may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// If its lease is over.
    IfExpired,
    /// At once: its process is known to be gone.
    ProcessIsGone,
}

/// The database's clock, microseconds since 1970.
fn clock(session: &Session) -> &'static str {
    if session.is_postgres() {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    } else {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    }
}

impl Metastore {
    /// Enters a server and returns its epoch, higher than any before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_server(&self, server: NewServer) -> Result<i64, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE engine_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch";
                let raised = session.fetch_optional(sql, &[]).await?;
                let epoch = raised.map_or(Ok(0), |row| row.int("epoch"))?;
                let clock = clock(session);
                let sql = format!(
                    "INSERT INTO engine_server (epoch, host, pid, started_ticks, state_id, state_folder, started_at, lease_until) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, {clock} + $8)"
                );
                let args = [
                    epoch.into(),
                    server.host.as_str().into(),
                    server.pid.into(),
                    server.started_ticks.into(),
                    server.state_id.as_str().into(),
                    server.state_folder.as_str().into(),
                    server.now.into(),
                    server.lease.into(),
                ];
                session.execute(&sql, &args).await?;
                // Rows of servers that have long ended are of no use to anybody.
                let sql = "DELETE FROM engine_server WHERE lease_until = 0 AND epoch < $1 - 100";
                session.execute(sql, &[epoch.into()]).await?;
                Ok(epoch)
            })
        })
        .await
    }

    /// Lengthens the lease of a server; `false` if another one has taken over from it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn renew_server(&self, epoch: i64, lease: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let clock = clock(session);
                let sql = format!(
                    "UPDATE engine_server SET lease_until = {clock} + $2 WHERE epoch = $1 AND lease_until > 0"
                );
                Ok(session.execute(&sql, &[epoch.into(), lease.into()]).await? == 1)
            })
        })
        .await
    }

    /// Ends the lease of a server that stops, so that nobody waits for it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_server(&self, epoch: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE engine_server SET lease_until = 0 WHERE epoch = $1";
                session.execute(sql, &[epoch.into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Every server that has not ended, or that ended lately, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_servers(&self) -> Result<Vec<ServerRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let clock = clock(session);
                let sql = format!(
                    "SELECT epoch, host, pid, started_ticks, state_id, state_folder, started_at, \
                     CAST(CASE WHEN lease_until > {clock} THEN 1 ELSE 0 END AS BIGINT) AS alive FROM engine_server ORDER BY epoch DESC"
                );
                session.fetch_all(&sql, &[]).await?.iter().map(server_row).collect()
            })
        })
        .await
    }

    /// Epochs other than `epoch` that own runs which are not over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn other_owners(&self, epoch: i64) -> Result<Vec<i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT owner FROM pipeline_run WHERE state IN ('queued', 'running') AND owner <> $1";
                let found = session.fetch_all(sql, &[epoch.into()]).await?;
                found.iter().map(|row| row.int("owner")).collect()
            })
        })
        .await
    }

    /// Takes over the runs of `from` for `to` if it may, and returns their ids, oldest first. The servers that try at the same time get
    /// each run once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_over_runs(
        &self,
        from: i64,
        to: i64,
        when: TakeOver,
    ) -> Result<Vec<String>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // The row is locked first: a renewal comes before, and this finds a new lease, or after, and is told of the loss.
                let clock = clock(session);
                let expired = match when {
                    TakeOver::IfExpired => format!("AND lease_until <= {clock}"),
                    TakeOver::ProcessIsGone => String::new(),
                };
                let sql = format!("UPDATE engine_server SET lease_until = 0 WHERE epoch = $1 {expired}");
                let ended = session.execute(&sql, &[from.into()]).await?;
                let known = "SELECT epoch FROM engine_server WHERE epoch = $1";
                if ended == 0 && session.fetch_optional(known, &[from.into()]).await?.is_some() {
                    return Ok(Vec::new());
                }
                let sql = "UPDATE pipeline_run SET owner = $2 WHERE owner = $1 AND state IN ('queued', 'running') \
                           RETURNING id, created_at";
                let taken = session.fetch_all(sql, &[from.into(), to.into()]).await?;
                let mut taken: Vec<(i64, String)> = taken
                    .iter()
                    .map(|row| Ok((row.int("created_at")?, row.text("id")?)))
                    .collect::<Result<_, MetastoreError>>()?;
                taken.sort();
                // What runs counts against the limits of the server that looks after it.
                let sql = "UPDATE step_attempt SET epoch = $2 WHERE state = 'running' AND epoch = $1";
                session.execute(sql, &[from.into(), to.into()]).await?;
                Ok(taken.into_iter().map(|(_, id)| id).collect())
            })
        })
        .await
    }

    /// What somebody wants of runs of a server, perhaps through another server. Runs of which nothing is wanted are left out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn wishes_for_runs(&self, epoch: i64) -> Result<Vec<RunWish>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, cancel_requested, paused FROM pipeline_run WHERE state IN ('queued', 'running') \
                           AND owner = $1 AND (cancel_requested <> 0 OR paused <> 0)";
                let wish = |row: &Row| {
                    let (cancel, pause) = (row.bool("cancel_requested")?, row.bool("paused")?);
                    Ok(RunWish { run: row.text("id")?, cancel, pause })
                };
                session.fetch_all(sql, &[epoch.into()]).await?.iter().map(wish).collect()
            })
        })
        .await
    }

    /// Id, pipeline and state word of open runs that other servers drive, newest first, `limit` at most.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_runs_of_others(
        &self,
        epoch: i64,
        limit: usize,
    ) -> Result<Vec<(String, String, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, pipeline, state FROM pipeline_run WHERE state IN ('queued', 'running') \
                           AND owner <> $1 ORDER BY created_at DESC LIMIT $2";
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let found = session.fetch_all(sql, &[epoch.into(), limit.into()]).await?;
                found
                    .iter()
                    .map(|row| Ok((row.text("id")?, row.text("pipeline")?, row.text("state")?)))
                    .collect()
            })
        })
        .await
    }

    /// The server that drives a run; `None` if there is no such run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn owner_of_run(&self, id: String) -> Result<Option<i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT owner FROM pipeline_run WHERE id = $1";
                session
                    .fetch_optional(sql, &[id.as_str().into()])
                    .await?
                    .map(|row| row.int("owner"))
                    .transpose()
            })
        })
        .await
    }
}

fn server_row(row: &Row) -> Result<ServerRow, MetastoreError> {
    Ok(ServerRow {
        epoch: row.int("epoch")?,
        host: row.text("host")?,
        pid: row.int("pid")?,
        started_ticks: row.int("started_ticks")?,
        state_id: row.text("state_id")?,
        state_folder: row.text("state_folder")?,
        started_at: row.int("started_at")?,
        alive: row.bool("alive")?,
    })
}
