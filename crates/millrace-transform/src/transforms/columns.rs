//! Column patterns: what is said of every column that matches, whichever there are when the flow runs.

use arrow::datatypes::DataType;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input};
use crate::flow::quote;

/// Something that is done to every column that matches.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Each {
    /// Which columns.
    #[serde(rename = "match")]
    pub(super) pattern: Pattern,
    /// A SQL expression in which `$$` is the column; the column itself if absent.
    #[serde(default, rename = "as")]
    expression: Option<String>,
    /// Name of what comes out, in which `$0` is the column's name; that name if absent.
    #[serde(default)]
    name: Option<String>,
    /// Whether the column is left out instead.
    #[serde(default)]
    pub(super) drop: bool,
}

/// Columns by name and type; both must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    /// A regular expression for the whole name, for example `.*_delay`.
    #[serde(default)]
    name: Option<String>,
    /// What kind of type.
    #[serde(default, rename = "type")]
    kind: Option<TypeWord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TypeWord {
    Number,
    Integer,
    Float,
    String,
    Boolean,
    Date,
    Timestamp,
    List,
    Struct,
}

/// One of something, or a list of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    pub(super) fn list(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Each {
    /// The expression for a column, and the name of what comes out.
    pub(super) fn of(&self, input: &Input<'_>, column: &str) -> Result<(String, String), Fault> {
        let name = self.name.as_ref().map_or_else(|| column.to_owned(), |name| name.replace("$0", column));
        let Some(text) = &self.expression else { return Ok((quote(column), name)) };
        let sql = text.replace("$$", &quote(column));
        let checked = input.expression(&sql, &format!("`{text}` for the column `{column}`"));
        // The place is one in the expression with the column's name put in, which nobody wrote.
        Ok((checked.map_err(|fault| Fault { within: None, ..fault }.under("as"))?, name))
    }
}

impl Pattern {
    /// The columns that match, in the table's order.
    pub(super) fn matching<'i>(&self, input: &'i Input<'_>) -> Result<Vec<&'i str>, Fault> {
        let whole = |name: &String| Regex::new(&format!("^(?:{name})$"));
        let name = self.name.as_ref().map(whole).transpose().map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Fault::new(format!("the pattern for names is no regular expression: {reason}"))
                .under("name")
                .under("match")
        })?;
        let fits = |field: &DataType, column: &str| {
            name.as_ref().is_none_or(|name| name.is_match(column))
                && self.kind.is_none_or(|kind| kind.holds(field))
        };
        let fields = input.schema.fields().iter();
        Ok(fields
            .filter(|field| fits(field.data_type(), field.name()))
            .map(|field| field.name().as_str())
            .collect())
    }
}

impl TypeWord {
    fn holds(self, data_type: &DataType) -> bool {
        match self {
            Self::Number => data_type.is_numeric(),
            Self::Integer => data_type.is_integer(),
            Self::Float => data_type.is_floating(),
            Self::String => matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
            Self::Boolean => *data_type == DataType::Boolean,
            Self::Date => matches!(data_type, DataType::Date32 | DataType::Date64),
            Self::Timestamp => matches!(data_type, DataType::Timestamp(..)),
            Self::List => {
                matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
            }
            Self::Struct => matches!(data_type, DataType::Struct(_)),
        }
    }
}
