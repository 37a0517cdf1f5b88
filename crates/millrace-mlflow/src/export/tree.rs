//! A folder that is being written.

use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use millrace_storage::{FilePath, Storage};
use tokio::io::AsyncWriteExt as _;

use crate::ImportError;
use crate::record::Broken;

/// A folder that is written beside its place and put there when it is whole.
pub(super) struct Tree {
    /// Where it is written.
    staged: PathBuf,
    /// Where it will be; what its files say.
    pub(super) root: PathBuf,
}

impl Tree {
    /// `root`: absolute; nothing may be there yet.
    pub(super) fn new(root: &Path) -> Result<Self, ImportError> {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let staged = root.with_file_name(format!(".{name}.partial"));
        match fs_err::read_dir(root).map(|mut entries| entries.next().is_some()) {
            Ok(true) => {
                let error = std::io::Error::other("it is not empty; name a folder that is not there yet");
                return Err(ImportError::writing(root)(error));
            }
            Ok(false) => fs_err::remove_dir(root).map_err(ImportError::writing(root))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ImportError::writing(root)(error)),
        }
        if staged.exists() {
            // Of an export that was interrupted.
            fs_err::remove_dir_all(&staged).map_err(ImportError::writing(&staged))?;
        }
        fs_err::create_dir_all(&staged).map_err(ImportError::writing(&staged))?;
        Ok(Self { staged, root: root.to_owned() })
    }

    /// Puts it to its place.
    pub(super) fn finish(self) -> Result<(), ImportError> {
        fs_err::rename(&self.staged, &self.root).map_err(ImportError::writing(&self.root))
    }

    pub(super) fn folder(&self, path: &str) -> Result<(), ImportError> {
        let folder = self.staged.join(path);
        fs_err::create_dir_all(&folder).map_err(ImportError::writing(folder))
    }

    pub(super) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), ImportError> {
        let file = self.staged.join(path);
        let folder = file.parent().unwrap_or(&self.staged).to_owned();
        fs_err::create_dir_all(&folder).map_err(ImportError::writing(folder))?;
        fs_err::write(&file, content).map_err(ImportError::writing(file))
    }

    /// A file for each value; a name is a path, which a folder cannot have beside another one below it.
    pub(super) fn values<'a>(
        &self,
        folder: &str,
        values: impl IntoIterator<Item = (&'a str, String)>,
        broken: &mut Vec<Broken>,
    ) -> Result<(), ImportError> {
        self.folder(folder)?;
        for (name, value) in values {
            let is_plain = name.len() < 1_000
                && name.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255);
            let path = format!("{folder}/{name}");
            let fits = is_plain && !self.staged.join(&path).is_dir();
            if !fits || self.file(&path, value).is_err() {
                broken.push(Broken::new(path, "a folder cannot have a file of this name"));
            }
        }
        Ok(())
    }

    /// Copies files from the storage, and gives their paths.
    pub(super) async fn copy(
        &self,
        storage: &Storage,
        from: &FilePath,
        to: &str,
        broken: &mut Vec<Broken>,
    ) -> Result<u64, ImportError> {
        self.folder(to)?;
        let files = match storage.files(from).await {
            Ok(files) => files,
            Err(error) => {
                broken.push(Broken::new(to, error));
                return Ok(0);
            }
        };
        let mut bytes = 0;
        for facts in files {
            let target = self.staged.join(to).join(&facts.path);
            match copy_file(storage, from, &facts.path, &target).await {
                Ok(size) => bytes += size,
                Err(reason) => broken.push(Broken::new(format!("{to}/{}", facts.path), reason)),
            }
        }
        Ok(bytes)
    }
}

async fn copy_file(storage: &Storage, from: &FilePath, path: &str, target: &Path) -> Result<u64, String> {
    let text = |error: std::io::Error| error.to_string();
    let path = from.join(path).map_err(|error| error.to_string())?;
    let mut body = storage.read(&path, None).await.map_err(|error| error.to_string())?.body;
    fs_err::tokio::create_dir_all(target.parent().unwrap_or(target)).await.map_err(text)?;
    let mut file = fs_err::tokio::File::create(target).await.map_err(text)?;
    let mut size = 0;
    while let Some(part) = body.try_next().await.map_err(text)? {
        size += part.len() as u64;
        file.write_all(&part).await.map_err(text)?;
    }
    file.flush().await.map_err(text)?;
    Ok(size)
}
