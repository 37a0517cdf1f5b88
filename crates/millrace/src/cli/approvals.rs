//! `millrace approvals`, `approve` and `reject`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Approvals {
    /// An approval, by its id or the end of it: shows it whole.
    pub(crate) approval: Option<String>,
    /// Also those that are decided.
    #[arg(long, short)]
    pub(crate) all: bool,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DecideOn {
    /// An approval or a request to promote, by its id or the end of it; or a run and, if several of its steps wait, a step.
    #[arg(required = true, num_args = 1..=2, value_names = ["ID|RUN", "STEP"])]
    pub(crate) what: Vec<String>,
    /// Why; who rejects says so.
    #[arg(long, short, default_value = "")]
    pub(crate) comment: String,
    /// A value for the form.
    #[arg(long = "form", value_name = "NAME=VALUE")]
    pub(crate) form: Vec<String>,
    /// Who decides; the user of the system if absent.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: Option<String>,
}
