//! Millrace: one binary from raw data to a live, monitored endpoint.
//!
//! `cli` is the argument tree, `commands/` has one file a command, `boot` wires the rooms together and alone reads the environment,
//! `workspace`, `declared`, `connections` and `secrets` read the files of a workspace, `adapters` and `inspector` show the API what rooms and models hold, `printer` decides every byte of output.

mod adapters;
mod boot;
mod cli;
mod commands;
mod connections;
mod copies;
mod declared;
mod edited_files;
mod engines;
mod example;
mod flows;
mod inspector;
mod lineage;
mod printer;
mod prompt;
mod secrets;
mod server;
mod server_place;
mod sql_models;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::cli::Cli;
use crate::printer::Printer;

fn main() -> ExitCode {
    // Forks a shim for every command step: it must stay small, and have no other thread.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__shims") {
        return millrace_compute::serve_shims();
    }
    let cli = Cli::parse();
    let printer = Printer::new(&cli.output);
    boot::install_logging(cli.output.verbose);
    // Two providers are linked in; without a choice the first TLS handshake would panic.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Longer than an idle server takes to need one again: files are looked at every ten seconds, which is when tokio lets them end.
        .thread_keep_alive(Duration::from_secs(60))
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&anyhow::anyhow!("cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(commands::dispatch(cli.command, &printer));
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        printer.error(&error);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_argument_tree_is_valid() {
        crate::cli::Cli::command().debug_assert();
    }
}
