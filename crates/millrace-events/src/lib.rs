//! Where events are heard of outside of the workspace: folders, buckets, git repositories, feeds.
//!
//! Owns: asking them, how far each was read (its cursor), and what happened since. Leaves to others: the inbox, which stores what was told
//! together with the cursor, and what becomes of it (orchestration). Heavy clients have their address here. Start from [`Outside`].
#![warn(missing_docs)]

mod feed;
mod files;
mod git;
mod listing;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use millrace_contract::{Clock, EventSource, EventSources};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::EventSpec;
use millrace_storage::{Storage, StorageOptions};

use feed::FeedSource;
use files::FileSource;
use git::GitSource;
use listing::Listing;

/// Options of a bucket by its name, as the connections say now.
pub type BucketOptions = Arc<dyn Fn(&str) -> StorageOptions + Send + Sync>;

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
    /// Reads feeds; needs timeouts.
    pub client: reqwest::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl EventSources for Outside {
    async fn open(&self, spec: &EventSpec) -> Result<Option<Box<dyn EventSource>>, Problem> {
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
