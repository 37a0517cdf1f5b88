//! One file a command.

mod approvals;
#[cfg(feature = "ballista")]
mod ballista;
mod check;
mod connections;
mod control;
mod convert;
mod copy;
mod data;
mod demo;
mod diff;
mod doctor;
mod environments;
mod events;
mod experiments;
mod explain;
mod explain_pipeline;
mod export;
mod export_spark;
mod follow;
mod functions;
mod import;
mod init;
mod items;
mod logs;
mod models;
mod plan;
mod preview;
mod remote;
mod run;
pub(crate) mod run_lock;
mod runs;
mod secrets;
mod show_run;
mod sql;
mod sql_models;
mod sync;
mod test;
mod triggers;
mod up;
mod why;
mod windows;

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command, Export, Import};
use crate::printer::Printer;

/// Runs a command; the code is the program's.
pub(crate) async fn dispatch(command: Command, printer: &Printer) -> Result<ExitCode> {
    match command {
        Command::Init(arguments) => init::run(&arguments, printer),
        Command::Demo(arguments) => demo::run(&arguments, printer).await,
        Command::Check(arguments) => check::run(&arguments, printer).await,
        Command::Run(arguments) => Box::pin(run::run(&arguments, printer)).await,
        Command::Plan(arguments) => plan::run(&arguments, printer).await,
        Command::Rerun(arguments) => Box::pin(control::rerun(&arguments, printer)).await,
        Command::Cancel(arguments) => control::run(control::Verb::Cancel, &arguments, printer).await,
        Command::Pause(arguments) => control::run(control::Verb::Pause, &arguments, printer).await,
        Command::Resume(arguments) => control::run(control::Verb::Resume, &arguments, printer).await,
        Command::Items(arguments) => items::run(&arguments, printer).await,
        Command::Up(arguments) => up::run(&arguments, printer).await,
        #[cfg(feature = "ballista")]
        Command::Ballista(node) => Box::pin(ballista::run(&node, printer)).await,
        Command::Runs(arguments) => runs::run(&arguments, printer).await,
        Command::Logs(arguments) => logs::run(&arguments, printer).await,
        Command::Why(arguments) => why::run(&arguments, printer).await,
        Command::Events(arguments) => events::run(&arguments, printer).await,
        Command::Triggers(arguments) => triggers::run(&arguments, printer).await,
        Command::Windows(arguments) => windows::run(&arguments, printer).await,
        Command::Backfill(arguments) => windows::run_backfill(&arguments, printer).await,
        Command::Approvals(arguments) => approvals::list(&arguments, printer).await,
        Command::Approve(arguments) => approvals::decide(&arguments, true, printer).await,
        Command::Reject(arguments) => approvals::decide(&arguments, false, printer).await,
        Command::Environments => environments::run(printer).await,
        Command::Copy(arguments) => copy::run(&arguments, printer).await,
        Command::Sync(arguments) => sync::run(&arguments, printer).await,
        Command::Preview(arguments) => preview::run(&arguments, printer).await,
        Command::Profile(arguments) => preview::profile(&arguments, printer).await,
        Command::Diff(arguments) => Box::pin(diff::run(&arguments, printer)).await,
        Command::Sql(arguments) => sql::run(&arguments, printer).await,
        Command::SqlModels(arguments) => Box::pin(sql_models::run(&arguments, printer)).await,
        Command::Connections(command) => connections::run(&command, printer).await,
        Command::Secrets(command) => secrets::run(&command, printer).await,
        Command::Export(Export::Mlruns(arguments)) => export::run(&arguments, printer).await,
        Command::Import(Import::Mlflow(arguments)) => import::run(&arguments, printer).await,
        Command::Import(Import::Azureml(arguments)) => convert::import_azureml(&arguments, printer).await,
        Command::Import(Import::Adf(arguments)) => convert::import_data_factory(&arguments, printer).await,
        Command::Import(Import::Dbt(arguments)) => convert::import_dbt(&arguments, printer).await,
        Command::Import(Import::Github(arguments)) => convert::import_github(&arguments, printer).await,
        Command::Export(Export::Azureml(arguments)) => convert::export_azureml(&arguments, printer).await,
        Command::Export(Export::Adf(arguments)) => convert::export_data_factory(&arguments, printer).await,
        Command::Export(Export::Spark(arguments)) => export_spark::run(&arguments, printer).await,
        Command::Experiments(command) => experiments::run(&command, printer).await,
        Command::Test(arguments) => Box::pin(test::run(&arguments, printer)).await,
        Command::Functions { name } => functions::run(name.as_deref(), printer),
        Command::Data(arguments) => data::run(&arguments, printer).await,
        Command::Models(arguments) => models::run(&arguments, printer).await,
        Command::Explain { kind } => explain::run(kind.as_deref(), printer).await,
        Command::Schema { of } => explain::schema(of, printer).await,
        Command::Doctor => doctor::run(printer).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "millrace", &mut script);
            printer.line(String::from_utf8_lossy(&script).trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}
