//! Where the fields of a record begin and end.

use memchr::{memchr, memrchr};

use super::marks::Marks;

/// What stands between and around fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Around fields that hold delimiters or lines.
    pub(crate) quote: u8,
    /// Before a quote within a quoted field, beside the doubled quote.
    pub(crate) escape: Option<u8>,
    /// Ends a line: `\n` (with or without `\r` before it), or `\r` in files that have no other.
    pub(crate) newline: u8,
}

/// A field within the text of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    end: usize,
    quoted: Quoted,
}

/// How a field is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    No,
    /// Between its first and its last byte its text stands as it is, if it has no escapes.
    Whole,
    /// With doubled or escaped quotes, or more behind the closing one.
    Mixed,
}

/// A record: from where to where it stands, without the end of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where the next one begins.
    pub(crate) next: usize,
}

/// What there is at a place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record; its fields were told.
    Record(Place),
    /// The text ends before the record does, outside of quotes.
    Open,
    /// The text ends within quotes.
    OpenQuote,
}

impl Dialect {
    /// Finds the record that begins at `start` and tells its fields to `spans`, which is emptied before. A line without anything is a record of
    /// one empty field. `at_end`: nothing comes after `text`, so its end ends a record. `marks`: of this text.
    pub(crate) fn record(
        &self,
        text: &[u8],
        start: usize,
        at_end: bool,
        spans: &mut Vec<Span>,
        marks: &mut Marks,
    ) -> Found {
        spans.clear();
        let mut field = start;
        let mut at = start;
        // Where the quotes end that the field begins with, and whether there was none between.
        let mut closed = None;
        let span = |start, end, closed: Option<(usize, bool)>| {
            let quoted = match closed {
                None => Quoted::No,
                Some((closing, true)) if closing + 1 == end => Quoted::Whole,
                Some(_) => Quoted::Mixed,
            };
            Span { start, end, quoted }
        };
        loop {
            let Some(position) = marks.next(text, at) else {
                if !at_end {
                    return Found::Open;
                }
                let end = trim_return(text, field, text.len());
                spans.push(span(field, end, closed));
                return Found::Record(Place { start, end, next: text.len() });
            };
            let byte = text.get(position).copied().unwrap_or(self.newline);
            if byte == self.delimiter {
                spans.push(span(field, position, closed));
                field = position + 1;
                at = field;
                closed = None;
            } else if byte == self.newline {
                let end = trim_return(text, field, position);
                spans.push(span(field, end, closed));
                return Found::Record(Place { start, end, next: position + 1 });
            } else if position == field {
                closed = self.closing_quote(text, position + 1);
                match closed {
                    Some((closing, _)) => at = closing + 1,
                    None => return Found::OpenQuote,
                }
            } else {
                // A quote within a field that does not begin with one is a letter.
                at = position + 1;
            }
        }
    }

    /// For the records of a text.
    pub(crate) fn marks(&self) -> Marks {
        Marks::new([self.delimiter, self.newline, self.quote])
    }

    /// Where the quotes end that were opened before `at`, and whether no other quote stands between.
    fn closing_quote(&self, text: &[u8], mut at: usize) -> Option<(usize, bool)> {
        let begin = at;
        loop {
            let position = at + memchr(self.quote, text.get(at..)?)?;
            if text.get(position + 1) == Some(&self.quote) {
                at = position + 2;
            } else if self
                .escape
                .is_some_and(|escape| escape != self.quote && escaped(text, begin, position, escape))
            {
                at = position + 1;
            } else {
                return Some((position, at == begin));
            }
        }
    }

    /// A field's text, without its quotes. `scratch` holds it if it is not a piece of the record.
    pub(crate) fn field<'t>(&self, text: &'t [u8], span: Span, scratch: &'t mut Vec<u8>) -> &'t [u8] {
        let raw = text.get(span.start..span.end).unwrap_or_default();
        match span.quoted {
            Quoted::No => return raw,
            Quoted::Whole => {
                let plain = text.get(span.start + 1..span.end - 1).unwrap_or_default();
                if self.escape.is_none_or(|escape| memchr(escape, plain).is_none()) {
                    return plain;
                }
            }
            Quoted::Mixed => {}
        }
        let inner = raw.strip_prefix(&[self.quote]).unwrap_or(raw);
        scratch.clear();
        let mut inside = true;
        let mut bytes = inner.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if inside && Some(byte) == self.escape && byte != self.quote {
                scratch.extend(bytes.next());
            } else if inside && byte == self.quote {
                if bytes.next_if_eq(&self.quote).is_some() {
                    scratch.push(byte);
                } else {
                    inside = false;
                }
            } else {
                scratch.push(byte);
            }
        }
        scratch
    }

    /// The end of the last whole record of a text that begins with one, and where the one after it would begin. `at_end`: nothing comes
    /// after the text, so its end ends a record.
    ///
    /// Only quotes are looked at: between two of them, a line's end is a record's or is none.
    pub(crate) fn last_end(&self, text: &[u8], at_end: bool) -> usize {
        // Where texts outside of quotes begin and end, but for the last one.
        let mut outside = Vec::new();
        let (mut from, mut at) = (0, 0);
        let mut open = false;
        while let Some(position) =
            text.get(at..).and_then(|rest| memchr(self.quote, rest)).map(|found| at + found)
        {
            // A quote within a field that does not begin with one is a letter.
            let before = position.checked_sub(1).and_then(|before| text.get(before).copied());
            if before.is_some_and(|byte| byte != self.delimiter && byte != self.newline) {
                at = position + 1;
                continue;
            }
            outside.push(from..position);
            match self.closing_quote(text, position + 1) {
                Some((closing, _)) => (from, at) = (closing + 1, closing + 1),
                None => {
                    open = true;
                    break;
                }
            }
        }
        if !open {
            if at_end {
                return text.len();
            }
            outside.push(from..text.len());
        }
        let last = |range: &std::ops::Range<usize>| {
            let rest = text.get(range.clone()).unwrap_or_default();
            memrchr(self.newline, rest).map(|position| range.start + position + 1)
        };
        outside.iter().rev().find_map(last).unwrap_or(0)
    }
}

/// Whether an odd number of escapes stands before `position`, none before `begin`.
fn escaped(text: &[u8], begin: usize, position: usize, escape: u8) -> bool {
    let before = text.get(begin..position).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == escape).count() % 2 == 1
}

fn trim_return(text: &[u8], field: usize, end: usize) -> usize {
    match end.checked_sub(1) {
        Some(last) if last >= field && text.get(last) == Some(&b'\r') => last,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Dialect = Dialect { delimiter: b',', quote: b'"', escape: None, newline: b'\n' };

    fn records(dialect: Dialect, text: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let (mut at, mut spans, mut scratch) = (0, Vec::new(), Vec::new());
        let mut marks = dialect.marks();
        while at < text.len() {
            let Found::Record(place) = dialect.record(text.as_bytes(), at, true, &mut spans, &mut marks)
            else {
                found.push(vec!["open".to_owned()]);
                break;
            };
            let field = |span: &Span| {
                String::from_utf8_lossy(dialect.field(text.as_bytes(), *span, &mut scratch)).into_owned()
            };
            found.push(spans.iter().map(field).collect());
            at = place.next;
        }
        found
    }

    #[test]
    fn fields() {
        assert_eq!(records(USUAL, "a,b\r\nc,\n"), [["a", "b"], ["c", ""]]);
        assert_eq!(records(USUAL, "a\n\nb"), [["a"], [""], ["b"]]);
        assert_eq!(records(USUAL, "\"a,\n\"\"b\"\"\",c\n"), [["a,\n\"b\"", "c"]]);
        assert_eq!(records(USUAL, "a\"b,c\"\n"), [["a\"b", "c\""]]);
        assert_eq!(records(USUAL, "\"a\"b,c\n"), [["ab", "c"]]);
        assert_eq!(records(USUAL, "\"\",x"), [["", "x"]]);
        assert_eq!(records(USUAL, "a,\"b\nc"), [["open"]]);
        let escaping = Dialect { escape: Some(b'\\'), ..USUAL };
        assert_eq!(records(escaping, "\"a\\\"b\\\\\",c\n"), [["a\"b\\", "c"]]);
        let old = Dialect { newline: b'\r', ..USUAL };
        assert_eq!(records(old, "a,b\rc,d"), [["a", "b"], ["c", "d"]]);
    }

    proptest! {
        /// What the csv writer of Arrow's kind would write is read back, whatever the cells hold and wherever the text is cut.
        #[test]
        fn written_is_read(rows in prop::collection::vec(prop::collection::vec("[a\",\n\r é]{0,4}", 2..4), 1..5), cut in 0usize..60) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let lines: Vec<String> = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",")).collect();
            let text = lines.join("\n") + "\n";
            prop_assert_eq!(records(USUAL, &text), rows);
            // The end that a cut text gives is the end of a record of the whole text.
            let cut = cut.min(text.len());
            let end = USUAL.last_end(&text.as_bytes()[..cut], false);
            let mut ends = vec![0];
            for line in &lines {
                ends.push(ends.last().unwrap() + line.len() + 1);
            }
            prop_assert!(ends.contains(&end), "{} is not among {:?}", end, ends);
            let most = ends.iter().filter(|end| **end <= cut).max();
            prop_assert_eq!(most, Some(&end));
        }
    }
}
