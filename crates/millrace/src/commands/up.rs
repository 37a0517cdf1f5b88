use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use millrace_orchestration::TriggerLoop;
use tokio_util::sync::CancellationToken;

use crate::boot;
use crate::cli::Up;
use crate::commands::run_lock;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Up, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let _lock = run_lock::take(&rooms.workspace.state_folder())?;
    let url = format!("http://{}", arguments.listen);
    let engine = rooms.start_engine(Some(&url)).await?;
    let stop = CancellationToken::new();
    let triggers = TriggerLoop::new(engine.clone(), Arc::new(rooms.workspace.clone()), rooms.clock.clone());
    let firing = tokio::spawn(triggers.run(stop.clone()));
    printer.note(&format!("`{}` is up; Ctrl-C stops it, and what runs goes on", rooms.workspace.name));
    wait_for_signal().await?;
    stop.cancel();
    firing.await?;
    engine.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C from a person, SIGTERM from a service manager.
async fn wait_for_signal() -> Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
