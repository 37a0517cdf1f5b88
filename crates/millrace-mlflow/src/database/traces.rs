//! Traces with their spans, assessments and links.

use std::collections::HashMap;

use millrace_metastore::traces::{PROMPT_LINK, RUN_LINK, Trace, TraceRow};
use millrace_metastore::{MetastoreError, Row};
use millrace_tracking::traces::{Span, json_text};
use serde_json::{Map, Value, json};

use super::{DatabaseSource, failed, pairs, some_text, text_of};
use crate::ImportError;
use crate::assessment::{self, shown_time};
use crate::digest::LOCATION_TAG;
use crate::files::Files;
use crate::folder::SPANS;
use crate::record::{Broken, Found};
use crate::{record, span, trace};

const WHAT: &str = "traces";
/// Traces that are read together: one may have thousands of spans.
const TOGETHER: usize = 20;

/// Metadata that MLflow 3.17 and later keep in columns: its name, and each part with its column.
const COUNTED: (&str, [(&str, &str); 6]) = (
    "mlflow.trace.tokenUsage",
    [
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("total_tokens", "total_tokens"),
        ("cache_read_input_tokens", "cache_read_input_tokens"),
        ("cache_creation_input_tokens", "cache_creation_input_tokens"),
        ("cache_creation_input_tokens_above_1hr", "cache_creation_input_tokens_above_1hr"),
    ],
);
const PRICED: (&str, [&str; 3]) = ("mlflow.trace.cost", ["input_cost", "output_cost", "total_cost"]);
const SESSION: &str = "mlflow.trace.session";

impl DatabaseSource {
    pub(super) async fn read_traces(&mut self) -> Result<Option<Found<record::Trace>>, ImportError> {
        let Some(after) = self.traces.take().filter(|_| self.has("trace_info")) else { return Ok(None) };
        let texts = [
            "request_id",
            "status",
            "client_request_id",
            "request_preview",
            "response_preview",
            "trace_name",
            "session_id",
        ];
        let mut ints = vec!["experiment_id", "timestamp_ms", "execution_time_ms"];
        ints.extend(COUNTED.1.iter().map(|(_, column)| *column));
        let mut select = self.select("trace_info", &texts, &ints);
        let costs: Vec<String> =
            PRICED.1.iter().map(|column| self.cast("trace_info", column, "DOUBLE PRECISION")).collect();
        select = select.replacen("SELECT ", &format!("SELECT {}, ", costs.join(", ")), 1);
        let sql = format!(
            "{select} WHERE trace_info.request_id > $1 ORDER BY trace_info.request_id LIMIT {TOGETHER}"
        );
        let rows = self.fetch(WHAT, &sql, &[after.into()]).await?;
        let mut traces: Vec<Trace> =
            rows.iter().map(read_trace).collect::<Result<_, MetastoreError>>().map_err(failed(WHAT))?;
        let Some(last) = traces.last() else { return Ok(None) };
        self.traces = Some(last.row.id.clone());
        let ids: Vec<String> = traces.iter().map(|trace| trace.row.id.clone()).collect();
        let text = |table: &str| format!("SELECT request_id AS owner, key, value FROM {table}");
        let mut tags = self.of(WHAT, &text("trace_tags"), "request_id", &ids).await?;
        let mut metadata = self.of(WHAT, &text("trace_request_metadata"), "request_id", &ids).await?;
        let mut assessments = self.read_assessments(&ids).await?;
        let mut spans = self.read_spans(&ids).await?;
        let mut links = self.read_trace_links(&ids).await?;
        let mut found = Found::default();
        for trace in &mut traces {
            let id = trace.row.id.clone();
            trace.tags = pairs(tags.remove(&id), ("key", "value")).map_err(failed(WHAT))?;
            // What is in columns goes before what an older version left in rows.
            let rows = pairs(metadata.remove(&id), ("key", "value")).map_err(failed(WHAT))?;
            let in_columns: Vec<String> = trace.metadata.iter().map(|(key, _)| key.clone()).collect();
            trace.metadata.extend(rows.into_iter().filter(|(key, _)| !in_columns.contains(key)));
            for read in assessments.remove(&id).unwrap_or_default() {
                match read {
                    Ok(row) => trace.assessments.push(row),
                    Err(reason) => {
                        found.broken.push(Broken::new(format!("an assessment of trace {id}"), reason))
                    }
                }
            }
            let read = match spans.remove(&id) {
                Some(spans) => spans,
                None => self.spans_of_file(trace),
            };
            let spans = read.unwrap_or_else(|reason| {
                found.broken.push(Broken::new(format!("spans of trace {id}"), reason));
                Vec::new()
            });
            let links = links.remove(&id).unwrap_or_default();
            found.records.push(trace::imported(std::mem::take(trace), spans, links));
        }
        Ok(Some(found))
    }

    /// Spans of a trace that are in a file: before MLflow 3.4 all were.
    fn spans_of_file(&self, trace: &Trace) -> Result<Vec<Span>, String> {
        let location = trace.tags.iter().find(|(name, _)| name == LOCATION_TAG).map(|(_, uri)| uri.as_str());
        let folder = match location.map(|uri| self.places.find(uri, &trace.row.id)) {
            None => return Ok(Vec::new()),
            Some(Files::Folder(folder)) => folder,
            Some(Files::Served(uri) | Files::Elsewhere(uri) | Files::Unknown(uri)) => {
                return Err(format!(
                    "they are at {uri}, which cannot be found from here; say where with `--artifacts DIR`"
                ));
            }
        };
        match tokio::task::block_in_place(|| fs_err::read(folder.join(SPANS))) {
            Ok(bytes) => trace::read_file(&bytes),
            // A trace that has not ended has none.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn read_spans(
        &self,
        ids: &[String],
    ) -> Result<HashMap<String, Result<Vec<Span>, String>>, ImportError> {
        let mut found = HashMap::new();
        if !self.has("spans") {
            return Ok(found);
        }
        let sql = "SELECT trace_id AS owner, content FROM spans";
        for (id, rows) in self.of("spans", sql, "trace_id", ids).await? {
            let read = |row: &Row| -> Result<Span, String> {
                let content = text_of(row, "content").map_err(|error| error.to_string())?;
                span::read(
                    &serde_json::from_str(&content).map_err(|error| format!("it is not JSON: {error}"))?,
                )
            };
            found.insert(id, rows.iter().map(read).collect());
        }
        Ok(found)
    }

    async fn read_assessments(
        &self,
        ids: &[String],
    ) -> Result<HashMap<String, Vec<Result<millrace_metastore::traces::AssessmentRow, String>>>, ImportError>
    {
        let mut found = HashMap::new();
        if !self.has("assessments") {
            return Ok(found);
        }
        let texts = [
            "assessment_id",
            "name",
            "assessment_type",
            "value",
            "error",
            "source_type",
            "source_id",
            "span_id",
            "rationale",
            "overrides",
            "assessment_metadata",
        ];
        let select = self.select("assessments", &texts, &["created_timestamp", "last_updated_timestamp"]);
        let valid = "CAST(CASE WHEN assessments.valid THEN 1 ELSE 0 END AS BIGINT) AS valid";
        let select =
            select.replacen("SELECT ", &format!("SELECT assessments.trace_id AS owner, {valid}, "), 1);
        for (id, rows) in self.of("assessments", &select, "assessments.trace_id", ids).await? {
            let read = |row: &Row| {
                let message = message(row).map_err(|error| error.to_string())?;
                assessment::read(&message, &id)
            };
            let rows = rows.iter().map(read).collect();
            found.insert(id, rows);
        }
        Ok(found)
    }

    async fn read_trace_links(
        &self,
        ids: &[String],
    ) -> Result<HashMap<String, Vec<(String, String)>>, ImportError> {
        let mut found = HashMap::new();
        if !self.has("entity_associations") {
            return Ok(found);
        }
        let sql = "SELECT source_id AS owner, destination_type, destination_id FROM entity_associations";
        let column = "source_type = 'trace' AND destination_type IN ('run', 'prompt_version') AND source_id";
        for (id, rows) in self.of(WHAT, sql, column, ids).await? {
            let link = |row: &Row| {
                let kind = if row.text("destination_type")? == "run" { RUN_LINK } else { PROMPT_LINK };
                Ok((kind.to_owned(), row.text("destination_id")?))
            };
            let links = rows.iter().map(link).collect::<Result<_, MetastoreError>>();
            found.insert(id, links.map_err(failed(WHAT))?);
        }
        Ok(found)
    }
}

fn read_trace(row: &Row) -> Result<Trace, MetastoreError> {
    let mut metadata: Vec<(String, String)> = Vec::new();
    metadata.extend(some_text(row, "session_id")?.map(|session| (SESSION.to_owned(), session)));
    let mut counted = Map::new();
    for (name, column) in COUNTED.1 {
        counted.extend(row.opt_int(column)?.map(|count| (name.to_owned(), json!(count))));
    }
    let mut priced = Map::new();
    for name in PRICED.1 {
        priced.extend(row.opt_real(name)?.map(|cost| (name.to_owned(), json!(cost))));
    }
    for (name, parts) in [(COUNTED.0, counted), (PRICED.0, priced)] {
        if !parts.is_empty() {
            metadata.push((name.to_owned(), json_text(&Value::Object(parts))));
        }
    }
    let row = TraceRow {
        id: row.text("request_id")?,
        experiment_id: row.int("experiment_id")?,
        name: some_text(row, "trace_name")?,
        state: trace::state(&text_of(row, "status")?).to_owned(),
        requested_at_ms: row.int("timestamp_ms")?,
        duration_ms: row.opt_int("execution_time_ms")?,
        client_request_id: some_text(row, "client_request_id")?,
        request_preview: some_text(row, "request_preview")?,
        response_preview: some_text(row, "response_preview")?,
    };
    Ok(Trace { row, metadata, ..Trace::default() })
}

/// An assessment as MLflow's message.
fn message(row: &Row) -> Result<Value, MetastoreError> {
    let value: Value = serde_json::from_str(&text_of(row, "value")?).unwrap_or_default();
    let kind = text_of(row, "assessment_type")?;
    let mut told = Map::new();
    match (&value, kind.as_str()) {
        (Value::Object(issue), "issue") => told = issue.clone(),
        (Value::Object(_) | Value::Array(_), "expectation") => {
            let serialized = json!({"serialization_format": "JSON_FORMAT", "value": json_text(&value)});
            told.insert("serialized_value".to_owned(), serialized);
        }
        _ => drop(told.insert("value".to_owned(), value)),
    }
    let error = some_text(row, "error")?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    told.extend(error.filter(Value::is_object).map(|error| ("error".to_owned(), error)));
    let mut message = json!({
        "assessment_id": text_of(row, "assessment_id")?,
        "assessment_name": text_of(row, "name")?,
        "create_time": shown_time(row.int("created_timestamp")?),
        "last_update_time": shown_time(row.int("last_updated_timestamp")?),
        "source": {"source_type": text_of(row, "source_type")?, "source_id": text_of(row, "source_id")?},
        "valid": row.bool("valid")?,
        kind: told,
    });
    let metadata =
        some_text(row, "assessment_metadata")?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    if let Some(message) = message.as_object_mut() {
        message.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
        for name in ["span_id", "rationale", "overrides"] {
            message.extend(some_text(row, name)?.map(|text| (name.to_owned(), json!(text))));
        }
    }
    Ok(message)
}
