//! The part of a text that is in memory: it grows at its end as the text is read and shrinks at its front as it is given out.

use std::io::Read;

use memchr::memchr_iter;

use crate::error::CopyError;

/// Bytes of a chunk of text; a record that is longer makes a longer one.
pub(super) const CHUNK: usize = 1 << 20;
/// What is longer than this is no record: something in it is not closed.
pub(super) const LONGEST_RECORD: usize = 16 << 20;

/// A text that is read from its start to its end.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    pub(super) file: String,
    /// Read and not given out yet.
    pub(super) rest: Vec<u8>,
    /// Of the first byte of `rest`, in the decompressed text.
    pub(super) offset: u64,
    /// Of the first byte of `rest`, from 1.
    pub(super) line: u64,
    pub(super) at_end: bool,
}

/// A part of a text, and where it stands in it.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) text: Vec<u8>,
    pub(super) offset: u64,
    pub(super) line: u64,
}

impl Window {
    /// Begins a text; a byte order mark is left out.
    pub(super) fn new(input: Box<dyn Read + Send>, file: &str) -> Result<Self, CopyError> {
        let mut window =
            Self { input, file: file.to_owned(), rest: Vec::new(), offset: 0, line: 1, at_end: false };
        window.fill(3)?;
        if window.rest.starts_with(b"\xef\xbb\xbf") {
            window.rest.drain(..3);
            window.offset = 3;
        }
        Ok(window)
    }

    /// Reads until `rest` has so many bytes or the text ends.
    pub(super) fn fill(&mut self, bytes: usize) -> Result<(), CopyError> {
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

    /// The byte at a place of `rest`, read if it is not there yet; `None` at the end of the text.
    pub(super) fn byte(&mut self, at: usize) -> Result<Option<u8>, CopyError> {
        if at >= self.rest.len() {
            self.fill(at + CHUNK / 4)?;
        }
        Ok(self.rest.get(at).copied())
    }

    /// Whether this stands at a place of `rest`.
    pub(super) fn has(&mut self, at: usize, bytes: &[u8]) -> Result<bool, CopyError> {
        self.byte(at + bytes.len())?;
        Ok(self.rest.get(at..).unwrap_or_default().starts_with(bytes))
    }

    /// Gives the front out.
    pub(super) fn cut(&mut self, end: usize) -> Part {
        let rest = self.rest.split_off(end.min(self.rest.len()));
        let text = std::mem::replace(&mut self.rest, rest);
        let part = Part { offset: self.offset, line: self.line, text };
        self.offset += part.text.len() as u64;
        self.line += memchr_iter(b'\n', &part.text).count() as u64;
        part
    }
}

/// Counts lines on from the last place that was asked for.
pub(super) struct Lines {
    at: usize,
    line: u64,
    newline: u8,
}

impl Lines {
    /// `line`: of the first byte of the text that is asked about.
    pub(super) fn new(line: u64, newline: u8) -> Self {
        Self { at: 0, line, newline }
    }

    pub(super) fn of(&mut self, text: &[u8], place: usize) -> u64 {
        self.line += memchr_iter(self.newline, text.get(self.at..place).unwrap_or_default()).count() as u64;
        self.at = place;
        self.line
    }
}
