//! Where the records of a JSON text are: one a line, or the elements of an array of a document.

use std::ops::Range;

use super::super::records::{Bad, Chunk, Cutter};
use super::super::window::{CHUNK, LONGEST_RECORD, Window};
use super::syntax::{Cursor, DEEPEST, unescaped};
use crate::error::CopyError;

/// One record a line.
pub(super) struct Lines(pub(super) Window);

impl Cutter for Lines {
    fn next(&mut self) -> Result<Option<Chunk>, CopyError> {
        let mut wanted = CHUNK;
        loop {
            self.0.fill(wanted)?;
            let rest = &self.0.rest;
            if rest.is_empty() {
                return Ok(None);
            }
            if let Some(end) = memchr::memrchr(b'\n', rest) {
                return Ok(Some(lines_of(&mut self.0, end + 1)));
            }
            if self.0.at_end {
                let end = rest.len();
                return Ok(Some(lines_of(&mut self.0, end)));
            }
            if rest.len() >= LONGEST_RECORD {
                return self.too_long().map(Some);
            }
            wanted = rest.len() * 2;
        }
    }
}

impl Lines {
    /// Sets the line at the front aside, its beginning as what it was.
    fn too_long(&mut self) -> Result<Chunk, CopyError> {
        let mut part = self.0.cut(CHUNK);
        part.text.truncate(1024);
        loop {
            self.0.fill(CHUNK)?;
            match memchr::memchr(b'\n', &self.0.rest) {
                Some(end) => {
                    self.0.cut(end);
                    break;
                }
                None if self.0.at_end => {
                    self.0.cut(usize::MAX);
                    break;
                }
                None => drop(self.0.cut(usize::MAX)),
            }
        }
        let message = format!("the line is longer than {} MB", LONGEST_RECORD >> 20);
        let broken = Some(Bad { column: None, kind: "too_long", message });
        let records = std::iter::once(0..part.text.len()).collect();
        Ok(Chunk { records, part, broken })
    }
}

/// The lines in front of `end` that are not blank.
fn lines_of(window: &mut Window, end: usize) -> Chunk {
    let part = window.cut(end);
    let mut records = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', &part.text).chain([part.text.len()]);
    for end in ends {
        let line = part.text.get(start..end).unwrap_or_default();
        let line_end = start + line.trim_ascii_end().len();
        if line_end > start {
            records.push(start..line_end);
        }
        start = end + 1;
    }
    Chunk { part, records, broken: None }
}

/// The elements of an array, or values one after another, somewhere in a document. A bracket that is missing costs its record and those that it
/// swallows; everything before and after is found.
pub(super) struct Document {
    window: Window,
    /// Names that lead to the records; taken away as they are found.
    path: Vec<String>,
    place: Place,
    /// In the window, before the records.
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// Within the array of records. A value may come next if a comma or the bracket was the last.
    Array {
        value: bool,
    },
    /// Values after each other without an array around them.
    Sequence,
    After,
}

impl Document {
    /// `path`: names of objects around the records, the outermost first.
    pub(super) fn new(window: Window, path: &[String]) -> Self {
        Self { window, path: path.to_vec(), place: Place::Before, at: 0 }
    }
}

impl Cutter for Document {
    fn next(&mut self) -> Result<Option<Chunk>, CopyError> {
        if self.place == Place::Before {
            self.seek()?;
        }
        let mut records: Vec<Range<usize>> = Vec::new();
        let mut at = std::mem::take(&mut self.at);
        while self.place != Place::After && at < CHUNK {
            let Some(byte) = self.window.byte(at)? else {
                if matches!(self.place, Place::Array { .. }) {
                    return Ok(Some(self.cut_off(records, at, at)));
                }
                self.place = Place::After;
                break;
            };
            match (byte, self.place) {
                (b' ' | b'\t' | b'\n' | b'\r', _) => at += 1,
                (b']', Place::Array { value }) => {
                    if value && !records.is_empty() {
                        // A comma before the bracket.
                        records.push(at..at);
                    }
                    at += 1;
                    self.place = Place::After;
                }
                (b',', Place::Array { value }) => {
                    if value {
                        records.push(at..at);
                    }
                    at += 1;
                    self.place = Place::Array { value: true };
                }
                _ => {
                    let Some(end) = self.value_end(at)? else {
                        let end = self.window.rest.len();
                        return Ok(Some(self.cut_off(records, at, end)));
                    };
                    records.push(at..end);
                    at = end;
                    if let Place::Array { value } = &mut self.place {
                        *value = false;
                    }
                }
            }
        }
        if records.is_empty() && at == 0 {
            return Ok(None);
        }
        let part = self.window.cut(at);
        Ok(Some(Chunk { part, records, broken: None }))
    }
}

impl Document {
    /// The last chunk of a document that ends too early.
    fn cut_off(&mut self, mut records: Vec<Range<usize>>, start: usize, end: usize) -> Chunk {
        self.place = Place::After;
        records.push(start..end);
        let message = "the document ends within it".to_owned();
        let broken = Some(Bad { column: None, kind: "truncated", message });
        Chunk { part: self.window.cut(end), records, broken }
    }

    /// Goes on in the window, of which what was passed is given up now and then.
    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at >= CHUNK {
            self.window.cut(self.at);
            self.at = 0;
        }
    }

    /// The next byte that is not blank.
    fn next_byte(&mut self) -> Result<Option<u8>, CopyError> {
        loop {
            match self.window.byte(self.at)? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.pass(1),
                other => return Ok(other),
            }
        }
    }

    fn failed(&self, message: &str) -> CopyError {
        let passed = self.window.rest.get(..self.at).unwrap_or_default();
        let line = self.window.line + memchr::memchr_iter(b'\n', passed).count() as u64;
        CopyError::read(format!("{}:{line}", self.window.file), &message)
    }

    /// Goes to the records.
    fn seek(&mut self) -> Result<(), CopyError> {
        for name in std::mem::take(&mut self.path) {
            if self.next_byte()? != Some(b'{') {
                return Err(self.failed(&format!("there is no object with `{name}`, as `records` says")));
            }
            self.pass(1);
            self.seek_name(&name)?;
        }
        self.place = match self.next_byte()? {
            Some(b'[') => {
                self.pass(1);
                Place::Array { value: true }
            }
            Some(_) => Place::Sequence,
            None => Place::After,
        };
        Ok(())
    }

    /// Goes to the value of a name of the object whose brace was taken.
    fn seek_name(&mut self, name: &str) -> Result<(), CopyError> {
        loop {
            if self.next_byte()? != Some(b'"') {
                return Err(self.failed(&format!("there is no `{name}`, which `records` names")));
            }
            let Some(end) = self.text_end(self.at)? else { return Err(self.failed("a quote is not closed")) };
            let text = self.window.rest.get(self.at..end).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            let found = Cursor::new(&text).text().and_then(|(raw, _)| {
                let mut scratch = String::new();
                unescaped(raw, &mut scratch).map(|found| found == name)
            });
            let found = matches!(found, Ok(true));
            self.pass(end - self.at);
            if self.next_byte()? != Some(b':') {
                return Err(self.failed("`:` is expected after a name"));
            }
            self.pass(1);
            self.next_byte()?;
            if found {
                return Ok(());
            }
            self.skip_value()?;
            if self.next_byte()? == Some(b',') {
                self.pass(1);
            }
        }
    }

    /// Goes over a value that may be longer than memory.
    fn skip_value(&mut self) -> Result<(), CopyError> {
        let mut depth = 0_usize;
        loop {
            let Some(byte) = self.window.byte(self.at)? else {
                return Err(self.failed("the document ends too early"));
            };
            match byte {
                b'"' => match self.text_end(self.at)? {
                    Some(end) => self.pass(end - self.at),
                    None => return Err(self.failed("a quote is not closed")),
                },
                b',' | b'}' | b']' if depth == 0 => return Ok(()),
                b'{' | b'[' => {
                    depth += 1;
                    self.pass(1);
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.pass(1);
                }
                _ => self.pass(1),
            }
            if depth == 0 && matches!(byte, b'}' | b']' | b'"') {
                return Ok(());
            }
        }
    }

    /// Where the text ends that begins with the quote at `start`; `None` if the document ends first. A line's end ends it too: it is then an error
    /// of the record, not of all that follow.
    fn text_end(&mut self, start: usize) -> Result<Option<usize>, CopyError> {
        let mut at = start + 1;
        loop {
            if self.window.byte(at)?.is_none() {
                return Ok(None);
            }
            self.check_length(at - start)?;
            let rest = self.window.rest.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
                at = self.window.rest.len();
                continue;
            };
            match rest.get(found) {
                Some(b'\\') => at += found + 2,
                Some(b'\n') => return Ok(Some(at + found)),
                _ => return Ok(Some(at + found + 1)),
            }
        }
    }

    /// Whether the line's end at `at`, which ended a text whose quote is not closed, has a line after it that looks like another record.
    fn begins_record(&mut self, at: usize) -> Result<bool, CopyError> {
        if self.window.byte(at)? != Some(b'\n') || self.window.rest.get(at - 1) == Some(&b'"') {
            return Ok(false);
        }
        let mut at = at;
        while let Some(byte) = self.window.byte(at)? {
            if !byte.is_ascii_whitespace() {
                return Ok(byte == b'{');
            }
            at += 1;
        }
        Ok(false)
    }

    /// Where the value ends that begins at `start`; `None` if the document ends first.
    fn value_end(&mut self, start: usize) -> Result<Option<usize>, CopyError> {
        let mut open: Vec<u8> = Vec::new();
        let mut at = start;
        loop {
            let Some(byte) = self.window.byte(at)? else {
                return Ok(open.is_empty().then_some(at));
            };
            // A value has at least one byte, so that whatever stands here is passed.
            let here = at.max(start + 1);
            self.check_length(at - start)?;
            match byte {
                b'"' => match self.text_end(at)? {
                    Some(end) if self.begins_record(end)? => return Ok(Some(end)),
                    Some(end) => at = end,
                    None => return Ok(None),
                },
                b'{' | b'[' => {
                    open.push(byte);
                    at += 1;
                }
                b'}' | b']' => {
                    let opening = if byte == b'}' { b'{' } else { b'[' };
                    // What is deeper is rejected anyway; it is not looked through for what may be missing.
                    let matching = match open.len() {
                        0..=DEEPEST => open.iter().rposition(|open| *open == opening),
                        deep => Some(deep - 1),
                    };
                    match matching {
                        Some(matching) => open.truncate(matching),
                        // The bracket of the array around the record.
                        None if open.is_empty() || byte == b']' => return Ok(Some(here)),
                        None => {}
                    }
                    at += 1;
                }
                b',' | b' ' | b'\t' | b'\n' | b'\r' if open.is_empty() => return Ok(Some(here)),
                _ => at += 1,
            }
            if open.is_empty() && matches!(byte, b'"' | b'}' | b']') {
                return Ok(Some(at));
            }
        }
    }

    fn check_length(&self, bytes: usize) -> Result<(), CopyError> {
        if bytes < LONGEST_RECORD + CHUNK {
            return Ok(());
        }
        Err(self.failed(&format!(
            "a record after this line is longer than {} MB, or its brackets are not closed",
            LONGEST_RECORD >> 20
        )))
    }
}
