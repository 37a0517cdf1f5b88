//! Where things are taken over to: the workspace's database, and the folder of its files.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use millrace_metastore::Metastore;
use tokio::io::AsyncWriteExt as _;

use crate::digest::Totals;
use crate::files::walk;
use crate::record::{Broken, Source};
use crate::ImportError;

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// A workspace. Only one import may have it at a time.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its database.
    pub store: Metastore,
    /// Folder of the files of runs and logged models, `<id>/<path>`.
    pub artifacts: PathBuf,
    /// Folder on the same disk for what is not whole yet; emptied.
    pub staging: PathBuf,
}

/// What became of the files of a run or a logged model.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// As the source has them.
    pub(crate) source: Totals,
    /// As they are here now, read again.
    pub(crate) here: Totals,
    /// How many were copied, the others being here already.
    pub(crate) new: u64,
    pub(crate) bytes: u64,
    pub(crate) broken: Vec<Broken>,
}

impl Target {
    /// Removes what an import that was killed left half-written.
    pub(crate) fn clear(&self) -> Result<(), ImportError> {
        match fs_err::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ImportError::writing(&self.staging)(error))
            }
            _ => Ok(()),
        }
    }

    /// Copies the files of `owner` that are not here. A file that is here is left as it is, whatever is in it.
    pub(crate) async fn copy_folder(&self, folder: PathBuf, owner: &str) -> Copied {
        let (target, owner) = (self.clone(), owner.to_owned());
        let copied = tokio::task::spawn_blocking(move || target.copy_now(&folder, &owner)).await;
        copied.unwrap_or_else(|error| Copied { broken: vec![Broken::new("artifacts", error)], ..Copied::default() })
    }

    fn copy_now(&self, folder: &Path, owner: &str) -> Copied {
        let mut copied = Copied::default();
        let (files, odd) = match walk(folder) {
            Ok(walked) => walked,
            Err(error) => {
                copied.broken.push(Broken::new(folder.display().to_string(), error.kind()));
                return copied;
            }
        };
        copied.broken.extend(odd.iter().map(|path| {
            Broken::new(path.display().to_string(), "it is a link or no plain file, which is not followed")
        }));
        for (name, _) in files {
            let (from, to) = (folder.join(&name), self.artifacts.join(owner).join(&name));
            if let Err(error) = self.copy_file(&from, &to, (owner, &name), &mut copied) {
                copied.broken.push(Broken::new(from.display().to_string(), error));
            }
        }
        copied
    }

    fn copy_file(
        &self,
        from: &Path,
        to: &Path,
        (owner, name): (&str, &str),
        copied: &mut Copied,
    ) -> std::io::Result<()> {
        let (digest, size);
        if to.exists() {
            (digest, size) = digest_of(from)?;
        } else {
            fs_err::create_dir_all(&self.staging)?;
            let staged = self.staging.join(uuid::Uuid::now_v7().simple().to_string());
            (digest, size) = copy_hashed(from, &staged)?;
            move_into_place(&staged, to)?;
            copied.new += 1;
            copied.bytes += size;
        }
        copied.source.file(owner, name, size, &digest);
        let (digest, size) = digest_of(to)?;
        copied.here.file(owner, name, size, &digest);
        Ok(())
    }

    /// Fetches the files of `owner` that are not here from a server. One that is here with the same size was compared when it was fetched.
    pub(crate) async fn fetch_folder(
        &self,
        source: &dyn Source,
        address: &str,
        owner: &str,
    ) -> Result<Copied, ImportError> {
        let mut copied = Copied::default();
        for (name, size) in source.list_files(address).await? {
            let to = self.artifacts.join(owner).join(&name);
            let known = fs_err::metadata(&to).is_ok_and(|facts| facts.is_file() && facts.len() == size);
            let fetched = if known { Ok(None) } else { self.fetch_file(source, (address, &name), &to).await };
            let here = match fetched {
                Ok(fetched) => {
                    let there = to.clone();
                    let read = tokio::task::spawn_blocking(move || digest_of(&there)).await;
                    read.map_err(std::io::Error::other).flatten().map(|here| (fetched, here))
                }
                Err(error) => Err(error),
            };
            match here {
                Ok((fetched, (digest, size))) => {
                    copied.here.file(owner, &name, size, &digest);
                    let (told, length) = fetched.unwrap_or((digest, size));
                    copied.source.file(owner, &name, length, &told);
                    copied.new += u64::from(!known);
                    copied.bytes += if known { 0 } else { length };
                }
                Err(error) => copied.broken.push(Broken::new(format!("{address}/{name}"), error)),
            }
        }
        Ok(copied)
    }

    async fn fetch_file(
        &self,
        source: &dyn Source,
        (address, name): (&str, &str),
        to: &Path,
    ) -> std::io::Result<Option<(blake3::Hash, u64)>> {
        let answer = source.read_file(address, name).await.map_err(std::io::Error::other)?;
        fs_err::tokio::create_dir_all(&self.staging).await?;
        let staged = self.staging.join(uuid::Uuid::now_v7().simple().to_string());
        let mut file = fs_err::tokio::File::create(&staged).await?;
        let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
        let mut body = answer.bytes_stream();
        while let Some(part) = body.next().await {
            let part = part.map_err(std::io::Error::other)?;
            hasher.update(&part);
            size += part.len() as u64;
            file.write_all(&part).await?;
        }
        file.flush().await?;
        file.sync_all().await?;
        drop(file);
        move_into_place(&staged, to)?;
        Ok(Some((hasher.finalize(), size)))
    }
}

fn move_into_place(staged: &Path, to: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(to.parent().unwrap_or(to))?;
    fs_err::rename(staged, to)
}

fn copy_hashed(from: &Path, to: &Path) -> std::io::Result<(blake3::Hash, u64)> {
    use std::io::Write as _;
    let mut file = fs_err::File::create(to)?;
    let read = each_chunk(from, |part| file.write_all(part))?;
    file.sync_all()?;
    Ok(read)
}

pub(crate) fn digest_of(path: &Path) -> std::io::Result<(blake3::Hash, u64)> {
    each_chunk(path, |_| Ok(()))
}

/// Digest and size of a file of which each part is shown.
fn each_chunk(
    path: &Path,
    mut see: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(blake3::Hash, u64)> {
    use std::io::Read as _;
    let mut file = fs_err::File::open(path)?;
    let (mut hasher, mut size, mut buffer) = (blake3::Hasher::new(), 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut buffer)?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            return Ok((hasher.finalize(), size));
        }
        hasher.update(part);
        size += read as u64;
        see(part)?;
    }
}
