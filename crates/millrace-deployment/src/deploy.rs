//! How deployments come to an endpoint: load, warm, publish; the old one drains by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use millrace_contract::{LoadedModel, ModelVersion};
use millrace_metastore::MetastoreError;
use millrace_metastore::deployments::DeploymentRow;
use millrace_spec::problem::Problem;
use serde_json::{Map, Value};

use crate::endpoint::{Counters, Deployment, Endpoint, ModelTarget, Served, State, other_shares};
use crate::file::{EndpointFile, EndpointSpec, check_name};
use crate::model::folder::ModelFolder;
use crate::rows::{Frame, blank};
use crate::score::model_problem;
use crate::server::EndpointServer;
use crate::stats::Stats;

/// A model version that is to be behind an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployRequest {
    /// Name of the endpoint, which is made if absent.
    pub endpoint: String,
    /// Name of the deployment; one with this name is replaced.
    pub deployment: String,
    /// The model.
    pub target: ModelTarget,
    /// Per cent of the requests. The others share the rest in proportion to what they had.
    pub traffic: u32,
    /// Share of the requests that are logged, 0 to 1.
    pub sample: f64,
    /// Pipeline run and step that ask for it.
    pub producer: Option<(String, String)>,
}

/// Whether models that did not load are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Failed,
    Nothing,
}

/// What is wanted behind an endpoint.
struct Wanted {
    name: String,
    /// The model, or its reference and why that does not resolve.
    target: Result<ModelTarget, (String, String)>,
    traffic: u32,
    sample: f64,
}

impl EndpointServer {
    /// Loads and warms a model, stores the deployment and sends traffic to it. Returns `false` if everything was so already.
    ///
    /// # Errors
    /// If the model cannot be served, a name or share is wrong, the endpoint's file has deployments of its own, or the store fails. Nothing
    /// has changed then.
    pub async fn deploy(&self, request: DeployRequest) -> Result<bool, Problem> {
        check_name("an endpoint", &request.endpoint)?;
        check_name("a deployment", &request.deployment)?;
        let _change = self.changing.lock().await;
        let current = self.snapshot().get(&request.endpoint).cloned();
        let file = self.file_of(&request.endpoint);
        if let Some(file) = file.as_ref().filter(|file| !file.spec.deployments.is_empty()) {
            let message = format!("the deployments of `{}` stand in `{}`", request.endpoint, file.file);
            return Err(Problem::error("endpoint-in-file", message)
                .hint("change the file, or remove `deployments` from it"));
        }
        let before = current.as_ref().and_then(|endpoint| endpoint.deployment(&request.deployment));
        let same_model = before.filter(|before| before.target == request.target && before.served().is_some());
        if same_model
            .is_some_and(|b| b.traffic == request.traffic && b.sample.total_cmp(&request.sample).is_eq())
        {
            return Ok(false);
        }
        let others = other_shares(&self.others(&request).await?, request.traffic)?;
        let served = match same_model.and_then(|before| before.served()) {
            Some(served) => served.clone(),
            None => self.load(&request.target).await?,
        };
        self.store(&request, &others).await?;
        let new = || match file {
            Some(file) => Endpoint { file: Some(file.clone()), ..fresh(file.spec.clone()) },
            None => fresh(EndpointSpec::unwritten(&request.endpoint)),
        };
        let mut endpoint = current.as_deref().cloned().unwrap_or_else(new);
        for (name, traffic) in &others {
            let found = endpoint.deployments.iter_mut().find(|deployment| deployment.name == *name);
            if let Some(deployment) = found.filter(|deployment| deployment.traffic != *traffic) {
                *deployment = Arc::new(Deployment { traffic: *traffic, ..Deployment::clone(deployment) });
            }
        }
        let deployment = Deployment {
            stats: before.map(|before| before.stats.clone()).unwrap_or_default(),
            name: request.deployment,
            target: request.target,
            traffic: request.traffic,
            sample: request.sample,
            state: State::Ready(served),
            reason: None,
            refused: None,
            updated_at: self.now(),
        };
        put(&mut endpoint, deployment);
        self.publish(endpoint);
        Ok(true)
    }

    /// Whether the store holds just what the request asks for, by whichever process it was made.
    pub(crate) async fn is_stored(&self, request: &DeployRequest) -> bool {
        let snapshot = self.snapshot();
        let live = snapshot.get(&request.endpoint).and_then(|live| live.deployment(&request.deployment));
        if live.is_some_and(|live| live.served().is_none()) {
            return false;
        }
        let Ok(rows) = self.services.store.list_deployments().await else { return false };
        rows.iter().any(|row| {
            row.endpoint == request.endpoint
                && row.name == request.deployment
                && row.digest == request.target.digest
                && u64::try_from(row.version) == Ok(request.target.version)
                && row.traffic == i64::from(request.traffic)
                && row.sample.total_cmp(&request.sample).is_eq()
        })
    }

    /// Names the endpoint files without loading anything, for a process that runs steps and serves nothing.
    pub fn declare(&self, files: Vec<EndpointFile>) {
        let files = files.into_iter().map(Arc::new).collect();
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Serves what `files` and the store name, and nothing else; loads only what is not served already.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn apply(&self, files: Vec<EndpointFile>) -> Result<(), Problem> {
        self.declare(files);
        self.reconcile(Retry::Failed).await
    }

    /// Follows aliases that were moved since, and deployments that another process stored.
    pub(crate) async fn refresh(&self) -> Result<(), Problem> {
        self.reconcile(Retry::Nothing).await
    }

    fn file_of(&self, endpoint: &str) -> Option<Arc<EndpointFile>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find(|file| file.spec.endpoint == endpoint).cloned()
    }

    async fn reconcile(&self, retry: Retry) -> Result<(), Problem> {
        let _change = self.changing.lock().await;
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = self.services.store.list_deployments().await.map_err(|error| store_problem(&error))?;
        let mut wanted: BTreeMap<String, (Endpoint, Vec<Wanted>)> = BTreeMap::new();
        for file in files {
            let mut deployments = Vec::new();
            for (name, spec) in &file.spec.deployments {
                let target = self.services.registry.resolve(&spec.model).await;
                let target = target
                    .map(|version| target_of(&version))
                    .map_err(|e| (spec.model.clone(), e.to_string()));
                let sample = file.spec.log.sample;
                deployments.push(Wanted { name: name.clone(), target, traffic: spec.traffic, sample });
            }
            let endpoint = Endpoint { file: Some(file.clone()), ..fresh(file.spec.clone()) };
            wanted.insert(file.spec.endpoint.clone(), (endpoint, deployments));
        }
        for row in rows {
            let unwritten = || (fresh(EndpointSpec::unwritten(&row.endpoint)), Vec::new());
            let (endpoint, deployments) = wanted.entry(row.endpoint.clone()).or_insert_with(unwritten);
            if endpoint.file.as_ref().is_none_or(|file| file.spec.deployments.is_empty()) {
                deployments.push(wanted_row(row));
            }
        }
        self.retain(|name| wanted.contains_key(name));
        let mut to_load = Vec::new();
        for (name, (mut endpoint, deployments)) in wanted {
            let current = self.snapshot().get(&name).cloned();
            if let Some(current) = &current {
                endpoint.counters = current.counters.clone();
            }
            for wanted in deployments {
                let before = current.as_ref().and_then(|endpoint| endpoint.deployment(&wanted.name));
                let (deployment, load) = self.next(wanted, before, retry);
                if let Some(target) = load {
                    to_load.push((name.clone(), deployment.name.clone(), target));
                }
                endpoint.deployments.push(Arc::new(deployment));
            }
            self.publish(endpoint);
        }
        for (endpoint, deployment, target) in to_load {
            let loaded = self.load(&target).await;
            self.arrive(&endpoint, &deployment, target, loaded);
        }
        Ok(())
    }

    /// A deployment as it stands before anything is loaded, and what is to be loaded.
    fn next(
        &self,
        wanted: Wanted,
        before: Option<&Arc<Deployment>>,
        retry: Retry,
    ) -> (Deployment, Option<ModelTarget>) {
        let Wanted { name, target, traffic, sample } = wanted;
        let (target, reason) = match target {
            Ok(target) => (target, None),
            Err((model, reason)) => {
                (ModelTarget { model, version: 0, uri: String::new(), digest: String::new() }, Some(reason))
            }
        };
        let Some(before) = before else {
            let state = if reason.is_some() { State::Failed } else { State::Loading };
            let load = reason.is_none().then(|| target.clone());
            let (updated_at, stats) = (self.now(), Arc::new(Stats::default()));
            let refused = None;
            return (
                Deployment { name, target, traffic, sample, state, reason, refused, updated_at, stats },
                load,
            );
        };
        let kept = Deployment { traffic, sample, ..Deployment::clone(before) };
        match (&reason, &before.state) {
            // What is served goes on being served.
            (Some(_), State::Ready(_)) => (Deployment { reason, ..kept }, None),
            (Some(_), _) => (Deployment { reason, target, state: State::Failed, ..kept }, None),
            (None, State::Ready(_)) if before.target == target => {
                (Deployment { reason, refused: None, ..kept }, None)
            }
            (None, _) if retry == Retry::Nothing && before.refused.as_ref() == Some(&target) => (kept, None),
            (None, State::Ready(_)) => (kept, Some(target)),
            (None, _) => (
                Deployment { target: target.clone(), state: State::Loading, reason: None, ..kept },
                Some(target),
            ),
        }
    }

    /// Publishes a deployment whose model was loaded, or the reason why not.
    fn arrive(&self, endpoint: &str, name: &str, target: ModelTarget, loaded: Result<Arc<Served>, Problem>) {
        let Some(current) = self.snapshot().get(endpoint).cloned() else { return };
        let Some(before) = current.deployment(name) else { return };
        let before = Deployment::clone(before);
        let deployment = match loaded {
            Ok(served) => {
                let (state, updated_at) = (State::Ready(served), self.now());
                Deployment { target, state, reason: None, refused: None, updated_at, ..before }
            }
            Err(problem) => {
                tracing::warn!(
                    "the deployment `{name}` of `{endpoint}` cannot be served: {}",
                    problem.message
                );
                let reason = Some(problem.message);
                match before.state {
                    State::Ready(_) => Deployment { reason, refused: Some(target), ..before },
                    _ => {
                        let refused = Some(target.clone());
                        Deployment { target, state: State::Failed, reason, refused, ..before }
                    }
                }
            }
        };
        let mut endpoint = Endpoint::clone(&current);
        put(&mut endpoint, deployment);
        self.publish(endpoint);
    }

    /// Loads a model and lets it score a row, so that the first request finds it warm.
    async fn load(&self, target: &ModelTarget) -> Result<Arc<Served>, Problem> {
        let model = self.services.runtime.load(&target.uri).await.map_err(|error| model_problem(&error))?;
        let warmed = tokio::task::spawn_blocking(move || {
            let example = warm(model.as_ref())?;
            Ok(Arc::new(Served { model, example }))
        });
        warmed.await.map_err(|_| Problem::error("model-failed", "the model crashed while it scored a row"))?
    }

    /// The endpoint's other deployments and their shares, as they are stored: this process may not have loaded them.
    async fn others(&self, request: &DeployRequest) -> Result<Vec<(String, u32)>, Problem> {
        let rows = self.services.store.list_deployments().await.map_err(|error| store_problem(&error))?;
        let others =
            rows.into_iter().filter(|r| r.endpoint == request.endpoint && r.name != request.deployment);
        Ok(others.map(|row| (row.name, u32::try_from(row.traffic).unwrap_or_default())).collect())
    }

    async fn store(&self, request: &DeployRequest, others: &[(String, u32)]) -> Result<(), Problem> {
        let now = self.now().as_microsecond();
        let (run_id, step) = request.producer.clone().unzip();
        let row = DeploymentRow {
            endpoint: request.endpoint.clone(),
            name: request.deployment.clone(),
            model: request.target.model.clone(),
            version: i64::try_from(request.target.version).unwrap_or_default(),
            uri: request.target.uri.clone(),
            digest: request.target.digest.clone(),
            traffic: request.traffic.into(),
            sample: request.sample,
            run_id,
            step,
            created_at: now,
            updated_at: now,
        };
        let others = others.iter().map(|(name, share)| (name.clone(), i64::from(*share))).collect();
        self.services.store.upsert_deployment(row, others).await.map_err(|error| store_problem(&error))
    }
}

/// A registered version as a target.
pub(crate) fn target_of(version: &ModelVersion) -> ModelTarget {
    let asset = &version.asset;
    ModelTarget {
        model: asset.name.clone().unwrap_or_else(|| asset.uri.clone()),
        version: asset.version.unwrap_or_default(),
        uri: asset.uri.clone(),
        digest: asset.digest.clone(),
    }
}

fn wanted_row(row: DeploymentRow) -> Wanted {
    let target = ModelTarget {
        model: row.model,
        version: u64::try_from(row.version).unwrap_or_default(),
        uri: row.uri,
        digest: row.digest,
    };
    let traffic = u32::try_from(row.traffic).unwrap_or_default();
    Wanted { name: row.name, target: Ok(target), traffic, sample: row.sample }
}

fn fresh(spec: EndpointSpec) -> Endpoint {
    Endpoint { spec, file: None, deployments: Vec::new(), counters: Arc::new(Counters::default()) }
}

fn put(endpoint: &mut Endpoint, deployment: Deployment) {
    let deployment = Arc::new(deployment);
    match endpoint.deployments.iter_mut().find(|other| other.name == deployment.name) {
        Some(place) => *place = deployment,
        None => endpoint.deployments.push(deployment),
    }
}

/// Scores the model's own example, or a row of zeros, which a model may refuse.
fn warm(model: &dyn LoadedModel) -> Result<Map<String, Value>, Problem> {
    let score = |row: &Map<String, Value>| {
        let rows = Frame::Records(vec![row.clone()]).batch(model.signature())?;
        model.score(&rows).map_err(|error| model_problem(&error))
    };
    match ModelFolder::read(model.folder(), "").ok().and_then(|folder| folder.example) {
        Some(example) => match score(&example) {
            Ok(_) => Ok(example),
            Err(problem) => {
                let message = format!("the model does not score its own example: {}", problem.message);
                Err(Problem::error("model-failed", message))
            }
        },
        None => {
            let row = blank(model.signature());
            let _ = score(&row);
            Ok(row)
        }
    }
}

fn store_problem(error: &MetastoreError) -> Problem {
    Problem::error("store-failed", error.to_string())
}
