//! What the wired rooms are asked for: engines, the inbox, the words of all kinds.

use millrace_api::AttemptName;
use millrace_contract::FlowPreview;
use millrace_orchestration::SecretEnv;

use super::*;

/// Memory of all looks into flows together, bytes. Beyond it they spill.
const PREVIEW_MEMORY: usize = 1 << 30;

/// What the program of an attempt logs in with: a token of its own, for as long as the attempt lasts.
fn attempt_tokens(keys: Option<&LoginKeys>) -> SecretEnv {
    let tokens = keys.map(LoginKeys::step_tokens);
    Arc::new(move |ids| {
        let Some(tokens) = &tokens else { return IndexMap::new() };
        let attempt = AttemptName {
            run_id: ids.run_id.to_owned(),
            step: ids.step.to_owned(),
            number: ids.attempt,
            tracking_run_id: ids.tracking_run_id.to_owned(),
        };
        IndexMap::from([("MLFLOW_TRACKING_TOKEN".to_owned(), tokens.sign(&attempt))])
    })
}

impl Rooms {
    /// Starts the engine, which takes over what an earlier one left.
    pub(crate) async fn start_engine(&self, server: &str, keys: Option<&LoginKeys>) -> Result<Engine> {
        let (services, settings) = self.engine_parts(Some(server), keys)?;
        let engine = Engine::start(self.store.clone(), (*self.kinds).clone(), services, settings).await?;
        self.sub_pipelines.connect(&engine, Arc::new(self.workspace.clone()));
        Ok(engine)
    }

    /// An engine that says what would be done, and does nothing.
    pub(crate) fn planning_engine(&self) -> Result<Engine> {
        let (services, settings) = self.engine_parts(None, None)?;
        Ok(Engine::for_planning(self.store.clone(), (*self.kinds).clone(), services, settings))
    }

    fn engine_parts(
        &self,
        server: Option<&str>,
        keys: Option<&LoginKeys>,
    ) -> Result<(EngineServices, EngineSettings)> {
        let state = self.workspace.state_folder();
        let shims = vec![
            std::env::current_exe().context("cannot find the running program")?.into_os_string(),
            "__shims".into(),
        ];
        let environments = Arc::new(Environments::new(cache_folder(), "python3"));
        let warm = WarmWorkers::new(install_python_files(&state)?, state.join("workers"));
        let settings = LocalSettings { shims, workspace: self.workspace.root.clone(), base_env: base_env() };
        let mut step_env = IndexMap::new();
        if let Some(url) = server {
            step_env.insert("MLFLOW_TRACKING_URI".to_owned(), url.to_owned());
            let file = self.workspace.server_file().to_string_lossy().into_owned();
            step_env.insert("MILLRACE_SERVER_FILE".to_owned(), file);
        }
        let services = EngineServices {
            compute: Arc::new(LocalTarget::new(settings, environments, Some(warm))),
            datasets: self.catalog.clone(),
            models: self.catalog.clone(),
            tracker: self.tracker.clone(),
            clock: self.clock.clone(),
            secrets: self.workspace.secrets.clone(),
            notifier: self.notifier.clone(),
            address: people::address(&self.workspace),
            step_env,
            secret_env: attempt_tokens(keys),
        };
        let cores =
            std::thread::available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(2));
        let settings = EngineSettings {
            workspace: self.workspace.root.clone(),
            state_folder: state,
            max_running: self.workspace.max_running.unwrap_or(cores * RUNNING_PER_CORE),
            pools: self.workspace.pools.clone(),
            server: server_place::here(&self.workspace.state_folder(), self.store.is_postgres())?,
            timezone: self.workspace.timezone.clone(),
        };
        Ok((services, settings))
    }

    /// Takes in what happens elsewhere.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub(crate) fn inbox(&self, engine: &Engine) -> Result<Inbox> {
        let (workspace, connected) = (self.workspace.clone(), self.workspace.clone());
        let machine = self.storage.options.clone();
        let place = server_place::here(&self.workspace.state_folder(), self.store.is_postgres())?;
        let outside = Outside {
            workspace: self.workspace.root.clone(),
            copies: self.workspace.state_folder().join("git"),
            lake: self.storage.root.clone(),
            buckets: Arc::new(move |scheme, bucket| {
                workspace.bucket_options(scheme, bucket).unwrap_or_else(|| machine.clone())
            }),
            connections: Arc::new(move |name| connected.connection(name, "redis: {url: …}")),
            name: self.workspace.name.clone(),
            server: place.state_id,
            client: reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(20))
                .timeout(Duration::from_secs(60))
                .build()?,
            clock: self.clock.clone(),
        };
        let pipelines = Arc::new(self.workspace.clone());
        Ok(Inbox::new(engine.clone(), pipelines, Arc::new(outside), self.clock.clone()))
    }

    /// Looks into flows. It has a memory of its own, so that a look at a large join takes nothing from what runs.
    pub(crate) fn flow_previews(&self) -> Arc<dyn FlowPreview> {
        let mut config = EngineConfig::new(self.workspace.state_folder().join("spill"));
        config.memory_bytes = PREVIEW_MEMORY;
        config.s3 = self.storage.options.s3.iter().cloned().collect();
        let apis = WebApis { connections: reading_connections(&self.workspace) };
        Arc::new(DataFusionEngine::new(config).with_apis(Arc::new(apis)))
    }

    /// Whether nothing that is kept here outlives the command.
    pub(crate) fn is_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    /// Purges, keeps the rules of retention, and knows what runs take.
    pub(crate) fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new(self.store.clone(), self.storage.artifacts.clone(), self.clock.clone())
    }

    /// Documentation of everything that can be named.
    pub(crate) fn kind_docs(&self) -> Vec<KindDoc> {
        let mut docs: Vec<KindDoc> = self.kinds.values().map(|kind| kind.doc().clone()).collect();
        docs.extend(millrace_transform::transforms::docs());
        docs.extend(millrace_transfer::connectors());
        docs.push(millrace_spark::connection_doc());
        docs.push(millrace_transform::ballista::connection_doc());
        docs.extend(millrace_training::trainers::docs());
        docs.extend(millrace_call::docs());
        docs.extend(millrace_orchestration::trigger_docs());
        docs
    }
}
