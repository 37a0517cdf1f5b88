//! Text in other encodings than UTF-8, decoded as it is read.

use std::io::Read;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How characters stand in a text file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1.
    #[serde(rename = "latin-1")]
    Latin1,
    /// UTF-16; the byte order mark says which, little endian without one.
    #[serde(rename = "utf-16")]
    Utf16,
}

/// Gives the bytes of `inner` as UTF-8. What is UTF-8 already passes unchecked: a bad row is the decoder's to reject.
pub(crate) fn decoded(inner: Box<dyn Read + Send>, encoding: Encoding) -> Box<dyn Read + Send> {
    match encoding {
        Encoding::Utf8 => inner,
        Encoding::Latin1 => Box::new(Transcoder {
            inner,
            out: Vec::new(),
            given: 0,
            convert: latin1,
            rest: Vec::new(),
            big_endian: None,
        }),
        Encoding::Utf16 => Box::new(Transcoder {
            inner,
            out: Vec::new(),
            given: 0,
            convert: utf16,
            rest: Vec::new(),
            big_endian: None,
        }),
    }
}

struct Transcoder {
    inner: Box<dyn Read + Send>,
    /// Converted text, given out up to `given`.
    out: Vec<u8>,
    given: usize,
    /// Bytes that are not a whole character yet.
    rest: Vec<u8>,
    big_endian: Option<bool>,
    convert: fn(&mut Transcoder, bool),
}

impl Read for Transcoder {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
            let mut chunk = [0; 8192];
            let count = self.inner.read(&mut chunk)?;
            self.rest.extend_from_slice(chunk.get(..count).unwrap_or_default());
            (self.convert)(self, count == 0);
            if count == 0 && self.out.is_empty() {
                return Ok(0);
            }
        }
        let left = self.out.get(self.given..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

fn latin1(state: &mut Transcoder, _at_end: bool) {
    let text: String = state.rest.drain(..).map(char::from).collect();
    state.out = text.into_bytes();
}

fn utf16(state: &mut Transcoder, at_end: bool) {
    let pairs = state.rest.chunks_exact(2);
    let odd = pairs.remainder().to_vec();
    let mark = state.rest.get(..2).map(|two| two == [0xFE, 0xFF]);
    let big = *state.big_endian.get_or_insert_with(|| mark.unwrap_or(false));
    let mut units: Vec<u16> = pairs
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(|pair| if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
        .collect();
    let mut kept = odd;
    if !at_end
        && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit))
        && let Some(high) = units.pop()
    {
        let bytes = if big { high.to_be_bytes() } else { high.to_le_bytes() };
        kept.splice(0..0, bytes);
    } else if at_end {
        kept.clear();
    }
    let text = String::from_utf16_lossy(&units);
    state.out = text.trim_start_matches('\u{feff}').as_bytes().to_vec();
    state.rest = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: Vec<u8>, encoding: Encoding, expected: &str) {
        let mut text = String::new();
        decoded(Box::new(std::io::Cursor::new(bytes)), encoding).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn encodings() {
        check(b"Z\xfcrich".to_vec(), Encoding::Latin1, "Zürich");
        let units: Vec<u16> = "\u{feff}Zürich 😀".encode_utf16().collect();
        check(units.iter().flat_map(|unit| unit.to_be_bytes()).collect(), Encoding::Utf16, "Zürich 😀");
        check(
            units.iter().skip(1).flat_map(|unit| unit.to_le_bytes()).collect(),
            Encoding::Utf16,
            "Zürich 😀",
        );
        let long = "😀".repeat(5001);
        let text = format!("a{long}");
        check(text.encode_utf16().flat_map(u16::to_le_bytes).collect(), Encoding::Utf16, &text);
    }
}
