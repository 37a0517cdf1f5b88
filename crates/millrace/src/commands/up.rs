use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::boot;
use crate::cli::Up;
use crate::printer::Printer;
use crate::server::Server;

pub(crate) async fn run(arguments: &Up, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let server = Server::start(&rooms, arguments.listen, arguments.mlflow_ui.as_deref()).await?;
    let (name, url) = (&rooms.workspace.name, &server.url);
    printer.document(&json!({"workspace": name, "url": url}), || format!("`{name}` is up: {url}"));
    if arguments.mlflow_ui.is_some() {
        printer.note(&format!("MLflow's own pages are at {url}/mlflow/"));
    }
    printer.note("Ctrl-C stops it; commands that run go on and are found again");
    server.wait_for_signal().await?;
    server.stop().await?;
    Ok(ExitCode::SUCCESS)
}
