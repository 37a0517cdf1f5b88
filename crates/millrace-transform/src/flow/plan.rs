use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use millrace_contract::{BatchStream, Cluster, QueryError, RemoteError, TableRef};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use millrace_spec::yaml;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::elsewhere::Elsewhere;
use super::figures::{NodeFigures, figures};
use super::learned::{Knowledge, LearnedDocument};
use super::readers::Readers;
use super::{Flow, FlowError, Node, input_table, owner, quote};
use crate::ballista;
use crate::engine::calls;
use crate::engine::failure::{plan_error, words};
use crate::engine::shared::{self, Shared};
use crate::engine::{DataFusionEngine, mark, query};
use crate::steps::query_problem;
use crate::transforms::{Fault, Fitted, Input, Learned};

/// A flow whose nodes are planned as far as they were asked for.
pub struct Plan<'f> {
    pub(super) flow: &'f Flow,
    pub(super) context: SessionContext,
    planned: Vec<String>,
    run: Option<Run>,
    knowledge: Knowledge,
    learned: IndexMap<String, Learned>,
    /// If another engine runs it.
    pub(super) elsewhere: Option<Elsewhere>,
    /// If a cluster of this engine runs it.
    pub(super) cluster: Option<Cluster>,
}

/// What planning for a run adds to planning for a look: nodes that several read are produced once, and all are counted.
struct Run {
    readers: Readers,
    shared: Vec<Arc<Shared>>,
    shared_bytes: usize,
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("planned", &self.planned).finish_non_exhaustive()
    }
}

/// A flow that is wrong, or a table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The flow is wrong.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A table cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Another engine did not begin with it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl PlanError {
    /// The problem, with its place if the flow's file is known.
    pub fn problem_in(&self, document: Option<&yaml::Node>, text: &str) -> Problem {
        match (self, document) {
            (Self::Flow(error), Some(document)) => error.problem_in(document, text),
            (Self::Flow(error), None) => error.problem(&|_| None),
            (Self::Query(error), _) => query_problem(error),
            (Self::Remote(error), _) => Problem::error("engine", error.to_string()),
        }
    }
}

impl<'f> Plan<'f> {
    /// Opens the tables that the flow reads, for a look at some of its nodes.
    ///
    /// # Errors
    /// A source that is not among `tables`, or a table that cannot be read.
    pub async fn open(
        engine: &DataFusionEngine,
        flow: &'f Flow,
        tables: &IndexMap<String, TableRef>,
    ) -> Result<Self, PlanError> {
        Ok(Self::over(flow, engine.session_with(&wanted(flow, tables)?).await?))
    }

    /// The same on a cluster: its plans are sent there, and each output is a query of its own.
    ///
    /// # Errors
    /// A source that is not among `tables`, a table that cannot be read, or a cluster that does not answer.
    pub async fn on_cluster(
        engine: &DataFusionEngine,
        flow: &'f Flow,
        tables: &IndexMap<String, TableRef>,
        cluster: &Cluster,
    ) -> Result<Self, PlanError> {
        let wanted = wanted(flow, tables)?;
        let context = ballista::session(engine, cluster).await?;
        engine.register(&context, &wanted).await?;
        Ok(Self { cluster: Some(cluster.clone()), ..Self::over(flow, context) })
    }

    /// A plan over a session that has the flow's tables.
    pub(crate) fn over(flow: &'f Flow, context: SessionContext) -> Self {
        Self {
            flow,
            context,
            planned: Vec::new(),
            run: None,
            knowledge: Knowledge::default(),
            learned: IndexMap::new(),
            elsewhere: None,
            cluster: None,
        }
    }

    /// Plans for a run of all outputs: a node that several others read is produced once, and what each node does is counted.
    #[must_use]
    pub fn for_run(mut self, engine: &DataFusionEngine) -> Self {
        calls::allow_all(&self.context);
        let readers = Readers::of(self.flow);
        self.run = Some(Run { readers, shared: Vec::new(), shared_bytes: engine.shared_bytes() });
        self
    }

    /// Gives what earlier runs learned.
    #[must_use]
    pub fn knowing(mut self, knowledge: Knowledge) -> Self {
        self.knowledge = knowledge;
        self
    }

    /// Plans every output before any is run: a flow that is wrong anywhere leaves nothing.
    ///
    /// # Errors
    /// The first node that is wrong.
    pub async fn outputs(&mut self) -> Result<Vec<(&'f str, DataFrame)>, PlanError> {
        self.share_sources().await?;
        let mut frames = Vec::new();
        for (output, port) in self.flow.outputs() {
            frames.push((output.as_str(), self.node(port).await?));
        }
        if let Some(run) = &self.run {
            let noted = note_wanted(&self.context, &frames, &run.shared);
            noted.map_err(|error| PlanError::Query(plan_error(error)))?;
        }
        Ok(frames)
    }

    /// Sends every output's plan to the cluster, after `look` had a look at it. All are planned before the first is sent: a flow that is wrong
    /// anywhere leaves nothing.
    ///
    /// # Errors
    /// The first node that is wrong, or what only this process can do.
    pub async fn sent(
        &mut self,
        mut look: impl FnMut(&str, &DataFrame),
    ) -> Result<Vec<(&'f str, BatchStream)>, PlanError> {
        let frames = self.outputs().await?;
        let mut sent = Vec::new();
        for (output, frame) in frames {
            let Some(cluster) = &self.cluster else { continue };
            look(output, &frame);
            sent.push((output, ballista::begin(frame, cluster).await?));
        }
        Ok(sent)
    }

    /// What each node did, after the plans of the outputs have run.
    pub fn figures(&self, plans: &[Arc<dyn ExecutionPlan>]) -> Vec<NodeFigures> {
        match &self.run {
            Some(run) => figures(self.flow, run.readers.unmarked(), plans, &run.shared),
            None => Vec::new(),
        }
    }

    /// What its nodes learned, or took over; `None` if it has none that learns.
    pub fn learned(&self) -> Option<LearnedDocument> {
        let name = self.flow.name.clone();
        (!self.learned.is_empty()).then(|| LearnedDocument::new(name, self.learned.clone()))
    }

    /// Plans a node and all before it.
    ///
    /// # Errors
    /// The first node that is wrong.
    pub async fn node(&mut self, port: &str) -> Result<DataFrame, PlanError> {
        let mut order = Vec::new();
        self.before(owner(&self.flow.nodes, port), &mut order);
        for id in order {
            self.one(id).await?;
        }
        let found = self.context.table(TableReference::bare(self.table_name(port))).await;
        found.map_err(|_| {
            FlowError::new("unknown-node", "/nodes", format!("there is no node `{port}` in the flow")).into()
        })
    }

    /// Nodes in the order in which they can be planned.
    fn before(&self, id: &str, order: &mut Vec<&'f str>) {
        let Some((key, node)) = self.flow.nodes.get_key_value(id) else { return };
        if order.contains(&key.as_str()) {
            return;
        }
        for from in &node.from {
            self.before(owner(&self.flow.nodes, from), order);
        }
        order.push(key);
    }

    /// Plans one node; those that it reads must be planned.
    async fn one(&mut self, id: &str) -> Result<(), PlanError> {
        let Some(node) = self.flow.nodes.get(id) else { return Ok(()) };
        if self.planned.iter().any(|done| done == id) {
            return Ok(());
        }
        self.planned.push(id.to_owned());
        if node.transform.runs_here_alone() && (self.elsewhere.is_some() || self.cluster.is_some()) {
            let fault = Fault::new("no other engine does it").hinted("engine: local");
            return Err(at(id, node, fault));
        }
        if let Some(input) = node.transform.learned_from() {
            return self.apply(id, node, input).await;
        }
        if let Some(fitted) = node.transform.fitted() {
            return self.fit(id, node, fitted).await;
        }
        let mut names = match node.transform.source() {
            Some(table) => vec![input_table(table)],
            None => node.from.clone(),
        };
        if node.transform.has_base() {
            let base = base_table(id);
            let sql = node.transform.base(&self.inputs(id, node, &names).await?);
            self.register(id, node, &base, &sql.map_err(|fault| at(id, node, fault))?).await?;
            names.insert(0, base);
        }
        let inputs = self.inputs(id, node, &names).await?;
        let asks = node.transform.asks(&inputs).map_err(|fault| at(id, node, fault))?;
        let answers = self.answers(id, node, &asks).await?;
        let made = blocking(|| node.transform.made(&inputs, &answers));
        if let Some(rows) = made.map_err(|fault| at(id, node, fault))? {
            let made = made_table(id);
            self.keep(id, node, &made, rows)?;
            names.push(made);
        }
        let inputs = self.inputs(id, node, &names).await?;
        let selects = node.transform.sql_knowing(&inputs, &answers).map_err(|fault| at(id, node, fault))?;
        let parts = node.transform.parts();
        for (place, sql) in selects.iter().enumerate() {
            let name = parts.get(place).map_or_else(|| id.to_owned(), |part| format!("{id}.{part}"));
            self.register(id, node, &name, sql).await?;
        }
        Ok(())
    }

    /// Plans a node that learns from its input, or does what an earlier run learned for it.
    async fn fit(&mut self, id: &str, node: &Node, fitted: &dyn Fitted) -> Result<(), PlanError> {
        let inputs = self.inputs(id, node, &node.from).await?;
        let Some(input) = inputs.first() else { return Ok(()) };
        let learned = match self.knowledge.nodes.get(id) {
            Some(known) => known.clone(),
            None if self.knowledge.given => {
                let message = "the document of what was learned has nothing of this node";
                return Err(at(id, node, Fault::new(message)));
            }
            None => {
                let asks = fitted.asks(input).map_err(|fault| at(id, node, fault))?;
                let answers = self.answers(id, node, &asks).await?;
                blocking(|| fitted.learn(input, &answers)).map_err(|fault| at(id, node, fault))?
            }
        };
        let sql = learned.sql(input).map_err(|fault| at(id, node, fault))?;
        self.learned.insert(id.to_owned(), learned);
        self.register(id, node, id, &sql).await
    }

    /// Plans a node that does again what the nodes of a flow learned, one after the other.
    async fn apply(&mut self, id: &str, node: &Node, input: &str) -> Result<(), PlanError> {
        let known: Vec<&String> = self.knowledge.documents.keys().collect();
        let Some(document) = self.knowledge.documents.get(input) else {
            return Err(at(id, node, unknown_input(input, known.into_iter())));
        };
        let chosen = node.transform.chosen(document).map_err(|fault| at(id, node, fault))?;
        let steps: Vec<Learned> = chosen.into_iter().cloned().collect();
        let mut from = node.from.clone();
        for (place, learned) in steps.iter().enumerate() {
            let name = if place + 1 == steps.len() { id.to_owned() } else { format!("{id}#{place}") };
            let inputs = self.inputs(id, node, &from).await?;
            let Some(rows) = inputs.first() else { return Ok(()) };
            let sql = learned.sql(rows).map_err(|fault| at(id, node, fault))?;
            self.register(id, node, &name, &sql).await?;
            from = vec![name];
        }
        Ok(())
    }

    async fn inputs<'s>(
        &'s self,
        id: &str,
        node: &Node,
        names: &[String],
    ) -> Result<Vec<Input<'s>>, PlanError> {
        let mut inputs = Vec::new();
        for name in names {
            let name = self.table_name(name);
            let table = self.context.table(TableReference::bare(name.as_str())).await;
            let table = table.map_err(|error| wrong(id, node, &error))?;
            inputs.push(Input {
                table: quote(&name),
                schema: table.schema().clone(),
                context: &self.context,
            });
        }
        Ok(inputs)
    }

    /// Runs a node's own questions about its input.
    async fn answers(
        &self,
        id: &str,
        node: &Node,
        asks: &[String],
    ) -> Result<Vec<Vec<RecordBatch>>, PlanError> {
        let mut answers = Vec::new();
        for sql in asks {
            let frame =
                query::select(&self.context, sql, &[]).await.map_err(|error| node_error(id, node, error))?;
            answers.push(self.answer(id, node, frame).await?);
        }
        Ok(answers)
    }

    fn keep(&self, id: &str, node: &Node, name: &str, rows: RecordBatch) -> Result<(), PlanError> {
        if !self.keeps_rows() {
            let message = "Spark cannot do the same: it makes rows of its own here";
            return Err(at(id, node, Fault::new(message).hinted("engine: local")));
        }
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]);
        let table = table.map_err(|error| wrong(id, node, &error))?;
        let kept = self.context.register_table(TableReference::bare(name), Arc::new(table));
        kept.map(|_| ()).map_err(|error| wrong(id, node, &error))
    }

    /// Makes the rows of a SELECT a table of that name: a view, or rows that are produced once if several read them.
    async fn register(&mut self, id: &str, node: &Node, name: &str, sql: &str) -> Result<(), PlanError> {
        let frame =
            query::select(&self.context, sql, &[]).await.map_err(|error| node_error(id, node, error))?;
        if self.elsewhere.is_some() {
            return self.write(id, node, name, frame);
        }
        let mark_as = if name == base_table(id) { id } else { name };
        let provider: Arc<dyn TableProvider> = match &mut self.run {
            None => frame.into_view(),
            Some(run) => {
                let frame = if run.readers.unmarked().iter().any(|port| port == name) {
                    frame
                } else {
                    let (state, plan) = frame.into_parts();
                    DataFrame::new(state, mark::marked(plan, mark_as))
                };
                if run.readers.count(name) > 1 {
                    let shared = Arc::new(Shared::new(name, frame, run.shared_bytes));
                    run.shared.push(shared.clone());
                    shared
                } else {
                    frame.into_view()
                }
            }
        };
        let done = self.context.register_table(TableReference::bare(self.table_name(name)), provider);
        done.map(|_| ()).map_err(|error| wrong(id, node, &error))
    }

    /// The table that has the rows of a node or of its part. On its way to a cluster a name with a dot would be read as a schema and a table.
    fn table_name(&self, port: &str) -> String {
        if self.cluster.is_some() { port.replace('.', ":") } else { port.to_owned() }
    }

    /// Tables of the caller that several `source` nodes read are read once, too.
    async fn share_sources(&mut self) -> Result<(), PlanError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        for name in self.flow.sources() {
            let table = input_table(name);
            if run.readers.count(&table) < 2 {
                continue;
            }
            let reference = || TableReference::bare(table.as_str());
            let work = async {
                let frame = self.context.table(reference()).await?;
                let shared = Arc::new(Shared::new(name, frame, run.shared_bytes));
                self.context.deregister_table(reference())?;
                self.context.register_table(reference(), shared.clone())?;
                Ok::<_, datafusion::error::DataFusionError>(shared)
            };
            run.shared.push(work.await.map_err(plan_error)?);
        }
        Ok(())
    }
}

/// The tables that the flow's sources name, under the names that its queries have.
fn wanted(flow: &Flow, tables: &IndexMap<String, TableRef>) -> Result<IndexMap<String, TableRef>, PlanError> {
    let mut wanted = IndexMap::new();
    for (id, node) in &flow.nodes {
        let Some(name) = node.transform.source() else { continue };
        let Some(table) = tables.get(name) else {
            return Err(FlowError::at_node(id, node.kind, unknown_input(name, tables.keys())).into());
        };
        wanted.insert(input_table(name), table.clone());
    }
    Ok(wanted)
}

/// Tells shared nodes which of their columns the outputs, and later shared nodes, read.
fn note_wanted(
    context: &SessionContext,
    frames: &[(&str, DataFrame)],
    shared: &[Arc<Shared>],
) -> datafusion::error::Result<()> {
    let state = context.state();
    shared.iter().for_each(|node| node.nobody_reads());
    for (_, frame) in frames {
        shared::want(&state, frame.logical_plan())?;
    }
    for node in shared.iter().rev() {
        shared::want(&state, &node.plan()?)?;
    }
    Ok(())
}

/// Does what may take seconds without holding up what else this thread would do.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The hidden table from which a node's own parts are selected.
pub(super) fn base_table(id: &str) -> String {
    format!("{id}#base")
}

fn made_table(id: &str) -> String {
    format!("{id}#made")
}

pub(super) fn unknown_input<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Fault {
    let names: Vec<&str> = known.map(String::as_str).collect();
    let hint = match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `{name}` to the step's `inputs:`"),
    };
    Fault::new(format!("there is no input `{name}`")).hinted(hint)
}

pub(super) fn at(id: &str, node: &Node, fault: Fault) -> PlanError {
    FlowError::at_node(id, node.kind, fault).into()
}

pub(super) fn wrong(id: &str, node: &Node, error: &datafusion::error::DataFusionError) -> PlanError {
    at(id, node, Fault::new(words(error)))
}

fn node_error(id: &str, node: &Node, error: QueryError) -> PlanError {
    match error {
        QueryError::Plan { message, position } => {
            // A place in a SELECT that we made is none that a user could look at.
            let within = position.filter(|_| node.transform.is_written_out());
            let within = within.map(|(line, column)| (line, column, 1));
            at(id, node, Fault { within, ..Fault::new(message) })
        }
        other => other.into(),
    }
}
