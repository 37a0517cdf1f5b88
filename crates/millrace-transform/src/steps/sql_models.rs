use std::path::Path;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, OutputDoc, Producer, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::{Problem, Severity};
use millrace_spec::sql_models::{Project, Selection};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config_error;
use crate::sql_models::{Builder, ModelStatus, Report, Request, Services, TestStatus, read_project};

/// Builds SQL models of `models/` in the order of their `ref`s, each as a dataset of its name, and runs their tests.
///
/// A model is built again if its text, its rules, its variables or the rows that it reads have changed. What reads a model that failed, or one of
/// whose tests failed, is left out, and the step fails; everything else is built.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum SqlModels {
    /// A selection: `staging+ tag:daily`.
    Selection(String),
    /// A selection with options; `{}` for all models.
    Options(Box<Options>),
}

/// Which models, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Which models: parts with a space between them are united, with a comma intersected. A part is a name or a glob, `tag:`, `path:`,
    /// `source:` or `config.materialized:` with a value; `+` before it adds what it reads, behind it what reads it. All if absent.
    #[serde(default)]
    select: Option<String>,
    /// Models that are left out, in the same words.
    #[serde(default)]
    exclude: Option<String>,
    /// Makes incremental models anew.
    #[serde(default)]
    full_refresh: bool,
    /// Values of `var('name')`.
    #[serde(default)]
    vars: Map<String, Value>,
    /// Whether tests run; they do unless it is `false`.
    #[serde(default = "yes")]
    test: bool,
    /// Models and tests that are worked on at once; 4 if absent.
    #[serde(default)]
    threads: Option<usize>,
}

fn yes() -> bool {
    true
}

const EXAMPLE: &str = "sql_models:\n  select: tag:daily";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<SqlModels>(KindFamily::Step, "sql_models", EXAMPLE)
}

impl SqlModels {
    fn options(self) -> Options {
        match self {
            Self::Options(options) => *options,
            Self::Selection(select) => Options { select: Some(select), test: true, ..Options::default() },
        }
    }
}

/// The step kind `sql_models`.
pub struct SqlModelsStep {
    doc: KindDoc,
    services: Services,
}

impl std::fmt::Debug for SqlModelsStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqlModelsStep")
    }
}

impl SqlModelsStep {
    /// Builds models with these.
    pub fn new(services: Services) -> Self {
        Self { doc: doc(), services }
    }

    async fn report(&self, context: &StepContext, options: Options) -> Result<Report, Box<Problem>> {
        let root = context.workspace.clone();
        let project = tokio::task::spawn_blocking(move || sound_project(&root)).await;
        let project =
            project.map_err(|error| Box::new(Problem::error("model-files", error.to_string())))??;
        let list = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
        let request = Request {
            models: Selection::between(&project, &list(&options.select), &list(&options.exclude))?,
            build: true,
            test: options.test,
            full_refresh: options.full_refresh,
            vars: options.vars,
            threads: options.threads,
            producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
        };
        let builder = Builder::new(self.services.clone(), project, request, context.log.clone());
        Ok(builder.run(&context.cancel).await)
    }
}

/// The models of the workspace, or what is wrong with one of them.
fn sound_project(root: &Path) -> Result<Project, Box<Problem>> {
    let project = read_project(root).map_err(|message| Box::new(Problem::error("model-files", message)))?;
    match project.problems.iter().find(|problem| problem.severity == Severity::Error) {
        Some(problem) => Err(Box::new(problem.clone())),
        None => Ok(project),
    }
}

#[async_trait]
impl StepKind for SqlModelsStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    /// Each model knows by itself whether it is as it would be.
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let outputs = [("models", "json"), ("tests", "json"), ("datasets", "json"), ("rows", "integer")];
        outputs.map(|(name, of)| OutputDoc { name: name.to_owned(), type_name: of.to_owned() }).into()
    }

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        let fields = [
            ("", config.as_str()),
            ("/select", text(config, "select")),
            ("/exclude", text(config, "exclude")),
        ];
        let known = fields.into_iter().filter_map(|(pointer, text)| Some((pointer, text?)));
        known
            .filter(|(_, text)| !text.contains("${{"))
            .filter_map(|(pointer, text)| {
                let problem = Selection::parse(&[text.to_owned()]).err()?;
                Some((pointer.to_owned(), *problem))
            })
            .collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config =
            SqlModels::deserialize(&context.config).map_err(|error| config_error("sql_models", &error))?;
        let report = self
            .report(&context, config.options())
            .await
            .map_err(|problem| StepError::permanent(*problem))?;
        if context.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        if let Some(problem) = failure(&report) {
            return Err(StepError::permanent(problem));
        }
        let assets = report
            .models
            .iter()
            .filter_map(|model| Some((model.name.clone(), model.asset.as_ref()?.to_value())));
        let rows = report.models.iter().filter_map(|model| model.rows).sum::<u64>();
        Ok(StepOutcome {
            outputs: IndexMap::from([
                ("models".to_owned(), json!(report.models)),
                ("tests".to_owned(), json!(report.tests)),
                ("datasets".to_owned(), Value::Object(assets.collect())),
                ("rows".to_owned(), rows.into()),
            ]),
            rows: Some(rows),
            ..StepOutcome::default()
        })
    }
}

fn text<'v>(config: &'v Value, field: &str) -> Option<&'v str> {
    config.get(field).and_then(Value::as_str)
}

/// What failed, as one problem: the first cause with its place, the others as notes.
fn failure(report: &Report) -> Option<Problem> {
    let of_models = report.models.iter().filter(|model| model.status == ModelStatus::Failed);
    let mut problems: Vec<Problem> = of_models.filter_map(|model| model.problem.clone()).collect();
    for test in &report.tests {
        match test.status {
            TestStatus::Error => problems.extend(test.problem.clone()),
            TestStatus::Fail => {
                let message =
                    format!("{} rows fail the test `{}` ({})", test.failures, test.name, test.place);
                let mut problem = Problem::error("model-test", message);
                problem.notes.extend(test.rows.first().map(|row| format!("the first is {row}")));
                problem.hints.extend(test.kept.as_ref().map(|kept| format!("millrace data head {kept}")));
                problems.push(problem);
            }
            _ => {}
        }
    }
    let skipped: Vec<&str> = report
        .models
        .iter()
        .filter(|model| model.status == ModelStatus::Skipped)
        .map(|model| model.name.as_str())
        .collect();
    let mut problems = problems.into_iter();
    let mut first = match problems.next() {
        Some(first) => first,
        None if skipped.is_empty() => return None,
        None => Problem::error("model-skipped", "not all models were built"),
    };
    first.notes.extend(problems.map(|problem| problem.message));
    if !skipped.is_empty() {
        first = first.note(format!("left out: {}", skipped.join(", ")));
    }
    Some(first)
}
