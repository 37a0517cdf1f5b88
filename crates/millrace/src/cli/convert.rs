use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ImportFiles {
    /// The files, or folders of them.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Replace files that are there already.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only say what would be made, and what becomes of each thing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportPipeline {
    /// A pipeline's name or file.
    pub(crate) pipeline: String,
    /// Folder of the files that are made.
    #[arg(long, default_value = ".")]
    pub(crate) to: PathBuf,
    /// Replace files that are there already.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// A flow for Spark.
#[derive(Debug, Args)]
pub(crate) struct ExportSpark {
    /// The flow's file.
    pub(crate) flow: PathBuf,
    /// What a source reads: a file, an address or `data:<dataset>`. Without any, sources are read by their names, and declare their columns.
    #[arg(long = "input", value_name = "SOURCE=FROM")]
    pub(crate) inputs: Vec<String>,
    /// The value of a parameter of the flow.
    #[arg(long, value_name = "PARAMETER=VALUE")]
    pub(crate) with: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Take over experiments, runs, models and traces of MLflow, with their ids, times and files; begun again, it goes on.
    Mlflow(ImportMlflow),
    /// Make pipelines of pipeline jobs, components and schedules of Azure Machine Learning (CLI v2).
    Azureml(ImportFiles),
    /// Make pipelines of Data Factory's pipelines and triggers: JSON files, a folder of them, or an ARM template.
    Adf(ImportFiles),
    /// Make a pipeline of a dbt project, a step for each model, from its `manifest.json`.
    Dbt(ImportFiles),
    /// Make pipelines of GitHub Actions' workflows: their schedules and other events, inputs and jobs.
    Github(ImportFiles),
}

#[derive(Debug, Args)]
pub(crate) struct ImportMlflow {
    /// A folder such as `./mlruns`, `sqlite:///mlflow.db`, `postgresql://user:password@host/database`, or a server, `http://…`.
    pub(crate) source: String,
    /// Folder that has what the source's artifact root has, `<experiment>/<run>/artifacts`, if it is not where the source says.
    #[arg(long, value_name = "DIR", conflicts_with = "no_artifacts")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Leave all files where they are.
    #[arg(long)]
    pub(crate) no_artifacts: bool,
    /// Put before the name of each experiment.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) experiment_prefix: String,
    /// Put before the name of each registered model.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) model_prefix: String,
    /// Count what the source has and store nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Write an `mlruns` folder that MLflow's own client opens.
    Mlruns(ExportMlruns),
    /// Write a pipeline as a pipeline job and schedules of Azure Machine Learning (CLI v2).
    Azureml(ExportPipeline),
    /// Write a pipeline as a pipeline, datasets and triggers of Data Factory.
    Adf(ExportPipeline),
    /// Write a flow as a script of Spark's SQL. What Spark would do in another way is an error.
    Spark(ExportSpark),
}

#[derive(Debug, Args)]
pub(crate) struct ExportMlruns {
    /// The new folder.
    pub(crate) folder: PathBuf,
    /// Only this experiment, by its name; then without the model registry.
    #[arg(long = "experiment", value_name = "NAME")]
    pub(crate) experiments: Vec<String>,
}
