//! The same queries in Spark's SQL: a plan of DataFusion's, types and all, becomes a chain of common table expressions.
//!
//! What is translated is the plan after types were resolved, so that each cast that DataFusion makes unasked is written out. What has no
//! equal over there is refused with its name: an answer is the same or there is none. Start from [`Writer`].

mod aggregates;
mod casts;
mod expression;
mod functions;
mod patterns;
mod relation;
mod select;
mod sources;
mod types;

pub(crate) use relation::Writer;
pub(crate) use sources::{InputView, input_view};

/// Options of a session that every query counts on: errors instead of nulls, names and times as they are written.
pub(crate) const OPTIONS: &[(&str, &str)] = &[
    ("spark.sql.ansi.enabled", "true"),
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.caseSensitive", "true"),
    ("spark.sql.timestampType", "TIMESTAMP_NTZ"),
    ("spark.sql.parser.escapedStringLiterals", "false"),
];

/// Something that Spark's SQL has no equal for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Untranslated {
    /// What it is.
    pub(crate) message: String,
    /// A way out.
    pub(crate) hint: Option<String>,
    /// The column that it is about.
    pub(crate) column: Option<String>,
}

impl Untranslated {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, column: None }
    }

    pub(crate) fn hinted(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says which column it is about, if that is not known yet.
    pub(crate) fn of_column(self, name: &str) -> Self {
        Self { column: self.column.or_else(|| Some(name.to_owned())), ..self }
    }
}

/// What becomes of something that is translated.
pub(crate) type Translated = Result<String, Untranslated>;

/// A name as Spark wants it when it may contain anything.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal; a backslash escapes there.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
