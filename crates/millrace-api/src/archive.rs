//! A folder as one ZIP file, written while it is sent: no copy on the disk, whatever its size.
//!
//! The format is PKWARE's APPNOTE 6.3.10. What is kept of models and images is packed already, so that entries are stored as they are, in
//! DEFLATE's blocks without packing, which every reader takes with sizes that follow the content.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use tokio::sync::mpsc::Sender;

/// Bytes that are handed on at once.
const CHUNK: usize = 256 * 1024;
/// From here on sizes need 64 bits; room is left for DEFLATE's own bytes.
const LARGE: u64 = 0xF000_0000;
const FULL: u32 = u32::MAX;
/// Sizes follow the content (bit 3); names are UTF-8 (bit 11).
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
const VERSION: u16 = 45;
/// The first of January 1980, the format's first day: entries have no time.
const DAY: u16 = 0x21;

/// Writes the files below `folder` with their paths relative to it. Links are left out; so is what disappears meanwhile.
///
/// # Errors
/// If a file cannot be read or the reader of the archive is gone.
pub(crate) fn write_archive(folder: &Path, to: &Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
    let mut archive =
        Archive { out: Counted { to: Parts { to, part: Vec::new() }, count: 0 }, entries: Vec::new() };
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let mut inside: Vec<PathBuf> = fs_err::read_dir(&next)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        inside.sort();
        for path in inside {
            let Ok(facts) = fs_err::symlink_metadata(&path) else { continue };
            if facts.is_dir() {
                folders.push(path);
            } else if facts.is_file() {
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                archive.add(name, fs_err::File::open(&path)?, facts.len())?;
            }
        }
    }
    archive.finish()
}

/// Hands on what is written, a part at a time.
struct Parts<'a> {
    to: &'a Sender<std::io::Result<Bytes>>,
    part: Vec<u8>,
}

impl Parts<'_> {
    fn send(&mut self) -> std::io::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.to.blocking_send(Ok(part)).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.send()
    }
}

struct Counted<W> {
    to: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

struct Entry {
    name: String,
    checksum: u32,
    packed: u64,
    size: u64,
    at: u64,
}

struct Archive<W> {
    out: Counted<W>,
    entries: Vec<Entry>,
}

/// The low 32 bits of a size, or the word that says that 64 follow.
fn short(size: u64, large: bool) -> u32 {
    if large { FULL } else { u32::try_from(size).unwrap_or(FULL) }
}

impl<W: Write> Archive<W> {
    /// Adds a file; `expected` is about its size.
    fn add(&mut self, name: String, mut file: impl Read, expected: u64) -> std::io::Result<()> {
        let at = self.out.count;
        let large = expected >= LARGE;
        let mut head = Record::new(0x0403_4b50);
        head.u16(VERSION).u16(FLAGS).u16(DEFLATED).u16(0).u16(DAY).u32(0);
        head.u32(short(0, large)).u32(short(0, large)).length(name.len())?.u16(if large { 20 } else { 0 });
        head.bytes(name.as_bytes());
        if large {
            head.u16(1).u16(16).u64(0).u64(0);
        }
        self.out.write_all(&head.0)?;
        let begin = self.out.count;
        let (mut checksum, mut size) = (Crc::new(), 0_u64);
        let mut packer = DeflateEncoder::new(&mut self.out, Compression::none());
        let mut buffer = vec![0; CHUNK];
        // A file that grows meanwhile is taken as it was; more could not be told in the head.
        let most = if large { u64::MAX } else { LARGE };
        loop {
            let read = file.read(&mut buffer)?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            if size + read as u64 > most {
                return Err(std::io::Error::other(format!("`{name}` grew while it was packed")));
            }
            checksum.update(part);
            packer.write_all(part)?;
            size += read as u64;
        }
        packer.finish()?;
        let packed = self.out.count - begin;
        let mut tail = Record::new(0x0807_4b50);
        tail.u32(checksum.sum());
        if large {
            tail.u64(packed).u64(size);
        } else {
            tail.u32(short(packed, false)).u32(short(size, false));
        }
        self.out.write_all(&tail.0)?;
        self.entries.push(Entry { name, checksum: checksum.sum(), packed, size, at });
        Ok(())
    }

    /// Writes the table of contents.
    fn finish(mut self) -> std::io::Result<()> {
        let begin = self.out.count;
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            let large = [entry.packed, entry.size, entry.at].iter().any(|number| *number >= u64::from(FULL));
            let mut record = Record::new(0x0201_4b50);
            record.u16(0x0300 | VERSION).u16(VERSION).u16(FLAGS).u16(DEFLATED).u16(0).u16(DAY);
            record.u32(entry.checksum).u32(short(entry.packed, large)).u32(short(entry.size, large));
            record.length(entry.name.len())?.u16(if large { 28 } else { 0 }).u16(0).u16(0).u16(0);
            // An ordinary file that its owner may write and all may read.
            record.u32(0o100_644 << 16).u32(short(entry.at, large)).bytes(entry.name.as_bytes());
            if large {
                record.u16(1).u16(24).u64(entry.size).u64(entry.packed).u64(entry.at);
            }
            self.out.write_all(&record.0)?;
        }
        let (length, count) = (self.out.count - begin, entries.len() as u64);
        let large = count >= u64::from(u16::MAX) || self.out.count >= u64::from(FULL);
        if large {
            let at = self.out.count;
            let mut record = Record::new(0x0606_4b50);
            record
                .u64(44)
                .u16(VERSION)
                .u16(VERSION)
                .u32(0)
                .u32(0)
                .u64(count)
                .u64(count)
                .u64(length)
                .u64(begin);
            record.u32(0x0706_4b50).u32(0).u64(at).u32(1);
            self.out.write_all(&record.0)?;
        }
        let few = if large { u16::MAX } else { u16::try_from(count).unwrap_or(u16::MAX) };
        let mut record = Record::new(0x0605_4b50);
        record.u16(0).u16(0).u16(few).u16(few).u32(short(length, large)).u32(short(begin, large)).u16(0);
        self.out.write_all(&record.0)?;
        self.out.flush()
    }
}

/// Numbers with their lowest byte first.
struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32) -> Self {
        Self(signature.to_le_bytes().to_vec())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, number: u16) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn length(&mut self, length: usize) -> std::io::Result<&mut Self> {
        let length =
            u16::try_from(length).map_err(|_| std::io::Error::other("a name is too long for an archive"))?;
        Ok(self.u16(length))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn archive(files: &[(&str, &[u8], u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = Archive { out: Counted { to: &mut bytes, count: 0 }, entries: Vec::new() };
        for (name, content, expected) in files {
            archive.add((*name).to_owned(), *content, *expected).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }

    fn number(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    #[test]
    fn an_entry_is_found_by_the_table_of_contents_and_unpacks() {
        let bytes = archive(&[("a/ü.txt", b"first", 5), ("b.bin", &[7; 200_000], 200_000)]);
        let end = bytes.len() - 22;
        assert_eq!(number(&bytes, end), 0x0605_4b50);
        assert_eq!(u16::from_le_bytes(bytes[end + 10..end + 12].try_into().unwrap()), 2);
        let table = number(&bytes, end + 16);
        assert_eq!(number(&bytes, table), 0x0201_4b50);
        let (packed, size, at) =
            (number(&bytes, table + 20), number(&bytes, table + 24), number(&bytes, table + 42));
        assert_eq!((size, at), (5, 0));
        let begin = at + 30 + "a/ü.txt".len();
        let mut text = String::new();
        flate2::read::DeflateDecoder::new(&bytes[begin..begin + packed]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "first");
    }

    #[test]
    fn sizes_of_a_large_file_have_64_bits() {
        let bytes = archive(&[("large", b"content", LARGE)]);
        assert_eq!(number(&bytes, 18), 0xFFFF_FFFF);
        assert_eq!(u16::from_le_bytes(bytes[28..30].try_into().unwrap()), 20);
    }
}
