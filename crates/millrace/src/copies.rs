//! Copies as the web UI looks at them before they run.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_api::{Copies, CopyRows};
use millrace_contract::{BatchStream, Progress, ProgressSink, QueryEngine, StepContext, StepLog, TableRef};
use millrace_orchestration::StepRegistry;
use millrace_spec::ids::PipelineName;
use millrace_spec::problem::Problem;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::edited_files;
use crate::workspace::Workspace;

/// What is about the sink, or remembers: a look writes to a file of its own and leaves nothing.
pub(crate) const ABOUT_THE_SINK: [&str; 8] =
    ["write", "pre_sql", "post_sql", "verify", "incremental", "schema", "state", "rejects"];
/// Rejected rows that are shown, with the header.
const MOST_REJECTS: usize = 6;

/// The copies of a workspace.
pub(crate) struct WorkspaceCopies {
    pub(crate) workspace: Workspace,
    pub(crate) kinds: Arc<StepRegistry>,
    pub(crate) queries: Arc<dyn QueryEngine>,
}

#[async_trait]
impl Copies for WorkspaceCopies {
    async fn preview_copy(&self, config: Value, limit: usize) -> Result<CopyRows, Problem> {
        let kind =
            self.kinds.get("copy").ok_or_else(|| Problem::error("no-copy", "this build has no `copy`"))?;
        let state = self.workspace.state_folder();
        let folder =
            tempfile::Builder::new().prefix("look-").tempdir_in(state).map_err(|error| unwritable(&error))?;
        let file = folder.path().join("rows.parquet");
        let config = looked_at(config, &file, limit)?;
        if let Some(problem) = kind.check(&config).into_iter().next() {
            return Err(problem);
        }
        let said = Arc::new(Said::default());
        let cancel = CancellationToken::new();
        // Whoever stops waiting ends the work.
        let _ends = cancel.clone().drop_guard();
        let context = apart(&self.workspace, "copy", folder.path(), config, cancel, &said);
        let outcome = kind.run(context).await.map_err(|error| error.problem)?;
        let uri = url::Url::from_file_path(&file)
            .map_err(|()| Problem::error("internal", "the state folder has no absolute path"))?;
        let table = TableRef::Parquet { uri: uri.to_string() };
        let rows = self.queries.scan(&table, None, Some(limit.saturating_add(1))).await;
        let rows = rows.map_err(|error| Problem::error("query-failed", error.to_string()))?;
        // The file is gone in a moment.
        let schema = rows.schema.clone();
        let batches =
            rows.collect().await.map_err(|error| Problem::error("query-failed", error.to_string()))?;
        let rejects = fs_err::read_to_string(folder.path().join("rejects.csv")).unwrap_or_default();
        Ok(CopyRows {
            rows: BatchStream::from_batches(schema, batches),
            rejected: outcome.outputs.get("rejected").and_then(Value::as_u64).unwrap_or(0),
            rejects: rejects.lines().take(MOST_REJECTS).map(str::to_owned).collect(),
            log: said.lines(),
        })
    }

    async fn write_pipeline(&self, name: &str, yaml: &str) -> Result<(), Problem> {
        if name.parse::<PipelineName>().is_err() {
            let message = format!("`{name}` cannot name a pipeline");
            return Err(Problem::error("bad-pipeline-name", message)
                .hint("a letter first, then lower-case letters, digits and `_`"));
        }
        let file = format!("pipelines/{name}.yaml");
        match edited_files::present(&self.workspace.root, &file)? {
            Some(text) if text == yaml => Ok(()),
            _ => edited_files::write(&self.workspace.root, &file, yaml, None),
        }
    }
}

fn unwritable(error: &std::io::Error) -> Problem {
    Problem::error("unwritable-file", "cannot write into the state folder").note(error.to_string())
}

/// The same copy to a file of its own, and not further than needed.
fn looked_at(config: Value, file: &Path, limit: usize) -> Result<Value, Problem> {
    let Value::Object(mut config) = config else {
        return Err(Problem::error("copy-config", "a copy is a mapping with `from` and `to`"));
    };
    config.retain(|name, _| !ABOUT_THE_SINK.contains(&name.as_str()));
    config.insert("to".to_owned(), file.to_string_lossy().into());
    let most = config.get("limit").and_then(Value::as_u64).unwrap_or(u64::MAX);
    config.insert("limit".to_owned(), most.min(limit as u64 + 1).into());
    Ok(Value::Object(config))
}

/// The context of work that belongs to no run; `name` stands for its pipeline and its step.
pub(crate) fn apart<T: StepLog + ProgressSink + 'static>(
    workspace: &Workspace,
    name: &str,
    folder: &Path,
    config: Value,
    cancel: CancellationToken,
    told: &Arc<T>,
) -> StepContext {
    let id = uuid::Uuid::now_v7().simple().to_string();
    StepContext {
        pipeline: name.to_owned(),
        step: name.to_owned(),
        attempt: 1,
        idempotency_key: id.clone(),
        workspace: workspace.root.clone(),
        folder: folder.to_path_buf(),
        tracking_run_id: id.clone(),
        run_id: id,
        config,
        inputs: IndexMap::new(),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        cancel,
        log: told.clone(),
        progress: told.clone(),
    }
}

/// Keeps what the step says.
#[derive(Default)]
pub(crate) struct Said(Mutex<Vec<String>>);

impl Said {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StepLog for Said {
    fn line(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}

impl ProgressSink for Said {
    fn report(&self, _: Progress) {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_look_writes_nothing_of_what_the_copy_would() {
        let config = json!({
            "from": "a.csv", "to": "shop:orders", "write": {"upsert": ["id"]}, "pre_sql": ["drop table orders"], "limit": 3,
            "incremental": {"column": "id"},
        });
        let looked = looked_at(config, Path::new("/tmp/rows.parquet"), 50).unwrap();
        assert_eq!(looked, json!({"from": "a.csv", "to": "/tmp/rows.parquet", "limit": 3}));
    }
}
