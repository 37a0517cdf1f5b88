use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct SqlModels {
    #[command(subcommand)]
    pub(crate) command: SqlModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SqlModelsCommand {
    /// List the models with what they read, in the order in which they are built.
    List {
        #[command(flatten)]
        part: ModelPart,
    },
    /// Build models and run their tests; what is as it would be is left as it is.
    Build {
        #[command(flatten)]
        part: ModelPart,
        /// Make incremental models anew.
        #[arg(long)]
        full_refresh: bool,
        /// Run no tests.
        #[arg(long)]
        no_test: bool,
        #[command(flatten)]
        values: ModelValues,
    },
    /// Run the tests of models as they are.
    Test {
        #[command(flatten)]
        part: ModelPart,
        #[command(flatten)]
        values: ModelValues,
    },
    /// Say how new the tables of `sources.yaml` are; the exit code is 1 if one is too old.
    Freshness {
        /// Only these: `SOURCE` or `SOURCE.TABLE`.
        sources: Vec<String>,
    },
    /// Print what is known of the models as Markdown: descriptions, columns, tests, what reads what.
    Docs {
        #[command(flatten)]
        part: ModelPart,
    },
}

/// Which models.
#[derive(Debug, Args)]
pub(crate) struct ModelPart {
    /// Only these: names, globs, `tag:`, `path:`, `source:` or `config.materialized:` with a value; `+` before one adds what it reads, behind it
    /// what reads it; a comma intersects. All if absent.
    #[arg(long, short, value_name = "SELECTION", num_args = 1..)]
    pub(crate) select: Vec<String>,
    /// Without these.
    #[arg(long, value_name = "SELECTION", num_args = 1..)]
    pub(crate) exclude: Vec<String>,
}

/// What models are given.
#[derive(Debug, Args)]
pub(crate) struct ModelValues {
    /// Value of `var('NAME')`: a number, true, false, null or a list, else text.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(crate) vars: Vec<String>,
    /// Models and tests that are worked on at once.
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<usize>,
}
