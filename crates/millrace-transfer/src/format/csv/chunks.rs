//! A text in pieces of whole records, each of which can be decoded on its own.

use std::io::Read;

use memchr::memchr_iter;

use super::scan::{Dialect, Found};
use crate::error::CopyError;

/// Bytes of a piece; a record that is longer makes a longer one.
const CHUNK: usize = 1 << 20;
/// A record that is longer than this has no end: its quotes are not closed.
pub(crate) const LONGEST_RECORD: usize = 16 << 20;

/// Whole records, and where they stand in the file.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) text: Vec<u8>,
    /// Of the first byte, in the decompressed text.
    pub(crate) offset: u64,
    /// Of the first record, from 1.
    pub(crate) line: u64,
    /// It is one line whose quotes are not closed.
    pub(crate) unclosed: bool,
}

/// Cuts a text into chunks.
pub(crate) struct Chunks {
    input: Box<dyn Read + Send>,
    dialect: Dialect,
    file: String,
    /// Read and not given out yet.
    rest: Vec<u8>,
    offset: u64,
    line: u64,
    at_end: bool,
    chunk: usize,
    longest: usize,
}

impl Chunks {
    pub(crate) fn new(input: Box<dyn Read + Send>, dialect: Dialect, file: &str) -> Result<Self, CopyError> {
        Self::sized(input, dialect, file, CHUNK, LONGEST_RECORD)
    }

    fn sized(
        input: Box<dyn Read + Send>,
        dialect: Dialect,
        file: &str,
        chunk: usize,
        longest: usize,
    ) -> Result<Self, CopyError> {
        let mut chunks = Self {
            input,
            dialect,
            file: file.to_owned(),
            rest: Vec::new(),
            offset: 0,
            line: 1,
            at_end: false,
            chunk,
            longest,
        };
        chunks.fill(chunk)?;
        if chunks.rest.starts_with(b"\xef\xbb\xbf") {
            chunks.rest.drain(..3);
            chunks.offset = 3;
        }
        if memchr::memchr(b'\n', &chunks.rest).is_none() && memchr::memchr(b'\r', &chunks.rest).is_some() {
            chunks.dialect.newline = b'\r';
        }
        Ok(chunks)
    }

    /// The dialect, with the newline that the text has.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads until `rest` has so many bytes or the text ends.
    fn fill(&mut self, bytes: usize) -> Result<(), CopyError> {
        while self.rest.len() < bytes && !self.at_end {
            let before = self.rest.len();
            self.rest.resize(bytes, 0);
            let room = self.rest.get_mut(before..).unwrap_or_default();
            let read = match self.input.read(room) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                    self.rest.truncate(before);
                    continue;
                }
                Err(error) => return Err(CopyError::broken(&self.file, error)),
            };
            self.rest.truncate(before + read);
            self.at_end = read == 0;
        }
        Ok(())
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>, CopyError> {
        let mut wanted = self.chunk;
        loop {
            self.fill(wanted)?;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let end = self.dialect.last_end(&self.rest, self.at_end);
            if end > 0 {
                return Ok(Some(self.cut(end, false)));
            }
            if self.at_end || self.rest.len() >= self.longest {
                // Only the first line is lost; what comes after it may be sound.
                let line = memchr::memchr(self.dialect.newline, &self.rest);
                let end = line.map_or(self.rest.len(), |position| position + 1);
                return Ok(Some(self.cut(end, true)));
            }
            wanted = self.rest.len() * 2;
        }
    }

    fn cut(&mut self, end: usize, unclosed: bool) -> Chunk {
        let rest = self.rest.split_off(end);
        let text = std::mem::replace(&mut self.rest, rest);
        let chunk = Chunk { offset: self.offset, line: self.line, unclosed, text };
        self.offset += end as u64;
        self.line += memchr_iter(self.dialect.newline, &chunk.text).count() as u64;
        chunk
    }

    /// Takes the line at the front away, whatever stands in it.
    pub(crate) fn take_line(&mut self) -> Result<(), CopyError> {
        loop {
            if let Some(position) = memchr::memchr(self.dialect.newline, &self.rest) {
                self.cut(position + 1, false);
                return Ok(());
            }
            if self.at_end {
                self.cut(self.rest.len(), false);
                return Ok(());
            }
            self.fill(self.rest.len().max(self.chunk) * 2)?;
        }
    }

    /// Takes the record at the front away, if there is one: the header. Its fields are told by `each`.
    pub(crate) fn take_record(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<bool, CopyError> {
        let end = self.first_record(each)?;
        self.cut(end.unwrap_or(0), false);
        Ok(end.is_some())
    }

    /// Tells the fields of the record at the front, if there is one.
    pub(crate) fn peek_record(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<bool, CopyError> {
        Ok(self.first_record(each)?.is_some())
    }

    /// Where the record at the front ends; empty lines before it are taken away.
    fn first_record(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Option<usize>, CopyError> {
        let mut spans = Vec::new();
        loop {
            if self.rest.is_empty() && self.at_end {
                return Ok(None);
            }
            match self.dialect.record(&self.rest, 0, self.at_end, &mut spans, &mut self.dialect.marks()) {
                Found::Record(place) if place.end == place.start => {
                    self.cut(place.next, false);
                    self.fill(self.chunk)?;
                }
                Found::Record(place) => {
                    let mut scratch = Vec::new();
                    for span in &spans {
                        each(self.dialect.field(&self.rest, *span, &mut scratch));
                    }
                    return Ok(Some(place.next));
                }
                Found::Open | Found::OpenQuote if self.at_end || self.rest.len() >= self.longest => {
                    return Err(CopyError::read(&self.file, &"a quote in its first line is not closed"));
                }
                Found::Open | Found::OpenQuote => self.fill(self.rest.len() * 2)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Dialect = Dialect { delimiter: b',', quote: b'"', escape: None, newline: b'\n' };

    /// The texts of the chunks with line, offset and whether their quotes are open.
    fn check(text: &str, chunk: usize) -> Vec<(String, u64, u64, bool)> {
        let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut chunks = Chunks::sized(input, USUAL, "a.csv", chunk, 64).unwrap();
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next().unwrap() {
            let text = String::from_utf8(chunk.text).unwrap();
            found.push((text, chunk.line, chunk.offset, chunk.unclosed));
        }
        found
    }

    #[test]
    fn cut_between_records() {
        let found = check("1,a\n2,b\n3,c", 9);
        assert_eq!(found[0], ("1,a\n2,b\n".to_owned(), 1, 0, false));
        assert_eq!(found[1], ("3,c".to_owned(), 3, 8, false));
        let quoted = check("1,\"a\nb\"\n2,c\n", 5);
        assert_eq!(quoted[0], ("1,\"a\nb\"\n".to_owned(), 1, 0, false));
        assert_eq!(quoted[1], ("2,c\n".to_owned(), 3, 8, false));
        assert_eq!(check("", 4), []);
        assert_eq!(check("\u{feff}x\n", 4), [("x\n".to_owned(), 1, 3, false)]);
    }

    #[test]
    fn one_line_is_lost_when_quotes_are_not_closed() {
        let found = check("1,a\n2,\"b\n3,c\n", 4);
        let texts: Vec<_> = found.iter().map(|(text, line, _, open)| (text.as_str(), *line, *open)).collect();
        assert_eq!(texts, [("1,a\n", 1, false), ("2,\"b\n", 2, true), ("3,c\n", 3, false)]);
        let long = format!("2,\"b\n{}", "3,c\n".repeat(40));
        let found = check(&long, 4);
        assert_eq!((found[0].0.as_str(), found[0].3), ("2,\"b\n", true));
        let rest: String = found.iter().skip(1).map(|chunk| chunk.0.as_str()).collect();
        assert_eq!(rest, "3,c\n".repeat(40));
    }
}
