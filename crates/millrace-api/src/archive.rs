//! A folder as one ZIP file, written while it is sent: no copy on the disk, whatever its size.
//!
//! The format is PKWARE's APPNOTE 6.3.10. What is kept of models and images is packed already, so that entries are stored as they are, in
//! DEFLATE's blocks without packing, which every reader takes with sizes that follow the content.

use bytes::Bytes;
use flate2::Crc;
use futures::StreamExt as _;
use millrace_storage::{FilePath, Storage};
use tokio::sync::mpsc::Sender;

/// From here on sizes need 64 bits; room is left for DEFLATE's own bytes.
const LARGE: u64 = 0xF000_0000;
const FULL: u32 = u32::MAX;
/// Sizes follow the content (bit 3); names are UTF-8 (bit 11).
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
const VERSION: u16 = 45;
/// The first of January 1980, the format's first day: entries have no time.
const DAY: u16 = 0x21;
/// DEFLATE's last block, with nothing in it.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

/// Writes the files below a folder with their paths relative to it, and hands on what is written.
///
/// # Errors
/// If a file cannot be read or the reader of the archive is gone.
pub(crate) async fn write_archive(
    storage: &Storage,
    folder: &FilePath,
    to: &Sender<std::io::Result<Bytes>>,
) -> std::io::Result<()> {
    let mut archive = Archive::default();
    for file in storage.files(folder).await.map_err(std::io::Error::other)? {
        let path = folder.join(&file.path).map_err(std::io::Error::other)?;
        let content = storage.read(&path, None).await.map_err(std::io::Error::other)?;
        archive.begin(file.path, content.size_bytes)?;
        let mut body = content.body;
        while let Some(part) = body.next().await {
            archive.append(&part.map_err(std::io::Error::other)?);
            archive.hand_on(to).await?;
        }
        archive.end()?;
        archive.hand_on(to).await?;
    }
    archive.finish()?;
    archive.hand_on(to).await
}

#[derive(Default)]
struct Entry {
    name: String,
    checksum: u32,
    packed: u64,
    size: u64,
    at: u64,
    /// Whether its sizes have 64 bits.
    large: bool,
}

#[derive(Default)]
struct Archive {
    /// What was written and not yet handed on.
    out: Vec<u8>,
    /// Bytes that were handed on.
    gone: u64,
    entries: Vec<Entry>,
    checksum: Crc,
}

/// The low 32 bits of a size, or the word that says that 64 follow.
fn short(size: u64, large: bool) -> u32 {
    if large { FULL } else { u32::try_from(size).unwrap_or(FULL) }
}

impl Archive {
    /// Bytes of the archive so far.
    fn length(&self) -> u64 {
        self.gone + self.out.len() as u64
    }

    async fn hand_on(&mut self, to: &Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.gone += self.out.len() as u64;
        let part = Bytes::from(std::mem::take(&mut self.out));
        to.send(Ok(part)).await.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    /// Begins a file of about this size.
    fn begin(&mut self, name: String, expected: u64) -> std::io::Result<()> {
        let large = expected >= LARGE;
        let at = self.length();
        let mut head = Record::new(0x0403_4b50);
        head.u16(VERSION).u16(FLAGS).u16(DEFLATED).u16(0).u16(DAY).u32(0);
        head.u32(short(0, large)).u32(short(0, large)).length(name.len())?.u16(if large { 20 } else { 0 });
        head.bytes(name.as_bytes());
        if large {
            head.u16(1).u16(16).u64(0).u64(0);
        }
        self.out.extend(head.0);
        self.checksum = Crc::new();
        self.entries.push(Entry { name, at, large, ..Entry::default() });
        Ok(())
    }

    /// Adds bytes to the file that was begun, as DEFLATE's blocks without packing.
    fn append(&mut self, part: &[u8]) {
        self.checksum.update(part);
        let begin = self.out.len();
        for block in part.chunks(usize::from(u16::MAX)) {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            self.out.push(0);
            self.out.extend(length.to_le_bytes());
            self.out.extend((!length).to_le_bytes());
            self.out.extend(block);
        }
        let written = (self.out.len() - begin) as u64;
        if let Some(entry) = self.entries.last_mut() {
            entry.size += part.len() as u64;
            entry.packed += written;
        }
    }

    /// Ends the file that was begun.
    fn end(&mut self) -> std::io::Result<()> {
        let Some(entry) = self.entries.last_mut() else { return Ok(()) };
        self.out.extend(LAST_BLOCK);
        entry.packed += LAST_BLOCK.len() as u64;
        entry.checksum = self.checksum.sum();
        if !entry.large && entry.packed >= u64::from(FULL) {
            // What follows could not tell its size.
            return Err(std::io::Error::other(format!("`{}` grew while it was packed", entry.name)));
        }
        let mut tail = Record::new(0x0807_4b50);
        tail.u32(entry.checksum);
        if entry.large {
            tail.u64(entry.packed).u64(entry.size);
        } else {
            tail.u32(short(entry.packed, false)).u32(short(entry.size, false));
        }
        self.out.extend(tail.0);
        Ok(())
    }

    /// Writes the table of contents.
    fn finish(&mut self) -> std::io::Result<()> {
        let begin = self.length();
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
            self.out.extend(record.0);
        }
        let (length, count, at) = (self.length() - begin, entries.len() as u64, self.length());
        let large = count >= u64::from(u16::MAX) || at >= u64::from(FULL);
        if large {
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
            self.out.extend(record.0);
        }
        let few = if large { u16::MAX } else { u16::try_from(count).unwrap_or(u16::MAX) };
        let mut record = Record::new(0x0605_4b50);
        record.u16(0).u16(0).u16(few).u16(few).u32(short(length, large)).u32(short(begin, large)).u16(0);
        self.out.extend(record.0);
        Ok(())
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
        let mut archive = Archive::default();
        for (name, content, expected) in files {
            archive.begin((*name).to_owned(), *expected).unwrap();
            archive.append(content);
            archive.end().unwrap();
        }
        archive.finish().unwrap();
        archive.out
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

    fn long(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    /// The record behind the table of contents whose numbers have 64 bits, by the one that says where it is.
    fn large_end(bytes: &[u8], gone: u64) -> usize {
        let locator = bytes.len() - 22 - 20;
        assert_eq!(number(bytes, locator), 0x0706_4b50);
        let end = usize::try_from(long(bytes, locator + 8) - gone).unwrap();
        assert_eq!(number(bytes, end), 0x0606_4b50);
        end
    }

    #[test]
    fn more_files_than_16_bits_count_are_all_in_the_table_of_contents() {
        const MANY: u64 = 70_000;
        let mut archive = Archive::default();
        for file in 0..MANY {
            archive.begin(format!("f{file}"), 1).unwrap();
            archive.append(b"x");
            archive.end().unwrap();
        }
        archive.finish().unwrap();
        let bytes = archive.out;
        let end = large_end(&bytes, 0);
        assert_eq!((long(&bytes, end + 24), long(&bytes, end + 32)), (MANY, MANY));
        let (length, table) = (long(&bytes, end + 40), long(&bytes, end + 48));
        let mut at = usize::try_from(table).unwrap();
        for file in 0..MANY {
            assert_eq!(number(&bytes, at), 0x0201_4b50);
            let name = usize::from(u16::from_le_bytes(bytes[at + 28..at + 30].try_into().unwrap()));
            assert_eq!(&bytes[at + 46..at + 46 + name], format!("f{file}").as_bytes());
            at += 46 + name;
        }
        assert_eq!(at as u64, table + length);
        assert_eq!(
            u16::from_le_bytes(bytes[bytes.len() - 12..bytes.len() - 10].try_into().unwrap()),
            u16::MAX
        );
    }

    #[test]
    fn a_file_behind_four_gigabytes_is_found_by_64_bits() {
        // As if so much had been handed on already.
        const GONE: u64 = 5 << 30;
        let mut archive = Archive { gone: GONE, ..Archive::default() };
        archive.begin("late".to_owned(), 3).unwrap();
        archive.append(b"abc");
        archive.end().unwrap();
        archive.finish().unwrap();
        let bytes = archive.out;
        let end = large_end(&bytes, GONE);
        let table = usize::try_from(long(&bytes, end + 48) - GONE).unwrap();
        let extra = table + 46 + "late".len();
        assert_eq!(number(&bytes, table + 42), 0xFFFF_FFFF);
        assert_eq!(u16::from_le_bytes(bytes[extra..extra + 2].try_into().unwrap()), 1);
        // Size, packed size, place.
        assert_eq!((long(&bytes, extra + 4), long(&bytes, extra + 20)), (3, GONE));
    }

    #[test]
    fn sizes_of_a_large_file_have_64_bits() {
        let bytes = archive(&[("large", b"content", LARGE)]);
        assert_eq!(number(&bytes, 18), 0xFFFF_FFFF);
        assert_eq!(u16::from_le_bytes(bytes[28..30].try_into().unwrap()), 20);
    }
}
