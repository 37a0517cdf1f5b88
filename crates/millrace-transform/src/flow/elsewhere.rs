//! A flow that another engine runs: the nodes' queries become one statement of Spark's SQL for each output.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::empty::EmptyTable;
use indexmap::IndexMap;
use millrace_contract::{RemoteEngine, RemoteQuery, RemoteView, TableRef};

use super::plan::{Plan, PlanError, at, unknown_input, wrong};
use super::{Flow, FlowError, Node, input_table};
use crate::ballista;
use crate::engine::failure::plan_error;
use crate::engine::{DataFusionEngine, query};
use crate::spark::{InputView, OPTIONS, Untranslated, Writer, input_view};
use crate::transforms::Fault;

/// What a plan is written with when another engine runs it.
pub(super) struct Elsewhere {
    /// Behind a lock, since a node's question is written while its inputs are looked at.
    writer: Mutex<Writer>,
    views: Vec<RemoteView>,
    answers: Answers,
}

/// Who answers the questions of nodes that ask for rows before they can say what they do.
pub(super) enum Answers {
    /// The engine that runs the flow.
    Engine(Arc<dyn RemoteEngine>),
    /// The empty tables here: enough to see whether the flow can be written.
    EmptyTables,
    /// Nobody: the statement has to stand for itself.
    Nobody,
}

impl<'f> Plan<'f> {
    /// Opens the tables that the flow reads, for statements that another engine runs. Without one, a flow whose nodes ask for rows cannot be
    /// written.
    ///
    /// # Errors
    /// A source that is not among `tables`, a table that cannot be read, or one that Spark cannot read as the local engine does.
    pub async fn elsewhere(
        engine: &DataFusionEngine,
        flow: &'f Flow,
        tables: &IndexMap<String, TableRef>,
        remote: Option<Arc<dyn RemoteEngine>>,
    ) -> Result<Self, PlanError> {
        let answers = remote.map_or(Answers::Nobody, Answers::Engine);
        let mut elsewhere = Elsewhere { writer: Mutex::default(), views: Vec::new(), answers };
        let context = engine.session()?;
        for (id, node) in &flow.nodes {
            let Some(name) = node.transform.source() else { continue };
            let Some(table) = tables.get(name) else {
                return Err(at(id, node, unknown_input(name, tables.keys())));
            };
            let registered = input_table(name);
            if context.table_exist(TableReference::bare(registered.as_str())).unwrap_or(false) {
                continue;
            }
            let schema = schema_of(engine, name, table).await?;
            let is_run = matches!(elsewhere.answers, Answers::Engine(_));
            let called = elsewhere.writer().free(&format!("{name}_input"));
            let view = input_view(engine, &called, table, &schema, is_run).await?;
            let InputView { view, select } = view.map_err(|error| refused(id, node, error))?;
            elsewhere.views.extend(view);
            elsewhere.writer().input(&registered, &called, select);
            let empty =
                context.register_table(TableReference::bare(registered), Arc::new(EmptyTable::new(schema)));
            empty.map_err(|error| wrong(id, node, &error))?;
        }
        let mut plan = Self::over(flow, context);
        plan.elsewhere = Some(elsewhere);
        Ok(plan)
    }

    /// Writes for Spark what would run here, over tables of the session that have no rows: those of the sources are taken for views of their
    /// names. A plan to look for mistakes in answers its own questions; one to print does not.
    pub(super) fn written(mut self, answers: Answers) -> Self {
        let mut writer = Writer::default();
        for name in self.flow.sources() {
            let view = writer.free(name);
            writer.input(&input_table(name), &view, None);
        }
        self.elsewhere = Some(Elsewhere { writer: Mutex::new(writer), views: Vec::new(), answers });
        self
    }

    /// One query for each output, under its name.
    ///
    /// # Errors
    /// The first node that is wrong, or that Spark cannot do the same for.
    pub async fn statements(&mut self) -> Result<Vec<(&'f str, RemoteQuery)>, PlanError> {
        let mut queries = Vec::new();
        for (output, port) in self.flow.outputs() {
            let frame = self.node(port).await?;
            let schema = crate::engine::types::plain_schema(frame.schema().as_arrow());
            let Some(elsewhere) = &self.elsewhere else { continue };
            let sql = elsewhere.writer().statement(port, &schema);
            let sql = sql.map_err(|error| FlowError::new("flow-output", "/output", error.message))?;
            queries.push((output.as_str(), elsewhere.query(sql, schema)));
        }
        Ok(queries)
    }

    /// Writes the SELECT of a node, and keeps a table without rows in its place.
    pub(super) fn write(&self, id: &str, node: &Node, name: &str, frame: DataFrame) -> Result<(), PlanError> {
        let Some(elsewhere) = &self.elsewhere else { return Ok(()) };
        let (state, plan) = frame.into_parts();
        let schema =
            elsewhere.writer().table(name, plan, &state).map_err(|error| refused(id, node, error))?;
        let done = self.context.register_table(TableReference::bare(name), Arc::new(EmptyTable::new(schema)));
        done.map(|_| ()).map_err(|error| wrong(id, node, &error))
    }

    /// Answers a question of a node, by the engine that runs the flow.
    pub(super) async fn answer(
        &self,
        id: &str,
        node: &Node,
        frame: DataFrame,
    ) -> Result<Vec<RecordBatch>, PlanError> {
        if let Some(cluster) = &self.cluster {
            return Ok(ballista::begin(frame, cluster).await?.collect().await?);
        }
        let Some(elsewhere) = &self.elsewhere else {
            return Ok(query::stream(frame).await?.collect().await?);
        };
        let (state, plan) = frame.clone().into_parts();
        let asked = elsewhere.writer().question(id, plan, &state);
        let (sql, schema) = asked.map_err(|error| refused(id, node, error))?;
        match &elsewhere.answers {
            Answers::Engine(engine) => {
                let rows = engine.query(elsewhere.query(sql, schema)).await?;
                Ok(rows.collect().await?)
            }
            Answers::EmptyTables => Ok(query::stream(frame).await?.collect().await?),
            Answers::Nobody => {
                let fault =
                    Fault::new("what it does depends on its rows, so there is no SQL for it before it runs");
                let hint = match node.kind {
                    "pivot" => "list the wanted ones: `values: […]`",
                    _ => "run the flow with `engine: <connection>`, which asks for them",
                };
                Err(at(id, node, fault.hinted(hint)))
            }
        }
    }

    /// Rows that a node made have no place in a statement.
    pub(super) fn keeps_rows(&self) -> bool {
        self.elsewhere.is_none()
    }
}

impl Elsewhere {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn query(&self, sql: String, schema: SchemaRef) -> RemoteQuery {
        RemoteQuery { views: self.views.clone(), options: OPTIONS.to_vec(), sql, schema }
    }
}

impl Flow {
    /// The flow as a script of Spark's SQL, one for each output under its name: options of the session, a view for each input, and the query. A
    /// source that is not among `inputs` has to say what columns it has, and is read by its name.
    ///
    /// # Errors
    /// The first node that is wrong, or that Spark cannot do the same for.
    pub async fn spark_sql(
        &self,
        engine: &DataFusionEngine,
        inputs: &IndexMap<String, TableRef>,
    ) -> Result<Vec<(String, String)>, PlanError> {
        let mut plan = if inputs.is_empty() {
            let context = engine.session()?;
            let (mistakes, unknown) = self.declare_sources(&context);
            if let Some(mistake) = mistakes.into_iter().next() {
                return Err(mistake);
            }
            if let Some((id, node)) = unknown.first().and_then(|id| self.nodes.get_key_value(*id)) {
                let fault = Fault::new("its columns are not known");
                return Err(at(
                    id,
                    node,
                    fault.hinted("declare them under `columns:`, or name its file: `--input name=path`"),
                ));
            }
            Plan::over(self, context).written(Answers::Nobody)
        } else {
            Plan::elsewhere(engine, self, inputs, None).await?
        };
        let written = plan.statements().await?;
        Ok(written.into_iter().map(|(output, query)| (output.to_owned(), script(&query))).collect())
    }
}

/// A query with all that has to be said before it.
fn script(query: &RemoteQuery) -> String {
    let mut lines: Vec<String> =
        query.options.iter().map(|(key, value)| format!("set {key} = {value};")).collect();
    for view in &query.views {
        let columns = view.schema.as_ref().map_or_else(String::new, |schema| format!(" ({schema})"));
        let paths = view.paths.iter().map(|path| ("path".to_owned(), path.clone()));
        let options = paths.chain(view.options.iter().map(|(key, value)| (key.clone(), value.clone())));
        let options: Vec<String> =
            options.map(|(key, value)| format!("{} {}", key, crate::spark::text(&value))).collect();
        lines.push(format!(
            "create or replace temporary view {}{columns} using {} options ({});",
            view.name,
            view.format,
            options.join(", ")
        ));
    }
    lines.push(format!("{};", query.sql));
    lines.join("\n") + "\n"
}

/// The columns that the local engine reads of a table.
pub(crate) async fn schema_of(
    engine: &DataFusionEngine,
    name: &str,
    table: &TableRef,
) -> Result<SchemaRef, PlanError> {
    let context = engine.session_with(&IndexMap::from([(name.to_owned(), table.clone())])).await?;
    let found = context.table(TableReference::bare(name)).await.map_err(plan_error)?;
    Ok(crate::engine::types::plain_schema(found.schema().as_arrow()))
}

/// What Spark cannot do, at the node and, where that is known, at the column whose expression it is.
pub(super) fn refused(id: &str, node: &Node, error: Untranslated) -> PlanError {
    let fault = Fault::new(format!("Spark cannot do the same: {}", error.message));
    let fault = match error.hint {
        Some(hint) => fault.hinted(hint),
        None => fault.hinted("engine: local"),
    };
    let fault = match (node.kind, error.column) {
        ("derive", Some(column)) => fault.under(&column),
        ("aggregate", Some(column)) => fault.under(&column).under("values"),
        ("window", Some(column)) => fault.under(&column).under("columns"),
        _ => fault,
    };
    at(id, node, fault)
}
