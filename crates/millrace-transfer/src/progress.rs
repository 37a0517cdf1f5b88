//! How far a source was read that does not remember it for us: a file of the workspace, which moves on when the sink has the rows.
//!
//! What the source says at its end is noted beside before the sink commits, with the key of the step, and takes the old one's place afterwards. A step
//! that is begun again finds its note: whichever of its attempts the sink has taken in, what the first one noted was read then, so that nothing is left
//! out; rows after it may come once more.

use std::path::{Component, Path, PathBuf};

use millrace_metastore::commits::pass;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CopyError;

/// The file's content.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Up to where the sink has everything; in the source's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Value>,
    /// Up to where a step has read that may not have committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pending {
    key: String,
    state: Value,
}

/// How far a source was read.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    path: PathBuf,
    key: String,
    kept: Kept,
}

impl Progress {
    /// What the file says; nothing if it is not there. `key`: of the step.
    pub(crate) fn read(workspace: &Path, file: &str, key: &str) -> Result<Self, CopyError> {
        let path = workspace.join(checked(file)?);
        let kept = match fs_err::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                CopyError::config(
                    format!("`{file}` does not say how far the source was read: {error}"),
                    "remove it, and everything is read again",
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(CopyError::read(file, &error)),
        };
        Ok(Self { path, key: key.to_owned(), kept })
    }

    /// Where the source is to go on; `None` at the first time.
    pub(crate) fn state(&self) -> Option<&Value> {
        self.kept.state.as_ref()
    }

    /// What a step noted of which it is not known whether the sink has it: the step's key, and where it ended.
    pub(crate) fn owed(&self) -> Option<(String, Value)> {
        self.kept.pending.as_ref().map(|pending| (pending.key.clone(), pending.state.clone()))
    }

    /// The same for the step with this key.
    pub(crate) fn under(self, key: String) -> Self {
        Self { key, ..self }
    }

    /// The same as if nothing had been read yet.
    pub(crate) fn afresh(self) -> Self {
        Self { kept: Kept::default(), ..self }
    }

    /// Of the step.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Notes where the source ended, before the sink commits.
    pub(crate) fn note(&self, state: Option<Value>) -> Result<(), CopyError> {
        let mine = self.kept.pending.as_ref().is_some_and(|pending| pending.key == self.key);
        let Some(state) = state.filter(|_| !mine) else { return Ok(()) };
        let pending = Some(Pending { key: self.key.clone(), state });
        self.store(&Kept { pending, ..self.kept.clone() })
    }

    /// The sink has the rows: what was noted counts.
    pub(crate) fn settle(&self) -> Result<(), CopyError> {
        let now = Self::read_again(self)?;
        match now.pending {
            Some(pending) if pending.key == self.key => {
                self.store(&Kept { state: Some(pending.state), pending: None })
            }
            _ => Ok(()),
        }
    }

    fn read_again(&self) -> Result<Kept, CopyError> {
        match fs_err::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| CopyError::read(self.path.to_string_lossy(), &error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(CopyError::read(self.path.to_string_lossy(), &error)),
        }
    }

    fn store(&self, kept: &Kept) -> Result<(), CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::write(self.path.to_string_lossy(), error);
        let text = serde_json::to_vec_pretty(kept).map_err(|error| failed(&error))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let staged = self.path.with_file_name(format!(".{name}.staged"));
        if let Some(folder) = self.path.parent() {
            fs_err::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let write = || -> std::io::Result<()> {
            use std::io::Write as _;
            let mut file = fs_err::File::create(&staged)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs_err::rename(&staged, &self.path)
        };
        pass();
        write().map_err(|error| failed(&error))?;
        pass();
        Ok(())
    }
}

/// A key that nothing was loaded by yet, for a step that reads other rows each time it is begun. It is as long as the step's: sinks keep no longer ones.
pub(crate) fn new_load_key(step: &str) -> String {
    blake3::hash(format!("{step}/{}", uuid::Uuid::now_v7()).as_bytes()).to_hex().to_string()
}

/// A path within the workspace.
pub(crate) fn checked(file: &str) -> Result<&Path, CopyError> {
    let path = Path::new(file);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || path.file_name().is_none() {
        return Err(CopyError::config(
            format!("`{file}` is no file of the workspace"),
            "state: state/orders.json",
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_moves_on_when_the_sink_has_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let at = |key: &str| Progress::read(folder.path(), "state/a.json", key).unwrap();
        let first = at("k1");
        assert_eq!(first.state(), None);
        first.note(Some(json!(1))).unwrap();
        // Another step begins before this one commits: it reads the same again.
        assert_eq!(at("k2").state(), None);
        // The same step is begun again after a kill: it may have committed what it noted first, so that counts.
        let again = at("k1");
        again.note(Some(json!(5))).unwrap();
        again.settle().unwrap();
        assert_eq!(at("k2").state(), Some(&json!(1)));
        // A source that says nothing changes nothing.
        at("k3").note(None).unwrap();
        at("k3").settle().unwrap();
        assert_eq!(at("k4").state(), Some(&json!(1)));
        std::fs::write(folder.path().join("state/a.json"), "{").unwrap();
        assert!(Progress::read(folder.path(), "state/a.json", "k").is_err());
        assert!(Progress::read(folder.path(), "../a.json", "k").is_err());
    }
}
