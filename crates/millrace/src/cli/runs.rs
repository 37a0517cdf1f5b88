//! Arguments of what is done to runs.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// A run: its id, the beginning of it, or `latest`.
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct Rerun {
    /// A run: its id, the beginning of it, or `latest`.
    pub(crate) run: String,
    /// Only what did not succeed, and what comes after it; the rest is taken over.
    #[arg(long, conflicts_with = "from")]
    pub(crate) failed: bool,
    /// This step and what comes after it, and what did not succeed; the rest is taken over.
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Items {
    /// A run: its id, the beginning of it, or `latest`.
    pub(crate) run: String,
    /// A step with `foreach` or `matrix`.
    pub(crate) step: String,
    /// Only this state; `failed` also has those that timed out or were rejected.
    #[arg(long, short)]
    pub(crate) state: Option<String>,
    /// Only items after this one.
    #[arg(long, value_name = "ITEM")]
    pub(crate) after: Option<u32>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A pipeline's name or file.
    pub(crate) pipeline: String,
    /// Value of an input.
    #[arg(long = "input", short, value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    #[command(flatten)]
    pub(crate) part: Part,
}

/// Which part of a pipeline runs.
#[derive(Debug, Args, Default)]
pub(crate) struct Part {
    /// Run steps although an earlier result would fit: all of them, or those named.
    #[arg(long, value_name = "STEP", num_args = 0.., value_delimiter = ',')]
    pub(crate) force: Option<Vec<String>>,
    /// Only this step and what comes after it; what those need is taken over from earlier runs.
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    pub(crate) from: Option<String>,
    /// Only this step; what it needs is taken over from earlier runs.
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Option<String>,
}
