//! Zip archives: each file in one is a file of its own, unpacked as it is read.

use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::{Format, of_name};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::store::glob;

/// Files of an archive.
const MOST_ENTRIES: usize = 100_000;
/// How many times its size an archive may become, once it is more than [`FREE_BYTES`]. Text seldom shrinks to a fiftieth.
const MOST_TIMES: u64 = 200;
const FREE_BYTES: u64 = 1 << 30;

/// A file in an archive, and where its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    start: u64,
    packed: u64,
    pub(crate) size: u64,
    crc: u32,
    deflated: bool,
}

/// The files, with those in archives in the place of the archives.
pub(crate) fn unarchived(files: Vec<SourceFile>, config: &CopyConfig) -> Result<Vec<SourceFile>, CopyError> {
    let mut found = Vec::with_capacity(files.len());
    for file in files {
        if !file.is_archive() {
            found.push(file);
            continue;
        }
        let (before, file) = (found.len(), Arc::new(file));
        entries(&file, config, &mut found)?;
        if found.len() == before {
            let message = format!("`{}` has no file whose ending names a format", file.name);
            return Err(CopyError::config(message, "entries: \"**/*.dat\", with `format:`"));
        }
    }
    Ok(found)
}

fn entries(
    file: &Arc<SourceFile>,
    config: &CopyConfig,
    found: &mut Vec<SourceFile>,
) -> Result<(), CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
    let wanted = config.entries.as_deref().map(glob).transpose()?;
    let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?;
    let length = opened.metadata().map_err(|error| failed(&error))?.len();
    let mut archive = ZipArchive::new(BufReader::new(opened)).map_err(|error| failed(&error))?;
    if archive.len() > MOST_ENTRIES {
        return Err(failed(&format!("it has {} files, and at most {MOST_ENTRIES} are read", archive.len())));
    }
    let (mut total, mut entries) = (0_u64, Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| failed(&error))?;
        let name = entry.name().map_err(|error| failed(&error))?.into_owned();
        let named = match &wanted {
            Some(wanted) => wanted.is_match(&name),
            // What macOS puts beside the files has their endings.
            None => !name.starts_with("__MACOSX/") && is_of(&name, config.format),
        };
        if entry.is_dir() || !named {
            continue;
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                return Err(failed(&format!("`{name}` in it is packed by {other}; only deflate is read")));
            }
        };
        if entry.encrypted() {
            return Err(failed(&format!("`{name}` in it is encrypted")));
        }
        let start = entry.data_start().ok_or_else(|| failed(&format!("`{name}` in it has no place")))?;
        total = total.saturating_add(entry.size());
        let (packed, size, crc) = (entry.compressed_size(), entry.size(), entry.crc32());
        entries.push((name, Entry { start, packed, size, crc, deflated }));
    }
    if total > FREE_BYTES && total / MOST_TIMES > length {
        let message = format!("it would become {total} bytes, more than {MOST_TIMES} times its size");
        return Err(failed(&message));
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    found.extend(entries.into_iter().map(|(name, entry)| SourceFile::entry(file, &name, entry)));
    Ok(())
}

fn is_of(name: &str, format: Option<Format>) -> bool {
    of_name(name).is_some_and(|found| format.is_none_or(|format| format == found))
}

impl Entry {
    /// Its bytes, of which there are as many as the archive says and whose sum is checked at their end.
    pub(crate) fn open(&self, archive: &Path) -> std::io::Result<Box<dyn Read + Send>> {
        let mut file = fs_err::File::open(archive)?.into_file();
        file.seek(SeekFrom::Start(self.start))?;
        let packed = BufReader::with_capacity(64 * 1024, file.take(self.packed));
        Ok(if self.deflated {
            Box::new(Checked::new(DeflateDecoder::new(packed), self))
        } else {
            Box::new(Checked::new(packed, self))
        })
    }
}

/// Bytes that are counted and summed.
struct Checked<R> {
    inner: R,
    left: u64,
    sum: Crc,
    expected: u32,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, entry: &Entry) -> Self {
        Self { inner, left: entry.size, sum: Crc::new(), expected: entry.crc }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let failed = |message: &str| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        if room.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(room)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            return failed("it is longer than its archive says");
        };
        self.left = left;
        self.sum.update(room.get(..read).unwrap_or_default());
        match (read, self.left) {
            (0, 0) if self.sum.sum() != self.expected => {
                failed("its checksum is not the one that its archive says")
            }
            (0, left) if left > 0 => failed("it is shorter than its archive says"),
            _ => Ok(read),
        }
    }
}
