use super::{ScriptError, Span};

/// A word of the script.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// `{a name}`.
    Braced(String),
    Number(String, Option<char>),
    /// Text without values in it.
    Text(String),
    /// What stands between double quotes: literal stretches, and the byte ranges of values.
    Inserting(Vec<Part>),
    /// `$name`; `$$` is `$`.
    Parameter(String),
    /// `#item`.
    Item(String),
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Plain(String),
    Value(usize, usize),
}

const SYMBOLS: [&str; 35] = [
    "===", "<=>", "~>", "->", "==", "!=", ">=", "<=", "&&", "||", "=", "<", ">", "+", "-", "*", "/", "%",
    "!", "(", ")", "[", "]", ",", ":", ".", "@", "?", "&", "|", "^", "~", "#", "}", ";",
];

/// The words of a text with their places, the last one the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, ScriptError> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while lexer.next()? {}
    let end = Span { from: text.len(), to: text.len() };
    lexer.tokens.push((Token::End, end));
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<(Token, Span)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, from: usize, message: &str) -> ScriptError {
        ScriptError { message: message.to_owned(), span: Span { from, to: self.at.max(from) } }
    }

    /// Takes letters while they fit.
    fn take(&mut self, fits: impl Fn(char) -> bool) -> String {
        let end = self.rest().find(|letter| !fits(letter)).unwrap_or_else(|| self.rest().len());
        let taken = self.rest().get(..end).unwrap_or_default().to_owned();
        self.at += end;
        taken
    }

    fn letter(&mut self) -> Option<char> {
        let letter = self.rest().chars().next()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn next(&mut self) -> Result<bool, ScriptError> {
        self.take(char::is_whitespace);
        let from = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(false) };
        if self.rest().starts_with("//") {
            self.take(|letter| letter != '\n');
            return Ok(true);
        }
        if self.rest().starts_with("/*") {
            let Some(end) = self.rest().find("*/") else {
                self.at = self.text.len();
                return Err(self.error(from, "the comment has no end: add `*/`"));
            };
            self.at += end + 2;
            return Ok(true);
        }
        let token = match first {
            '\'' => Token::Text(self.quoted('\'')?),
            '`' => {
                self.letter();
                let text = self.take(|letter| letter != '`');
                self.letter().ok_or_else(|| self.error(from, "the text has no end: add a backquote"))?;
                Token::Text(text)
            }
            '"' => self.inserting()?,
            '{' if matches!(self.tokens.last(), Some((Token::Word(word), _)) if word == "parameters") => {
                self.letter();
                Token::Symbol("{")
            }
            '{' => self.braced()?,
            '$' => {
                self.letter();
                if self.rest().starts_with('$') {
                    self.letter();
                    Token::Parameter("$".to_owned())
                } else {
                    Token::Parameter(self.take(is_word))
                }
            }
            '#' if !self.follows_a_word(from) => {
                self.letter();
                Token::Item(self.take(is_word))
            }
            _ if first.is_ascii_digit() => self.number(),
            _ if first.is_alphabetic() || first == '_' => Token::Word(self.take(is_word)),
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
                let Some(symbol) = symbol else {
                    self.letter();
                    return Err(self.error(from, &format!("`{first}` is no part of the language")));
                };
                self.at += symbol.len();
                Token::Symbol(symbol)
            }
        };
        self.tokens.push((token, Span { from, to: self.at }));
        Ok(true)
    }

    fn follows_a_word(&self, at: usize) -> bool {
        matches!(self.tokens.last(), Some((Token::Word(_) | Token::Braced(_), span)) if span.to == at)
    }

    fn number(&mut self) -> Token {
        let mut number = self.take(|letter| letter.is_ascii_digit());
        if number == "0" && self.rest().starts_with(['x', 'X']) {
            self.letter();
            let digits = self.take(|letter| letter.is_ascii_hexdigit());
            return Token::Number(i64::from_str_radix(&digits, 16).unwrap_or_default().to_string(), None);
        }
        let mut rest = self.rest().chars();
        if rest.next() == Some('.') && rest.next().is_some_and(|letter| letter.is_ascii_digit()) {
            self.letter();
            number = format!("{number}.{}", self.take(|letter| letter.is_ascii_digit()));
        }
        let mut rest = self.rest().chars().skip(1);
        let sign = rest.next();
        if self.rest().starts_with(['e', 'E'])
            && sign.is_some_and(|sign| {
                sign.is_ascii_digit()
                    || "+-".contains(sign) && rest.next().is_some_and(|next| next.is_ascii_digit())
            })
        {
            self.letter();
            number.push('e');
            number.extend(self.letter());
            number.push_str(&self.take(|letter| letter.is_ascii_digit()));
        }
        let suffix = self.rest().chars().next().filter(|letter| "LlSsBbFfDd".contains(*letter));
        let alone = self.rest().chars().nth(1).is_none_or(|letter| !is_word(letter));
        match suffix.filter(|_| alone) {
            Some(suffix) => {
                self.letter();
                Token::Number(number, Some(suffix.to_ascii_uppercase()))
            }
            None => Token::Number(number, None),
        }
    }

    /// `{a name}`, in which `\}` is a brace.
    fn braced(&mut self) -> Result<Token, ScriptError> {
        let from = self.at;
        self.letter();
        let mut name = String::new();
        loop {
            match self.letter() {
                None => return Err(self.error(from, "the name has no end: add `}`")),
                Some('}') => return Ok(Token::Braced(name)),
                Some('\\') => name.extend(self.letter()),
                Some(letter) => name.push(letter),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, ScriptError> {
        let from = self.at;
        self.letter();
        let mut text = String::new();
        loop {
            match self.letter() {
                None => return Err(self.error(from, &format!("the text has no end: add `{quote}`"))),
                Some(letter) if letter == quote => return Ok(text),
                Some('\\') => text.extend(self.letter().map(escaped)),
                Some(letter) => text.push(letter),
            }
        }
    }

    /// Text in double quotes, with `{values}`.
    fn inserting(&mut self) -> Result<Token, ScriptError> {
        let from = self.at;
        self.letter();
        let (mut parts, mut text) = (Vec::new(), String::new());
        loop {
            match self.letter() {
                None => return Err(self.error(from, "the text has no end: add `\"`")),
                Some('"') => break,
                Some('\\') => text.extend(self.letter().map(escaped)),
                Some('{') => {
                    parts.push(Part::Plain(std::mem::take(&mut text)));
                    let start = self.at;
                    let end = self
                        .end_of_value()
                        .ok_or_else(|| self.error(start, "the value has no end: add `}`"))?;
                    parts.push(Part::Value(start, end));
                }
                Some(letter) => text.push(letter),
            }
        }
        parts.push(Part::Plain(text));
        parts.retain(|part| !matches!(part, Part::Plain(text) if text.is_empty()));
        Ok(match parts.as_slice() {
            [] => Token::Text(String::new()),
            [Part::Plain(text)] => Token::Text(text.clone()),
            _ => Token::Inserting(parts),
        })
    }

    /// Goes behind the brace that closes; braces in quotes do not count.
    fn end_of_value(&mut self) -> Option<usize> {
        let (mut depth, mut quoted) = (0_u32, false);
        loop {
            match self.letter()? {
                '\'' => quoted = !quoted,
                '\\' => {
                    self.letter()?;
                }
                '{' if !quoted => depth += 1,
                '}' if !quoted && depth == 0 => return Some(self.at - 1),
                '}' if !quoted => depth -= 1,
                _ => {}
            }
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn escaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        other => other,
    }
}
