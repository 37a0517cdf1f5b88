//! Words, texts, numbers and signs of a filter.

use super::InvalidSearch;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a path: segments that were quoted are marked, for dots in them do not divide.
    Path(Vec<Segment>),
    /// In single or double quotes.
    Text(String),
    /// A number.
    Number(f64),
    /// A comparison.
    Sign(&'static str),
    Open,
    Close,
    Comma,
}

/// Part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) quoted: bool,
}

const SIGNS: [&str; 7] = [">=", "<=", "!=", "<>", "=", ">", "<"];

/// Splits a filter.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, InvalidSearch> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, rest.get(1..).unwrap_or_default()),
            ')' => (Token::Close, rest.get(1..).unwrap_or_default()),
            ',' => (Token::Comma, rest.get(1..).unwrap_or_default()),
            '\'' | '"' => {
                let (text, after) = quoted(rest, first)?;
                (Token::Text(text), after)
            }
            _ if is_number_start(rest) => number(rest)?,
            _ if is_word(first) || first == '`' => path(rest)?,
            _ => sign(rest)?,
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '_' | '/' | ':')
}

fn is_number_start(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    text.len() - digits.len() <= 1
        && digits.trim_start_matches('.').starts_with(|sign: char| sign.is_ascii_digit())
}

fn quoted(text: &str, quote: char) -> Result<(String, &str), InvalidSearch> {
    let inside = text.get(quote.len_utf8()..).unwrap_or_default();
    let (content, after) = inside.split_once(quote).ok_or_else(|| {
        InvalidSearch::new(format!("Invalid clause(s) in filter string: the quote {quote} is not closed"))
    })?;
    Ok((content.to_owned(), after))
}

fn number(text: &str) -> Result<(Token, &str), InvalidSearch> {
    let mut end = 0;
    let mut before = ' ';
    for (at, sign) in text.char_indices() {
        let exponent_sign = matches!(sign, '-' | '+') && (at == 0 || matches!(before, 'e' | 'E'));
        if !(sign.is_ascii_alphanumeric() || sign == '.' || exponent_sign) {
            break;
        }
        end = at + sign.len_utf8();
        before = sign;
    }
    let (digits, after) = text.split_at(end);
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Token::Number(number), after)),
        _ => Err(InvalidSearch::new(format!("Invalid clause(s) in filter string: '{digits}' is no number"))),
    }
}

fn sign(text: &str) -> Result<(Token, &str), InvalidSearch> {
    for sign in SIGNS {
        if let Some(after) = text.strip_prefix(sign) {
            return Ok((Token::Sign(if sign == "<>" { "!=" } else { sign }), after));
        }
    }
    Err(InvalidSearch::new(format!("Invalid clause(s) in filter string: '{text}'")))
}

/// `metrics.val/loss`, ``params.`learning rate` ``, `tags."mlflow.user"`.
fn path(text: &str) -> Result<(Token, &str), InvalidSearch> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        match rest.chars().next() {
            Some(quote @ ('`' | '"')) => {
                let (text, after) = quoted(rest, quote)?;
                segments.push(Segment { text, quoted: true });
                rest = after;
            }
            _ => {
                let end = rest.find(|sign: char| !is_word(sign) && sign != '-').unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                segments.push(Segment { text: text.to_owned(), quoted: false });
                rest = after;
            }
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => break,
        }
    }
    if segments.iter().any(|segment| segment.text.is_empty()) {
        return Err(InvalidSearch::new(format!("Invalid clause(s) in filter string: '{text}'")));
    }
    Ok((Token::Path(segments), rest))
}
