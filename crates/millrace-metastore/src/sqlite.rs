//! SQLite: one writer at a time with group commit, a few readers.
//!
//! All writes of a process go through one task. It takes every write that waits, runs each under a savepoint in one transaction,
//! commits once (`synchronous = FULL`: one fsync) and then answers. So a hundred concurrent writers cost one fsync, and "database is
//! locked" cannot come from within. What runs log is grouped already: it takes the writing connection by itself (`SqliteStore::writer`).

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::session::Connection;
use crate::{MetastoreError, Session};

/// Writes that wait for the writer; more wait in their callers.
const QUEUE: usize = 1_024;
/// Writes in one transaction.
const GROUP: usize = 256;
const READERS: usize = 4;

/// What the writer runs: does its statements, keeps its result, and hands over what is to be told after the commit.
type Job = Box<dyn for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<Answer, Refusal>> + Send>;
/// Tells the caller what became of its write, once the commit did or did not happen.
type Answer = Box<dyn FnOnce(Result<(), MetastoreError>) + Send>;
/// Tells the caller that its own work failed.
type Refusal = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    readers: Arc<Lending>,
    writers: Arc<Lending>,
    writer: mpsc::Sender<Job>,
    file: Arc<Path>,
}

/// Connections that are lent out, opened when they are needed. Not sqlx's pool: it asks a connection whether it lives before and after it
/// is lent, and each question is two changes of threads, more than most of our reads cost. A file does not go away.
#[derive(Debug)]
pub(crate) struct Lending {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Arc<Semaphore>,
}

impl Lending {
    pub(crate) fn new(options: SqliteConnectOptions, most: usize) -> Arc<Self> {
        Arc::new(Self { options, idle: Mutex::default(), permits: Arc::new(Semaphore::new(most)) })
    }

    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent, MetastoreError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| MetastoreError::WriterGone)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(MetastoreError::Open)?,
        };
        Ok(Lent { connection: Some(connection), home: self.clone(), _permit: permit })
    }

    async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            connection.close().await.ok();
        }
    }
}

/// A connection that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    connection: Option<SqliteConnection>,
    home: Arc<Lending>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.home.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}

impl Deref for Lent {
    type Target = SqliteConnection;

    #[allow(clippy::expect_used, reason = "only dropping takes it out")]
    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("a connection that is lent is there")
    }
}

impl DerefMut for Lent {
    #[allow(clippy::expect_used, reason = "only dropping takes it out")]
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("a connection that is lent is there")
    }
}

impl SqliteStore {
    pub(crate) async fn open(path: &str) -> Result<Self, MetastoreError> {
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(MetastoreError::Open)?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(20))
            .statement_cache_capacity(256);
        let readers = Lending::new(options.clone(), READERS);
        let writers = Lending::new(options, 1);
        // That the file cannot be opened is told now.
        drop(writers.lend().await?);
        let (writer, jobs) = mpsc::channel(QUEUE);
        // Ends when the last clone of the store is dropped.
        tokio::spawn(write_until_closed(writers.clone(), jobs));
        Ok(Self { readers, writers, writer, file: Path::new(path).into() })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) async fn reader(&self) -> Result<Session, MetastoreError> {
        Ok(Session(Connection::Sqlite(self.readers.lend().await?)))
    }

    /// The writing connection, outside a transaction, which the borrower begins and ends.
    pub(crate) async fn writer(&self) -> Result<Session, MetastoreError> {
        Ok(Session(Connection::Sqlite(self.writers.lend().await?)))
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, MetastoreError>
    where
        F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, MetastoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |session| {
            Box::pin(async move {
                let outcome = std::panic::AssertUnwindSafe(work(session)).catch_unwind().await;
                match outcome {
                    Ok(Ok(value)) => Ok(Box::new(move |committed: Result<(), MetastoreError>| {
                        answer.send(committed.map(|()| value)).ok();
                    }) as Answer),
                    Ok(Err(error)) => Err(Box::new(move || {
                        answer.send(Err(error)).ok();
                    }) as Refusal),
                    Err(_) => Err(Box::new(move || drop(answer)) as Refusal),
                }
            })
        });
        self.writer.send(job).await.map_err(|_| MetastoreError::WriterGone)?;
        answered.await.map_err(|_| MetastoreError::WriterGone)?
    }
}

async fn write_until_closed(writers: Arc<Lending>, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP).await > 0 {
        let connection = match writers.lend().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::error!(%error, "the writing connection is lost; the writes that wait are refused");
                group.clear();
                continue;
            }
        };
        let mut session = Session(Connection::Sqlite(connection));
        commit_group(&mut session, std::mem::take(&mut group)).await;
    }
    writers.close().await;
}

async fn commit_group(session: &mut Session, group: Vec<Job>) {
    if let Err(error) = session.control("BEGIN IMMEDIATE").await {
        tracing::error!(error = %chain(&error), "no transaction can begin; its writes are refused");
        return;
    }
    let mut answers = Vec::with_capacity(group.len());
    // A write that is alone is undone with its transaction.
    if group.len() == 1 {
        for job in group {
            match job(session).await {
                Ok(answer) => answers.push(answer),
                Err(refuse) => {
                    session.control("ROLLBACK").await.ok();
                    refuse();
                    return;
                }
            }
        }
        return commit(session, answers).await;
    }
    for job in group {
        if session.control("SAVEPOINT one_write").await.is_err() {
            continue;
        }
        match job(session).await {
            Ok(answer) => match session.control("RELEASE one_write").await {
                Ok(()) => answers.push(answer),
                Err(error) => answer(Err(error)),
            },
            Err(refuse) => {
                if let Err(error) = session.control("ROLLBACK TO one_write; RELEASE one_write").await {
                    tracing::error!(error = %chain(&error), "a failed write could not be undone alone");
                }
                refuse();
            }
        }
    }
    commit(session, answers).await;
}

async fn commit(session: &mut Session, answers: Vec<Answer>) {
    match session.control("COMMIT").await {
        Ok(()) => answers.into_iter().for_each(|answer| answer(Ok(()))),
        Err(error) => {
            let text = chain(&error);
            tracing::error!(error = %text, "a transaction could not be committed");
            session.control("ROLLBACK").await.ok();
            for answer in answers {
                answer(Err(MetastoreError::NotCommitted { message: text.clone() }));
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
