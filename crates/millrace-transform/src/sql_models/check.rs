use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use millrace_contract::TableRef;
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{Project, SqlModel, Target, TestQuery};
use serde_json::Map;

use super::Services;
use super::plan::{NOT_CHECKED, Opened, Place, Planner, Tables};
use crate::engine::{source, types};

/// Everything that is wrong with the models, each with its place: what stands in the files, and the queries themselves as far as the columns that
/// they read are known. Sources that are not there yet, tables of databases, and variables without a value are left to the build.
pub async fn check(services: &Services, project: &Project) -> Vec<Problem> {
    let mut problems = project.problems.clone();
    if !problems.is_empty() {
        return problems;
    }
    let columns = Columns::default();
    let vars = Map::new();
    let planner = Planner { engine: &services.engine, project, vars: &vars, tables: &columns, lenient: true };
    for model in project.models.values() {
        if !columns.read_all(services, project, model).await {
            continue;
        }
        // A variable without a value may decide what the query is.
        if model.text.contains("var(") && planner.model(model, None).await.is_err() {
            continue;
        }
        match planner.model(model, None).await {
            Ok(planned) => columns.add(&model.name, types::delta_schema(planned.frame.schema().as_arrow())),
            Err(problem) if problem.code == NOT_CHECKED => {}
            Err(problem) => problems.push(*problem),
        }
    }
    for test in &project.tests {
        let known = test.parents().iter().all(|parent| {
            columns.knows(parent) || project.models.get(*parent).is_some_and(|model| model.doc.ephemeral)
        });
        let sources = match &test.query {
            TestQuery::File { calls, .. } => {
                calls.iter().any(|call| matches!(call.target, Target::Source(..)))
            }
            TestQuery::Rule { .. } => false,
        };
        if known
            && !sources
            && let Err(problem) = planner.test(test).await
        {
            problems.push(*problem);
        }
    }
    problems
}

/// Tables without rows.
#[derive(Default)]
struct Columns(Mutex<BTreeMap<String, SchemaRef>>);

impl Columns {
    fn add(&self, name: &str, schema: SchemaRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), schema);
    }

    fn knows(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Whether the columns of everything that a model reads are known; those of sources are looked up.
    async fn read_all(&self, services: &Services, project: &Project, model: &SqlModel) -> bool {
        for target in model.reads() {
            let name = match target {
                Target::Model(name) => name.clone(),
                Target::Source(source, table) => match Place::of(project, source, table) {
                    Some(Place::Dataset(name)) => name,
                    Some(Place::Foreign(..)) | None => return false,
                },
            };
            if self.knows(&name) {
                continue;
            }
            if matches!(target, Target::Model(_)) {
                return false;
            }
            match dataset_schema(services, &name).await {
                Some(schema) => self.add(&name, schema),
                None => return false,
            }
        }
        true
    }
}

async fn dataset_schema(services: &Services, name: &str) -> Option<SchemaRef> {
    let asset = services.catalog.resolve(name).await.ok()?.asset;
    let table = TableRef::of(&asset)?;
    let context = services.engine.session().ok()?;
    let provider = source::provider(&services.engine, &context, &table).await.ok()?;
    Some(types::plain_schema(&provider.schema()))
}

#[async_trait]
impl Tables for Columns {
    async fn dataset(&self, _: &SessionContext, name: &str) -> Result<Opened, Box<Problem>> {
        let schema = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let schema = schema.ok_or_else(|| {
            Box::new(Problem::error("unknown-dataset", format!("there is no dataset `{name}`")))
        })?;
        let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema)]]);
        let table = table.map_err(|error| Box::new(Problem::error("sql-plan", error.to_string())))?;
        Ok(Opened { provider: Arc::new(table), key: None, digest: String::new() })
    }
}
