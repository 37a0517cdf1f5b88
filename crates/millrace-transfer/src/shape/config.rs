//! The words of a `copy` step that say which columns the sink gets.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::types::{ColumnSpec, ColumnType, Culture, LongColumnSpec};

/// Where the value of a mapped column comes from.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MappedColumn {
    /// As it is.
    From(SourceColumn),
    /// Converted.
    Long(LongMappedColumn),
}

/// A source column and what becomes of its values.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongMappedColumn {
    /// Name, number from 1, or path.
    pub from: SourceColumn,
    /// Type in the sink; that of the source if absent.
    #[serde(default, rename = "type")]
    pub kind: Option<ColumnType>,
    /// How dates and times are written in the source, as in `strftime`.
    #[serde(default)]
    pub format: Option<String>,
    /// How numbers are written in the source.
    #[serde(default)]
    pub culture: Culture,
    /// Texts that mean null.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// Whether a value may lose what its type has no room for: the time of a date, digits after the point.
    #[serde(default)]
    pub truncate: bool,
    /// What stands for null.
    #[serde(default)]
    pub default: Option<Value>,
}

impl MappedColumn {
    pub(super) fn from(&self) -> &SourceColumn {
        match self {
            Self::From(from) => from,
            Self::Long(long) => &long.from,
        }
    }

    /// How its values are converted, if they are.
    pub(super) fn spec(&self) -> Option<ColumnSpec> {
        let Self::Long(long) = self else { return None };
        Some(ColumnSpec::Long(LongColumnSpec {
            kind: long.kind?,
            format: long.format.clone(),
            culture: long.culture,
            null_values: long.null_values.clone(),
            truncate: long.truncate,
            optional: false,
        }))
    }

    pub(super) fn default(&self) -> Option<&Value> {
        match self {
            Self::From(_) => None,
            Self::Long(long) => long.default.as_ref().filter(|value| !value.is_null()),
        }
    }
}

/// A column of the source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SourceColumn {
    /// Its number, from 1.
    Number(usize),
    /// Its name; or, beginning with `$.`, a path to a field within nested columns: `$.address.city`.
    Name(String),
}

/// A column that the source does not have.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AddedColumn {
    /// An expression.
    Sql(SqlColumn),
    /// `$file` (path of the file, for files), `$modified` (when the file changed last), `$row` (number of the row in the copy, from 1), `$run` (id of the run), `$loaded_at` (when the
    /// copy began), or a text, number or boolean that is the same in every row.
    Value(Value),
}

/// A column that is computed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlColumn {
    /// SQL over the other columns of the sink: `price * amount`.
    pub sql: String,
}
