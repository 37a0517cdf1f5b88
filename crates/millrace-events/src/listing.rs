//! What files there are: in a folder of this machine or in a bucket.

use std::path::{Path, PathBuf};

use millrace_spec::glob::{self, Glob};
use millrace_spec::problem::Problem;
use millrace_storage::{FileFacts, FilePath, ObjectList, Storage, StorageError};

use crate::BucketOptions;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// As the trigger names it: relative to the workspace, or the key in the bucket.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Differs when the content does.
    pub(crate) etag: String,
}

/// The files that a glob names.
pub(crate) struct Listing {
    /// What comes before the path in its URI.
    pub(crate) base: String,
    glob: String,
    place: Place,
}

enum Place {
    /// Root of relative paths.
    Folder(PathBuf),
    /// The fixed folders of the glob.
    Bucket(Storage),
    /// The same of Azure or Google.
    Objects(ObjectList),
}

impl Listing {
    pub(crate) fn folder(workspace: &Path, glob: &str) -> Self {
        let glob = glob.trim_start_matches("./");
        let root = if glob.starts_with('/') { Path::new("/") } else { workspace };
        let base = format!("file://{}", root.display());
        Self {
            base: base.trim_end_matches('/').to_owned(),
            glob: glob.trim_start_matches('/').to_owned(),
            place: Place::Folder(root.to_path_buf()),
        }
    }

    pub(crate) fn bucket(url: &str, lake: &Storage, buckets: &BucketOptions) -> Result<Self, Problem> {
        let refused = |reason: String| {
            Problem::error("event-source", format!("`{url}` cannot be watched: {reason}"))
                .hint("write `s3://BUCKET/FOLDER/*.csv`, `az://CONTAINER/…`, `gs://BUCKET/…` or `lake://FOLDER/*.csv`")
        };
        if let Some(glob) = url.strip_prefix("lake://") {
            let folder = FilePath::new(glob::base(glob)).map_err(|error| refused(error.to_string()))?;
            let place = Place::Bucket(lake.below(&folder));
            return Ok(Self { base: "lake:/".to_owned(), glob: glob.to_owned(), place });
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !matches!(scheme, "s3" | "az" | "gs") {
            return Err(refused(format!("`{scheme}://` is not known here")));
        }
        let (bucket, glob) = rest.split_once('/').ok_or_else(|| refused("it names no objects".to_owned()))?;
        let options = (*buckets)(scheme, bucket);
        let folder = format!("{scheme}://{bucket}/{}", glob::base(glob));
        let folder = folder.trim_end_matches('/');
        let place = match scheme {
            "s3" => Storage::open(folder, &options).map(Place::Bucket),
            _ => ObjectList::open(folder, &options).map(Place::Objects),
        };
        let place = place.map_err(|error| refused(error.reason))?;
        Ok(Self { base: format!("{scheme}://{bucket}"), glob: glob.to_owned(), place })
    }

    /// The files now, by path.
    pub(crate) async fn list(&self) -> Result<Vec<Found>, Problem> {
        let glob = Glob::new(&self.glob)
            .ok_or_else(|| Problem::error("bad-glob", format!("`{}` is not a glob", self.glob)))?;
        let base = glob::base(&self.glob).to_owned();
        let mut found = match &self.place {
            Place::Folder(root) => {
                let root = root.clone();
                let walked = tokio::task::spawn_blocking(move || walk(&root, &base)).await;
                walked.map_err(|error| Problem::error("event-source", error.to_string()))??
            }
            Place::Bucket(storage) => self.found(storage.files(&FilePath::default()).await, &base)?,
            Place::Objects(objects) => self.found(objects.files().await, &base)?,
        };
        found.retain(|file| glob.matches(&file.path));
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// What a bucket says of the files below `base`.
    fn found(&self, files: Result<Vec<FileFacts>, StorageError>, base: &str) -> Result<Vec<Found>, Problem> {
        let files = match files {
            Ok(files) => files,
            Err(StorageError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(unreachable(&format!("{}/{base}", self.base), &error)),
        };
        let path = |path: String| if base.is_empty() { path } else { format!("{base}/{path}") };
        let found = |file: FileFacts| Found { path: path(file.path), size: file.size_bytes, etag: file.etag };
        Ok(files.into_iter().map(found).collect())
    }
}

fn unreachable(place: &str, error: &StorageError) -> Problem {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let problem = Problem::error("event-source", format!("`{place}` cannot be listed: {error}"));
    match cause {
        Some(cause) => problem.note(cause),
        None => problem,
    }
}

/// Every file below a folder. Links are followed to files, not to folders, which could lead in a circle.
fn walk(root: &Path, base: &str) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            // A folder that is not there, or not any more, has no files.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Problem::error("event-source", format!("`{folder}` cannot be listed: {error}")));
            }
        };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if let Ok(facts) = std::fs::metadata(entry.path())
                && facts.is_file()
            {
                found.push(Found { path, size: facts.len(), etag: stamp(&facts) });
            }
        }
    }
    Ok(found)
}

/// A file that was written anew has another time, or another inode where it was renamed into its place.
fn stamp(facts: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!("{:x}-{:x}-{:x}{:09}", facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())
}
