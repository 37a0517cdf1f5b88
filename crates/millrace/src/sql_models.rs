//! The SQL models of the workspace, as commands and the API show them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_api::SqlModelFiles;
use millrace_api::views::sql_models::{
    SqlModelColumn, SqlModelSource, SqlModelSummary, SqlModelTest, SqlModelView, SqlModels,
};
use millrace_contract::{DatasetCatalog, DatasetVersion};
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{ModelTest, Project, SqlModel, Target};
use millrace_transform::sql_models::read_project;
use serde_json::{Value, json};

/// The models of a workspace.
pub(crate) struct WorkspaceSqlModels {
    pub(crate) root: PathBuf,
    pub(crate) datasets: Arc<dyn DatasetCatalog>,
}

#[async_trait]
impl SqlModelFiles for WorkspaceSqlModels {
    async fn list_sql_models(&self) -> Result<SqlModels, Problem> {
        let project = project(&self.root).await?;
        let built = self.built().await?;
        Ok(SqlModels {
            models: project.models.values().map(|model| summary(&project, model, &built)).collect(),
            sources: sources(&project),
            problems: project.problems.into_iter().map(Into::into).collect(),
        })
    }

    async fn find_sql_model(&self, name: &str) -> Result<Option<SqlModelView>, Problem> {
        let project = project(&self.root).await?;
        let built = self.built().await?;
        Ok(project.models.get(name).map(|model| view(&project, model, &built)))
    }
}

impl WorkspaceSqlModels {
    /// The newest version of every dataset, by name.
    async fn built(&self) -> Result<IndexMap<String, DatasetVersion>, Problem> {
        let versions = self.datasets.list().await;
        let versions = versions.map_err(|error| Problem::error("catalog", error.to_string()))?;
        let named = versions.into_iter().filter_map(|version| Some((version.asset.name.clone()?, version)));
        Ok(named.collect())
    }
}

async fn project(root: &Path) -> Result<Project, Problem> {
    let root = root.to_owned();
    let read = tokio::task::spawn_blocking(move || read_project(&root)).await;
    let failed = |message: String| Problem::error("sql-models", message);
    read.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn summary(project: &Project, model: &SqlModel, built: &IndexMap<String, DatasetVersion>) -> SqlModelSummary {
    let version = version(model, built);
    let read_by = project.models.values().filter(|other| other.parents().contains(&model.name.as_str()));
    SqlModelSummary {
        name: model.name.clone(),
        file: model.file.clone(),
        description: model.doc.description.clone(),
        tags: model.doc.tags.clone(),
        materialized: word(&json!(model.materialization())),
        reads: model.reads().into_iter().map(short).collect(),
        read_by: read_by.map(|other| other.name.clone()).collect(),
        tests: u32::try_from(tests(project, model).count()).unwrap_or(u32::MAX),
        version: version.and_then(|version| version.asset.version),
        rows: version.and_then(|version| version.asset.rows),
        built_at: version.map(|version| version.created_at.to_string()),
    }
}

/// What is known of a model: what its files say, and the columns of its newest version.
pub(crate) fn view(
    project: &Project,
    model: &SqlModel,
    built: &IndexMap<String, DatasetVersion>,
) -> SqlModelView {
    let schema = version(model, built).and_then(|version| version.schema.as_array().cloned());
    let mut columns: IndexMap<&str, Option<String>> = IndexMap::new();
    let schema = schema.unwrap_or_default();
    for field in &schema {
        let Some(name) = field["name"].as_str() else { continue };
        columns.insert(name, field["type"].as_str().map(str::to_owned));
    }
    for name in model.doc.columns.keys() {
        columns.entry(name).or_default();
    }
    let tests_of = |column: Option<&str>| {
        let own = tests(project, model).filter(|test| test.column.as_deref() == column);
        own.map(|test| SqlModelTest { name: test.name.clone(), severity: word(&json!(test.limits.severity)) })
            .collect::<Vec<_>>()
    };
    let columns = columns.into_iter().map(|(name, data_type)| SqlModelColumn {
        name: name.to_owned(),
        data_type,
        description: model.doc.columns.get(name).and_then(|doc| doc.description.clone()),
        tests: tests_of(Some(name)),
    });
    SqlModelView {
        summary: summary(project, model, built),
        sql: model.text.clone(),
        columns: columns.collect(),
        row_tests: tests_of(None),
    }
}

/// What the models read beside each other.
pub(crate) fn sources(project: &Project) -> Vec<SqlModelSource> {
    let mut sources = Vec::new();
    for (source, about) in &project.sources.0 {
        for (table, doc) in &about.tables {
            let target = Target::Source(source.clone(), table.clone());
            let readers = project.models.values().filter(|model| model.reads().contains(&&target));
            sources.push(SqlModelSource {
                name: short(&target),
                description: doc.description.clone().or_else(|| about.description.clone()),
                from: doc.from.clone().unwrap_or_else(|| format!("data:{source}_{table}")),
                read_by: readers.map(|model| model.name.clone()).collect(),
            });
        }
    }
    sources
}

/// `orders`, `shop.orders`.
pub(crate) fn short(target: &Target) -> String {
    match target {
        Target::Model(name) => name.clone(),
        Target::Source(source, table) => format!("{source}.{table}"),
    }
}

/// The newest version of the model's dataset, if it has one of its own.
fn version<'b>(model: &SqlModel, built: &'b IndexMap<String, DatasetVersion>) -> Option<&'b DatasetVersion> {
    built.get(&model.name).filter(|_| !model.doc.ephemeral)
}

/// Tests below the model or one of its columns.
fn tests<'p>(project: &'p Project, model: &'p SqlModel) -> impl Iterator<Item = &'p ModelTest> {
    project.tests.iter().filter(|test| test.model.as_deref() == Some(model.name.as_str()))
}

/// The word of a plain value.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
