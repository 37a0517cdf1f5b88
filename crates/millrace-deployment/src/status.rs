//! What the pages show of endpoints: plain values.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use millrace_contract::{ModelSignature, Signal, SignalSink};
use serde_json::{Map, Value, json};

use crate::endpoint::{Deployment, Endpoint, State};
use crate::stats::{Counts, TrafficPoint};

/// A model version behind an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentStatus {
    /// Name.
    pub name: String,
    /// Registered model, or the URI of one without a name.
    pub model: String,
    /// Its version; 0 for a model without a name.
    pub version: u64,
    /// Per cent of the requests.
    pub traffic: u32,
    /// `ready`, `loading` or `failed`.
    pub status: &'static str,
    /// Why it failed, or why it still serves an older version.
    pub reason: Option<String>,
    /// Requests and latencies.
    pub counts: Counts,
}

/// An endpoint in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointStatus {
    /// Name.
    pub name: String,
    /// One sentence, if its file has one.
    pub description: Option<String>,
    /// `ready` if it answers, `loading` if it soon will, else `failed`.
    pub status: &'static str,
    /// Path that scores rows: `/endpoints/<name>/score`.
    pub url: String,
    /// What is behind it.
    pub deployments: Vec<DeploymentStatus>,
    /// Requests and latencies of all deployments.
    pub counts: Counts,
    /// When its newest deployment changed.
    pub updated_at: Option<Timestamp>,
}

/// An endpoint's page.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointDetail {
    /// The endpoint.
    pub endpoint: EndpointStatus,
    /// What it takes and gives, once a model is ready.
    pub signature: Option<ModelSignature>,
    /// A row that it takes.
    pub example: Option<Map<String, Value>>,
    /// The last six hours by minute, oldest first.
    pub history: Vec<TrafficPoint>,
    /// Path of its file, if it has one.
    pub file: Option<String>,
    /// The text of its file.
    pub yaml: Option<String>,
    /// A command that calls it.
    pub command: String,
}

/// The path that scores rows.
pub fn score_path(endpoint: &str) -> String {
    format!("/endpoints/{endpoint}/score")
}

impl Endpoint {
    pub(crate) fn status(&self) -> EndpointStatus {
        let busy = |deployment: &&std::sync::Arc<Deployment>| deployment.traffic > 0;
        let with_traffic: Vec<_> = self.deployments.iter().filter(busy).collect();
        let status = if with_traffic.iter().any(|deployment| deployment.served().is_some()) {
            "ready"
        } else if with_traffic.iter().any(|deployment| matches!(deployment.state, State::Loading)) {
            "loading"
        } else {
            "failed"
        };
        EndpointStatus {
            name: self.spec.endpoint.clone(),
            description: self.spec.description.clone(),
            status,
            url: score_path(&self.spec.endpoint),
            deployments: self.deployments.iter().map(|deployment| deployment.status()).collect(),
            counts: self.counters.stats.counts(),
            updated_at: self.deployments.iter().map(|deployment| deployment.updated_at).max(),
        }
    }

    /// `base_url`: where the server is, without a slash at its end.
    pub(crate) fn detail(&self, base_url: &str) -> EndpointDetail {
        let served = self.leader().and_then(|deployment| deployment.served());
        let example = served.map(|served| served.example.clone());
        let body = json!({"rows": [example.clone().unwrap_or_default()]}).to_string().replace('\'', "'\\''");
        let url = format!("{base_url}{}", score_path(&self.spec.endpoint));
        EndpointDetail {
            endpoint: self.status(),
            signature: served.map(|served| served.model.signature().clone()),
            example,
            history: self.counters.stats.history(),
            file: self.file.as_ref().map(|file| file.file.clone()),
            yaml: self.file.as_ref().map(|file| file.yaml.clone()),
            command: format!("curl -s {url} -H 'content-type: application/json' -d '{body}'"),
        }
    }

    /// The ready deployment with the most traffic.
    pub(crate) fn leader(&self) -> Option<&std::sync::Arc<Deployment>> {
        let ready = self.deployments.iter().filter(|deployment| deployment.served().is_some());
        ready.max_by_key(|deployment| deployment.traffic)
    }

    /// Counts and latencies as signals.
    pub(crate) fn report(&self, at: Timestamp, sink: &dyn SignalSink) {
        let endpoint = ("endpoint".to_owned(), self.spec.endpoint.clone());
        let record = |name: &str, labels: Vec<(String, String)>, value: f64| {
            sink.record(Signal { name: format!("millrace_endpoint_{name}"), labels, value, at });
        };
        for deployment in &self.deployments {
            let labels = || vec![("deployment".to_owned(), deployment.name.clone()), endpoint.clone()];
            let counts = deployment.stats.counts();
            record("requests_total", labels(), counts.requests as f64);
            record("errors_total", labels(), counts.errors as f64);
            for (name, value) in [("p50", counts.p50_ms), ("p95", counts.p95_ms), ("p99", counts.p99_ms)] {
                if let Some(ms) = value {
                    record(&format!("latency_{name}_seconds"), labels(), ms / 1e3);
                }
            }
        }
        let (in_flight, refused) = (&self.counters.in_flight, &self.counters.refused);
        record("in_flight", vec![endpoint.clone()], f64::from(in_flight.load(Ordering::Relaxed)));
        record("refused_total", vec![endpoint], refused.load(Ordering::Relaxed) as f64);
    }
}

impl Deployment {
    fn status(&self) -> DeploymentStatus {
        DeploymentStatus {
            name: self.name.clone(),
            model: self.target.model.clone(),
            version: self.target.version,
            traffic: self.traffic,
            status: match self.state {
                State::Loading => "loading",
                State::Ready(_) => "ready",
                State::Failed => "failed",
            },
            reason: self.reason.clone(),
            counts: self.stats.counts(),
        }
    }
}
