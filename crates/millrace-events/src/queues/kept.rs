//! What a queue does not know itself of a reader, in a folder of this workspace.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_spec::problem::Problem;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

/// Between two looks whether another copy has ended.
const LOOK: Duration = Duration::from_millis(50);

/// A file that one reader has at a time.
pub(super) struct Kept {
    file: PathBuf,
    /// Held as long as this is there: two readers would give the same messages.
    _lock: std::fs::File,
}

impl Kept {
    /// The file of this name in the folder, both of which need not be there. `patience`: how long another reader may have it.
    pub(super) async fn open(folder: PathBuf, name: &str, patience: Duration) -> Result<Self, Problem> {
        fs::create_dir_all(&folder).await.map_err(|error| failed(&folder, &error))?;
        let place = folder.join("lock");
        let lock = std::fs::File::create(&place).map_err(|error| failed(&place, &error))?;
        let began = Instant::now();
        while let Err(error) = lock.try_lock() {
            if began.elapsed() >= patience {
                let message = format!("the topic is being read by another copy ({error})");
                return Err(Problem::error("event-source", message));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self { file: folder.join(name), _lock: lock })
    }

    /// What it says; `None` if it is not there.
    pub(super) async fn read(&self) -> Result<Option<Vec<u8>>, Problem> {
        match fs::read(&self.file).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            text => text.map(Some).map_err(|error| self.failed(&error)),
        }
    }

    /// Adds to its end; when this returns, it is on the disk.
    pub(super) async fn append(&self, bytes: &[u8]) -> Result<(), Problem> {
        let write = async {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file).await?;
            file.write_all(bytes).await?;
            file.sync_all().await
        };
        write.await.map_err(|error| self.failed(&error))
    }

    /// Says this instead, whole or not at all.
    pub(super) async fn replace(&self, bytes: &[u8]) -> Result<(), Problem> {
        let beside = self.file.with_extension("new");
        let write = async {
            let mut file = fs::File::create(&beside).await?;
            file.write_all(bytes).await?;
            file.sync_all().await?;
            fs::rename(&beside, &self.file).await
        };
        write.await.map_err(|error| self.failed(&error))
    }

    /// What a file says that was written by something else.
    pub(super) fn unreadable(&self, error: &dyn std::fmt::Display) -> Problem {
        let file = self.file.display();
        let message = format!("`{file}` does not say how far the topic was read: {error}");
        Problem::error("event-source", message).hint("remove it, and the topic is read from its beginning")
    }

    pub(super) fn failed(&self, error: &dyn std::fmt::Display) -> Problem {
        failed(&self.file, error)
    }
}

fn failed(file: &Path, error: &dyn std::fmt::Display) -> Problem {
    let message = format!("what is read of the topic cannot be kept in `{}`: {error}", file.display());
    Problem::error("event-source", message)
}
