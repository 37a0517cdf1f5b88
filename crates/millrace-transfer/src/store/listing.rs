//! Which files a pattern means.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use millrace_contract::StepContext;
use regex::Regex;

use super::fetching::Reader;
use super::{FileFacts, FileStore, Stored, unless_cancelled};
use crate::error::CopyError;
use crate::source::files::SourceFile;

pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// What a whole path must match.
pub(crate) fn glob(glob: &str) -> Result<Regex, CopyError> {
    Regex::new(&glob_regex(glob)).map_err(|error| CopyError::config(error.to_string(), "raw/*.csv"))
}

fn glob_regex(glob: &str) -> String {
    let escaped = regex::escape(glob);
    let any_folder = escaped.replace(r"\*\*/", "(.*/)?").replace(r"\*\*", ".*");
    format!("^{}$", any_folder.replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace("(.[^/]*/)", "(.*/)"))
}

/// The files of a store that a path or glob names, sorted; `folder` is for those that are read back and forth. Nothing is listed for a path.
pub(crate) async fn source_files(
    store: &Arc<dyn FileStore>,
    pattern: &str,
    folder: PathBuf,
    context: &StepContext,
) -> Result<Vec<SourceFile>, CopyError> {
    let reader = Reader::new(store.clone(), folder, context);
    if !is_glob(pattern) {
        if context.cancel.is_cancelled() {
            return Err(CopyError::Cancelled);
        }
        return Ok(vec![SourceFile::stored(store.label(pattern), Stored::named(reader, pattern))]);
    }
    let found = unless_cancelled(context, matching(&**store, pattern)).await;
    let found = found.map_err(|error| match error {
        // Of more use to who wrote the pattern than the folder that was looked at.
        CopyError::Read { message, transient, .. } => {
            CopyError::Read { what: store.label(pattern), message, transient }
        }
        other => other,
    })?;
    if found.is_empty() {
        let message = format!("no {} matches", store.noun());
        return Err(CopyError::read(store.label(pattern), &message));
    }
    let stored = |facts: FileFacts| {
        SourceFile::stored(store.label(&facts.path), Stored::listed(reader.clone(), facts))
    };
    Ok(found.into_iter().map(stored).collect())
}

/// The files that match, sorted by path. Looks no further than into what the glob's fixed folders hold.
pub(crate) async fn matching(store: &dyn FileStore, pattern: &str) -> Result<Vec<FileFacts>, CopyError> {
    let expected = glob(pattern)?;
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed: Vec<&str> = parts.iter().copied().take_while(|part| !is_glob(part)).collect();
    let depth = (!pattern.contains("**")).then(|| parts.len() - fixed.len());
    let mut found = store.list(&fixed.join("/"), depth).await?;
    found.retain(|file| expected.is_match(&file.path));
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// What stands in a folder.
pub(super) enum Found {
    /// Its path.
    Folder(String),
    File(FileFacts),
}

/// A store in which one folder at a time can be looked at.
#[async_trait]
pub(super) trait Folders: Sync {
    /// What a folder holds; nothing if it is not there.
    async fn look(&self, folder: &str) -> Result<Vec<Found>, CopyError>;
}

/// The files below a folder, as far as `depth` levels of folders.
pub(super) async fn walk(
    store: &dyn Folders,
    folder: &str,
    depth: Option<usize>,
) -> Result<Vec<FileFacts>, CopyError> {
    let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), 1)]);
    while let Some((folder, level)) = folders.pop() {
        for found in store.look(&folder).await? {
            match found {
                Found::File(file) => files.push(file),
                Found::Folder(below) if depth.is_none_or(|depth| level < depth) => {
                    folders.push((below, level + 1));
                }
                Found::Folder(_) => {}
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let check = |glob: &str, path: &str| Regex::new(&glob_regex(glob)).unwrap().is_match(path);
        assert!(check("/w/raw/*.csv", "/w/raw/a.csv"));
        assert!(!check("/w/raw/*.csv", "/w/raw/b/a.csv"));
        assert!(check("/w/raw/**/*.csv", "/w/raw/b/c/a.csv"));
        assert!(check("/w/raw/**/*.csv", "/w/raw/a.csv"));
        assert!(check("/w/day=?/a.csv", "/w/day=1/a.csv"));
        assert!(!check("/w/a.csv", "/w/abcsv"));
    }
}
