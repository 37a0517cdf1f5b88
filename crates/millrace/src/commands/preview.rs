//! `millrace preview` and `millrace profile`: a look at whatever can be copied.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::copy::{self, Scratch};
use super::data::print_profile;
use crate::cli::{Preview, Profile};
use crate::printer::Printer;

/// Prints the first rows.
pub(crate) async fn run(arguments: &Preview, printer: &Printer) -> Result<ExitCode> {
    let rooms = copy::open(&[&arguments.from]).await?;
    let mut config = copy::config(&arguments.from, "", &arguments.source)?;
    config.insert("limit".to_owned(), arguments.limit.saturating_add(1).into());
    match Scratch::copy(&rooms, config, printer).await? {
        Some(scratch) => scratch.print(&rooms, arguments.limit, printer).await,
        None => Ok(ExitCode::FAILURE),
    }
}

/// Reads everything once and describes the columns.
pub(crate) async fn profile(arguments: &Profile, printer: &Printer) -> Result<ExitCode> {
    let rooms = copy::open(&[&arguments.from]).await?;
    let config = copy::config(&arguments.from, "", &arguments.source)?;
    let Some(scratch) = Scratch::copy(&rooms, config, printer).await? else { return Ok(ExitCode::FAILURE) };
    let profile = rooms.queries.profile(&scratch.table).await.context("the rows cannot be described")?;
    print_profile(&arguments.from, &profile, printer)
}
