//! The path of a request: admitted, read, scored, written, logged.

use std::sync::Arc;
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use millrace_contract::ModelError;
use millrace_spec::problem::Problem;

use crate::dialect::{Answer, Dialect, Request};
use crate::endpoint::{Deployment, Endpoint, Served, Slot};
use crate::log::Record;
use crate::rows::bad_input;
use crate::server::EndpointServer;

/// Rows beyond which scoring leaves the thread that serves connections.
const INLINE_ROWS: usize = 64;
/// Bytes beyond which reading does.
const INLINE_BYTES: usize = 32 * 1024;

/// What a request says beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScoreOptions<'a> {
    /// The deployment to ask, whatever its share of traffic; the header `azureml-model-deployment`.
    pub deployment: Option<&'a str>,
    /// Id for the prediction log; made up if absent.
    pub request_id: Option<&'a str>,
}

/// Everything one request needs, so that it may change its thread.
struct Job {
    dialect: Dialect,
    body: Bytes,
    endpoint: Arc<Endpoint>,
    deployment: Arc<Deployment>,
    served: Arc<Served>,
    id: String,
    _slot: Slot,
}

impl EndpointServer {
    /// Scores the rows of a body and answers in the same dialect, JSON both.
    ///
    /// # Errors
    /// `unknown-endpoint`, `unknown-deployment`, `endpoint-not-ready`, `endpoint-overloaded`; `missing-column` and `bad-input` for the body;
    /// `model-failed`. Messages never contain the data.
    pub async fn score(
        &self,
        endpoint: &str,
        dialect: Dialect,
        body: Bytes,
        options: ScoreOptions<'_>,
    ) -> Result<Bytes, Problem> {
        let endpoint = self.endpoint(endpoint)?;
        let slot = endpoint.admit()?;
        let (deployment, served) = endpoint.pick(options.deployment)?;
        let started = Instant::now();
        let at = self.now();
        let job = Job {
            dialect,
            body,
            deployment: deployment.clone(),
            served: served.clone(),
            id: uuid::Uuid::now_v7().simple().to_string(),
            endpoint: endpoint.clone(),
            _slot: slot,
        };
        let id = job.id.clone();
        let result = job.run().await;
        let took = started.elapsed();
        deployment.stats.record(at, took, result.is_err());
        endpoint.counters.stats.record(at, took, result.is_err());
        let (answer, rows, predictions) = result?;
        if endpoint.is_logged(deployment) {
            self.log(Record {
                at,
                endpoint: endpoint.spec.endpoint.clone(),
                deployment: deployment.name.clone(),
                model: deployment.target.label(),
                version: deployment.target.version,
                request_id: options.request_id.unwrap_or(&id).to_owned(),
                id,
                classes: served.model.classes().to_vec(),
                rows,
                predictions,
            });
        }
        Ok(answer)
    }
}

type Scored = (Bytes, RecordBatch, RecordBatch);

impl Job {
    async fn run(self) -> Result<Scored, Problem> {
        let lost = |_| Problem::error("model-failed", "the model crashed");
        if self.body.len() > INLINE_BYTES {
            let work = move || self.read().and_then(|request| self.finish(&request));
            return tokio::task::spawn_blocking(work).await.map_err(lost)?;
        }
        let request = self.read()?;
        if request.rows.num_rows() > INLINE_ROWS {
            return tokio::task::spawn_blocking(move || self.finish(&request)).await.map_err(lost)?;
        }
        self.finish(&request)
    }

    fn read(&self) -> Result<Request, Problem> {
        self.dialect.read(&self.body, self.served.model.signature())
    }

    fn finish(&self, request: &Request) -> Result<Scored, Problem> {
        let predictions = self.served.model.score(&request.rows).map_err(|error| model_problem(&error))?;
        let target = &self.deployment.target;
        let answer = Answer {
            predictions: &predictions,
            classes: self.served.model.classes(),
            endpoint: &self.endpoint.spec.endpoint,
            deployment: &self.deployment.name,
            model: &target.label(),
            version: target.version,
            id: &self.id,
        };
        let body = self.dialect.write(request, &answer);
        Ok((Bytes::from(body), request.rows.clone(), predictions))
    }
}

/// What a model says of rows that it was given, or of itself.
pub(crate) fn model_problem(error: &ModelError) -> Problem {
    match error {
        ModelError::Input { message } => bad_input(message.clone()),
        ModelError::Load { .. } => Problem::error("model-load", error.to_string()),
        ModelError::Run { .. } => Problem::error("model-failed", error.to_string()),
    }
}
