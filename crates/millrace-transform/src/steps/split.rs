use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    DatasetCatalog, KindDoc, KindFamily, OutputDoc, QueryEngine, QueryRequest, StepContext, StepError,
    StepKind, StepOutcome, StepTraits,
};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{asset_key, config_error, dataset_name, publish, step_error, table_ref};
use crate::flow::{literal, quote};
use crate::transforms::split_ranges;

/// Splits a table into named parts, by the values of a column or by chance.
///
/// With `by`, each part has the rows whose value is listed or lies in a range. With `fractions`, a hash of the row (or of `key`) and
/// `seed` decides, so the same row is in the same part each time; `stratify` keeps the shares equal within each value of a column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SplitConfig {
    /// The table.
    #[schemars(with = "Value")]
    data: Asset,
    /// Parts by value: `column`, and for each part a list of values or `{from, to}`.
    #[serde(default)]
    by: Option<By>,
    /// Part to share; the shares add up to 1.
    #[serde(default)]
    fractions: Option<IndexMap<String, f64>>,
    /// Another seed gives another split.
    #[serde(default)]
    seed: i64,
    /// Column whose values keep their shares in every part.
    #[serde(default)]
    stratify: Option<String>,
    /// Column whose equal values stay together.
    #[serde(default)]
    key: Option<String>,
    /// Datasets to write are `<to>_<part>`; `<pipeline>_<step>_<part>` if absent.
    #[serde(default)]
    to: Option<String>,
}

/// Parts by the values of a column.
#[derive(Debug, Deserialize, JsonSchema)]
struct By {
    /// The column.
    column: String,
    /// Part to its values.
    #[serde(flatten)]
    parts: IndexMap<String, Values>,
}

/// The values of a part.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Values {
    /// These.
    List(Vec<Value>),
    /// All between, both ends included.
    Range(Range),
}

/// A range with both ends included; an absent end is open.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    /// Smallest value.
    #[serde(default)]
    from: Option<Value>,
    /// Largest value.
    #[serde(default)]
    to: Option<Value>,
}

const EXAMPLE: &str = "split:\n  data: ${{ steps.features.data }}\n  fractions: {train: 0.8, test: 0.2}\n  seed: 7\n  stratify: late";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<SplitConfig>(KindFamily::Step, "split", EXAMPLE)
}

/// The step kind `split`.
pub struct SplitStep {
    doc: KindDoc,
    engine: Arc<dyn QueryEngine>,
    catalog: Arc<dyn DatasetCatalog>,
}

impl std::fmt::Debug for SplitStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SplitStep")
    }
}

impl SplitStep {
    /// Splits on `engine` and records datasets in `catalog`.
    pub fn new(engine: Arc<dyn QueryEngine>, catalog: Arc<dyn DatasetCatalog>) -> Self {
        Self { doc: doc(), engine, catalog }
    }
}

#[async_trait]
impl StepKind for SplitStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn outputs(&self, config: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let parts = config.get("fractions").or_else(|| config.get("by")).and_then(Value::as_object);
        let names = parts.into_iter().flat_map(|parts| parts.keys()).filter(|name| name.as_str() != "column");
        names.map(|name| OutputDoc { name: name.clone(), type_name: "table".to_owned() }).collect()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        match (config.get("by").is_some(), config.get("fractions").is_some()) {
            (true, false) | (false, true) => Vec::new(),
            _ => vec![
                Problem::error("split-config", "a split has either `by` or `fractions`")
                    .hint("fractions: {train: 0.8, test: 0.2}"),
            ],
        }
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config =
            SplitConfig::deserialize(&context.config).map_err(|error| config_error("split", &error))?;
        let table = table_ref("data", &config.data).map_err(StepError::permanent)?;
        let tables = IndexMap::from([("t".to_owned(), table)]);
        let everything = QueryRequest {
            sql: "select * from t".to_owned(),
            tables: tables.clone(),
            ..QueryRequest::default()
        };
        let schema = self.engine.plan_schema(everything).await.map_err(|error| step_error(&error))?;
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let parts = queries(&config, &columns).map_err(StepError::permanent)?;
        let lineage = [asset_key(&config.data)];
        let mut outcome = StepOutcome::default();
        let mut total = 0;
        for (part, sql) in parts {
            let request = QueryRequest { sql, tables: tables.clone(), ..QueryRequest::default() };
            let rows = self.engine.query(request).await.map_err(|error| step_error(&error))?;
            let name = dataset_name(&context, config.to.as_deref(), &part);
            let asset =
                publish(self.engine.as_ref(), self.catalog.as_ref(), &context, &name, rows, &lineage).await?;
            total += asset.rows.unwrap_or(0);
            outcome.outputs.insert(part, asset.to_value());
        }
        outcome.rows = Some(total);
        Ok(outcome)
    }
}

/// One SELECT per part.
fn queries(config: &SplitConfig, columns: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    match (&config.by, &config.fractions) {
        (Some(by), None) => by_value(by, columns),
        (None, Some(fractions)) => by_chance(config, fractions, columns),
        _ => Err(Problem::error("split-config", "a split has either `by` or `fractions`")),
    }
}

fn known(columns: &[&str], name: &str) -> Result<String, Problem> {
    if columns.contains(&name) {
        return Ok(quote(name));
    }
    let problem = Problem::error("unknown-column", format!("the data has no column `{name}`"));
    Err(match nearest(name, columns) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.note(format!("the columns are {}", columns.join(", "))),
    })
}

fn by_value(by: &By, columns: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let column = known(columns, &by.column)?;
    let plain = |value: &Value| {
        literal(value)
            .ok_or_else(|| Problem::error("split-config", format!("`{value}` is not a plain value")))
    };
    let mut parts = Vec::new();
    for (part, values) in &by.parts {
        let condition = match values {
            Values::List(values) if values.is_empty() => "false".to_owned(),
            Values::List(values) => {
                let list = values.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
                format!("{column} in ({})", list.join(", "))
            }
            Values::Range(range) => {
                let mut ends = Vec::new();
                if let Some(from) = &range.from {
                    ends.push(format!("{column} >= {}", plain(from)?));
                }
                if let Some(to) = &range.to {
                    ends.push(format!("{column} <= {}", plain(to)?));
                }
                if ends.is_empty() { "true".to_owned() } else { ends.join(" and ") }
            }
        };
        parts.push((part.clone(), format!("select * from t where {condition}")));
    }
    Ok(parts)
}

fn by_chance(
    config: &SplitConfig,
    fractions: &IndexMap<String, f64>,
    columns: &[&str],
) -> Result<Vec<(String, String)>, Problem> {
    let ranges = split_ranges(fractions).map_err(|message| Problem::error("split-config", message))?;
    let all = columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let key =
        config.key.as_deref().map(|name| known(columns, name)).transpose()?.unwrap_or_else(|| all.clone());
    let chance = format!("row_fraction({}, {key})", config.seed);
    let (table, measure) = match &config.stratify {
        None => ("t".to_owned(), chance),
        Some(column) => {
            // The place of a row within its stratum, in the order of chance, as a share of the stratum.
            let stratum = known(columns, column)?;
            let place = format!(
                "cast(row_number() over (partition by {stratum} order by {chance}, {all}) - 1 as double) / cast(count(*) over (partition by {stratum}) as double)"
            );
            (format!("(select *, {place} as \"#\" from t) as t"), "\"#\"".to_owned())
        }
    };
    let part = |(part, (from, to)): (&String, (f64, f64))| {
        (
            part.clone(),
            format!("select {all} from {table} where {measure} >= {from:?} and {measure} < {to:?}"),
        )
    };
    Ok(fractions.keys().zip(ranges).map(part).collect())
}
