//! What takes more than one request: runs with their histories, registered models, traces, evaluation datasets.

use std::collections::{BTreeMap, VecDeque};

use futures::{StreamExt as _, TryStreamExt as _};
use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow};
use millrace_metastore::experiments::MetricRow;
use millrace_metastore::registry::ImportedRegistered;
use millrace_metastore::traces::{Trace, TraceRow};
use serde_json::{Map, Value, json};

use super::records::{int, pairs, point, some, text};
use super::{AT_ONCE, ServerSource, list, records};
use crate::digest::sorted;
use crate::record::{Broken, EvalDataset, Found, Run, clean, settle};
use crate::{ImportError, assessment, record, trace};

/// Points of a page of a history.
const POINTS: &str = "25000";
const IS_PROMPT: &str = "tags.`mlflow.prompt.is_prompt` = 'true'";

impl ServerSource {
    pub(super) async fn read_runs(&self, page: &Value) -> Result<Found<Run>, ImportError> {
        let mut found = Found::default();
        for one in list(page, "runs") {
            let Ok(mut run) =
                records::run(one).map_err(|reason| found.broken.push(Broken::new("a run", reason)))
            else {
                continue;
            };
            let data = one.get("data").unwrap_or(&Value::Null);
            let names: Vec<String> = list(data, "metrics").iter().map(|metric| text(metric, "key")).collect();
            let id = run.run.row.id.clone();
            let histories = futures::stream::iter(names).map(|name| self.history(&id, name));
            let histories: Vec<Vec<MetricRow>> = histories.buffered(AT_ONCE).try_collect().await?;
            run.run.points = histories.into_iter().flatten().collect();
            settle(&mut run.run);
            found.records.push(run);
        }
        Ok(found)
    }

    async fn history(&self, run: &str, name: String) -> Result<Vec<MetricRow>, ImportError> {
        let (mut points, mut token) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("run_id", run), ("metric_key", name.as_str()), ("max_results", POINTS)];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page = self.client.get("2.0/mlflow/metrics/get-history", &query).await?;
            points.extend(list(&page, "metrics").iter().filter_map(point));
            let next = text(&page, "next_page_token");
            if next.is_empty() {
                return Ok(points);
            }
            token = next;
        }
    }

    /// Registered models, and prompts, which are only found by their tag.
    pub(super) async fn list_registered(&self) -> Result<VecDeque<Value>, ImportError> {
        let mut found = BTreeMap::new();
        for filter in ["", IS_PROMPT] {
            let mut token = String::new();
            loop {
                let query = [("filter", filter), ("max_results", "1000"), ("page_token", token.as_str())];
                let query: Vec<(&str, &str)> =
                    query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
                let page = self.client.get("2.0/mlflow/registered-models/search", &query).await?;
                found.extend(
                    list(&page, "registered_models").iter().map(|one| (text(one, "name"), one.clone())),
                );
                token = text(&page, "next_page_token");
                if token.is_empty() {
                    break;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    pub(super) async fn read_registered(
        &self,
        message: &Value,
    ) -> Result<Result<ImportedRegistered, String>, ImportError> {
        let mut row = match records::registered(message) {
            Ok(row) => row,
            Err(reason) => return Ok(Err(reason)),
        };
        // A search tells no aliases before MLflow 2.10 or so.
        if let Some(whole) =
            self.client.get_if_known("api/2.0/mlflow/registered-models/get", &[("name", &row.name)]).await?
            && let Some(Ok(whole)) = whole.get("registered_model").map(records::registered)
        {
            row.aliases = whole.aliases;
        }
        let quote = if row.name.contains('\'') { '"' } else { '\'' };
        let mut filter = format!("name = {quote}{}{quote}", row.name);
        if row.is_prompt() {
            filter.push_str(&format!(" AND {IS_PROMPT}"));
        }
        let (mut versions, mut token) = (Vec::new(), String::new());
        loop {
            let query =
                [("filter", filter.as_str()), ("max_results", "1000"), ("page_token", token.as_str())];
            let query: Vec<(&str, &str)> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            let page = self.client.get("2.0/mlflow/model-versions/search", &query).await?;
            for one in list(&page, "model_versions") {
                let number = int(one, "version").unwrap_or(0).to_string();
                let query = [("name", row.name.as_str()), ("version", number.as_str())];
                let told = self
                    .client
                    .get_if_known("api/2.0/mlflow/model-versions/get-download-uri", &query)
                    .await?;
                let location = told.as_ref().and_then(|told| some(told, "artifact_uri"));
                match records::version(one, location) {
                    Ok(version) => versions.push((version, None)),
                    Err(reason) => return Ok(Err(format!("{reason} (`{}`)", row.name))),
                }
            }
            token = text(&page, "next_page_token");
            if token.is_empty() {
                break;
            }
        }
        versions
            .sort_by_key(|(version, _): &(millrace_metastore::registry::ModelVersionRow, _)| version.version);
        Ok(Ok(ImportedRegistered { row, versions }))
    }

    pub(super) async fn read_traces(&self, page: &Value) -> Result<Found<record::Trace>, ImportError> {
        let mut found = Found::default();
        for one in list(page, "traces") {
            let Some(mut trace) = info(one) else {
                found.broken.push(Broken::new(
                    format!("trace {}", text(one, "trace_id")),
                    "it has no time or experiment",
                ));
                continue;
            };
            let id = trace.row.id.clone();
            for message in list(one, "assessments") {
                match assessment::read(message, &id) {
                    Ok(row) => trace.assessments.push(row),
                    Err(reason) => {
                        found.broken.push(Broken::new(format!("an assessment of trace {id}"), reason))
                    }
                }
            }
            // Both MLflow's server and ours answer this wherever the spans lie.
            let file = self
                .client
                .get_if_known("ajax-api/2.0/mlflow/get-trace-artifact", &[("request_id", &id)])
                .await;
            let spans = match file {
                Ok(Some(file)) => trace::spans_in(&file),
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error.to_string()),
            };
            let spans = spans.unwrap_or_else(|reason| {
                found.broken.push(Broken::new(format!("spans of trace {id}"), reason));
                Vec::new()
            });
            found.records.push(trace::imported(trace, spans, Vec::new()));
        }
        Ok(found)
    }

    pub(super) async fn list_datasets(&self) -> Result<VecDeque<Value>, ImportError> {
        let (mut found, mut token) = (BTreeMap::new(), None::<String>);
        let experiments: Vec<String> = self.experiments.iter().map(ToString::to_string).collect();
        loop {
            let body = json!({"experiment_ids": experiments, "max_results": 1_000, "page_token": token});
            let Some(page) = self.client.post_if_known("3.0/mlflow/datasets/search", &body).await? else {
                break;
            };
            found.extend(list(&page, "datasets").iter().map(|one| (text(one, "dataset_id"), one.clone())));
            token = some(&page, "next_page_token");
            if token.is_none() {
                break;
            }
        }
        Ok(found.into_values().collect())
    }

    pub(super) async fn read_dataset(
        &self,
        message: &Value,
    ) -> Result<Result<EvalDataset, String>, ImportError> {
        let Some(id) = some(message, "dataset_id") else {
            return Ok(Err("it has no `dataset_id`".to_owned()));
        };
        let created_at_ms = int(message, "created_time").unwrap_or(0);
        let tags: Map<String, Value> = serde_json::from_str(&text(message, "tags")).unwrap_or_default();
        let tag = |(key, value): (String, Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key, value)
        };
        let path = format!("api/3.0/mlflow/datasets/{id}/experiment-ids");
        let told = self.client.get_if_known(&path, &[]).await?.unwrap_or_default();
        let experiments = list(&told, "experiment_ids").iter().chain(list(message, "experiment_ids"));
        let mut experiments: Vec<i64> = experiments.filter_map(|id| id.as_str()?.parse().ok()).collect();
        experiments.sort_unstable();
        experiments.dedup();
        let row = EvalDatasetRow {
            name: text(message, "name"),
            digest: text(message, "digest"),
            fields: some(message, "schema"),
            created_at_ms,
            updated_at_ms: int(message, "last_update_time").unwrap_or(created_at_ms),
            created_by: some(message, "created_by"),
            updated_by: some(message, "last_updated_by"),
            tags: tags.into_iter().map(tag).collect(),
            experiments,
            records: 0,
            id,
        };
        let (mut records, mut token) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("max_results", "1000")];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let path = format!("api/3.0/mlflow/datasets/{}/records", row.id);
            let Some(page) = self.client.get_if_known(&path, &query).await? else { break };
            let page_records: Vec<Value> = serde_json::from_str(&text(&page, "records")).unwrap_or_default();
            records.extend(page_records.iter().map(record));
            let next = text(&page, "next_page_token");
            if next.is_empty() {
                break;
            }
            token = next;
        }
        Ok(Ok((row, records)))
    }
}

fn info(message: &Value) -> Option<Trace> {
    let location = message.get("trace_location")?.get("mlflow_experiment")?;
    let duration = some(message, "execution_duration").and_then(|text| milliseconds(&text));
    let row = TraceRow {
        id: some(message, "trace_id")?,
        experiment_id: int(location, "experiment_id")?,
        name: None,
        state: trace::state(&text(message, "state")).to_owned(),
        requested_at_ms: some(message, "request_time").and_then(|text| assessment::time(&text))?,
        duration_ms: duration.or_else(|| int(message, "execution_duration_ms")),
        client_request_id: some(message, "client_request_id"),
        request_preview: some(message, "request_preview"),
        response_preview: some(message, "response_preview"),
    };
    Some(Trace {
        row,
        tags: map(message, "tags"),
        metadata: map(message, "trace_metadata"),
        assessments: Vec::new(),
    })
}

/// Of a text such as `0.250s`.
fn milliseconds(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('s')?;
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    seconds.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(fraction.parse().ok()?)
}

/// A map of texts; some servers send a list of pairs.
fn map(message: &Value, name: &str) -> Vec<(String, String)> {
    match message.get(name).and_then(Value::as_object) {
        Some(fields) => fields
            .iter()
            .map(|(key, value)| (clean(key.clone()), clean(value.as_str().unwrap_or_default().to_owned())))
            .collect(),
        None => pairs(message, name),
    }
}

fn record(message: &Value) -> EvalRecordRow {
    let mut document: Map<String, Value> = message.as_object().cloned().unwrap_or_default();
    document.retain(|name, value| {
        let own = ["dataset_id", "dataset_record_id", "created_time", "last_update_time"];
        !own.contains(&name.as_str()) && !value.is_null()
    });
    let inputs = document.get("inputs").cloned().unwrap_or_else(|| json!({}));
    let created_at_ms = int(message, "created_time").unwrap_or(0);
    EvalRecordRow {
        id: text(message, "dataset_record_id"),
        inputs_digest: blake3::hash(sorted(&inputs).to_string().as_bytes()).to_hex().to_string(),
        document: clean(Value::Object(document).to_string()),
        created_at_ms,
        updated_at_ms: int(message, "last_update_time").unwrap_or(created_at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_are_read() {
        let read: Vec<_> = ["0.250s", "1s", "12.5s", "0.0015s", "x"].into_iter().map(milliseconds).collect();
        assert_eq!(read, [Some(250), Some(1_000), Some(12_500), Some(1), None]);
    }
}
