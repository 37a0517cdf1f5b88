use std::path::PathBuf;

use clap::Args;

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
