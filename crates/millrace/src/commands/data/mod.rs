//! `millrace data …`.

mod files;
mod labels;
mod lineage;
mod list;
mod rows;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::{CatalogError, Explain as _};

pub(crate) use lineage::print_lineage;
pub(crate) use rows::print_profile;

use crate::cli::{Data, DataCommand};
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Data, printer: &Printer) -> Result<ExitCode> {
    let Some(command) = &arguments.command else { return list::run(printer).await };
    let done = match command {
        DataCommand::Show { dataset } => show::show(dataset, printer).await,
        DataCommand::Versions { dataset } => show::versions(dataset, printer).await,
        DataCommand::Preview(arguments) => rows::preview(arguments, printer).await,
        DataCommand::Profile { dataset } => rows::profile(dataset, printer).await,
        DataCommand::DiffSchema { from, to } => rows::diff_schema(from, to.as_deref(), printer).await,
        DataCommand::Alias { dataset, alias } => labels::alias(dataset, alias, printer).await,
        DataCommand::Unalias { dataset, alias } => labels::unalias(dataset, alias, printer).await,
        DataCommand::Tag { dataset, tags } => labels::tag(dataset, tags, printer).await,
        DataCommand::Untag { dataset, keys } => labels::untag(dataset, keys, printer).await,
        DataCommand::Lineage { dataset } => lineage::run(dataset, printer).await,
        DataCommand::Add { dataset, folder } => files::add(dataset, folder, printer).await,
        DataCommand::Files { dataset, to, verify } => {
            files::list(dataset, to.as_deref(), *verify, printer).await
        }
    };
    explained(done, printer)
}

/// A name that does not resolve is a problem with a way out, not a chain of causes.
pub(crate) fn explained(done: Result<ExitCode>, printer: &Printer) -> Result<ExitCode> {
    match done {
        Err(error) => match error.downcast_ref::<CatalogError>() {
            Some(unknown) => {
                printer.problem(&unknown.problem(), None);
                Ok(ExitCode::FAILURE)
            }
            None => Err(error),
        },
        done => done,
    }
}
