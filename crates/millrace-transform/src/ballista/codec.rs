//! How the parts of a plan travel that are our own: functions with settings, and rows that a node of a flow made.
//!
//! Functions without settings travel by their names; every node has the same ones.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::engine::yielding::YieldExec;
use crate::functions::ParseText;

/// Logical plans, from the client to the scheduler.
#[derive(Debug, Default)]
pub(super) struct LogicalCodec(BallistaLogicalExtensionCodec);

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        self.0.try_decode(buf, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        _: &TableReference,
        _: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let (schema, rows) = read(buf)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![rows])?))
    }

    fn try_encode_table_provider(
        &self,
        name: &TableReference,
        table: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(made) = table.downcast_ref::<MemTable>() else {
            let message = format!("the table `{name}` can only be read where it was opened");
            return Err(DataFusionError::NotImplemented(message));
        };
        let mut rows = Vec::new();
        for part in &made.batches {
            let held = part.try_read();
            let held = held.map_err(|error| DataFusionError::Execution(error.to_string()))?;
            rows.extend(held.iter().cloned());
        }
        write(&made.schema(), &rows, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.0.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, format: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.0.try_encode_file_format(buf, format)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        read_function(name, buf)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        write_function(function, buf)
    }
}

/// All there is to say of a [`YieldExec`]; none of Ballista's own nodes begins like this.
const YIELD: &[u8] = b"\xffmillrace:yield";

/// Stages, from the scheduler to the executors.
#[derive(Debug, Default)]
pub(super) struct PhysicalCodec(BallistaPhysicalExtensionCodec);

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match inputs {
            [input] if buf == YIELD => Ok(YieldExec::over(input.clone())),
            _ => self.0.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if node.is::<YieldExec>() {
            buf.extend_from_slice(YIELD);
            return Ok(());
        }
        self.0.try_encode(node, buf, converter)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        read_function(name, buf)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        write_function(function, buf)
    }
}

/// Where a function's settings stand in the schema that says what it makes.
const SETTINGS: &str = "settings";

/// A function whose settings are part of it; of others nothing is written, and they are found by their names.
fn write_function(function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
    let Some(parse) = function.inner().downcast_ref::<ParseText>() else { return Ok(()) };
    let field = Field::new("into", parse.into().clone(), true);
    let settings = HashMap::from([(SETTINGS.to_owned(), parse.settings()?)]);
    write(&Arc::new(Schema::new_with_metadata(vec![field], settings)), &[], buf)
}

fn read_function(name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
    let (schema, _) = read(buf)?;
    let into = schema.fields().first().map(|field| field.data_type().clone());
    let settings = schema.metadata().get(SETTINGS);
    let read = into.zip(settings);
    let read = read.and_then(|(into, settings)| ParseText::with_settings(name.to_owned(), into, settings));
    let read =
        read.ok_or_else(|| DataFusionError::Internal(format!("the settings of `{name}` cannot be read")))?;
    Ok(Arc::new(ScalarUDF::new_from_impl(read)))
}

fn write(schema: &SchemaRef, rows: &[RecordBatch], buf: &mut Vec<u8>) -> Result<()> {
    let mut writer = StreamWriter::try_new(buf, schema)?;
    for batch in rows {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(())
}

fn read(buf: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let reader = StreamReader::try_new(Cursor::new(buf), None)?;
    let schema = reader.schema();
    Ok((schema, reader.collect::<std::result::Result<_, _>>()?))
}
