//! JSON read from its bytes, with the text of every value at hand (RFC 8259).

use memchr::memchr2;

use super::super::records::Bad;

/// Values within values.
pub(super) const DEEPEST: usize = 128;

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

/// A value, or where it begins.
#[derive(Debug)]
pub(super) enum Token<'t> {
    Null,
    Boolean,
    /// Its digits.
    Number(&'t str),
    /// What stands between the quotes, and whether there are escapes in it.
    Text(&'t str, bool),
    /// After the brace.
    Object,
    /// After the bracket.
    Array,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What stands between a place and here.
    pub(super) fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
    }

    /// Goes over a byte if it is here, blanks before it too.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.rest().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Whether nothing but blanks is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    pub(super) fn expected(&mut self, what: &str) -> Bad {
        self.skip_blanks();
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let found = found.map_or_else(|| "the end".to_owned(), |letter| format!("`{letter}`"));
        Bad::syntax(format!("{what} is expected at byte {} of the record instead of {found}", self.at + 1))
    }

    /// A value that is not nested, or the beginning of one that is.
    pub(super) fn token(&mut self) -> Result<Token<'t>, Bad> {
        self.skip_blanks();
        let rest = self.rest();
        let (token, length) = match rest {
            [b'{', ..] => (Token::Object, 1),
            [b'[', ..] => (Token::Array, 1),
            [b'"', ..] => return self.text().map(|(text, escaped)| Token::Text(text, escaped)),
            [b'-' | b'0'..=b'9', ..] => return self.number(),
            _ if rest.starts_with(b"null") => (Token::Null, 4),
            _ if rest.starts_with(b"true") => (Token::Boolean, 4),
            _ if rest.starts_with(b"false") => (Token::Boolean, 5),
            _ => return Err(self.expected("a value")),
        };
        self.at += length;
        Ok(token)
    }

    /// A text in quotes, blanks before it left out.
    pub(super) fn text(&mut self) -> Result<(&'t str, bool), Bad> {
        if !self.take(b'"') {
            return Err(self.expected("a text in quotes"));
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.rest();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return Err(Bad::syntax(format!("the quote at byte {start} of the record is not closed")));
            };
            if rest.get(found) == Some(&b'"') {
                let text = self.text.get(start..self.at + found).unwrap_or_default();
                self.at += found + 1;
                if let Some(control) = text.bytes().position(|byte| byte < b' ') {
                    let place = start + control + 1;
                    return Err(Bad::syntax(format!(
                        "the control character at byte {place} of the record is not escaped"
                    )));
                }
                return Ok((text, escaped));
            }
            escaped = true;
            self.at = (self.at + found + 2).min(self.text.len());
        }
    }

    fn number(&mut self) -> Result<Token<'t>, Bad> {
        let rest = self.rest();
        let digits = |from: usize| {
            rest.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut end = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(end);
        let padded = whole > 1 && rest.get(end) == Some(&b'0');
        end += whole;
        let mut sound = whole > 0 && !padded;
        if rest.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            sound &= fraction > 0;
            end += 1 + fraction;
        }
        if matches!(rest.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end);
            sound &= exponent > 0;
            end += exponent;
        }
        let start = self.at;
        self.at += end;
        let text = self.since(start);
        if !sound || rest.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.') {
            return Err(Bad::syntax(format!("there is no number at byte {} of the record", start + 1)));
        }
        Ok(Token::Number(text))
    }

    /// Goes to the end of a value whose first token was taken.
    pub(super) fn skip(&mut self, token: &Token<'_>, depth: usize) -> Result<(), Bad> {
        match token {
            Token::Object => self.object(depth, &mut |cursor, _, _| {
                let token = cursor.token()?;
                cursor.skip(&token, depth + 1)
            }),
            Token::Array => self.array(depth, &mut |cursor| {
                let token = cursor.token()?;
                cursor.skip(&token, depth + 1)
            }),
            Token::Text(text, true) => unescaped(text, &mut String::new()).map(drop),
            _ => Ok(()),
        }
    }

    /// The fields of an object whose brace was taken: `each` takes the value after each name.
    pub(super) fn object(
        &mut self,
        depth: usize,
        each: &mut dyn FnMut(&mut Self, &str, usize) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        check_depth(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut scratch = String::new();
        for index in 0.. {
            let (name, escaped) = self.text()?;
            let name = if escaped { unescaped(name, &mut scratch)? } else { name };
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            each(self, name, index)?;
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
        Ok(())
    }

    /// The elements of an array whose bracket was taken: `each` takes one.
    pub(super) fn array(
        &mut self,
        depth: usize,
        each: &mut dyn FnMut(&mut Self) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        check_depth(depth)?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }
}

fn check_depth(depth: usize) -> Result<(), Bad> {
    if depth > DEEPEST {
        let message = format!("there are more than {DEEPEST} values within each other");
        return Err(Bad { column: None, kind: "depth", message });
    }
    Ok(())
}

/// A text without its escapes.
pub(super) fn unescaped<'s>(text: &str, scratch: &'s mut String) -> Result<&'s str, Bad> {
    scratch.clear();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        scratch.push_str(plain);
        let mut letters = escape.chars();
        let letter = match letters.next() {
            Some('"') => '"',
            Some('\\') => '\\',
            Some('/') => '/',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (letter, after) = code_point(letters.as_str())
                    .ok_or_else(|| Bad::syntax("`\\u` is not followed by the digits of a character"))?;
                letters = after.chars();
                letter
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(Bad::syntax(format!("`\\{other}` is no escape")));
            }
        };
        scratch.push(letter);
        rest = letters.as_str();
    }
    scratch.push_str(rest);
    Ok(scratch)
}

/// The character of four digits, or of two times four with `\u` between them.
fn code_point(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    let after = text.get(4..)?;
    if !(0xD800..0xE000).contains(&first) {
        return Some((char::from_u32(u32::from(first))?, after));
    }
    let second = after.strip_prefix("\\u")?;
    let letter = char::decode_utf16([first, unit(second)?]).next()?.ok()?;
    Some((letter, second.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<(), String> {
        let mut cursor = Cursor::new(text);
        let token = cursor.token().map_err(|bad| bad.message)?;
        cursor.skip(&token, 1).map_err(|bad| bad.message)?;
        if cursor.at_end() { Ok(()) } else { Err(cursor.expected("the end").message) }
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        let sound = [
            "{}",
            "[]",
            " {\"a\" : [1, -0, 1.5e-3, 0.1E+2, true, false, null]} ",
            "\"\\u00fc\\ud83d\\ude00\\/\"",
            "{\"a\":{\"a\":{}}}",
            "-1e5",
        ];
        for text in sound {
            assert_eq!(whole(text), Ok(()), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
        let unsound = [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1x",
            "0x1",
            "+1",
            "nul",
            "truefalse",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"a\tb\"",
            "'a'",
            "1 2",
            "{\"a\":1}}",
            "[1}",
            "NaN",
            "\"\\u+041\"",
        ];
        for text in unsound {
            assert!(whole(text).is_err(), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(DEEPEST + 1), "]".repeat(DEEPEST + 1));
        assert!(whole(&deep).unwrap_err().contains("within each other"));
    }

    #[test]
    fn escapes() {
        let mut scratch = String::new();
        let text = unescaped("a\\n\\\"\\u00e4\\ud83d\\ude00b", &mut scratch).unwrap();
        assert_eq!(text, "a\n\"ä😀b");
    }
}
