//! What no statement decides of a trace: regular expressions, and what lies within its spans.

use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::traces::{NAME_TAG, SpanColumn, Trace, TraceColumn, TraceField};
use regex::{Regex, RegexBuilder};

use super::InvalidSearch;
use crate::traces::{Span, read_spans};

/// Bytes of a compiled expression.
const LARGEST_REGEX: usize = 1 << 20;

/// Part of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpanPart {
    Column(SpanColumn),
    Attribute(String),
    Text,
}

/// What is asked of a text.
#[derive(Debug)]
pub(super) enum TextTest {
    Equal(String),
    NotEqual(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Matches(Regex),
}

/// What is asked of a span.
#[derive(Debug)]
pub(super) struct SpanTest {
    pub(super) part: SpanPart,
    pub(super) test: TextTest,
    /// What no trace is without that has such a span.
    pub(super) needle: Option<regex::bytes::Regex>,
}

/// What is asked of a trace.
#[derive(Debug)]
pub(super) enum TraceTest {
    Field(TraceField, Regex),
    Assessment(&'static str, String, Regex),
}

impl TextTest {
    /// As a condition says; `None` if it is none of texts.
    pub(super) fn of(condition: Condition) -> Option<Self> {
        Some(match condition {
            Condition::Text(Compare::Equal, text) => Self::Equal(text),
            Condition::Text(_, text) => Self::NotEqual(text),
            Condition::In { values, negated: false } => Self::In(values),
            Condition::In { values, negated: true } => Self::NotIn(values),
            Condition::Like { pattern, any_case, .. } => Self::Matches(like(&pattern, any_case)?),
            _ => return None,
        })
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equal(other) => text == other,
            Self::NotEqual(other) => text != other,
            Self::In(others) => others.iter().any(|other| text == other),
            Self::NotIn(others) => others.iter().all(|other| text != other),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

/// A regular expression of a filter. Matching is linear in the text, whatever the expression.
pub(super) fn pattern(expression: &str) -> Result<Regex, InvalidSearch> {
    RegexBuilder::new(expression)
        .size_limit(LARGEST_REGEX)
        .build()
        .map_err(|error| InvalidSearch::new(format!("Invalid regular expression '{expression}': {error}")))
}

/// `%` and `_` stand for anything. An end that is `%` needs no look at what is there.
fn like(pattern: &str, any_case: bool) -> Option<Regex> {
    let inner = pattern.trim_start_matches('%');
    let begin = if inner.len() < pattern.len() { "" } else { r"\A" };
    let ended = inner.trim_end_matches('%');
    let end = if ended.len() < inner.len() || inner.is_empty() && begin.is_empty() { "" } else { r"\z" };
    let mut expression = begin.to_owned();
    for sign in ended.chars() {
        match sign {
            '%' => expression += ".*",
            '_' => expression.push('.'),
            sign => expression += &regex::escape(sign.encode_utf8(&mut [0; 4])),
        }
    }
    expression += end;
    let mut builder = RegexBuilder::new(&expression);
    builder.dot_matches_new_line(true).case_insensitive(any_case).size_limit(64 << 20).build().ok()
}

/// What must be somewhere in the lines of a trace if a span in them is like a pattern: its longest run of letters and digits, which
/// are written in JSON as they are. Most traces need no further look.
pub(super) fn needle(pattern: &str, any_case: bool) -> Option<regex::bytes::Regex> {
    let runs = pattern.split(|sign: char| !sign.is_alphanumeric());
    let longest = runs.max_by_key(|run| run.len()).filter(|run| run.len() > 1)?;
    regex::bytes::RegexBuilder::new(&regex::escape(longest)).case_insensitive(any_case).build().ok()
}

/// Whether a trace fulfils all, and one of its spans all that is asked of spans.
pub(super) fn holds(traces: &[TraceTest], spans: &[SpanTest], trace: &Trace, lines: &[u8]) -> bool {
    traces.iter().all(|test| of_trace(test, trace))
        && spans.iter().flat_map(|span| &span.needle).all(|needle| needle.is_match(lines))
        && (spans.is_empty()
            || read_spans(lines)
                .is_ok_and(|found| found.iter().any(|span| spans.iter().all(|test| of_span(test, span)))))
}

fn of_trace(test: &TraceTest, trace: &Trace) -> bool {
    let named = |texts: &[(String, String)], wanted: &str, regex: &Regex| {
        texts.iter().any(|(name, content)| name == wanted && regex.is_match(content))
    };
    match test {
        TraceTest::Assessment(kind, name, regex) => trace.assessments.iter().any(|one| {
            one.kind == *kind && one.name == *name && one.is_valid && regex.is_match(&one.content)
        }),
        TraceTest::Field(TraceField::Tag(name), regex) if name != NAME_TAG => named(&trace.tags, name, regex),
        TraceTest::Field(TraceField::Metadata(name), regex) => named(&trace.metadata, name, regex),
        TraceTest::Field(TraceField::Column(column), regex) if *column != TraceColumn::Name => {
            let text = match column {
                TraceColumn::State => Some(&trace.row.state),
                TraceColumn::ClientRequestId => trace.row.client_request_id.as_ref(),
                _ => Some(&trace.row.id),
            };
            text.is_some_and(|text| regex.is_match(text))
        }
        TraceTest::Field(_, regex) => trace.row.name.as_ref().is_some_and(|name| regex.is_match(name)),
    }
}

fn of_span(SpanTest { part, test, .. }: &SpanTest, span: &Span) -> bool {
    match part {
        SpanPart::Column(SpanColumn::Name) => test.holds(&span.name),
        SpanPart::Column(SpanColumn::Kind) => test.holds(span.kind()),
        SpanPart::Column(SpanColumn::Status) => test.holds(span.status.word()),
        SpanPart::Attribute(name) => span.attribute_text(name).is_some_and(|text| test.holds(&text)),
        SpanPart::Text => test.holds(&span.full_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_takes_anything_for_its_signs() {
        let check = |text: &str, wanted: &str, expected: bool| {
            assert_eq!(like(wanted, false).unwrap().is_match(text), expected, "{text} LIKE {wanted}");
        };
        for (text, wanted, expected) in [
            ("abc", "abc", true),
            ("abcd", "abc", false),
            ("xabc", "abc", false),
            ("xabcx", "%abc%", true),
            ("a\nb", "a%b", true),
            ("a.c", "a_c", true),
            ("abc", "a.c", false),
            ("", "", true),
            ("x", "", false),
            ("x", "%", true),
            ("x", "%%", true),
            ("ü", "_", true),
            ("ab", "_%", true),
            ("", "_%", false),
            ("100%", "100%", true),
        ] {
            check(text, wanted, expected);
        }
        assert!(like("%HELLO%", true).unwrap().is_match("say hello"));
    }

    #[test]
    fn a_needle_is_in_every_line_that_matches() {
        let finds = |pattern: &str, any_case, lines: &str| {
            needle(pattern, any_case).unwrap().is_match(lines.as_bytes())
        };
        assert!(finds("%say \"hello\"%", false, r#"{"q":"say \"hello\""}"#));
        assert!(finds("%GRÖSSE_x%", true, "grösse"));
        assert!(!finds("%hello%", false, "HELLO"));
        assert!(needle("%_\"a\"%", false).is_none());
    }
}
