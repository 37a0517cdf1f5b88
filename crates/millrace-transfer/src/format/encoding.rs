//! Text in other encodings than UTF-8, decoded as it is read.

use std::borrow::Cow;
use std::io::Read;
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How characters stand in a text file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1: each byte is the character of its number. The web's `iso-8859-1` is Windows-1252.
    Latin1,
    /// UTF-16; the byte order mark says which, little endian without one.
    Utf16,
    /// One of the web's (<https://encoding.spec.whatwg.org/#names-and-labels>).
    Web(&'static encoding_rs::Encoding),
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(label: &str) -> Result<Self, String> {
        match label.trim().to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "latin-1" => Ok(Self::Latin1),
            "utf-16" => Ok(Self::Utf16),
            label => match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
                Some(encoding) => Ok(Self::Web(encoding)),
                None => Err(format!(
                    "`{label}` is no encoding; `utf-8`, `latin-1`, `utf-16`, `windows-1252`, `shift_jis`, `gb18030` are"
                )),
            },
        }
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "latin-1",
            Self::Utf16 => "utf-16",
            Self::Web(encoding) => encoding.name(),
        })
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Encoding {
    fn schema_name() -> Cow<'static, str> {
        "Encoding".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`utf-8`, `latin-1` (ISO 8859-1), `utf-16`, or a label of the web's encodings: `windows-1252`, `iso-8859-15`, `macintosh`, `ibm866`, `koi8-r`, `shift_jis`, `euc-jp`, `euc-kr`, `big5`, `gbk`, `gb18030`, `utf-16be`…",
            "type": "string",
        })
    }
}

/// Gives the bytes of `inner` as UTF-8. What is UTF-8 already passes unchecked: a bad row is the decoder's to reject. Bytes that are no character of
/// another encoding pass as a byte that no UTF-8 has, so that their row is rejected too.
pub(crate) fn decoded(inner: Box<dyn Read + Send>, encoding: Encoding) -> Box<dyn Read + Send> {
    let decoder = match encoding {
        Encoding::Utf8 => return inner,
        Encoding::Latin1 => None,
        // Looks at the mark, which may tell big endian.
        Encoding::Utf16 => Some(encoding_rs::UTF_16LE.new_decoder()),
        Encoding::Web(encoding) => Some(encoding.new_decoder_with_bom_removal()),
    };
    Box::new(Transcoder { inner, decoder, out: Vec::new(), given: 0, ended: false })
}

/// In no UTF-8.
const NO_CHARACTER: u8 = 0xFF;

struct Transcoder {
    inner: Box<dyn Read + Send>,
    /// ISO 8859-1 needs none.
    decoder: Option<Decoder>,
    /// Converted text, given out up to `given`.
    out: Vec<u8>,
    given: usize,
    ended: bool,
}

impl Read for Transcoder {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.out.len() {
            if self.ended {
                return Ok(0);
            }
            self.out.clear();
            self.given = 0;
            let mut chunk = [0; 16 * 1024];
            let count = self.inner.read(&mut chunk)?;
            self.ended = count == 0;
            let bytes = chunk.get(..count).unwrap_or_default();
            match &mut self.decoder {
                None => {
                    let text: String = bytes.iter().copied().map(char::from).collect();
                    self.out.extend_from_slice(text.as_bytes());
                }
                Some(decoder) => convert(decoder, bytes, self.ended, &mut self.out),
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

fn convert(decoder: &mut Decoder, mut bytes: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut room = [0; 8 * 1024];
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut room, last);
        out.extend_from_slice(room.get(..written).unwrap_or_default());
        bytes = bytes.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(NO_CHARACTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(bytes: Vec<u8>, encoding: &str) -> Vec<u8> {
        let mut text = Vec::new();
        let encoding: Encoding = encoding.parse().unwrap();
        decoded(Box::new(std::io::Cursor::new(bytes)), encoding).read_to_end(&mut text).unwrap();
        text
    }

    fn check(bytes: Vec<u8>, encoding: &str, expected: &str) {
        assert_eq!(String::from_utf8(bytes_of(bytes, encoding)).unwrap(), expected, "{encoding}");
    }

    #[test]
    fn encodings() {
        check(b"Z\xfcrich \x80".to_vec(), "latin-1", "Zürich \u{80}");
        check(b"Z\xfcrich \x80".to_vec(), "windows-1252", "Zürich €");
        check(b"Z\xfcrich \xa4".to_vec(), "ISO-8859-15", "Zürich €");
        check(b"\xcf\xf0\xe8\xe2\xe5\xf2".to_vec(), "cp1251", "Привет");
        check(b"\x93\xfa\x96\x7b".to_vec(), "shift_jis", "日本");
        check(b"\xc4\xe3\xba\xc3".to_vec(), "gb18030", "你好");
        let units: Vec<u16> = "\u{feff}Zürich 😀".encode_utf16().collect();
        check(units.iter().flat_map(|unit| unit.to_be_bytes()).collect(), "utf-16", "Zürich 😀");
        check(units.iter().flat_map(|unit| unit.to_le_bytes()).collect(), "utf-16", "Zürich 😀");
        check(units.iter().skip(1).flat_map(|unit| unit.to_le_bytes()).collect(), "utf-16", "Zürich 😀");
        check(units.iter().skip(1).flat_map(|unit| unit.to_be_bytes()).collect(), "utf-16be", "Zürich 😀");
        let text = format!("a{}", "😀".repeat(50_001));
        check(text.encode_utf16().flat_map(u16::to_le_bytes).collect(), "utf-16", &text);
        let long = "日本".repeat(50_001);
        check(encoding_rs::EUC_JP.encode(&long).0.into_owned(), "euc-jp", &long);
    }

    #[test]
    fn what_is_no_character_is_not_replaced() {
        assert_eq!(bytes_of(b"a\x81\x39b".to_vec(), "shift_jis"), b"a\xff9b");
        assert_eq!(bytes_of(vec![0x00, 0xD8, b'a', 0], "utf-16"), b"\xffa");
        assert_eq!(bytes_of(vec![b'a', 0, b'b'], "utf-16"), b"a\xff");
        assert_eq!(bytes_of(b"a\x81".to_vec(), "windows-1253"), b"a\xc2\x81");
        assert_eq!(bytes_of(b"a\xaa".to_vec(), "windows-1253"), b"a\xff");
    }

    #[test]
    fn labels() {
        insta::assert_snapshot!("utf-9".parse::<Encoding>().unwrap_err(), @"`utf-9` is no encoding; `utf-8`, `latin-1`, `utf-16`, `windows-1252`, `shift_jis`, `gb18030` are");
        assert!("replacement".parse::<Encoding>().is_err());
        let back: Encoding = serde_json::from_str("\"Windows-1252\"").unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), "\"windows-1252\"");
    }
}
