//! Where the records of an XML document are: told by the names of tags alone, so that one that is not well-formed costs itself.

use super::super::records::{Bad, Chunk, Cutter};
use super::super::window::{CHUNK, LONGEST_RECORD, Window};
use crate::error::CopyError;

/// Elements within elements around the records.
const DEEPEST: usize = 1_000;

/// Which elements are records, by their names without prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Records {
    /// Those within the outermost element.
    Children,
    /// Those of a name, wherever they are.
    Named(Vec<u8>),
    /// Those at a path from the outermost element.
    Path(Vec<Vec<u8>>),
}

impl Records {
    /// `open`: the elements around, the outermost first.
    fn is(&self, open: &[Vec<u8>], name: &[u8]) -> bool {
        match self {
            Self::Children => open.len() == 1,
            Self::Named(wanted) => wanted == name,
            Self::Path(path) => {
                path.split_last().is_some_and(|(last, before)| last == name && before == open)
            }
        }
    }
}

/// Cuts a document.
pub(super) struct Document {
    window: Window,
    records: Records,
    /// Elements around the records.
    open: Vec<Vec<u8>>,
    done: bool,
}

/// What begins with `<`, and where it ends.
enum Markup {
    Start {
        name: Vec<u8>,
        empty: bool,
    },
    End(Vec<u8>),
    /// A comment, a declaration, characters.
    Other,
}

impl Document {
    pub(super) fn new(window: Window, records: Records) -> Self {
        Self { window, records, open: Vec::new(), done: false }
    }

    fn failed(&self, message: &str) -> CopyError {
        CopyError::read(format!("{}:{}", self.window.file, self.window.line), &message)
    }

    /// Where the next `<` is; `None` if there is none.
    fn next_tag(&mut self, from: usize) -> Result<Option<usize>, CopyError> {
        let mut at = from;
        loop {
            if self.window.byte(at)?.is_none() {
                return Ok(None);
            }
            let rest = self.window.rest.get(at..).unwrap_or_default();
            match memchr::memchr(b'<', rest) {
                Some(found) => return Ok(Some(at + found)),
                None => at = self.window.rest.len(),
            }
            self.check_length(at - from)?;
        }
    }

    /// Where a text ends that begins at or after `from`; `None` if it is not there.
    fn find(&mut self, from: usize, text: &[u8]) -> Result<Option<usize>, CopyError> {
        let mut at = from;
        loop {
            self.window.byte(at + text.len())?;
            let rest = self.window.rest.get(at..).unwrap_or_default();
            if let Some(found) = memchr::memmem::find(rest, text) {
                return Ok(Some(at + found + text.len()));
            }
            if self.window.at_end {
                return Ok(None);
            }
            // The text may have begun.
            at = (self.window.rest.len() + 1).saturating_sub(text.len()).max(from);
            self.check_length(at - from)?;
            let wanted = self.window.rest.len() + CHUNK;
            self.window.fill(wanted)?;
        }
    }

    /// Reads what begins with the `<` at `at`; `None` if the document ends first.
    fn markup(&mut self, at: usize) -> Result<Option<(Markup, usize)>, CopyError> {
        let other = |end: Option<usize>| Ok(end.map(|end| (Markup::Other, end)));
        if self.window.has(at, b"<!--")? {
            let end = self.find(at + 4, b"-->")?;
            return other(end);
        }
        if self.window.has(at, b"<![CDATA[")? {
            let end = self.find(at + 9, b"]]>")?;
            return other(end);
        }
        if self.window.has(at, b"<?")? {
            let end = self.find(at + 2, b"?>")?;
            return other(end);
        }
        let first = self.window.byte(at + 1)?;
        let begins = |byte: u8| {
            byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | b'/' | b'!') || byte >= 0x80
        };
        if !first.is_some_and(begins) {
            // Characters that should have been escaped.
            return other(Some(at + 1));
        }
        let Some(end) = self.tag_end(at + 1, first == Some(b'!'))? else { return Ok(None) };
        let tag = self.window.rest.get(at + 1..end - 1).unwrap_or_default();
        let markup = match tag {
            [b'!', ..] => Markup::Other,
            [b'/', name @ ..] => Markup::End(local(name)),
            _ => Markup::Start { name: local(tag), empty: tag.ends_with(b"/") },
        };
        Ok(Some((markup, end)))
    }

    /// After the `>` of a tag; those within quotes and, of a document type, within brackets do not count.
    fn tag_end(&mut self, start: usize, doctype: bool) -> Result<Option<usize>, CopyError> {
        let (mut at, mut quote, mut brackets) = (start, None, 0_usize);
        loop {
            let Some(byte) = self.window.byte(at)? else { return Ok(None) };
            self.check_length(at - start)?;
            match (byte, quote) {
                (byte, Some(open)) if byte == open => quote = None,
                // No value of an attribute holds it: the quote is not closed.
                (b'<', Some(_)) if !doctype => return Ok(Some(at)),
                (_, Some(_)) => {}
                (b'"' | b'\'', None) => quote = Some(byte),
                (b'[', None) if doctype => brackets += 1,
                (b']', None) if doctype => brackets = brackets.saturating_sub(1),
                (b'<', None) if !doctype => return Ok(Some(at)),
                (b'>', None) if brackets == 0 => return Ok(Some(at + 1)),
                _ => {}
            }
            at += 1;
        }
    }

    /// Where the record ends whose start tag ends at `at`; `None` if the document ends first.
    fn record_end(&mut self, start: usize, name: &[u8], at: usize) -> Result<Option<usize>, CopyError> {
        let mut open = vec![name.to_vec()];
        let mut at = at;
        loop {
            let Some(tag) = self.next_tag(at)? else { return Ok(None) };
            self.check_length(tag - start)?;
            let Some((markup, end)) = self.markup(tag)? else { return Ok(None) };
            at = end;
            match markup {
                Markup::Start { name, empty: false } => open.push(name),
                Markup::End(name) => match open.iter().rposition(|open| *open == name) {
                    Some(matching) => {
                        open.truncate(matching);
                        if open.is_empty() {
                            return Ok(Some(end));
                        }
                    }
                    // The end of what is around the record.
                    None if self.open.contains(&name) => return Ok(Some(tag)),
                    None => {}
                },
                _ => {}
            }
        }
    }

    fn check_length(&self, bytes: usize) -> Result<(), CopyError> {
        if bytes < LONGEST_RECORD + CHUNK {
            return Ok(());
        }
        Err(self.failed(&format!(
            "a record after this line is longer than {} MB, or its tags are not closed",
            LONGEST_RECORD >> 20
        )))
    }
}

impl Cutter for Document {
    fn next(&mut self) -> Result<Option<Chunk>, CopyError> {
        let mut records = Vec::new();
        let (mut at, mut broken) = (0, None);
        while !self.done && at < CHUNK {
            let Some(tag) = self.next_tag(at)? else {
                self.done = true;
                at = self.window.rest.len();
                if !self.open.is_empty() {
                    records.push(at..at);
                    broken = Some(cut_off());
                }
                break;
            };
            let Some((markup, end)) = self.markup(tag)? else {
                self.done = true;
                at = self.window.rest.len();
                records.push(tag..at);
                broken = Some(cut_off());
                break;
            };
            at = end;
            match markup {
                Markup::Start { name, empty } if self.records.is(&self.open, &name) => {
                    let end = if empty { Some(end) } else { self.record_end(tag, &name, end)? };
                    at = end.unwrap_or(self.window.rest.len());
                    records.push(tag..at);
                    if end.is_none() {
                        self.done = true;
                        broken = Some(cut_off());
                    }
                }
                Markup::Start { name, empty: false } => {
                    if self.open.len() >= DEEPEST {
                        return Err(
                            self.failed(&format!("more than {DEEPEST} elements are within each other"))
                        );
                    }
                    self.open.push(name);
                }
                Markup::End(name) => {
                    if let Some(matching) = self.open.iter().rposition(|open| *open == name) {
                        self.open.truncate(matching);
                    }
                }
                _ => {}
            }
        }
        if at == 0 && records.is_empty() {
            return Ok(None);
        }
        Ok(Some(Chunk { part: self.window.cut(at), records, broken }))
    }
}

fn cut_off() -> Bad {
    Bad { column: None, kind: "truncated", message: "the document ends within it".to_owned() }
}

/// The name of a tag without its prefix.
fn local(tag: &[u8]) -> Vec<u8> {
    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(tag.len());
    let name = tag.get(..end).unwrap_or_default();
    let start = memchr::memrchr(b':', name).map_or(0, |colon| colon + 1);
    name.get(start..).unwrap_or_default().to_vec()
}
