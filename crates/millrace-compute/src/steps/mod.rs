//! The step kinds that run a user's program, and the contract between such a program and its step.

mod failure;
mod inputs;
mod outputs;
mod python;
mod run;

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{
    CommandExit, CommandSpec, DatasetCatalog, OutputDoc, QueryEngine, StepContext, StepError, StepOutcome,
};
use millrace_spec::problem::Problem;
use millrace_storage::LocalCopies;

pub use python::{Python, PythonConfig};
pub use run::{Run, RunConfig};

/// Time between SIGTERM and SIGKILL.
const GRACE_MS: u64 = 30_000;
/// Output of a program that is kept where the workspace does not say.
pub const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// What both kinds use: tables in and out.
#[derive(Clone)]
pub struct Services {
    /// Reads and writes tables.
    pub engine: Arc<dyn QueryEngine>,
    /// Records the tables that scripts write.
    pub datasets: Arc<dyn DatasetCatalog>,
    /// Root of the workspace, where scripts are.
    pub workspace: PathBuf,
    /// Models and folders of the workspace's storage as programs read them.
    pub copies: LocalCopies,
    /// Folder of the SDK, to be put on `PYTHONPATH`.
    pub python_path: PathBuf,
    /// Output of a program that is kept, bytes; of what is beyond, the end alone.
    pub max_log_bytes: u64,
}

/// The command of a step, without its arguments: folder, environment, limits.
fn command(
    services: &Services,
    context: &StepContext,
    argv: Vec<String>,
    env: IndexMap<String, String>,
) -> CommandSpec {
    CommandSpec {
        argv,
        cwd: context.workspace.clone(),
        env,
        secrets: context.secrets.clone(),
        timeout_ms: context.timeout_ms,
        grace_ms: GRACE_MS,
        environment: context.environment.clone(),
        warm: false,
        max_log_bytes: services.max_log_bytes,
    }
}

/// The outputs a step of either kind has: the declared ones. Values that the script appends come on top.
fn declared_outputs(declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
    declared.iter().map(|(name, kind)| OutputDoc { name: name.clone(), type_name: kind.clone() }).collect()
}

async fn collect(
    services: &Services,
    context: StepContext,
    exit: CommandExit,
) -> Result<StepOutcome, StepError> {
    match exit {
        CommandExit::Exited { code: 0, .. } => outputs::collect(services, &context).await,
        other => Err(failure::explain(&context, &other)),
    }
}

/// A failed attempt leaves its logs, not its outputs.
async fn discard(context: &StepContext) {
    let outputs = context.folder.join("outputs");
    if let Err(error) = fs_err::tokio::remove_dir_all(&outputs).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "outputs of a failed attempt stay");
    }
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> StepError {
    StepError::permanent(Problem::error("attempt-folder", format!("cannot {what}: {error}")))
}
