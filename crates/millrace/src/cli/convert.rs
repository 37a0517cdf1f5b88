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
