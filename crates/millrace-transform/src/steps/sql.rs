use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, DatasetCatalog, EngineElsewhere, KindDoc, KindFamily, OutputDoc, QueryRequest, RemoteEngines,
    StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::elsewhere::{self, EngineChoice};
use super::{column_lineage, config_error, dataset_name, publish, step_error, tables};
use crate::ballista;
use crate::engine::query::{foreign_names, is_explain};
use crate::engine::{DataFusionEngine, query};
use crate::flow::plan::PlanError;

/// Runs one SELECT over the step's inputs and keeps the rows as a dataset.
///
/// The tables are the names under `inputs:`, and `connection.table` or `connection.schema.table` of a database. `${{ }}` inside the SQL becomes a bound value, never pasted text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Sql {
    /// The SELECT.
    Text(Bound),
    /// The SELECT and where its rows go.
    Into(Into),
}

/// SQL with where its rows go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Into {
    /// The SELECT.
    query: Bound,
    /// Dataset to write, `data:name`; `<pipeline>_<step>` if absent.
    #[serde(default)]
    to: Option<String>,
    /// Where it runs: `local`, `auto`, or a `spark` or `ballista` connection.
    #[serde(default)]
    engine: EngineChoice,
}

/// SQL as written, or with its values taken out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Bound {
    /// Plain text.
    Plain(String),
    /// Text with `$1`, `$2`, … and their values.
    Values {
        /// The SQL.
        text: String,
        /// The values.
        #[serde(default)]
        params: Vec<Value>,
    },
}

/// The SQL with a null in the place of each `${{ }}`.
fn without_expressions(sql: &str) -> String {
    let mut plain = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("${{") {
        plain.push_str(before);
        plain.push_str("null");
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    plain + rest
}

impl Sql {
    /// The text and its values, where the rows go, and where the query runs.
    fn parts(self) -> ((String, Vec<Value>), Option<String>, EngineChoice) {
        let (bound, to, engine) = match self {
            Self::Text(bound) => (bound, None, EngineChoice::Here),
            Self::Into(into) => (into.query, into.to, into.engine),
        };
        match bound {
            Bound::Plain(text) => ((text, Vec::new()), to, engine),
            Bound::Values { text, params } => ((text, params), to, engine),
        }
    }
}

const EXAMPLE: &str = "sql: |\n  select carrier, avg(dep_delay) as mean_delay\n  from flights\n  where month = ${{ inputs.month }}\n  group by carrier";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<Sql>(KindFamily::Step, "sql", EXAMPLE)
}

/// The step kind `sql`.
pub struct SqlStep {
    doc: KindDoc,
    engine: DataFusionEngine,
    catalog: Arc<dyn DatasetCatalog>,
    remotes: Option<Arc<dyn RemoteEngines>>,
}

impl std::fmt::Debug for SqlStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqlStep")
    }
}

impl SqlStep {
    /// Runs queries on `engine` and records datasets in `catalog`.
    pub fn new(engine: DataFusionEngine, catalog: Arc<dyn DatasetCatalog>) -> Self {
        Self { doc: doc(), engine, catalog, remotes: None }
    }

    /// Lets queries run on other engines.
    #[must_use]
    pub fn with_remotes(self, remotes: Arc<dyn RemoteEngines>) -> Self {
        Self { remotes: Some(remotes), ..self }
    }
}

#[async_trait]
impl StepKind for SqlStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// Rows of a database may have changed unseen.
    fn reusable(&self, config: &Value) -> bool {
        let Ok(config) = Sql::deserialize(config) else { return true };
        // What does not parse fails when it runs.
        foreign_names(&without_expressions(&config.parts().0.0)).map_or(true, |names| names.is_empty())
    }

    fn bound_fields(&self) -> &'static [&'static str] {
        &["", "query"]
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        vec![
            OutputDoc { name: "data".to_owned(), type_name: "table".to_owned() },
            OutputDoc { name: "rows".to_owned(), type_name: "integer".to_owned() },
        ]
    }

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        elsewhere::mistake(config, self.remotes.as_ref()).into_iter().collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config = Sql::deserialize(&context.config).map_err(|error| config_error("sql", &error))?;
        let ((sql, params), to, choice) = config.parts();
        if is_explain(&sql) {
            let message = "`explain` tells how a query is done and has no rows to keep";
            let hint = "take it away here, and ask `millrace sql 'explain …'`";
            return Err(StepError::permanent(Problem::error("sql-plan", message).hint(hint)));
        }
        let (tables, mut lineage) = tables(&context)?;
        for name in foreign_names(&sql).map_err(|error| step_error(&error))? {
            lineage.push(AssetKey { kind: "source".to_owned(), name, version: 0 });
        }
        let chosen = elsewhere::choose(&choice, self.remotes.as_ref(), &context).await?;
        let name = dataset_name(&context, to.as_deref(), "data");
        let mut columns = None;
        let rows = match &chosen.engine {
            Some(EngineElsewhere::SparkSql(remote)) => {
                let query = elsewhere::statement(&self.engine, &sql, &params, &tables).await?;
                elsewhere::send(remote, query, &context).await?
            }
            Some(EngineElsewhere::Cluster(cluster)) => {
                let told = |error: PlanError| match error {
                    PlanError::Remote(error) => elsewhere::remote_error(&error),
                    error => StepError::permanent(error.problem_in(None, "")),
                };
                let request = QueryRequest { sql, params, tables, limit: None };
                let begun = async {
                    let session = ballista::session(&self.engine, cluster).await?;
                    let frame = self.engine.planned_in(session, &request).await?;
                    let columns = column_lineage(&context, &name, &frame);
                    Ok((columns, ballista::begin(frame, cluster).await?))
                };
                let begun = elsewhere::unless_cancelled(&context, begun).await?;
                let (lineage, rows) = begun.map_err(told)?;
                columns = lineage;
                rows
            }
            None => {
                let request = QueryRequest { sql, params, tables, limit: None };
                let frame = self.engine.planned(&request).await.map_err(|error| step_error(&error))?;
                columns = column_lineage(&context, &name, &frame);
                query::stream(frame).await.map_err(|error| step_error(&error))?
            }
        };
        let asset = publish(&self.engine, self.catalog.as_ref(), &context, &name, rows, &lineage).await?;
        let mut outputs = IndexMap::from([
            ("data".to_owned(), asset.to_value()),
            ("rows".to_owned(), asset.rows.unwrap_or(0).into()),
        ]);
        outputs.extend(chosen.output().map(|engine| ("engine".to_owned(), engine)));
        Ok(StepOutcome {
            outputs,
            rows: asset.rows,
            bytes: asset.size_bytes,
            columns: columns.into_iter().collect(),
            ..StepOutcome::default()
        })
    }
}
