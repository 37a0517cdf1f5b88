//! The files that formats read: local ones by path or glob, and those of stores.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;

use crate::error::CopyError;
use crate::format::{Entry, Packing, unpacked};
use crate::meter::Meter;
use crate::store::{Stored, Trouble, glob, is_glob};

/// A file, and the name its user knows it by.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Local(PathBuf),
    Stored(Arc<Stored>),
    /// In a zip archive, which stays as long as this does.
    Entry {
        archive: Arc<SourceFile>,
        entry: Entry,
    },
}

impl SourceFile {
    /// A file of this machine.
    pub(crate) fn local(name: String, path: PathBuf) -> Self {
        Self { name, place: Place::Local(path) }
    }

    /// A file of another machine.
    pub(crate) fn stored(name: String, file: Stored) -> Self {
        Self { name, place: Place::Stored(Arc::new(file)) }
    }

    /// A file of an archive.
    pub(crate) fn entry(archive: &Arc<Self>, name: &str, entry: Entry) -> Self {
        Self {
            name: format!("{}/{name}", archive.name),
            place: Place::Entry { archive: archive.clone(), entry },
        }
    }

    /// The same with another name.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Whether it is a zip archive.
    pub(crate) fn is_archive(&self) -> bool {
        self.name.to_lowercase().ends_with(".zip")
    }

    /// Opens it for reading from its beginning to its end, on a blocking thread; how it is packed is told by its ending. The bytes that the
    /// file has are counted.
    pub(crate) fn open(&self, meter: &Arc<Meter>) -> Result<Box<dyn Read + Send>, CopyError> {
        let file: Box<dyn Read + Send> = match &self.place {
            Place::Local(path) => {
                Box::new(fs_err::File::open(path).map_err(|error| CopyError::read(&self.name, &error))?)
            }
            Place::Stored(file) => Box::new(file.open()),
            Place::Entry { archive, entry } => {
                entry.open(archive.path()?).map_err(|error| CopyError::broken(&self.name, error))?
            }
        };
        let file = BufReader::with_capacity(256 * 1024, Counted { file, meter: meter.clone() });
        let name = self.name.to_lowercase();
        let (packing, _) = Packing::of_name(&name);
        unpacked(packing, file).map_err(|error| CopyError::broken(&self.name, error))
    }

    /// Where it is on this machine, for readers that go back and forth in it. One of a store is fetched first, and stays as long as this
    /// does; call it on a blocking thread.
    pub(crate) fn path(&self) -> Result<&Path, CopyError> {
        match &self.place {
            Place::Local(path) => Ok(path),
            Place::Stored(file) => file.path(),
            Place::Entry { .. } => Err(CopyError::config(
                format!(
                    "`{}` cannot be read within its archive: one has to go back and forth in it",
                    self.name
                ),
                "unpack the archive first",
            )),
        }
    }

    /// Bytes that the file has; 0 if nobody knows.
    pub(crate) fn size_bytes(&self) -> u64 {
        match &self.place {
            Place::Local(path) => fs_err::metadata(path).map_or(0, |facts| facts.len()),
            Place::Stored(file) => file.size().unwrap_or(0),
            Place::Entry { entry, .. } => entry.size,
        }
    }

    /// When the file changed last, as far as anybody knows.
    pub(crate) fn modified(&self) -> Option<Timestamp> {
        match &self.place {
            Place::Local(path) => Timestamp::try_from(fs_err::metadata(path).ok()?.modified().ok()?).ok(),
            Place::Stored(file) => file.modified(),
            Place::Entry { archive, .. } => archive.modified(),
        }
    }

    /// Where a store notes why reading broke off.
    pub(crate) fn trouble(&self) -> Trouble {
        match &self.place {
            Place::Local(_) => Trouble::default(),
            Place::Stored(file) => file.trouble().clone(),
            Place::Entry { archive, .. } => archive.trouble(),
        }
    }
}

struct Counted {
    file: Box<dyn Read + Send>,
    meter: Arc<Meter>,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(room)?;
        self.meter.read(read as u64);
        Ok(read)
    }
}

/// The files that a path or glob names, sorted.
pub(crate) fn expand(workspace: &Path, pattern: &str) -> Result<Vec<SourceFile>, CopyError> {
    let name_of = |path: &Path| path.strip_prefix(workspace).unwrap_or(path).to_string_lossy().into_owned();
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|part| !is_glob(&part.as_os_str().to_string_lossy()))
        .collect();
    let start = workspace.join(&fixed);
    let mut files = Vec::new();
    if is_glob(pattern) {
        let absolute = workspace.join(pattern).to_string_lossy().into_owned();
        let regex = glob(&absolute)?;
        walk(&start, &regex, &mut files).map_err(|error| CopyError::read(pattern, &error))?;
    } else if start.is_file() {
        files.push(start);
    }
    files.sort();
    if files.is_empty() {
        return Err(CopyError::read(
            pattern,
            &"there is no such file; the path is relative to the workspace's folder",
        ));
    }
    Ok(files.into_iter().map(|path| SourceFile::local(name_of(&path), path)).collect())
}

fn walk(folder: &Path, regex: &Regex, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, regex, files)?;
        } else if regex.is_match(&path.to_string_lossy()) {
            files.push(path);
        }
    }
    Ok(())
}
