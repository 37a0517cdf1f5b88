use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use millrace_api::views::workspace::WorkspaceView;
use millrace_api::{Access, App, Definition, Definitions, Parts, Ui};
use millrace_orchestration::{Engine, TriggerLoop};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::boot::{self, Rooms};
use crate::cli::Up;
use crate::commands::run_lock;
use crate::printer::Printer;
use crate::workspace::Workspace;

pub(crate) async fn run(arguments: &Up, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    serve(&rooms, arguments.listen, printer).await
}

/// Serves a workspace until Ctrl-C or SIGTERM.
pub(crate) async fn serve(rooms: &Rooms, address: SocketAddr, printer: &Printer) -> Result<ExitCode> {
    let access = access(address)?;
    let _lock = run_lock::take(&rooms.workspace.state_folder())?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let engine = rooms.start_engine(Some(&url)).await?;
    let stop = CancellationToken::new();
    let triggers = TriggerLoop::new(engine.clone(), Arc::new(rooms.workspace.clone()), rooms.clock.clone());
    let firing = tokio::spawn(triggers.run(stop.clone()));
    let app = App::new(parts(rooms, &engine, access, stop.clone()));
    let serving = tokio::spawn(millrace_api::serve(app, listener, stop.clone()));
    printer.document(&json!({"workspace": rooms.workspace.name, "url": url}), || {
        format!("`{}` is up: {url}", rooms.workspace.name)
    });
    printer.note("Ctrl-C stops it; commands that run go on and are found again");
    wait_for_signal().await?;
    stop.cancel();
    serving.await??;
    firing.await?;
    engine.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// No login on loopback; anything else needs a token that the operator chose.
fn access(address: SocketAddr) -> Result<Access> {
    if address.ip().is_loopback() {
        return Ok(Access::Loopback);
    }
    match boot::server_token() {
        Some(token) if token.len() >= 16 => {
            let code = uuid::Uuid::now_v7().simple().to_string();
            Ok(Access::token(token, code))
        }
        Some(_) => bail!("the token in MILLRACE_TOKEN is shorter than 16 characters"),
        None => bail!(
            "{address} can be reached from elsewhere: set MILLRACE_TOKEN to a secret of 16 characters or more, or listen on 127.0.0.1"
        ),
    }
}

fn parts(rooms: &Rooms, engine: &Engine, access: Access, stop: CancellationToken) -> Parts {
    Parts {
        workspace: WorkspaceView {
            name: rooms.workspace.name.clone(),
            timezone: rooms.workspace.timezone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            path: rooms.workspace.root.display().to_string(),
        },
        engine: engine.clone(),
        steps: (*rooms.kinds).clone(),
        kinds: rooms.kind_docs(),
        definitions: Arc::new(rooms.workspace.clone()),
        datasets: rooms.catalog.clone(),
        models: rooms.catalog.clone(),
        query: rooms.queries.clone(),
        artifacts: rooms.artifacts(),
        endpoints: None,
        monitors: None,
        clock: rooms.clock.clone(),
        access,
        ui: Ui::of_this_build(),
        stop,
    }
}

#[async_trait]
impl Definitions for Workspace {
    async fn definitions(&self) -> Vec<Definition> {
        let workspace = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let definition = |file: crate::workspace::CheckedFile| {
                let stem = file
                    .file
                    .rsplit('/')
                    .next()
                    .and_then(|name| name.split('.').next())
                    .unwrap_or_default()
                    .to_owned();
                let pipeline = file.loaded.map(|loaded| loaded.pipeline);
                Definition {
                    name: pipeline.as_ref().map_or(stem, |pipeline| pipeline.name.to_string()),
                    file: file.file,
                    yaml: file.text,
                    pipeline,
                    problems: file.problems,
                }
            };
            let mut definitions: Vec<Definition> =
                workspace.check_all().into_iter().map(definition).collect();
            definitions.sort_by(|one, other| one.name.cmp(&other.name));
            definitions
        });
        read.await.unwrap_or_default()
    }
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
