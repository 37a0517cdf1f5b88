//! A server of MLflow, or one that speaks its protocol, through its REST API.

mod client;
mod records;
mod runs;
mod webhooks;

use std::collections::VecDeque;

use async_trait::async_trait;
use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::registry::ImportedRegistered;
use serde_json::{Value, json};

use crate::ImportError;
use crate::files::{Files, Places};
use crate::record::{self, Broken, EvalDataset, Found, Model, Run, Source, Webhook};
pub use client::Access;
use client::Client;

/// Runs of a page; each of their metrics is a request of its own.
const RUNS: i64 = 100;
/// Requests at once.
const AT_ONCE: usize = 8;

/// Reads a server.
pub(crate) struct ServerSource {
    client: Client,
    places: Places,
    /// Experiments with their numbers.
    experiments: Vec<i64>,
    runs: Pages,
    models: Pages,
    registered: Option<VecDeque<Value>>,
    traces: Pages,
    datasets: Option<VecDeque<Value>>,
    /// What the server does not show to whom asks.
    refused: Vec<String>,
}

/// Where a reader of pages is: an experiment at a time.
#[derive(Default)]
struct Pages {
    experiment: usize,
    token: Option<String>,
}

impl Pages {
    /// The page that comes next: its experiment and its token.
    fn next(&self, experiments: &[i64]) -> Option<(i64, Option<String>)> {
        experiments.get(self.experiment).map(|experiment| (*experiment, self.token.clone()))
    }

    /// Takes note of what a page said of the next one.
    fn turn(&mut self, page: &Value) {
        let token = page.get("next_page_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        self.token = token.map(str::to_owned);
        if self.token.is_none() {
            self.experiment += 1;
        }
    }
}

impl ServerSource {
    pub(crate) fn open(given: &str, places: Places, access: Access) -> Result<Self, ImportError> {
        let client = Client::new(given, access)?;
        let (runs, models, traces) = (Pages::default(), Pages::default(), Pages::default());
        Ok(Self {
            client,
            places,
            experiments: Vec::new(),
            runs,
            models,
            registered: None,
            traces,
            datasets: None,
            refused: Vec::new(),
        })
    }
}

#[async_trait]
impl Source for ServerSource {
    fn identity(&self) -> &str {
        self.client.url()
    }

    async fn experiments(&mut self) -> Result<Found<ExperimentFull>, ImportError> {
        let (mut found, mut token) = (Found::default(), None);
        loop {
            let body = json!({"max_results": 1_000, "view_type": "ALL", "page_token": token});
            let page = self.client.post("2.0/mlflow/experiments/search", &body).await?;
            for one in list(&page, "experiments") {
                found.take(records::experiment(one).map_err(|reason| Broken::new("an experiment", reason)));
            }
            token = page
                .get("next_page_token")
                .and_then(Value::as_str)
                .filter(|token| !token.is_empty())
                .map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        self.experiments = found.records.iter().map(|one: &ExperimentFull| one.id).collect();
        Ok(found)
    }

    async fn next_runs(&mut self) -> Result<Option<Found<Run>>, ImportError> {
        let Some((experiment, token)) = self.runs.next(&self.experiments) else { return Ok(None) };
        let body = json!({
            // The oldest first, so that runs that begin meanwhile come last.
            "experiment_ids": [experiment.to_string()], "run_view_type": "ALL", "max_results": RUNS, "page_token": token,
            "order_by": ["attributes.start_time ASC"],
        });
        let page = self.client.post("2.0/mlflow/runs/search", &body).await?;
        self.runs.turn(&page);
        self.read_runs(&page).await.map(Some)
    }

    async fn next_models(&mut self) -> Result<Option<Found<Model>>, ImportError> {
        let Some((experiment, token)) = self.models.next(&self.experiments) else { return Ok(None) };
        let body =
            json!({"experiment_ids": [experiment.to_string()], "max_results": 50, "page_token": token});
        let Some(page) = self.client.post_if_known("2.0/mlflow/logged-models/search", &body).await? else {
            return Ok(None);
        };
        self.models.turn(&page);
        let mut found = Found::default();
        for one in list(&page, "models") {
            found.take(records::model(one).map_err(|reason| Broken::new("a logged model", reason)));
        }
        Ok(Some(found))
    }

    async fn next_registered(&mut self) -> Result<Option<Found<ImportedRegistered>>, ImportError> {
        if self.registered.is_none() {
            self.registered = Some(self.list_registered().await?);
        }
        let Some(one) = self.registered.as_mut().and_then(VecDeque::pop_front) else { return Ok(None) };
        let mut found = Found::default();
        let model = self.read_registered(&one).await?;
        found.take(model.map_err(|reason| Broken::new("a registered model", reason)));
        Ok(Some(found))
    }

    async fn next_traces(&mut self) -> Result<Option<Found<record::Trace>>, ImportError> {
        let Some((experiment, token)) = self.traces.next(&self.experiments) else { return Ok(None) };
        let location = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment.to_string()}});
        let body = json!({"locations": [location], "max_results": 50, "page_token": token});
        let Some(page) = self.client.post_if_known("3.0/mlflow/traces/search", &body).await? else {
            return Ok(None);
        };
        self.traces.turn(&page);
        self.read_traces(&page).await.map(Some)
    }

    async fn next_datasets(&mut self) -> Result<Option<Found<EvalDataset>>, ImportError> {
        if self.datasets.is_none() {
            self.datasets = Some(self.list_datasets().await?);
        }
        let Some(one) = self.datasets.as_mut().and_then(VecDeque::pop_front) else { return Ok(None) };
        let mut found = Found::default();
        let dataset = self.read_dataset(&one).await?;
        found.take(dataset.map_err(|reason| Broken::new("an evaluation dataset", reason)));
        Ok(Some(found))
    }

    async fn webhooks(&mut self) -> Result<Found<Webhook>, ImportError> {
        self.read_webhooks().await
    }

    fn takes(&self, location: &str) -> bool {
        self.places.reads(location)
    }

    fn files(&self, uri: &str, owner: &str) -> Files {
        match (uri.strip_prefix("mlflow-artifacts:"), &self.places.artifacts) {
            (Some(rest), None) => {
                // `mlflow-artifacts://host/path` names the server itself.
                let path = rest
                    .strip_prefix("//")
                    .map_or(rest, |rest| rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()));
                Files::Served(path.trim_matches('/').to_owned())
            }
            _ => match self.places.find(uri, owner) {
                // The server's own disk, unless this is the same machine.
                Files::Folder(folder) if self.places.artifacts.is_none() && !folder.is_dir() => {
                    Files::Unknown(uri.to_owned())
                }
                files => files,
            },
        }
    }

    async fn list_files(&self, address: &str) -> Result<Vec<(String, u64)>, ImportError> {
        let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let path = if folder.is_empty() { address.to_owned() } else { format!("{address}/{folder}") };
            let page = self.client.get("2.0/mlflow-artifacts/artifacts", &[("path", path.as_str())]).await?;
            for entry in list(&page, "files") {
                let name = entry.get("path").and_then(Value::as_str).unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or_default();
                if matches!(name, "" | "." | "..") {
                    continue;
                }
                let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                if entry.get("is_dir").and_then(Value::as_bool).unwrap_or_default() {
                    folders.push(path);
                } else {
                    let size = records::int(entry, "file_size").unwrap_or(0);
                    files.push((path, u64::try_from(size).unwrap_or(0)));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    async fn read_file(&self, address: &str, path: &str) -> Result<reqwest::Response, ImportError> {
        self.client.file(&format!("{address}/{path}")).await
    }

    async fn left_out(&mut self) -> Result<Vec<String>, ImportError> {
        let deleted = "deleted logged models and deleted model versions: a server does not tell of them";
        Ok(std::iter::once(deleted.to_owned()).chain(std::mem::take(&mut self.refused)).collect())
    }
}

/// The list in a field; empty if there is none.
pub(super) fn list<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
