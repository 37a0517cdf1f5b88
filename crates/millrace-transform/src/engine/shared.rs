//! A node of a flow that several others read: its rows are produced once, kept in memory or, beyond a limit, in a file of Arrow's stream
//! format below the spill folder, and read from there as often as they are wanted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType, ident};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;

/// Rows that are produced at the first read.
pub(crate) struct Shared {
    rows: Arc<Rows>,
}

struct Rows {
    node: String,
    schema: SchemaRef,
    frame: DataFrame,
    /// Bytes in memory, beyond which the rows go into a file.
    memory_bytes: usize,
    /// Columns that anybody reads; all until somebody has asked who reads what.
    wanted: Mutex<Option<BTreeSet<usize>>>,
    kept: OnceCell<Result<Arc<Kept>, Arc<DataFusionError>>>,
}

/// Rows that were produced, and the plan that did it.
struct Kept {
    columns: Vec<usize>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    file: Option<Arc<dyn SpillFile>>,
    plan: Arc<dyn ExecutionPlan>,
    /// Held as long as the batches are.
    _memory: MemoryReservation,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("node", &self.rows.node).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Shared {
    /// The rows of `frame`, produced when they are first read.
    pub(crate) fn new(node: &str, frame: DataFrame, memory_bytes: usize) -> Self {
        let rows = Rows {
            node: node.to_owned(),
            schema: Arc::new(frame.schema().as_arrow().clone()),
            frame,
            memory_bytes,
            wanted: Mutex::new(None),
            kept: OnceCell::new(),
        };
        Self { rows: Arc::new(rows) }
    }

    /// Forgets who reads what; [`want`] then says it anew. Of no effect on rows that are there already.
    pub(crate) fn nobody_reads(&self) {
        *self.rows.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeSet::new());
    }

    /// The plan that will produce the rows, with the columns that are wanted.
    pub(crate) fn plan(&self) -> Result<LogicalPlan> {
        Ok(self.rows.narrowed(&self.rows.columns())?.into_unoptimized_plan())
    }

    /// The plan with all columns, whoever reads them.
    pub(crate) fn whole_plan(&self) -> &LogicalPlan {
        self.rows.frame.logical_plan()
    }

    /// The plan that produced the rows; `None` if nobody has read them.
    pub(crate) fn produced_by(&self) -> Option<Arc<dyn ExecutionPlan>> {
        let kept = self.rows.kept.get()?.as_ref().ok()?;
        Some(kept.plan.clone())
    }
}

/// Notes which columns of shared nodes a plan reads.
pub(crate) fn want(state: &SessionState, plan: &LogicalPlan) -> Result<()> {
    let optimized = state.optimize(plan)?;
    optimized.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(shared) = provider.downcast_ref::<Shared>()
        {
            let all = || (0..shared.rows.schema.fields().len()).collect();
            let columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
            let mut wanted = shared.rows.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.get_or_insert_with(BTreeSet::new).extend(columns);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

impl Rows {
    fn columns(&self) -> Vec<usize> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let all = || (0..self.schema.fields().len()).collect();
        match &*wanted {
            // A count of rows reads no column; a table without columns is more trouble than one column too many.
            Some(columns) if columns.is_empty() => vec![0],
            Some(columns) => columns.iter().copied().collect(),
            None => all(),
        }
    }

    fn narrowed(&self, columns: &[usize]) -> Result<DataFrame> {
        if columns.len() == self.schema.fields().len() {
            return Ok(self.frame.clone());
        }
        let names = columns.iter().filter_map(|at| self.schema.fields().get(*at));
        self.frame.clone().select(names.map(|field| ident(field.name())).collect::<Vec<_>>())
    }

    async fn kept(&self) -> Result<Arc<Kept>> {
        let made = self.kept.get_or_init(|| async { self.produce().await.map(Arc::new).map_err(Arc::new) });
        made.await.clone().map_err(DataFusionError::Shared)
    }

    async fn produce(&self) -> Result<Kept> {
        let columns = self.columns();
        let frame = self.narrowed(&columns)?;
        let schema = Arc::new(self.schema.project(&columns)?);
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let mut stream = execute_stream(plan.clone(), context.clone())?;
        let memory = MemoryConsumer::new(format!("rows of `{}`", self.node))
            .with_can_spill(true)
            .register(context.memory_pool());
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut file: Option<Spill> = None;
        while let Some(batch) = stream.next().await {
            let batch = with_schema(&batch?, &schema)?;
            let size = batch.get_array_memory_size();
            let too_large = memory.size() + size > self.memory_bytes || memory.try_grow(size).is_err();
            file = match (file.take(), too_large) {
                (Some(open), _) => Some(open.write(vec![batch]).await?),
                (None, true) => {
                    let mut all = std::mem::take(&mut batches);
                    all.push(batch);
                    Some(Spill::new(&context, &self.node, &schema)?.write(all).await?)
                }
                (None, false) => {
                    batches.push(batch);
                    None
                }
            };
            if file.is_some() {
                memory.free();
            }
        }
        let file = match file {
            Some(open) => Some(open.finish().await?),
            None => None,
        };
        Ok(Kept { columns, schema, batches, file, plan, _memory: memory })
    }
}

/// The same columns under the declared schema: a plan may know better than its description that there are no nulls.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(column.clone())
        } else {
            arrow::compute::cast(column, field.data_type())
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// A file that rows are written to, on threads that may block; it goes with the last who holds it.
struct Spill {
    writer: StreamWriter<Box<dyn SpillWriter>>,
    file: Arc<dyn SpillFile>,
}

impl Spill {
    fn new(context: &TaskContext, node: &str, schema: &SchemaRef) -> Result<Self> {
        let file = context.runtime_env().disk_manager.create_tmp_file(&format!("keeping `{node}`"))?;
        let writer = StreamWriter::try_new(file.open_writer()?, schema)?;
        Ok(Self { writer, file })
    }

    async fn write(mut self, batches: Vec<RecordBatch>) -> Result<Self> {
        blocking(move || {
            for batch in &batches {
                self.writer.write(batch)?;
            }
            Ok(self)
        })
        .await
    }

    async fn finish(mut self) -> Result<Arc<dyn SpillFile>> {
        blocking(move || {
            self.writer.finish()?;
            self.writer.get_mut().finish()?;
            Ok(self.file)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DataFusionError::Execution(error.to_string()))?
}

#[async_trait]
impl TableProvider for Shared {
    fn schema(&self) -> SchemaRef {
        self.rows.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.rows.schema.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.rows.schema.project(&columns)?);
        let reader = Reader { rows: self.rows.clone(), columns, schema: schema.clone() };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(reader)], None, [], false, limit)?))
    }
}

/// Reads the kept rows once.
#[derive(Debug)]
struct Reader {
    rows: Arc<Rows>,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (rows, columns, schema) = (self.rows.clone(), self.columns.clone(), self.schema.clone());
        let stream = async move {
            let kept = rows.kept().await?;
            let places = columns.iter().map(|column| kept.columns.iter().position(|at| at == column));
            let Some(places) = places.collect::<Option<Vec<usize>>>() else {
                return Err(DataFusionError::Internal(format!("a column of `{}` was not kept", rows.node)));
            };
            Ok(kept.read().map(move |batch| Ok(batch?.project(&places)?)))
        };
        let stream = futures::stream::once(stream).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, stream))
    }
}

impl Kept {
    fn read(self: &Arc<Self>) -> SendableRecordBatchStream {
        let kept = self.clone();
        if self.file.is_none() {
            let count = kept.batches.len();
            let batches = (0..count).filter_map(move |at| kept.batches.get(at).cloned().map(Ok));
            return Box::pin(RecordBatchStreamAdapter::new(
                self.schema.clone(),
                futures::stream::iter(batches),
            ));
        }
        let mut builder = RecordBatchReceiverStream::builder(self.schema.clone(), 2);
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            let Some(path) = kept.file.as_ref().and_then(|file| file.path()) else { return Ok(()) };
            let file = fs_err::File::open(path)?;
            for batch in StreamReader::try_new_buffered(file, None)? {
                // Nobody who reads is left: a limit, or the end of the step.
                if sender.blocking_send(batch.map_err(DataFusionError::from)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}
