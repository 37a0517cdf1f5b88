//! Conversions between types, texts cut and matched, dates moved.

use super::expression::{ADDED, Gap, Made, Scope, Sql, is_time, literal, sql_type};
use super::formats;
use super::script::{Expr, Span, Type};

impl Scope<'_> {
    /// Conversions, and what moves dates.
    pub(super) fn converted(&self, lower: &str, name: &str, arguments: &[Expr], span: Span) -> Made {
        match (lower, arguments) {
            ("tostring", [value]) => self.as_text(self.sql(value)?, span),
            ("tostring", [value, format]) => self.formatted(value, format, span),
            ("tointeger" | "tolong" | "toshort" | "tobyte", [value]) => {
                let word = match lower {
                    "tointeger" => "integer",
                    "tolong" => "long",
                    "toshort" => "short",
                    _ => "byte",
                };
                self.tried(value, Type::Integer(word))
            }
            ("todouble" | "tofloat", [value]) => self.tried(value, Type::Float("double")),
            ("todecimal", [value]) => self.tried(value, Type::Decimal(10, 2)),
            ("todecimal", [value, precision, rest @ ..]) if rest.len() < 2 => {
                let digits = |expr: &Expr| expr.as_integer().and_then(|digits| u8::try_from(digits).ok());
                let scale = rest.first().map_or(Some(0), digits);
                match (digits(precision).filter(|digits| (1..=38).contains(digits)), scale) {
                    (Some(precision), Some(scale)) if scale <= precision => {
                        self.tried(value, Type::Decimal(precision, scale))
                    }
                    _ => Err(Gap::new(span, "has a precision that is no constant up to 38")),
                }
            }
            ("toboolean", [value]) => {
                let value = self.sql(value)?;
                if value.of == Type::Boolean {
                    return Ok(value);
                }
                let text = format!(
                    "case when lower({0}) in ('t', 'true', 'y', 'yes', '1') then true when lower({0}) in ('f', 'false', 'n', 'no', '0') then false end",
                    self.as_text(value, span)?.text
                );
                Ok(Sql::atom(text, Type::Boolean))
            }
            ("isboolean", [value]) => {
                let text = self.as_text(self.sql(value)?, span)?.text;
                Ok(Sql::atom(
                    format!(
                        "(lower({text}) in ('t', 'true', 'y', 'yes', '1', 'f', 'false', 'n', 'no', '0'))"
                    ),
                    Type::Boolean,
                ))
            }
            ("todate", [value]) => self.tried(value, Type::Date),
            ("totimestamp", [value]) => self.tried(value, Type::Timestamp),
            ("todate", [value, format]) => self.parsed(value, format, "to_date", Type::Date, span),
            ("totimestamp", [value, format]) => {
                self.parsed(value, format, "to_timestamp", Type::Timestamp, span)
            }
            ("adddays", [from, count]) => self.days(from, count, "+", span),
            ("subdays", [from, count]) => self.days(from, count, "-", span),
            ("addmonths", [from, count]) => self.months(from, count, "+", span),
            ("submonths", [from, count]) => self.months(from, count, "-", span),
            ("currentdate" | "currentutc", [zone])
                if zone.as_text().is_some_and(|zone| ["UTC", "GMT"].contains(&zone)) =>
            {
                self.call(name, &[], span)
            }
            ("round", [value, digits, mode]) if mode.as_integer() == Some(5) => {
                self.call(name, &[value.clone(), digits.clone()], span)
            }
            _ => Err(Gap::new(
                span,
                format!("uses `{name}` with {} arguments, which has no counterpart", arguments.len()),
            )),
        }
    }

    /// Null where a value does not fit, as there.
    fn tried(&self, value: &Expr, of: Type) -> Made {
        let value = self.sql(value)?;
        let known = value.of == of || matches!((&value.of, &of), (Type::Integer(_), Type::Integer(_)));
        if known || matches!((&value.of, &of), (Type::Float(_), Type::Float(_))) {
            return Ok(Sql { of, ..value });
        }
        let word = sql_type(&of).unwrap_or_default();
        Ok(Sql::atom(format!("try_cast({} as {word})", value.text), of))
    }

    fn parsed(&self, value: &Expr, format: &Expr, function: &str, of: Type, span: Span) -> Made {
        let Some(pattern) = format.as_text() else {
            return Err(Gap::new(span, "has a format that is computed"));
        };
        if formats::is_iso(pattern) {
            return self.tried(value, of);
        }
        let Some(ours) = formats::date(pattern) else {
            return Err(Gap::new(
                span,
                format!("has the format `{pattern}`, which cannot be said as one of `strftime`"),
            ));
        };
        let value = self.sql(value)?;
        if is_time(&value.of) {
            return Ok(value);
        }
        self.note(
            span,
            format!("a text that is not as `{pattern}` says fails the flow here, and is null there"),
        );
        let call = format!("{function}({}, {})", self.as_text(value, span)?.text, literal(&ours));
        Ok(if of == Type::Timestamp {
            Sql::atom(format!("cast({call} as timestamp)"), of)
        } else {
            Sql::atom(call, of)
        })
    }

    fn formatted(&self, value: &Expr, format: &Expr, span: Span) -> Made {
        let Some(pattern) = format.as_text() else {
            return Err(Gap::new(span, "has a format that is computed"));
        };
        let value = self.sql(value)?;
        match &value.of {
            of if is_time(of) => match formats::date(pattern) {
                Some(ours) => {
                    Ok(Sql::atom(format!("to_char({}, {})", value.text, literal(&ours)), Type::Text))
                }
                None => Err(Gap::new(
                    span,
                    format!("has the format `{pattern}`, which cannot be said as one of `strftime`"),
                )),
            },
            Type::Integer(_) => match formats::least_digits(pattern) {
                Some(0 | 1) => self.as_text(value, span),
                Some(digits) => Ok(Sql::atom(
                    format!(
                        "case when {0} < 0 then '-' else '' end || lpad(cast(abs({0}) as varchar), greatest(character_length(cast(abs({0}) as varchar)), {digits}), '0')",
                        value.text
                    ),
                    Type::Text,
                )),
                None => Err(Gap::new(
                    span,
                    format!("has the format `{pattern}` for numbers, which has no counterpart"),
                )),
            },
            _ => Err(Gap::new(
                span,
                format!("writes a value as `{pattern}`, which has no counterpart for its type"),
            )),
        }
    }

    pub(super) fn substring(&self, text: &Expr, from: &Expr, count: Option<&Expr>, span: Span) -> Made {
        if from.as_integer().is_none_or(|from| from < 1) {
            self.note(span, "a substring that begins before the first letter ends earlier here");
        }
        let mut parts = vec![self.sql(text)?.text, self.sql(from)?.text];
        if let Some(count) = count {
            parts.push(self.sql(count)?.text);
        }
        Ok(Sql::atom(format!("substr({})", parts.join(", ")), Type::Text))
    }

    /// A regular expression, if it has nothing that only Java's have.
    pub(super) fn pattern(&self, pattern: &Expr, span: Span) -> Result<String, Gap> {
        let Some(text) = pattern.as_text() else {
            self.note(
                span,
                "the regular expression is computed; those of Java that look around have no counterpart",
            );
            return Ok(self.sql(pattern)?.text);
        };
        match regex::Regex::new(text) {
            Ok(_) => Ok(literal(text)),
            Err(_) => {
                Err(Gap::new(span, format!("has the regular expression `{text}`, which cannot be read here"))
                    .hinted("looking around and back references have no counterpart"))
            }
        }
    }

    pub(super) fn digest(&self, template: &str, value: &Expr, span: Span) -> Made {
        let value = self.sql(value)?;
        if value.of != Type::Text {
            return Err(Gap::new(
                span,
                "makes a digest of what is no text, and how it becomes one is not documented",
            ));
        }
        Ok(Sql::atom(template.replace("{}", &value.text), Type::Text))
    }

    fn days(&self, from: &Expr, count: &Expr, sign: &str, span: Span) -> Made {
        let from = self.sql(from)?;
        match (&from.of, count.as_integer()) {
            (Type::Timestamp, Some(count)) => Ok(Sql::new(
                format!("{} {sign} interval '{count} day'", from.within(ADDED - 1)),
                ADDED,
                Type::Timestamp,
            )),
            (Type::Date, _) => self.moved(from, count, sign, span),
            _ => Err(Gap::new(span, "moves by days what is no date, or a time by what is no constant")),
        }
    }

    fn months(&self, from: &Expr, count: &Expr, sign: &str, span: Span) -> Made {
        let from = self.sql(from)?;
        match (is_time(&from.of), count.as_integer()) {
            (true, Some(count)) => {
                let text = format!("{} {sign} interval '{count} month'", from.within(ADDED - 1));
                Ok(Sql::new(text, ADDED, from.of))
            }
            _ => Err(Gap::new(span, "moves by months what is no date, or by what is no constant")),
        }
    }
}

/// `$1` of Java as `\1`.
pub(super) fn groups(by: &str) -> String {
    let mut made = String::new();
    let mut letters = by.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_group = letter == '$' && letters.peek().is_some_and(char::is_ascii_digit);
        made.push(if is_group { '\\' } else { letter });
    }
    made
}

pub(super) fn has_groups(pattern: &str) -> bool {
    let escaped = pattern.replace("\\(", "");
    let mut rest = escaped.as_str();
    while let Some((_, after)) = rest.split_once('(') {
        if !after.starts_with('?') {
            return true;
        }
        rest = after;
    }
    false
}
