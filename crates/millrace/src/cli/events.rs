use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(subcommand)]
    pub(crate) command: Option<EventsCommand>,
    /// Only of this pipeline.
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Only of this trigger.
    #[arg(long, value_name = "NAME")]
    pub(crate) trigger: Option<String>,
    /// Only in this state: waiting, held, started, filtered, dead.
    #[arg(long, value_parser = ["waiting", "held", "started", "filtered", "dead"])]
    pub(crate) state: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Show an event with all that its source told: what `event` is in expressions.
    Show {
        /// Its id, or the beginning or the end of it.
        id: String,
    },
    /// Look again at a dead letter, or at an event that a filter left out, with the file as it is now.
    Replay {
        /// Its id, or the beginning or the end of it; `dead` for all dead letters.
        id: String,
    },
}
