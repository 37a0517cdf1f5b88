//! What stands beside a model: the YAML file of its name, and `sources.yaml`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::Elapsed;
use crate::problem::Problem;
use crate::validate::{Violation, violations};
use crate::yaml::{self, Node, NodeValue};

/// What `models/NAME.yaml` says of the model in `models/NAME.sql`. Without the file, each build makes the whole table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDoc {
    /// What a row is, for the documentation.
    #[serde(default)]
    pub description: Option<String>,
    /// Words to select it by: `tag:daily`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Keeps no dataset: the models that read it have its query in theirs.
    #[serde(default)]
    pub ephemeral: bool,
    /// Adds to the dataset that is there instead of making it anew.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// Keeps the history of its rows: each with `valid_from` and `valid_to`.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
    /// Its columns, as far as there is something to say of them.
    #[serde(default)]
    pub columns: IndexMap<String, ColumnDoc>,
    /// What has to hold for its rows.
    #[serde(default)]
    pub tests: Vec<TestDoc>,
}

/// How new rows come to those that are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// `merge` if there is a `unique_key`, else `append`.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// Columns whose values tell rows apart, for `merge` and `delete_insert`.
    #[serde(default)]
    pub unique_key: Vec<String>,
    /// Columns that tell parts of the table apart, for `insert_overwrite`.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// What happens if the query has other columns than the dataset.
    #[serde(default)]
    pub on_schema_change: SchemaChange,
}

/// What becomes of the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// They stay; the new ones are added.
    Append,
    /// A new row takes the place of the one with its key; two new rows with one key are an error.
    Merge,
    /// All rows with a key of the new ones go, then these are added.
    DeleteInsert,
    /// All rows of the parts that new rows are in go, then these are added.
    InsertOverwrite,
}

/// What happens if a query has other columns than its dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChange {
    /// The build fails.
    #[default]
    Fail,
    /// The dataset keeps its columns; missing ones are null.
    Ignore,
    /// New columns are added, null in the rows before; missing ones are null.
    AppendNewColumns,
    /// The dataset gets the columns of the query.
    SyncAllColumns,
}

/// How the history of rows is kept. A row that changed or is gone gets its end in `valid_to`, the new one begins in `valid_from`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Columns whose values tell rows apart.
    pub unique_key: Vec<String>,
    /// The column that says when a row was changed. Exactly one of this and `check` is written.
    #[serde(default)]
    pub updated_at: Option<String>,
    /// Columns of which another value means that the row has changed; `[]` for all of them.
    #[serde(default)]
    pub check: Option<Vec<String>>,
    /// What happens to rows that the query does not give any more.
    #[serde(default)]
    pub hard_deletes: HardDeletes,
}

/// What happens to rows that are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardDeletes {
    /// They go on being valid.
    #[default]
    Ignore,
    /// They get their end.
    Invalidate,
    /// They get their end, and a row with `is_deleted` begins.
    NewRecord,
}

/// What is said of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnDoc {
    /// What its values mean.
    #[serde(default)]
    pub description: Option<String>,
    /// What has to hold for its values.
    #[serde(default)]
    pub tests: Vec<TestDoc>,
}

/// A test: `unique`, `not_null`, or a rule with options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TestDoc {
    /// Of the column that it stands below.
    Plain(PlainTest),
    /// Exactly one rule, and options.
    Rule(Box<TestRule>),
}

/// A test without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlainTest {
    /// No value stands twice; null does not count.
    Unique,
    /// No value is null.
    NotNull,
}

/// A test with arguments or options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRule {
    /// These columns together tell rows apart; below a column, that column: `unique: []`.
    #[serde(default)]
    pub unique: Option<Vec<String>>,
    /// None of these columns is null; below a column, that column: `not_null: []`.
    #[serde(default)]
    pub not_null: Option<Vec<String>>,
    /// The column has these values and no others; null does not count.
    #[serde(default)]
    pub accepted_values: Option<Vec<Value>>,
    /// Each value of the column is one of another model's; null does not count.
    #[serde(default)]
    pub relationships: Option<Relationship>,
    /// A condition that holds for each row: `total >= 0`.
    #[serde(default)]
    pub holds: Option<String>,
    /// What the test is called; made of the model, the column and the rule if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Only rows for which this holds are tested.
    #[serde(default, rename = "where")]
    pub only: Option<String>,
    /// `error`, or `warn`: then the build goes on.
    #[serde(default)]
    pub severity: TestSeverity,
    /// How many failing rows are a warning: `> 10`.
    #[serde(default)]
    pub warn_if: Option<Threshold>,
    /// How many failing rows are an error.
    #[serde(default)]
    pub error_if: Option<Threshold>,
}

impl TestRule {
    /// How it counts.
    pub fn limits(&self) -> TestLimits {
        TestLimits { severity: self.severity, warn_if: self.warn_if, error_if: self.error_if }
    }
}

/// Another model's column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relationship {
    /// The model.
    pub to: String,
    /// Its column.
    pub field: String,
}

/// What `models/tests/NAME.yaml` says of the query in `models/tests/NAME.sql`, which gives the rows that are wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryTestDoc {
    /// What is wrong with such rows.
    #[serde(default)]
    pub description: Option<String>,
    /// Words to select it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `error`, or `warn`: then the build goes on.
    #[serde(default)]
    pub severity: TestSeverity,
    /// How many failing rows are a warning: `> 10`.
    #[serde(default)]
    pub warn_if: Option<Threshold>,
    /// How many failing rows are an error.
    #[serde(default)]
    pub error_if: Option<Threshold>,
}

impl QueryTestDoc {
    /// How it counts.
    pub fn limits(&self) -> TestLimits {
        TestLimits { severity: self.severity, warn_if: self.warn_if, error_if: self.error_if }
    }
}

/// How failing rows count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestLimits {
    /// `error`, or `warn`: then the build goes on.
    pub severity: TestSeverity,
    /// How many failing rows are a warning; any if absent.
    pub warn_if: Option<Threshold>,
    /// How many failing rows are an error; any if absent.
    pub error_if: Option<Threshold>,
}

/// What failing rows do to a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestSeverity {
    /// The build fails, and what reads the model is not built.
    #[default]
    Error,
    /// It is told.
    Warn,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No row fails, or few enough.
    Pass,
    /// Told, and nothing else.
    Warn,
    /// Failed.
    Fail,
}

impl TestLimits {
    /// What so many failing rows mean.
    pub fn verdict(&self, failures: u64) -> Verdict {
        let any = Threshold { comparison: Comparison::NotEqual, count: 0 };
        if self.severity == TestSeverity::Error && self.error_if.unwrap_or(any).holds(failures) {
            Verdict::Fail
        } else if self.warn_if.unwrap_or(any).holds(failures) {
            Verdict::Warn
        } else {
            Verdict::Pass
        }
    }
}

/// A comparison of a number of rows, written `> 10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    comparison: Comparison,
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Greater,
    AtLeast,
    Equal,
    NotEqual,
}

impl Threshold {
    fn holds(self, rows: u64) -> bool {
        match self.comparison {
            Comparison::Greater => rows > self.count,
            Comparison::AtLeast => rows >= self.count,
            Comparison::Equal => rows == self.count,
            Comparison::NotEqual => rows != self.count,
        }
    }
}

impl TryFrom<String> for Threshold {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words = [
            (">=", Comparison::AtLeast),
            (">", Comparison::Greater),
            ("!=", Comparison::NotEqual),
            ("=", Comparison::Equal),
        ];
        let read = words.into_iter().find_map(|(sign, comparison)| {
            let count = text.trim().strip_prefix(sign)?.trim().parse().ok()?;
            Some(Self { comparison, count })
        });
        read.ok_or_else(|| format!("`{text}` compares no number of rows: write `> 10`"))
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        let sign = match threshold.comparison {
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
        };
        format!("{sign} {}", threshold.count)
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^ *(>|>=|=|!=) *[0-9]+ *$"})
    }
}

/// `sources.yaml`: the tables that models read and no model makes, by source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sources(pub IndexMap<String, Source>);

/// Tables that come from one place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where they come from, for the documentation.
    #[serde(default)]
    pub description: Option<String>,
    /// How new each table has to be; a table may say otherwise.
    #[serde(default)]
    pub freshness: Option<Freshness>,
    /// The tables, by name.
    #[serde(default)]
    pub tables: IndexMap<String, SourceTable>,
}

/// One table of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// What a row is.
    #[serde(default)]
    pub description: Option<String>,
    /// `data:NAME` for a dataset, `connection:table` for a table of a database; `data:<source>_<table>` if absent.
    #[serde(default)]
    pub from: Option<String>,
    /// The column that says when a row came. Without it, a dataset is as new as its newest version.
    #[serde(default)]
    pub loaded_at: Option<String>,
    /// How new it has to be.
    #[serde(default)]
    pub freshness: Option<Freshness>,
}

/// How new a table has to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// Older is a warning: `12h`.
    #[serde(default)]
    pub warn_after: Option<Elapsed>,
    /// Older is an error: `2d`.
    #[serde(default)]
    pub error_after: Option<Elapsed>,
}

impl ModelDoc {
    /// The JSON Schema (draft 2020-12) of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl QueryTestDoc {
    /// The JSON Schema (draft 2020-12) of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl Sources {
    /// The JSON Schema (draft 2020-12) of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Reads a document of one of these shapes. An empty file is the shape's default.
pub(super) fn read<T>(file: &str, text: &str) -> Result<(T, Node), Vec<Problem>>
where
    T: Default + JsonSchema + for<'de> Deserialize<'de>,
{
    let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
    if matches!(node.value, NodeValue::Null) {
        return Ok((T::default(), node));
    }
    let value = node.to_json();
    let schema = schemars::schema_for!(T).to_value();
    let problem = |violation: &Violation| {
        let problem = Problem::error("model-file", violation.message.clone()).at(violation.place_in(&node));
        violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
    };
    let problems: Vec<Problem> = violations(&schema, &value).iter().map(problem).collect();
    match serde_json::from_value::<T>(value) {
        Ok(read) if problems.is_empty() => Ok((read, node)),
        Err(error) if problems.is_empty() => {
            Err(vec![Problem::error("model-file", error.to_string()).at(node.place.clone())])
        }
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_rows_are_a_warning_or_an_error() {
        let limits = |severity, warn: Option<&str>, error: Option<&str>| TestLimits {
            severity,
            warn_if: warn.map(|text| Threshold::try_from(text.to_owned()).unwrap()),
            error_if: error.map(|text| Threshold::try_from(text.to_owned()).unwrap()),
        };
        let strict = limits(TestSeverity::Error, None, None);
        assert_eq!([strict.verdict(0), strict.verdict(1)], [Verdict::Pass, Verdict::Fail]);
        let mild = limits(TestSeverity::Warn, None, Some("> 1"));
        assert_eq!([mild.verdict(0), mild.verdict(9)], [Verdict::Pass, Verdict::Warn]);
        let both = limits(TestSeverity::Error, Some("> 2"), Some(">= 5"));
        assert_eq!([2, 3, 5].map(|rows| both.verdict(rows)), [Verdict::Pass, Verdict::Warn, Verdict::Fail]);
        assert!(Threshold::try_from("< 3".to_owned()).is_err());
    }
}
