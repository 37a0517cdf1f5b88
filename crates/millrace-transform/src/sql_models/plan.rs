//! One model's query over the datasets that it reads.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::prelude::SessionContext;
use millrace_contract::{AssetKey, QueryError};
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{
    ModelTest, Names, Project, Rendered, Rendering, SqlModel, Target, Template, TestQuery, quoted,
};
use serde_json::{Map, Value, json};

use crate::engine::{DataFusionEngine, query};
use crate::steps::query_problem;

/// Code of a problem that is none: a query that cannot be planned without asking a database.
pub(super) const NOT_CHECKED: &str = "not-checked";

/// Where the tables of a query are found.
#[async_trait]
pub(super) trait Tables: Send + Sync {
    /// The dataset of that name, ready to be read.
    async fn dataset(&self, context: &SessionContext, name: &str) -> Result<Opened, Box<Problem>>;
}

/// A dataset that a query may read.
pub(super) struct Opened {
    pub(super) provider: Arc<dyn TableProvider>,
    /// What it is, for the lineage; `None` if nothing is run.
    pub(super) key: Option<AssetKey>,
    /// Of its rows.
    pub(super) digest: String,
}

/// What a query was planned to, and all that it depends on.
pub(super) struct Planned {
    pub(super) frame: DataFrame,
    pub(super) inputs: Vec<AssetKey>,
    /// Digest of the texts, the values and the rows behind it; `None` if the same query may give other rows.
    pub(super) fingerprint: Option<String>,
}

/// Plans the queries of a project.
pub(super) struct Planner<'a> {
    pub(super) engine: &'a DataFusionEngine,
    pub(super) project: &'a Project,
    pub(super) vars: &'a Map<String, Value>,
    pub(super) tables: &'a dyn Tables,
    /// Variables without a value are null, and no database is asked.
    pub(super) lenient: bool,
}

impl Planner<'_> {
    /// A model's query; `own` is its dataset as it is, if rows are added to it.
    pub(super) async fn model(
        &self,
        model: &SqlModel,
        own: Option<Arc<dyn TableProvider>>,
    ) -> Result<Planned, Box<Problem>> {
        let context = self.engine.session().map_err(|error| Box::new(query_problem(&error)))?;
        let mut facts = vec![json!(["model", 1, model.doc.incremental, model.doc.snapshot])];
        // A full build and one that adds differ in their text and are one model all the same.
        for incremental in [false, true] {
            let rendering = self.rendering(Some(model), incremental);
            if let Ok(rendered) = model.template.render(&rendering) {
                facts.push(json!([rendered.sql, rendered.params]));
            }
        }
        let incremental = own.is_some();
        if let Some(own) = own {
            register(&context, &model.name, own)?;
        }
        let rendered = model.template.render(&self.rendering(Some(model), incremental))?;
        let targets: Vec<&Target> = model.reads();
        self.query(&context, &model.template, &rendered, &targets, facts).await
    }

    /// The query for the rows that fail a test.
    pub(super) async fn test(&self, test: &ModelTest) -> Result<Planned, Box<Problem>> {
        let context = self.engine.session().map_err(|error| Box::new(query_problem(&error)))?;
        match &test.query {
            TestQuery::File { template, calls } => {
                let rendered = template.render(&self.rendering(None, false))?;
                let targets: Vec<&Target> = calls.iter().map(|call| &call.target).collect();
                self.query(&context, template, &rendered, &targets, Vec::new()).await
            }
            TestQuery::Rule { sql, params, .. } => {
                let mut planned = Vec::new();
                for name in test.parents() {
                    let target = Target::Model(name.to_owned());
                    self.open(&context, &target, &mut planned).await?;
                }
                let frame = query::select(&context, sql, params).await.map_err(|error| {
                    Box::new(Problem {
                        place: Some(test.place.clone()),
                        notes: Vec::new(),
                        ..query_problem(&error)
                    })
                })?;
                let inputs = planned.into_iter().flat_map(|opened: Known| opened.inputs).collect();
                Ok(Planned { frame, inputs, fingerprint: None })
            }
        }
    }

    fn rendering<'r>(&'r self, model: Option<&SqlModel>, incremental: bool) -> Rendering<'r> {
        Rendering {
            relation: self.relation(),
            this: model.map(|model| quoted(&model.name)),
            incremental,
            vars: self.vars,
            lenient: self.lenient,
        }
    }

    fn relation(&self) -> Names<'_> {
        Box::new(move |target| match target {
            Target::Model(name) if self.project.models.contains_key(name) => Ok(quoted(name)),
            Target::Model(name) => Err(format!("there is no model `{name}`")),
            Target::Source(source, table) => match self.place(source, table) {
                Some(Place::Dataset(name)) => Ok(quoted(&name)),
                Some(Place::Foreign(connection, table)) => {
                    let parts = std::iter::once(connection.as_str()).chain(table.split('.'));
                    Ok(parts.map(quoted).collect::<Vec<_>>().join("."))
                }
                None => Err(format!("there is no source `{source}` with a table `{table}`")),
            },
        })
    }

    /// Where a table of a source is.
    fn place(&self, source: &str, table: &str) -> Option<Place> {
        Place::of(self.project, source, table)
    }

    async fn query(
        &self,
        context: &SessionContext,
        template: &Template,
        rendered: &Rendered,
        targets: &[&Target],
        mut facts: Vec<Value>,
    ) -> Result<Planned, Box<Problem>> {
        let mut known = Vec::new();
        for target in targets {
            self.open(context, target, &mut known).await?;
        }
        let sql = rendered.sql.trim_end().trim_end_matches(';');
        let problem = |error: QueryError| Box::new(self.problem(template, rendered, &error));
        if self.lenient && query::foreign_names(sql).is_ok_and(|names| !names.is_empty()) {
            return Err(Box::new(Problem::error(
                NOT_CHECKED,
                "tables of databases are asked for when it is built",
            )));
        }
        let foreign = self.engine.register_foreign(context, sql).await.map_err(problem)?;
        let frame = query::select(context, sql, &rendered.params).await.map_err(problem)?;
        let mut repeatable = foreign.is_empty() && is_repeatable(frame.logical_plan());
        let mut inputs = Vec::new();
        for one in known {
            repeatable &= one.repeatable;
            facts.push(json!([one.name, one.digest]));
            inputs.extend(one.inputs);
        }
        inputs.extend(foreign.into_iter().map(|name| AssetKey {
            kind: "source".to_owned(),
            name,
            version: 0,
        }));
        let digest = || blake3::hash(json!(facts).to_string().as_bytes()).to_hex().to_string();
        Ok(Planned { frame, inputs, fingerprint: repeatable.then(digest) })
    }

    /// Makes what a query reads known to its session.
    async fn open(
        &self,
        context: &SessionContext,
        target: &Target,
        known: &mut Vec<Known>,
    ) -> Result<(), Box<Problem>> {
        let name = match target {
            Target::Model(name) => match self.project.models.get(name) {
                Some(model) if model.doc.ephemeral => {
                    let planned = Box::pin(self.model(model, None)).await?;
                    known.push(Known {
                        name: name.clone(),
                        repeatable: planned.fingerprint.is_some(),
                        digest: planned.fingerprint.unwrap_or_default(),
                        inputs: planned.inputs,
                    });
                    return register(context, name, planned.frame.into_view());
                }
                _ => name.clone(),
            },
            Target::Source(source, table) => match self.place(source, table) {
                Some(Place::Dataset(name)) => name,
                // The engine finds it by its name.
                Some(Place::Foreign(..)) | None => return Ok(()),
            },
        };
        if known.iter().any(|one| one.name == name) {
            return Ok(());
        }
        let opened = self.tables.dataset(context, &name).await?;
        register(context, &name, opened.provider)?;
        known.push(Known {
            name,
            repeatable: true,
            digest: opened.digest,
            inputs: opened.key.into_iter().collect(),
        });
        Ok(())
    }

    /// The problem with its place in the model's file.
    fn problem(&self, template: &Template, rendered: &Rendered, error: &QueryError) -> Problem {
        let mut problem = query_problem(error);
        if let QueryError::Plan { message, position } = error {
            let (line, column) = position.unwrap_or((1, 1));
            problem.notes.clear();
            problem = problem.at(template.place_of(rendered, line, column));
            let unknown =
                message.strip_prefix("table 'datafusion.public.").and_then(|rest| rest.split('\'').next());
            if let Some(name) = unknown {
                problem.message = format!("there is no table `{name}` here");
                problem = match self.project.models.contains_key(name) {
                    true => problem.hint(format!("from {{{{ ref('{name}') }}}}")),
                    false => problem
                        .hint("name a model by `{{ ref('…') }}`, another table by `{{ source('…', '…') }}`"),
                };
            }
            return problem;
        }
        problem.at(template.place(0, 1))
    }
}

/// What a query reads, as far as it decides the rows.
struct Known {
    name: String,
    repeatable: bool,
    digest: String,
    inputs: Vec<AssetKey>,
}

/// Where a table of a source is.
pub(super) enum Place {
    /// Dataset of that name.
    Dataset(String),
    /// Connection and table.
    Foreign(String, String),
}

impl Place {
    pub(super) fn of(project: &Project, source: &str, table: &str) -> Option<Self> {
        let from = project.source(source, table)?.from.clone();
        Some(match from.as_deref().and_then(|from| from.split_once(':')) {
            Some(("data", name)) => Self::Dataset(name.to_owned()),
            Some((connection, table)) => Self::Foreign(connection.to_owned(), table.to_owned()),
            None => Self::Dataset(from.unwrap_or_else(|| format!("{source}_{table}"))),
        })
    }
}

fn register(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<(), Box<Problem>> {
    let wrong =
        |error: datafusion::error::DataFusionError| Box::new(Problem::error("sql-plan", error.to_string()));
    context.register_table(TableReference::bare(name), table).map(drop).map_err(wrong)
}

/// Whether a plan gives the same rows whenever it is run: it asks neither for the time nor for random numbers.
fn is_repeatable(plan: &LogicalPlan) -> bool {
    let mut repeatable = true;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    repeatable = false;
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    repeatable && visited.is_ok()
}
