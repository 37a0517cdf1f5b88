//! Filters and orders of traces: `status = 'ERROR' AND span.name LIKE 'chat%' AND timestamp_ms > 1700000000000`.
//!
//! What statements can say becomes clauses; regular expressions and what lies within spans become a [`Rest`] that is asked afterwards.

use std::iter::Peekable;
use std::sync::Arc;

use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::traces::{
    PROMPT_LINK, RUN_LINK, RUN_METADATA, Rest, SpanColumn, TraceClause, TraceColumn, TraceField, TraceOrder,
};

use super::InvalidSearch;
use super::lexer::{Segment, Token, tokens};
use super::parser::is_word;
use super::trace_tests::{SpanPart, SpanTest, TextTest, TraceTest, holds, needle, pattern};

/// Clauses in one filter. PostgreSQL plans each as a join: 50 take it 2 seconds, 200 a minute.
const MOST_CLAUSES: usize = 50;
/// Values in one list; the databases bind no more than some thousands.
const MOST_VALUES: usize = 5_000;
/// Characters of a text in a filter; the databases take no longer patterns.
const LONGEST_TEXT: usize = 10_000;

const COLUMNS: &[(&str, TraceColumn)] = &[
    ("request_id", TraceColumn::Id),
    ("trace_id", TraceColumn::Id),
    ("timestamp", TraceColumn::RequestedAt),
    ("timestamp_ms", TraceColumn::RequestedAt),
    ("execution_time", TraceColumn::Duration),
    ("execution_time_ms", TraceColumn::Duration),
    ("end_time", TraceColumn::EndedAt),
    ("end_time_ms", TraceColumn::EndedAt),
    ("status", TraceColumn::State),
    ("state", TraceColumn::State),
    ("client_request_id", TraceColumn::ClientRequestId),
    ("name", TraceColumn::Name),
];

/// A filter of traces.
#[derive(Debug, Default)]
pub struct TraceFilter {
    /// What statements decide.
    pub clauses: Vec<TraceClause>,
    /// What they cannot.
    pub rest: Option<Rest>,
}

/// Reads `clause (AND clause)*`; an empty filter has no clause. Clauses on spans ask for one span that fulfils all of them.
///
/// # Errors
/// If it cannot be read, names an unknown field, or compares a field with what it cannot be compared with.
pub fn parse_trace_filter(filter: &str) -> Result<TraceFilter, InvalidSearch> {
    let tokens = tokens(filter)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), filter, values: 0 };
    let mut read = Read::default();
    let mut count = 0;
    while parser.tokens.peek().is_some() {
        count += 1;
        if count > MOST_CLAUSES {
            return Err(InvalidSearch::new(format!("a filter has {MOST_CLAUSES} clauses at most")));
        }
        let Some(Token::Path(path)) = parser.tokens.next() else { return Err(parser.invalid()) };
        let place = place(&path)?;
        let test = parser.test(&place)?;
        read.add(place, test)?;
        match parser.tokens.next() {
            None => break,
            Some(token) if is_word(&token, "and") && parser.tokens.peek().is_some() => {}
            Some(_) => return Err(parser.invalid()),
        }
    }
    read.finish()
}

/// Reads `field [ASC|DESC]`.
///
/// # Errors
/// If it cannot be read or names a field that cannot be sorted by.
pub fn parse_trace_order(order: &str) -> Result<TraceOrder, InvalidSearch> {
    let invalid = || InvalidSearch::new(format!("Invalid order_by clause '{order}'"));
    let mut tokens = tokens(order).map_err(|_| invalid())?.into_iter();
    let Some(Token::Path(path)) = tokens.next() else { return Err(invalid()) };
    let by_experiment = matches!(path.as_slice(), [only] if only.text.eq_ignore_ascii_case("experiment_id"));
    let field = if by_experiment {
        TraceField::Column(TraceColumn::ExperimentId)
    } else {
        match place(&path)? {
            Place::Of(field) => field,
            Place::Run => TraceField::Metadata(RUN_METADATA.to_owned()),
            _ => return Err(invalid()),
        }
    };
    let ascending = match tokens.next() {
        None => true,
        Some(token) if is_word(&token, "asc") => true,
        Some(token) if is_word(&token, "desc") => false,
        Some(_) => return Err(invalid()),
    };
    if tokens.next().is_some() {
        return Err(invalid());
    }
    Ok(TraceOrder { field, ascending })
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Of(TraceField),
    Run,
    Prompt,
    Span(SpanPart),
    Assessment(&'static str, String),
    Issue,
}

impl Place {
    fn is_number(&self) -> bool {
        use TraceColumn::{Duration, EndedAt, RequestedAt};
        matches!(self, Self::Of(TraceField::Column(RequestedAt | Duration | EndedAt)))
    }

    fn may_be_absent(&self) -> bool {
        matches!(
            self,
            Self::Of(TraceField::Tag(_) | TraceField::Metadata(_)) | Self::Assessment(..) | Self::Run
        )
    }
}

fn place(path: &[Segment]) -> Result<Place, InvalidSearch> {
    let shown = || path.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
    let unknown =
        || InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}' is no field", shown()));
    let (first, rest) = path.split_first().ok_or_else(unknown)?;
    if rest.is_empty() {
        return attribute(&first.text);
    }
    if first.quoted {
        return Err(unknown());
    }
    let key = rest.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
    match first.text.to_ascii_lowercase().as_str() {
        "attribute" | "attributes" | "attr" | "trace" => attribute(&key),
        "tag" | "tags" => Ok(Place::Of(TraceField::Tag(key))),
        "request_metadata" | "metadata" if key == RUN_METADATA => Ok(Place::Run),
        "request_metadata" | "metadata" => Ok(Place::Of(TraceField::Metadata(key))),
        "span" => span_part(&key),
        "feedback" => Ok(Place::Assessment("feedback", key)),
        "expectation" => Ok(Place::Assessment("expectation", key)),
        "issue" if key == "id" => Ok(Place::Issue),
        other => Err(InvalidSearch::new(format!("Invalid entity type '{other}' in '{}'", shown()))),
    }
}

fn attribute(key: &str) -> Result<Place, InvalidSearch> {
    let word = key.to_ascii_lowercase();
    match word.as_str() {
        "run_id" => return Ok(Place::Run),
        "prompt" => return Ok(Place::Prompt),
        "text" => return Ok(Place::Span(SpanPart::Text)),
        _ => {}
    }
    let found = COLUMNS.iter().find(|(name, _)| *name == word);
    let (_, column) = found.ok_or_else(|| {
        let words: Vec<&str> = COLUMNS.iter().map(|(word, _)| *word).collect();
        InvalidSearch::new(format!(
            "Invalid attribute key '{key}' specified. Valid keys are: {}, run_id, prompt, text",
            words.join(", ")
        ))
    })?;
    Ok(Place::Of(TraceField::Column(*column)))
}

fn span_part(key: &str) -> Result<Place, InvalidSearch> {
    Ok(Place::Span(match key {
        "name" => SpanPart::Column(SpanColumn::Name),
        "type" => SpanPart::Column(SpanColumn::Kind),
        "status" => SpanPart::Column(SpanColumn::Status),
        "content" => SpanPart::Text,
        key => match key.strip_prefix("attributes.") {
            Some(name) => SpanPart::Attribute(name.to_owned()),
            None => {
                return Err(InvalidSearch::new(format!(
                    "Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>."
                )));
            }
        },
    }))
}

/// What is asked of a place.
enum Test {
    Condition(Condition),
    Regex(regex::Regex),
}

struct Parser<'a> {
    tokens: Peekable<std::vec::IntoIter<Token>>,
    filter: &'a str,
    /// Values in all lists so far.
    values: usize,
}

impl Parser<'_> {
    fn invalid(&self) -> InvalidSearch {
        InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}'", self.filter))
    }

    fn test(&mut self, place: &Place) -> Result<Test, InvalidSearch> {
        let text_only = *place != Place::Prompt && *place != Place::Issue && !place.is_number();
        let in_span_text = *place == Place::Span(SpanPart::Text);
        let test = match self.tokens.next() {
            Some(Token::Sign(sign)) if !in_span_text => Test::Condition(self.compared(sign, place)?),
            Some(token) if is_word(&token, "like") && text_only => {
                Test::Condition(Condition::Like { pattern: self.text()?, any_case: false, negated: false })
            }
            Some(token) if is_word(&token, "ilike") && text_only => {
                Test::Condition(Condition::Like { pattern: self.text()?, any_case: true, negated: false })
            }
            Some(token) if is_word(&token, "rlike") && text_only && !in_span_text => {
                Test::Regex(pattern(&self.text()?)?)
            }
            Some(token) if is_word(&token, "is") && place.may_be_absent() => Test::Condition(self.null()?),
            Some(token) if is_word(&token, "in") && text_only && !in_span_text => {
                Test::Condition(self.one_of(false)?)
            }
            Some(token) if is_word(&token, "not") && text_only && !in_span_text => {
                self.word("in")?;
                Test::Condition(self.one_of(true)?)
            }
            _ => return Err(self.invalid()),
        };
        Ok(test)
    }

    fn compared(&mut self, sign: &'static str, place: &Place) -> Result<Condition, InvalidSearch> {
        let compare = match sign {
            "=" => Compare::Equal,
            "!=" => Compare::NotEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            ">" => Compare::Greater,
            _ => Compare::GreaterOrEqual,
        };
        let assessed = matches!(place, Place::Assessment(..));
        match self.tokens.next() {
            Some(Token::Number(number)) if place.is_number() || assessed => {
                Ok(Condition::Number(compare, number))
            }
            Some(Token::Text(text)) if !place.is_number() => match compare {
                Compare::Equal | Compare::NotEqual => Ok(Condition::Text(compare, checked(text)?)),
                _ if assessed => Err(InvalidSearch::new(format!(
                    "Expected a numeric value for an assessment when using comparator '{sign}'. Got value '{text}'"
                ))),
                _ => Err(InvalidSearch::new(format!(
                    "Invalid comparator '{sign}' for a text in '{}'",
                    self.filter
                ))),
            },
            Some(Token::Number(number)) => Err(InvalidSearch::new(format!(
                "Expected a quoted string value. Found {number}; write it in quotes"
            ))),
            Some(Token::Text(text)) => {
                Err(InvalidSearch::new(format!("Expected numeric value type for a time. Found '{text}'")))
            }
            _ => Err(self.invalid()),
        }
    }

    fn text(&mut self) -> Result<String, InvalidSearch> {
        match self.tokens.next() {
            Some(Token::Text(text)) => checked(text),
            _ => Err(self.invalid()),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), InvalidSearch> {
        match self.tokens.next() {
            Some(token) if is_word(&token, word) => Ok(()),
            _ => Err(self.invalid()),
        }
    }

    fn null(&mut self) -> Result<Condition, InvalidSearch> {
        let negated = self.tokens.peek().is_some_and(|token| is_word(token, "not"));
        if negated {
            self.tokens.next();
        }
        self.word("null")?;
        Ok(if negated { Condition::NotNull } else { Condition::Null })
    }

    fn one_of(&mut self, negated: bool) -> Result<Condition, InvalidSearch> {
        if self.tokens.next() != Some(Token::Open) {
            return Err(self.invalid());
        }
        let mut values = Vec::new();
        loop {
            values.push(self.text()?);
            self.values += 1;
            if self.values > MOST_VALUES {
                return Err(InvalidSearch::new(format!(
                    "the lists of a filter have {MOST_VALUES} values at most"
                )));
            }
            match self.tokens.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => return Ok(Condition::In { values, negated }),
                _ => return Err(self.invalid()),
            }
        }
    }
}

fn checked(text: String) -> Result<String, InvalidSearch> {
    if text.contains('\0') || text.chars().count() > LONGEST_TEXT {
        return Err(InvalidSearch::new(format!(
            "A text in a filter has {LONGEST_TEXT} characters at most, and no NUL"
        )));
    }
    Ok(text)
}

/// Clauses read so far.
#[derive(Default)]
struct Read {
    clauses: Vec<TraceClause>,
    /// All of one span.
    span: Vec<(SpanPart, Condition)>,
    span_regexes: Vec<(SpanPart, regex::Regex)>,
    traces: Vec<TraceTest>,
}

impl Read {
    fn add(&mut self, place: Place, test: Test) -> Result<(), InvalidSearch> {
        let condition = match test {
            Test::Condition(condition) => condition,
            Test::Regex(regex) => {
                match place {
                    Place::Span(part) => self.span_regexes.push((part, regex)),
                    Place::Of(field) => self.traces.push(TraceTest::Field(field, regex)),
                    Place::Assessment(kind, name) => {
                        self.traces.push(TraceTest::Assessment(kind, name, regex));
                    }
                    _ => {
                        let field = TraceField::Metadata(RUN_METADATA.to_owned());
                        self.traces.push(TraceTest::Field(field, regex));
                    }
                }
                return Ok(());
            }
        };
        self.clauses.push(match (place, condition) {
            (Place::Span(part), condition) => {
                self.span.push((part, condition));
                return Ok(());
            }
            (Place::Of(field), condition) => TraceClause::Of(field, condition),
            (Place::Run, Condition::Text(Compare::Equal, target)) => {
                TraceClause::Linked { kind: RUN_LINK, target }
            }
            (Place::Run, condition) => {
                TraceClause::Of(TraceField::Metadata(RUN_METADATA.to_owned()), condition)
            }
            (Place::Assessment(kind, name), condition) => TraceClause::Assessed { kind, name, condition },
            (Place::Issue, Condition::Text(Compare::Equal, name)) => {
                TraceClause::Assessed { kind: "issue", name, condition: Condition::NotNull }
            }
            (Place::Prompt, Condition::Text(Compare::Equal, target)) if target.matches('/').count() == 1 => {
                TraceClause::Linked { kind: PROMPT_LINK, target }
            }
            (Place::Prompt, _) => {
                return Err(InvalidSearch::new(
                    "Prompts are asked for by `prompt = 'name/version'`, and in no other way",
                ));
            }
            (Place::Issue, _) => return Err(InvalidSearch::new("Issues are asked for by `issue.id = 'id'`")),
        });
        Ok(())
    }

    fn finish(mut self) -> Result<TraceFilter, InvalidSearch> {
        let by_column: Vec<(SpanColumn, Condition)> = self
            .span
            .iter()
            .filter_map(|(part, condition)| match part {
                SpanPart::Column(column) => Some((*column, condition.clone())),
                _ => None,
            })
            .collect();
        let columns_suffice = by_column.len() == self.span.len() && self.span_regexes.is_empty();
        if !by_column.is_empty() {
            self.clauses.push(TraceClause::Span(by_column));
        }
        let mut spans: Vec<SpanTest> = Vec::new();
        if !columns_suffice {
            for (part, condition) in self.span {
                let needle = match (&part, &condition) {
                    (SpanPart::Text | SpanPart::Attribute(_), Condition::Like { pattern, any_case, .. }) => {
                        needle(pattern, *any_case)
                    }
                    _ => None,
                };
                let test = TextTest::of(condition);
                let test = test.ok_or_else(|| InvalidSearch::new("A pattern in the filter is too long"))?;
                spans.push(SpanTest { part, test, needle });
            }
            for (part, regex) in self.span_regexes {
                spans.push(SpanTest { part, test: TextTest::Matches(regex), needle: None });
            }
        }
        let traces = self.traces;
        let rest = (!spans.is_empty() || !traces.is_empty()).then(|| Rest {
            needs_spans: !spans.is_empty(),
            holds: Arc::new(move |trace, lines| holds(&traces, &spans, trace, lines)),
        });
        Ok(TraceFilter { clauses: self.clauses, rest })
    }
}
