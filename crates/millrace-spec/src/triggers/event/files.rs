use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec, bad_globs};
use crate::duration::Elapsed;
use crate::problem::Problem;

/// Files of this machine that come, change or go.
///
/// `event.blob` has the `uri`, `path`, `name`, `size` and `etag`. What is there when the trigger is written starts nothing; a file that is
/// replaced by other content has come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalFiles {
    /// Path or glob, relative to the workspace: `*` within a folder, `**` below it.
    pub file: String,
    /// What happened to them; `[created]` if absent.
    #[serde(default = "created")]
    pub events: Vec<FileChange>,
    /// How long a file must not have changed, so that no half-written one is taken; `10s` if absent.
    #[serde(default = "ten_seconds")]
    pub settle: Elapsed,
    /// How often it is looked; `10s` if absent.
    #[serde(default = "ten_seconds")]
    pub every: Elapsed,
    /// Whether empty files count, too.
    #[serde(default)]
    pub empty: bool,
}

impl EventKind for LocalFiles {
    const WORD: &'static str = "file";
    const EXAMPLE: &'static str =
        "{file: \"landing/**/*.csv\", settle: 30s, inputs: {file: \"${{ event.blob.path }}\"}}";

    fn into_spec(self) -> EventSpec {
        EventSpec::File(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        let mut found = bad_globs("file", std::iter::once(&self.file));
        if self.file.contains("://") {
            let problem = Problem::error("not-a-path", format!("`{}` is no path of this machine", self.file));
            found.push(("file", problem.hint(format!("for a bucket write `blob: \"{}\"`", self.file))));
        }
        found
    }
}

/// Objects in a bucket, or in the workspace's own storage, that come, change or go.
///
/// `event.blob` has the `uri`, `path`, `name`, `size` and `etag`. What is there when the trigger is written starts nothing; an object that
/// is replaced by other content has come again.
///
/// A connection of connections.yaml opens the bucket: `lake: {s3: {bucket: lake, access_key_id: …, secret_access_key: …}}`,
/// `raw: {azblob: {container: raw, account: …, access_key: …}}` (or `sas_token`, or `tenant_id`, `client_id` and `client_secret`),
/// `land: {gcs: {bucket: land, service_account_key: …}}`; without one, the variables that the vendor's clients read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlobFiles {
    /// URL with a glob: `s3://BUCKET/…`, `az://CONTAINER/…` (Azure Blob Storage), `gs://BUCKET/…` (Google Cloud Storage), or `lake://…` for
    /// the workspace's own storage.
    pub blob: String,
    /// What happened to them; `[created]` if absent.
    #[serde(default = "created")]
    pub events: Vec<FileChange>,
    /// How long an object must not have changed; `10s` if absent.
    #[serde(default = "ten_seconds")]
    pub settle: Elapsed,
    /// How often the bucket is listed; `10s` if absent.
    #[serde(default = "ten_seconds")]
    pub every: Elapsed,
    /// Whether empty objects count, too.
    #[serde(default)]
    pub empty: bool,
}

impl EventKind for BlobFiles {
    const WORD: &'static str = "blob";
    const EXAMPLE: &'static str =
        "{blob: \"s3://lake/landing/customers/**/*.parquet\", events: [created], settle: 30s}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Blob(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        let mut found = bad_globs("blob", std::iter::once(&self.blob));
        match self.blob.split_once("://") {
            Some(("s3" | "az" | "gs" | "lake", rest)) if !rest.is_empty() => {}
            Some(_) => {
                let problem = Problem::error("not-a-bucket", format!("`{}` cannot be watched", self.blob));
                found.push((
                    "blob",
                    problem.hint("write `s3://BUCKET/…`, `az://CONTAINER/…`, `gs://BUCKET/…`, or `lake://…`"),
                ));
            }
            None => {
                let problem =
                    Problem::error("not-a-bucket", format!("`{}` is no URL of a bucket", self.blob));
                found.push((
                    "blob",
                    problem.hint(format!("for files of this machine write `file: {}`", self.blob)),
                ));
            }
        }
        found
    }
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

fn created() -> Vec<FileChange> {
    vec![FileChange::Created]
}

fn ten_seconds() -> Elapsed {
    Elapsed::from_ms(10_000)
}
