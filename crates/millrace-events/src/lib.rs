//! Where events are heard of outside of the workspace: folders, buckets, git repositories, feeds, queues.
//!
//! Owns: asking them, how far each was read (its cursor), and what happened since; that a queue's messages are acknowledged only once they are
//! in the inbox. Leaves to others: the inbox, which stores what was told
//! together with the cursor, and what becomes of it (orchestration). Heavy clients have their address here. Start from [`Outside`].
#![warn(missing_docs)]

mod connection;
mod feed;
mod files;
mod git;
mod imap;
mod listing;
mod mail_files;
mod message;
mod probe;
mod queue;
mod queues;
mod reading;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use millrace_contract::{Clock, EventSource, EventSources, Listener};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::EventSpec;
use millrace_storage::{Storage, StorageOptions};

pub use connection::ReadConnection;
use connection::Server;
use feed::FeedSource;
use files::FileSource;
use git::GitSource;
use imap::MailSource;
use listing::Listing;
pub use probe::{Found, connection_kinds, probe};
use queue::Subscriber;
pub use reading::ConnectedQueues;

/// Options of a bucket by the scheme of its URL and its name, as the connections say now.
pub type BucketOptions = Arc<dyn Fn(&str, &str) -> StorageOptions + Send + Sync>;

/// The JSON Schema of what stands below a word of connections.yaml that leads to a queue or a mailbox; `None` for other words. (Of
/// `postgres`, which copies read too, the copies know the keys.)
pub fn connection_schema(word: &str) -> Option<serde_json::Value> {
    queues::connection_schemas().into_iter().find_map(|(known, schema)| (known == word).then_some(schema))
}

/// Sources outside of a workspace.
#[derive(Clone)]
pub struct Outside {
    /// Root of the workspace: paths of `file` are relative to it, and remotes of `git` are those of its repository.
    pub workspace: PathBuf,
    /// Folder for copies of repositories, which can be made again.
    pub copies: PathBuf,
    /// The workspace's own storage, `lake://`.
    pub lake: Storage,
    /// What it takes to reach a bucket.
    pub buckets: BucketOptions,
    /// Settings of a connection, secrets resolved.
    pub connections: ReadConnection,
    /// Name of the workspace, which is in the names of consumers.
    pub name: String,
    /// Tells this server from others of the workspace, also after a restart.
    pub server: String,
    /// Reads feeds; needs timeouts.
    pub client: reqwest::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl EventSources for Outside {
    async fn open(
        &self,
        spec: &EventSpec,
        listener: &Listener,
    ) -> Result<Option<Box<dyn EventSource>>, Problem> {
        if let EventSpec::Imap(spec) = spec {
            let server = Server::read(&spec.connection, &self.connections)?;
            return Ok(Some(Box::new(MailSource::new(spec.clone(), server))));
        }
        if let Some(source) = queues::open(spec, &self.connections, &self.subscriber(listener))? {
            return Ok(Some(source));
        }
        Ok(Some(match spec {
            EventSpec::File(files) => {
                let listing = Listing::folder(&self.workspace, &files.file);
                Box::new(FileSource::new(files.into(), listing, self.clock.clone()))
            }
            EventSpec::Blob(files) => {
                let listing = Listing::bucket(&files.blob, &self.lake, &self.buckets)?;
                Box::new(FileSource::new(files.into(), listing, self.clock.clone()))
            }
            EventSpec::Git(spec) => {
                Box::new(GitSource::open(spec.clone(), &self.workspace, &self.copies).await?)
            }
            EventSpec::Feed(spec) => Box::new(FeedSource::new(spec.clone(), self.client.clone())),
            _ => return Ok(None),
        }))
    }
}

impl Outside {
    fn subscriber(&self, listener: &Listener) -> Subscriber {
        Subscriber::new(&self.name, listener, &self.server)
    }
}
