use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::DurationText;

pub(super) const FILE_EXAMPLE: &str =
    "landed:\n  file: \"landing/**/*.csv\"\n  settle: 30s\n  inputs: {file: \"${{ event.blob.path }}\"}";
pub(super) const BLOB_EXAMPLE: &str = "landed:\n  blob: \"s3://lake/landing/customers/**/*.parquet\"\n  events: [created]\n  settle: 30s\n  inputs: {uri: \"${{ event.blob.uri }}\"}";

/// Files that come, change or go: `file` in a folder of this machine, `blob` in a bucket or in the workspace's own storage.
///
/// `event.blob` has the `uri`, `path`, `name`, `size` and `etag`. What is there when the trigger is written starts nothing; a file that is
/// replaced by other content has come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Path or glob, relative to the workspace: `*` within a folder, `**` below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// URL with a glob, `s3://BUCKET/…`, or `lake://…` for the workspace's own storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// What happened to them.
    #[serde(default = "created")]
    pub events: Vec<FileChange>,
    /// How long the size must not have changed, so that no half-written file is taken.
    #[serde(default = "ten_seconds")]
    pub settle: DurationText,
    /// How often it is looked.
    #[serde(default = "ten_seconds")]
    pub every: DurationText,
    /// Whether empty files count, too.
    #[serde(default)]
    pub empty: bool,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is new, or has other content than before.
    Created,
    /// It is gone.
    Deleted,
}

impl FileChange {
    /// The word that users write.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Deleted => "deleted",
        }
    }
}

/// Where files are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksAt<'a> {
    /// A path of this machine, with a glob.
    Folder(&'a str),
    /// An URL, with a glob.
    Bucket(&'a str),
}

impl Files {
    /// Where it looks; `None` if the file says neither or both, which `check` refuses.
    pub fn looks_at(&self) -> Option<LooksAt<'_>> {
        match (&self.file, &self.blob) {
            (Some(path), None) => Some(LooksAt::Folder(path)),
            (None, Some(url)) => Some(LooksAt::Bucket(url)),
            _ => None,
        }
    }
}

fn created() -> Vec<FileChange> {
    vec![FileChange::Created]
}

fn ten_seconds() -> DurationText {
    DurationText(10_000)
}
