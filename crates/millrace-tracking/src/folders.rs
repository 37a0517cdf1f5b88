//! Folders of files as versions of a dataset: each with a manifest of its files and their digests.
//!
//! A version's digest is that of its manifest, so equal folders are one version whatever their files' times. The files lie in
//! `<dataset>/<digest>/`, the manifest beside them in `<dataset>/<digest>.manifest.json`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Version of the stored document.
const VERSION: u32 = 1;
/// Folder of a storage for what is being written.
const STAGING: &str = ".staging";
/// Bytes that are copied at once.
const CHUNK: usize = 256 * 1024;

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative path with `/`.
    pub path: String,
    /// Bytes.
    pub size_bytes: u64,
    /// `blake3:<hex>` of its content.
    pub digest: String,
}

/// The files of a folder, by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this document's shape.
    pub version: u32,
    /// By path.
    pub files: Vec<FileEntry>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Relative path.
    pub path: String,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Bytes it has now, or had.
    pub size_bytes: u64,
}

/// Why a folder cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system fails.
    #[error("cannot {action} `{path}`")]
    Files {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: String,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// Neither a file nor a folder: a link, a pipe, a device.
    #[error("`{path}` is neither a file nor a folder; links are not followed")]
    Unusual {
        /// Which.
        path: String,
    },
    /// A name that other systems cannot have.
    #[error("`{path}` is no UTF-8, so no manifest can name it")]
    Name {
        /// As well as it can be shown.
        path: String,
    },
    /// Nothing to keep.
    #[error("`{path}` has no files")]
    Empty {
        /// The folder.
        path: String,
    },
    /// The manifest is broken or absent.
    #[error("the manifest `{path}` cannot be read: {message}")]
    Manifest {
        /// Where it is.
        path: String,
        /// Why.
        message: String,
    },
}

impl Manifest {
    /// Digest of the version: BLAKE3 over path, size and digest of each file.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            hasher.update(format!("{}\0{}\0{}\n", file.path, file.size_bytes, file.digest).as_bytes());
        }
        format!("blake3:{}", hasher.finalize().to_hex())
    }

    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// What changed from this to `after`, by path.
    pub fn diff(&self, after: &Self) -> Vec<FileChange> {
        let find = |among: &Self, path: &str| among.files.iter().find(|file| file.path == path).cloned();
        let mut changes = Vec::new();
        for file in &after.files {
            let change = match find(self, &file.path) {
                None => "added",
                Some(old) if old.digest != file.digest => "changed",
                Some(_) => continue,
            };
            changes.push(FileChange { path: file.path.clone(), change, size_bytes: file.size_bytes });
        }
        for file in self.files.iter().filter(|file| find(after, &file.path).is_none()) {
            changes.push(FileChange {
                path: file.path.clone(),
                change: "removed",
                size_bytes: file.size_bytes,
            });
        }
        changes.sort_by(|one, other| one.path.cmp(&other.path));
        changes
    }
}

/// Copies a folder below `dataset`, whole or not at all, and returns its manifest and where it lies. Digests are of what was written, so
/// that a file which changes meanwhile cannot differ from its manifest.
///
/// # Errors
/// [`FolderError`].
pub fn keep(source: &Path, dataset: &Path) -> Result<(Manifest, PathBuf), FolderError> {
    // What is not whole yet lies where the storage that holds `datasets/` has it, which the next start clears.
    let staging = dataset.ancestors().nth(2).unwrap_or(dataset).join(STAGING);
    for folder in [dataset, &staging] {
        fs_err::create_dir_all(folder).map_err(failed("make", folder))?;
    }
    let staged = staging.join(uuid::Uuid::now_v7().simple().to_string());
    let kept = copy_into(source, &staged).and_then(|manifest| publish(manifest, &staged, dataset));
    if kept.is_err() {
        // What was half-copied is of no use; if it cannot be removed, the next start does it.
        fs_err::remove_dir_all(&staged).ok();
    }
    kept
}

fn copy_into(source: &Path, staged: &Path) -> Result<Manifest, FolderError> {
    let mut files = Vec::new();
    copy_folder(source, source, staged, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    if files.is_empty() {
        return Err(FolderError::Empty { path: source.display().to_string() });
    }
    Ok(Manifest { version: VERSION, files })
}

fn publish(manifest: Manifest, staged: &Path, dataset: &Path) -> Result<(Manifest, PathBuf), FolderError> {
    let digits: String = manifest.digest().trim_start_matches("blake3:").chars().take(32).collect();
    let folder = dataset.join(&digits);
    let document = manifest_path(&folder);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| FolderError::Manifest {
        path: document.display().to_string(),
        message: error.to_string(),
    })?;
    let beside = staged.with_extension("manifest");
    write_synced(&beside, &text).map_err(failed("write", &beside))?;
    fs_err::rename(&beside, &document).map_err(failed("write", &document))?;
    match fs_err::rename(staged, &folder) {
        // The same content was kept before.
        Err(_) if folder.exists() => fs_err::remove_dir_all(staged).map_err(failed("remove", staged))?,
        renamed => renamed.map_err(failed("write", &folder))?,
    }
    Ok((manifest, folder))
}

/// Reads the manifest of a kept folder.
///
/// # Errors
/// [`FolderError::Manifest`].
pub fn read_manifest(folder: &Path) -> Result<Manifest, FolderError> {
    let path = manifest_path(folder);
    let broken = |message: String| FolderError::Manifest { path: path.display().to_string(), message };
    let text = fs_err::read(&path).map_err(|error| broken(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))
}

/// Reads every file of a kept folder again and tells which differ from the manifest.
///
/// # Errors
/// [`FolderError`].
pub fn verify(folder: &Path) -> Result<Vec<FileChange>, FolderError> {
    let manifest = read_manifest(folder)?;
    let mut changes = Vec::new();
    for file in &manifest.files {
        let path = folder.join(&file.path);
        let digest = match fs_err::File::open(&path) {
            Ok(mut content) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(&mut content).map_err(failed("read", &path))?;
                format!("blake3:{}", hasher.finalize().to_hex())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let change = match digest.as_str() {
            "" => "removed",
            same if same == file.digest => continue,
            _ => "changed",
        };
        changes.push(FileChange { path: file.path.clone(), change, size_bytes: file.size_bytes });
    }
    Ok(changes)
}

fn manifest_path(folder: &Path) -> PathBuf {
    folder.with_extension("manifest.json")
}

fn copy_folder(root: &Path, from: &Path, to: &Path, files: &mut Vec<FileEntry>) -> Result<(), FolderError> {
    fs_err::create_dir_all(to).map_err(failed("make", to))?;
    for entry in fs_err::read_dir(from).map_err(failed("read", from))? {
        let entry = entry.map_err(failed("read", from))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed("read", &path))?;
        let below = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(root, &path, &below, files)?;
        } else if kind.is_file() {
            let inside = path.strip_prefix(root).unwrap_or(&path);
            let name =
                inside.to_str().ok_or_else(|| FolderError::Name { path: path.display().to_string() })?;
            let (size_bytes, digest) = copy_file(&path, &below)?;
            files.push(FileEntry { path: name.to_owned(), size_bytes, digest });
        } else {
            return Err(FolderError::Unusual { path: path.display().to_string() });
        }
    }
    Ok(())
}

/// Copies a file and returns how large it is and its digest.
fn copy_file(from: &Path, to: &Path) -> Result<(u64, String), FolderError> {
    let mut source = fs_err::File::open(from).map_err(failed("read", from))?;
    let mut target = fs_err::File::create(to).map_err(failed("write", to))?;
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0_u64);
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let read = source.read(&mut chunk).map_err(failed("read", from))?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        target.write_all(bytes).map_err(failed("write", to))?;
        size += read as u64;
    }
    target.sync_all().map_err(failed("write", to))?;
    Ok((size, format!("blake3:{}", hasher.finalize().to_hex())))
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = fs_err::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> FolderError {
    let path = path.display().to_string();
    move |error| FolderError::Files { action, path: path.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let target = root.join(path);
            fs_err::create_dir_all(target.parent().unwrap()).unwrap();
            fs_err::write(target, content).unwrap();
        }
    }

    #[test]
    fn equal_folders_are_one_and_a_changed_file_is_told() {
        let home = tempfile::tempdir().unwrap();
        let (source, dataset) = (home.path().join("in"), home.path().join("datasets/images"));
        write(&source, &[("a/cat.png", "cat"), ("dog.png", "dog")]);
        let (first, folder) = keep(&source, &dataset).unwrap();
        let paths: Vec<&str> = first.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((paths, first.size_bytes()), (vec!["a/cat.png", "dog.png"], 6));
        assert_eq!(keep(&source, &dataset).unwrap(), (first.clone(), folder.clone()));
        assert_eq!(read_manifest(&folder).unwrap(), first);
        assert_eq!(verify(&folder).unwrap(), []);
        write(&source, &[("dog.png", "dogs"), ("new.txt", "")]);
        fs_err::remove_file(source.join("a/cat.png")).unwrap();
        let (second, _) = keep(&source, &dataset).unwrap();
        assert_ne!(second.digest(), first.digest());
        let changes: Vec<_> = first.diff(&second).into_iter().map(|it| (it.path, it.change)).collect();
        let text = |word: &str| word.to_owned();
        let expected =
            [(text("a/cat.png"), "removed"), (text("dog.png"), "changed"), (text("new.txt"), "added")];
        assert_eq!(changes, expected);
        write(&folder, &[("dog.png", "cow")]);
        assert_eq!(verify(&folder).unwrap()[0].change, "changed");
        assert_eq!(fs_err::read_dir(home.path().join(".staging")).unwrap().count(), 0);
    }

    #[test]
    fn links_and_empty_folders_are_refused_and_leave_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (source, dataset) = (home.path().join("in"), home.path().join("datasets/images"));
        fs_err::create_dir_all(&source).unwrap();
        assert!(matches!(keep(&source, &dataset), Err(FolderError::Empty { .. })));
        fs_err::os::unix::fs::symlink("/etc/passwd", source.join("link")).unwrap();
        assert!(matches!(keep(&source, &dataset), Err(FolderError::Unusual { .. })));
        assert_eq!(fs_err::read_dir(&dataset).unwrap().count(), 0);
        assert_eq!(fs_err::read_dir(home.path().join(".staging")).unwrap().count(), 0);
    }
}
