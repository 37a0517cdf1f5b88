//! JSON lines; types are inferred from the first rows of each file.

use std::io::BufReader;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;
use arrow::record_batch::RecordBatch;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Encoder, Failure, FileFormat, Opening, Out};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Job, Reader};

const SAMPLE_ROWS: usize = 10_000;

/// Reads and writes files with one JSON object a line.
#[derive(Debug, Deserialize, JsonSchema)]
struct JsonlDoc {}

/// The format `jsonl`.
pub(crate) struct Jsonl;

impl FileFormat for Jsonl {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/events.jsonl, to: \"data:events\"}\n";
        KindDoc::of::<JsonlDoc>(KindFamily::Connector, "jsonl", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl", "json", "ndjson"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(JsonReader::open(opening)?))
    }

    fn encoder(&self, out: Box<dyn Out>, _: &SchemaRef, _: &CopyConfig) -> Result<Box<dyn Encoder>, Failure> {
        Ok(Box::new(JsonEncoder(arrow::json::LineDelimitedWriter::new(out))))
    }
}

struct JsonEncoder(arrow::json::LineDelimitedWriter<Box<dyn Out>>);

impl Encoder for JsonEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        self.0.finish()?;
        Ok(self.0.into_inner())
    }
}

type Batches = arrow::json::Reader<BufReader<Box<dyn std::io::Read + Send>>>;

struct JsonReader {
    files: std::vec::IntoIter<SourceFile>,
    meter: Arc<Meter>,
    schema: SchemaRef,
    open: Option<(String, Batches)>,
}

impl JsonReader {
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let Opening { files, meter, .. } = opening;
        let mut schemas = Vec::new();
        for file in &files {
            let sample = BufReader::new(file.open(&Arc::new(Meter::new(1)))?);
            let (schema, _) = infer_json_schema(sample, Some(SAMPLE_ROWS))
                .map_err(|error| CopyError::read(&file.name, &error))?;
            schemas.push(schema);
        }
        let schema = Schema::try_merge(schemas).map_err(|error| CopyError::read("the source", &error))?;
        Ok(Self { files: files.into_iter(), meter, schema: Arc::new(schema), open: None })
    }
}

impl Reader for JsonReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some((name, batches)) = &mut self.open
                && let Some(batch) = batches.next()
            {
                let batch = batch.map_err(|error| CopyError::read(name.as_str(), &error))?;
                return Ok(Some(Box::new(move |emit| emit(batch.into()))));
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            let batches = ReaderBuilder::new(self.schema.clone())
                .with_batch_size(BATCH_ROWS)
                .build(BufReader::new(file.open(&self.meter)?))
                .map_err(|error| CopyError::read(&file.name, &error))?;
            self.open = Some((file.name, batches));
        }
    }
}
