//! Other orchestrators' files into pipelines of Millrace, and back: text in, files and a report out. No I/O.
//!
//! Owns: what each format's words mean here. What has no counterpart is in the report with its place and a reason, and stands as a comment
//! where it is missing; nothing is dropped in silence. Start from [`Importer`].
#![warn(missing_docs)]

mod azureml;
mod data_factory;
mod dbt;
mod export;
mod github;
mod names;
mod report;
mod yaml_out;

use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;

/// Files that were made, and what is missing in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Converted {
    /// Path relative to the workspace, and text.
    pub files: Vec<(String, String)>,
    /// What has no counterpart: warnings with the place in the source, a reason, and often what to write instead.
    pub gaps: Vec<Problem>,
}

/// A file to be read: its path as messages show it, and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path as the user wrote it.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Reads a file that another one names by a path relative to it; `None` if there is none.
pub type ReadBeside<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Makes pipelines of other systems' files.
#[derive(Debug, Clone, Default)]
pub struct Importer {
    /// The kinds of step that this Millrace has.
    pub kinds: Vec<String>,
    /// The kinds of trigger that it has.
    pub triggers: Vec<String>,
}

impl Importer {
    /// A pipeline job of Azure Machine Learning (CLI v2), with the components that it names as files.
    ///
    /// # Errors
    /// If the file is no such job.
    pub fn azureml(&self, file: &SourceFile, beside: ReadBeside<'_>) -> Result<Converted, Box<Problem>> {
        azureml::import(file, beside)
    }

    /// Pipelines and triggers of Azure Data Factory: their JSON files, or an ARM template.
    ///
    /// # Errors
    /// If a file is no JSON.
    pub fn data_factory(&self, files: &[SourceFile]) -> Result<Converted, Box<Problem>> {
        data_factory::import(self, files)
    }

    /// The models of a dbt project, by its `manifest.json`.
    ///
    /// # Errors
    /// If the file is no manifest.
    pub fn dbt(&self, file: &SourceFile) -> Result<Converted, Box<Problem>> {
        dbt::import(file)
    }

    /// The schedules, inputs and shell steps of a workflow of GitHub Actions.
    ///
    /// # Errors
    /// If the file is no workflow.
    pub fn github(&self, file: &SourceFile) -> Result<Converted, Box<Problem>> {
        github::import(self, file)
    }

    fn has_kind(&self, word: &str) -> bool {
        self.kinds.iter().any(|kind| kind == word)
    }

    fn has_trigger(&self, word: &str) -> bool {
        self.triggers.iter().any(|kind| kind == word)
    }
}

/// A pipeline as a job of Azure Machine Learning (CLI v2), as far as it can be said there.
pub fn to_azureml(pipeline: &Pipeline) -> Converted {
    export::azureml(pipeline)
}

/// A pipeline as a pipeline and triggers of Azure Data Factory, as far as it can be said there.
pub fn to_data_factory(pipeline: &Pipeline) -> Converted {
    export::data_factory(pipeline)
}
