//! `millrace ballista`: a scheduler or an executor of a cluster.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_spec::bytes::parse_bytes;
use millrace_storage::StorageOptions;
use millrace_transform::ballista::{Executor, Scheduler};
use millrace_transform::{DataFusionEngine, EngineConfig};
use serde_json::json;

use crate::cli::{BallistaNode, ExecutorNode, SchedulerNode};
use crate::printer::Printer;

pub(crate) async fn run(node: &BallistaNode, printer: &Printer) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("there is no folder for what spills")?;
    match node {
        BallistaNode::Scheduler(arguments) => scheduler(arguments, folder.path(), printer).await?,
        BallistaNode::Executor(arguments) => executor(arguments, folder.path(), printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The engine of a node: no workspace, and buckets by what the environment says.
fn engine(spill: &Path) -> DataFusionEngine {
    let mut config = EngineConfig::new(spill);
    config.s3 = StorageOptions::from_variables(std::env::vars()).s3.into_iter().collect();
    DataFusionEngine::new(config)
}

async fn scheduler(arguments: &SchedulerNode, spill: &Path, printer: &Printer) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    let scheduler = Scheduler::bind(&engine(spill), arguments.listen, arguments.advertise.clone()).await?;
    let url = format!("df://{}", scheduler.address()?);
    printer.document(&json!({"url": url}), || format!("the scheduler is up: {url}"));
    printer.note("Ctrl-C stops it; jobs that run end with it");
    tokio::select! {
        served = scheduler.serve() => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}

async fn executor(arguments: &ExecutorNode, spill: &Path, printer: &Printer) -> Result<()> {
    let named = arguments.scheduler.trim_start_matches("df://");
    let scheduler =
        named.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let Some(scheduler) = scheduler else {
        bail!("`--scheduler {}` is not a host and a port, for example 10.0.0.5:50050", arguments.scheduler);
    };
    let Some(memory_bytes) = parse_bytes(&arguments.memory) else {
        bail!("`--memory {}` is no size; for example 4GB", arguments.memory);
    };
    let work_folder = match &arguments.work_folder {
        Some(folder) => {
            fs_err::create_dir_all(folder)?;
            fs_err::canonicalize(folder)?
        }
        None => spill.to_path_buf(),
    };
    let listen = arguments.listen;
    let next = listen.port().checked_add(1);
    let Some(control_port) = arguments.control_port.or(next) else {
        bail!("no port comes after {}; name one with `--control-port`", listen.port());
    };
    let document = json!({"listen": listen, "control_port": control_port, "scheduler": arguments.scheduler});
    printer.document(&document, || {
        format!("the executor gets work from {named} at port {control_port}; results are at {listen}")
    });
    printer.note("Ctrl-C stops it, after the tasks that run");
    let node = Executor {
        scheduler,
        listen,
        control_port,
        advertise: arguments.advertise.clone(),
        cores: arguments.cores,
        memory_bytes,
        work_folder,
    };
    node.serve(&engine(spill)).await?;
    Ok(())
}
