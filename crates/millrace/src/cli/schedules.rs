//! Arguments of the commands about triggers and windows.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Triggers {
    #[command(subcommand)]
    pub(crate) command: Option<TriggersCommand>,
    /// Instants that are listed of each trigger.
    #[arg(long, short = 'n', default_value_t = 1)]
    pub(crate) upcoming: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TriggersCommand {
    /// Pause triggers; nothing is owed for the pause.
    Pause(TriggerName),
    /// Let paused triggers go on.
    Resume(TriggerName),
}

#[derive(Debug, Args)]
pub(crate) struct TriggerName {
    /// A pipeline's name.
    pub(crate) pipeline: String,
    /// One of its triggers; all of them if none is named.
    pub(crate) trigger: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Windows {
    /// A pipeline's name.
    pub(crate) pipeline: String,
    #[command(flatten)]
    pub(crate) range: Range,
    /// Run the windows of the range again that are over.
    #[arg(long, requires = "from", conflicts_with = "cancel")]
    pub(crate) rerun: bool,
    /// Cancel the windows of the range: those that wait, and the runs of those that go on.
    #[arg(long, requires = "from")]
    pub(crate) cancel: bool,
    /// At most so many, the newest.
    #[arg(long, short = 'n', default_value_t = 40)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// A pipeline's name.
    pub(crate) pipeline: String,
    #[command(flatten)]
    pub(crate) range: Range,
}

#[derive(Debug, Args)]
pub(crate) struct Range {
    /// The first day, local time or instant.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// The last day, included, or the instant that the range ends before; the one window of `--from` if absent.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub(crate) to: Option<String>,
    /// One of the pipeline's triggers; the first with windows if none is named.
    #[arg(long, value_name = "NAME")]
    pub(crate) trigger: Option<String>,
}
