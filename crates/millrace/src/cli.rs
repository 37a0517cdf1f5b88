//! The argument tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use millrace_spec::ids::SecretName;

mod approvals;
#[cfg(feature = "ballista")]
mod ballista;
pub(crate) mod convert;
mod copying;
mod data;
mod events;
mod models;
mod runs;
mod schedules;
mod sql_models;

pub(crate) use approvals::{Approvals, DecideOn};
#[cfg(feature = "ballista")]
pub(crate) use ballista::{BallistaNode, ExecutorNode, SchedulerNode};
pub(crate) use convert::{Export, ExportMlruns, Import, ImportMlflow};
pub(crate) use copying::{Copy, Diff, Preview, Profile, Source, Sync};
pub(crate) use data::{Data, DataCommand, DataPreview};
pub(crate) use events::{Events, EventsCommand};
pub(crate) use models::{Models, ModelsCommand, PromotionRequest, Verdict};
pub(crate) use runs::{Items, OneRun, Part, Plan, Rerun};
pub(crate) use schedules::{Backfill, Range, TriggerName, Triggers, TriggersCommand, Windows};
pub(crate) use sql_models::{ModelPart, ModelValues, SqlModels, SqlModelsCommand};

/// From raw data to a live, monitored endpoint.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How things are said.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON: one object, or one a line for lists.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but the result.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more on standard error; twice for everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a workspace with a pipeline to start from.
    Init(Init),
    /// Make the example workspace on real data, run its pipeline and leave a server with the UI.
    Demo(Demo),
    /// Check every file of the workspace without running anything.
    Check(Check),
    /// Run a pipeline to its end, with or without a server.
    Run(Run),
    /// Say what a run would do: which steps run, which are reused, and why.
    Plan(Plan),
    /// Run a pipeline again as it is now, with the inputs of an earlier run: all of it, or what failed.
    Rerun(Rerun),
    /// Ask a run to end.
    Cancel(OneRun),
    /// Hold a run: what runs goes on, nothing begins.
    Pause(OneRun),
    /// Let a run that is held go on.
    Resume(OneRun),
    /// Start the server: triggers, API and web UI.
    Up(Up),
    /// Be a node of a Ballista cluster, which runs flows and SQL with `engine: <connection>`.
    #[cfg(feature = "ballista")]
    #[command(subcommand)]
    Ballista(BallistaNode),
    /// List runs, newest first.
    Runs(Runs),
    /// List the items of a step with `foreach` or `matrix`.
    Items(Items),
    /// Print the log of a step.
    Logs(Logs),
    /// Say why a step ran or was reused, why it waits, was skipped or failed.
    Why(Why),
    /// List what happened elsewhere and what became of it; replay dead letters.
    Events(Events),
    /// List the triggers with their next and last firings, pause them, and let them go on.
    Triggers(Triggers),
    /// List the windows of a pipeline with their states and reasons, run some again, or cancel them.
    Windows(Windows),
    /// Run the windows of a range that have not run yet, and those again that are over; the first is that of the trigger's `from`.
    Backfill(Backfill),
    /// List what waits for an approval.
    Approvals(Approvals),
    /// Approve what waits.
    Approve(DecideOn),
    /// Reject what waits, and say why.
    Reject(DecideOn),
    /// List the environments, what a deployment into each takes, and which run has it.
    Environments,
    /// Copy a table between files, web servers, databases and datasets.
    Copy(Copy),
    /// Copy files as they are between folders, buckets and servers; those that are the same are left alone.
    Sync(Sync),
    /// Print the columns and the first rows of whatever can be copied.
    Preview(Preview),
    /// Describe the columns of whatever can be copied: nulls, distinct values, quantiles, the commonest values.
    Profile(Profile),
    /// Compare two tables row by row: what was added, removed and changed. The exit code is 1 if they differ.
    Diff(Diff),
    /// Query the workspace's datasets with SQL.
    Sql(Sql),
    /// Build, test and document the SQL models in `models/`, each a query that is kept as a dataset.
    SqlModels(SqlModels),
    /// Run the unit tests of flows: files of cases that end with `.flow-test.yaml`.
    Test(Test),
    /// List the functions that expressions may use, with their types and an example each.
    Functions {
        /// Only those with this name, or of this family.
        name: Option<String>,
    },
    /// List the workspace's datasets, look into them, and give their versions names.
    Data(Data),
    /// List the registered models, look into their versions, and promote them.
    Models(Models),
    /// List the connections to data and engines elsewhere, and try them.
    #[command(subcommand)]
    Connections(Connections),
    /// Keep secrets in an encrypted file that is committed with the rest.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Take over what another tracking server, or another orchestrator's files, have.
    #[command(subcommand)]
    Import(Import),
    /// Write what is tracked here, or a pipeline, for others.
    #[command(subcommand)]
    Export(Export),
    /// List, delete, restore, rename and purge experiments and their runs; say what they take and for how long they are kept.
    #[command(subcommand)]
    Experiments(Experiments),
    /// Explain a kind of step, transform or trigger, or a pipeline; without a name, list the kinds.
    Explain {
        /// The word that is written in the file, for example `sql`, or a pipeline's name.
        kind: Option<String>,
    },
    /// Print the JSON Schema of a pipeline file or another kind of file, for editors, or what describes the server's API.
    Schema {
        /// Of what.
        #[arg(value_enum, default_value_t = SchemaOf::Pipeline)]
        of: SchemaOf,
    },
    /// Check what this machine offers.
    Doctor,
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Folder of the workspace; made if absent.
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Folder of the example's workspace; made if absent.
    #[arg(default_value = "millrace-demo")]
    pub(crate) folder: PathBuf,
    /// Address to listen on. Anything but loopback needs a token.
    #[arg(long, default_value = "127.0.0.1:7878")]
    pub(crate) listen: std::net::SocketAddr,
    /// End after the run instead of leaving a server.
    #[arg(long)]
    pub(crate) no_serve: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Files to check; all pipelines of the workspace if none is named.
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A file of cases, or a folder with some; the whole workspace if none is named.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A pipeline's name or file.
    pub(crate) pipeline: String,
    /// Value of an input.
    #[arg(long = "input", short, value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    #[command(flatten)]
    pub(crate) part: Part,
    /// A date or an instant in the window that the run is about; the last complete window if absent.
    #[arg(long, value_name = "TIME")]
    pub(crate) window: Option<String>,
    /// A request with a key that was used before starts nothing and follows the earlier run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Ask the server at this address to run its pipeline of that name; MILLRACE_TOKEN is sent if it is set.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<url::Url>,
    /// Wait until the server's run is over; Ctrl-C cancels it, a second one leaves it.
    #[arg(long, requires = "server")]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Address to listen on. Anything but loopback needs a token.
    #[arg(long, default_value = "127.0.0.1:7878")]
    pub(crate) listen: std::net::SocketAddr,
    /// Ask for a login on loopback too: MILLRACE_TOKEN is the administrator's, who makes accounts for others.
    #[arg(long)]
    pub(crate) login: bool,
    /// Serve MLflow's own web UI at `/mlflow/` from this folder: `mlflow/server/js/build` of an installed MLflow.
    #[arg(long, value_name = "DIR")]
    pub(crate) mlflow_ui: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Runs {
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    /// Only this pipeline.
    #[arg(long, short)]
    pub(crate) pipeline: Option<String>,
    /// Only this state.
    #[arg(long, short)]
    pub(crate) state: Option<String>,
    /// Also those that steps of other runs started.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those that steps of this run started.
    #[arg(long, value_name = "RUN")]
    pub(crate) parent: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show a run with its steps: how long each waited and worked, and what it used.
    Show {
        /// A run: its id, the beginning of it, or `latest`.
        run: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A run: its id, the beginning of it, or `latest`.
    pub(crate) run: String,
    /// A step; the one that failed, or the last, if none is named.
    pub(crate) step: Option<String>,
    /// Which attempt, from 1; the last one if it is left out.
    #[arg(long)]
    pub(crate) attempt: Option<u32>,
    /// Go on with what is written until the attempt is over.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last lines.
    #[arg(long, short = 'n', value_name = "LINES")]
    pub(crate) tail: Option<u64>,
    /// Only lines with this text.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) grep: Option<String>,
    /// The text is a regular expression.
    #[arg(long, short = 'E', requires = "grep")]
    pub(crate) regex: bool,
    /// Upper and lower case do not count.
    #[arg(long, short, requires = "grep")]
    pub(crate) ignore_case: bool,
    /// Lines to print around each match.
    #[arg(long, short = 'C', value_name = "LINES", default_value_t = 0, requires = "grep")]
    pub(crate) context: u64,
    /// Begin each line with its time.
    #[arg(long, short)]
    pub(crate) timestamps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// A run: its id, the beginning of it, or `latest`.
    pub(crate) run: String,
    /// A step; all of them if none is named.
    pub(crate) step: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// The query; datasets are tables by their names, files of the workspace by their paths in double quotes. Without one it asks, or runs the
    /// statements of standard input, each up to its `;`.
    pub(crate) query: Option<String>,
    /// The value of `$1`, of `$2` if given twice, and so on: a number, true, false or null, else text; `"12"` is text too.
    #[arg(long = "param", value_name = "VALUE")]
    pub(crate) params: Vec<String>,
    /// At most so many rows.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connections {
    /// List what `connections.yaml` names, and where it leads; never a secret.
    List,
    /// Connect as a copy would, and tell who answers and what is there; fails if one does not.
    Test {
        /// Which; all of them if none is named.
        names: Vec<String>,
        /// Seconds that each may take.
        #[arg(long, default_value_t = 15, value_name = "SECONDS")]
        timeout: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// List the names of all secrets and where they come from; never a value.
    List,
    /// Keep a secret; its value is read from standard input, so that no list of processes shows it.
    Set {
        /// What `${{ secrets.NAME }}` names it by.
        name: SecretName,
    },
    /// Take a secret out of the file.
    Remove {
        /// Which.
        name: SecretName,
    },
    /// Make a new key and encrypt every value with it.
    Rekey,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Experiments {
    /// List the experiments with what they take, the largest first.
    List {
        /// The deleted ones instead of the others.
        #[arg(long)]
        deleted: bool,
    },
    /// Delete experiments with their runs; they can be restored until they are purged.
    Delete {
        /// Names or ids.
        #[arg(required = true)]
        experiments: Vec<String>,
    },
    /// Restore deleted experiments with all their runs.
    Restore {
        /// Names or ids.
        #[arg(required = true)]
        experiments: Vec<String>,
    },
    /// Rename an experiment, also a deleted one, whose name is free then.
    Rename {
        /// Name or id.
        experiment: String,
        /// The new name.
        name: String,
    },
    /// Delete experiments for good: runs, logged models, traces and files. Their names are free then.
    Purge {
        /// Names or ids.
        #[arg(required = true)]
        experiments: Vec<String>,
        #[command(flatten)]
        how: PurgeOptions,
    },
    /// Delete runs for good, with the models that they logged and their files.
    PurgeRuns {
        /// Ids of runs.
        #[arg(required_unless_present = "deleted_in", conflicts_with = "deleted_in")]
        runs: Vec<String>,
        /// All deleted runs of an experiment, by name or id.
        #[arg(long, value_name = "EXPERIMENT")]
        deleted_in: Option<String>,
        #[command(flatten)]
        how: PurgeOptions,
    },
    /// Show, set or try the rules by which old runs are deleted and purged.
    Retention(Retention),
}

#[derive(Debug, Args)]
pub(crate) struct PurgeOptions {
    /// Also what is not deleted.
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retention {
    /// Name or id; `default` is for all experiments without rules of their own.
    pub(crate) experiment: String,
    /// Delete runs that ended so many days ago.
    #[arg(long, value_name = "DAYS")]
    pub(crate) delete_after: Option<u32>,
    /// But not the best by a metric: `3:val_auc`, or `3:loss:smallest`.
    #[arg(long, value_name = "COUNT:METRIC[:smallest]")]
    pub(crate) keep_best: Option<String>,
    /// Nor so many of the newest.
    #[arg(long, value_name = "COUNT")]
    pub(crate) keep_newest: Option<u32>,
    /// Nor those with this tag: `key` or `key=value`.
    #[arg(long, value_name = "TAG")]
    pub(crate) keep_tagged: Vec<String>,
    /// Purge what was deleted so many days ago.
    #[arg(long, value_name = "DAYS")]
    pub(crate) purge_after: Option<u32>,
    /// Take the rules away.
    #[arg(long, conflicts_with_all = ["delete_after", "keep_best", "keep_newest", "keep_tagged", "purge_after", "dry_run"])]
    pub(crate) remove: bool,
    /// Only say what the given rules would do now, or those that hold if none are given.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What `schema` can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SchemaOf {
    /// JSON Schema of a pipeline file.
    Pipeline,
    /// JSON Schema of a flow file.
    Flow,
    /// JSON Schema of `lineage.yaml`, which says who hears of runs.
    Lineage,
    /// JSON Schema of `models/NAME.yaml`, beside the query of a SQL model.
    SqlModel,
    /// JSON Schema of `models/tests/NAME.yaml`, beside the query of a test.
    SqlTest,
    /// JSON Schema of `sources.yaml`.
    Sources,
    /// OpenAPI document of the server's own API.
    Openapi,
    /// TypeScript types of what that API answers.
    Typescript,
    /// The reference page of the functions for expressions.
    Functions,
}
