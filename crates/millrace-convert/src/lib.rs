//! Other orchestrators' files into pipelines of Millrace, and back: text in, files and a report out. No I/O.
//!
//! Owns: what each format's words mean here. The report has a line for everything that a file says: taken over, changed, or without a
//! counterpart, with its place. Where a whole step has none, a step that fails stands in its place, so that the order of the others holds and
//! nobody takes half a pipeline for the whole. Start from [`Importer`].
#![warn(missing_docs)]

mod azureml;
mod data_factory;
mod data_flow;
mod dbt;
mod export;
mod github;
mod names;
mod recurrence;
mod report;
mod yaml_out;
mod zones;

use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
pub use report::{Finding, Outcome, shown};

/// Files that were made, and what became of everything in the source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Converted {
    /// Path relative to the workspace, and text.
    pub files: Vec<(String, String)>,
    /// What was taken over, changed, or has no counterpart.
    pub findings: Vec<Finding>,
}

/// A file to be read: its path as messages show it, and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path as the user wrote it.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Reads a file that another one names: the folder of that one, and the name as it stands there. `None` if there is none.
pub type ReadBeside<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Makes pipelines of other systems' files.
#[derive(Debug, Clone, Default)]
pub struct Importer {
    /// Pipelines that the workspace has already, by name: those may be called.
    pub pipelines: Vec<String>,
}

impl Importer {
    /// Pipeline jobs and schedules of Azure Machine Learning (CLI v2), with the components that they name as files.
    ///
    /// # Errors
    /// If no file is such a job.
    pub fn azureml(&self, files: &[SourceFile], beside: ReadBeside<'_>) -> Result<Converted, Box<Problem>> {
        azureml::import(files, beside)
    }

    /// Pipelines and triggers of Azure Data Factory: their JSON files, or an ARM template.
    ///
    /// # Errors
    /// If a file is no JSON, or none has a pipeline.
    pub fn data_factory(&self, files: &[SourceFile]) -> Result<Converted, Box<Problem>> {
        data_factory::import(self, files)
    }

    /// The models, seeds and tests of a dbt project, by its `manifest.json`.
    ///
    /// # Errors
    /// If the file is no manifest.
    pub fn dbt(&self, file: &SourceFile) -> Result<Converted, Box<Problem>> {
        dbt::import(file)
    }

    /// The schedules, other events, inputs and jobs of workflows of GitHub Actions.
    ///
    /// # Errors
    /// If a file is no workflow.
    pub fn github(&self, files: &[SourceFile]) -> Result<Converted, Box<Problem>> {
        github::import(self, files)
    }

    fn has_pipeline(&self, name: &str) -> bool {
        self.pipelines.iter().any(|known| known == name)
    }
}

/// A pipeline as a job and schedules of Azure Machine Learning (CLI v2), as far as it can be said there. `root` is the way from the new files
/// to the workspace, such as `..`.
pub fn to_azureml(pipeline: &Pipeline, root: &str) -> Converted {
    export::azureml::pipeline(pipeline, root)
}

/// A pipeline as a pipeline, datasets and triggers of Azure Data Factory, as far as it can be said there.
pub fn to_data_factory(pipeline: &Pipeline) -> Converted {
    export::data_factory::pipeline(pipeline)
}
