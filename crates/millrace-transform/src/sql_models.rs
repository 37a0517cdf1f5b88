//! SQL models: the queries of `models/` run in the order of their `ref`s, each kept as a dataset version, and tests over them.
//!
//! What they say is read in `millrace_spec::sql_models`; here they are planned ([`check`]), built and tested ([`build`]), and the sources that they
//! read are looked at ([`freshness`]).

mod build;
mod check;
mod freshness;
mod plan;
mod quality;
mod write;

use std::path::Path;
use std::sync::Arc;

use millrace_contract::{Clock, DatasetCatalog};
use millrace_spec::sql_models::{FOLDER, Project, ProjectFile, SOURCES};

pub use build::{Builder, ModelResult, ModelStatus, Report, Request};
pub use check::check;
pub use freshness::{FreshnessResult, FreshnessStatus, freshness};
pub use quality::{TestResult, TestStatus};

use crate::engine::DataFusionEngine;

/// What models are built with.
#[derive(Clone)]
pub struct Services {
    /// Runs their queries.
    pub engine: DataFusionEngine,
    /// Keeps their datasets.
    pub catalog: Arc<dyn DatasetCatalog>,
    /// Says when a snapshot was taken.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services")
    }
}

/// Deepest folder below `models/`.
const DEEPEST: usize = 16;

/// Reads the models of the workspace in `root`. Neither hidden folders nor links are followed.
///
/// # Errors
/// A file that cannot be read, with its name.
pub fn read_project(root: &Path) -> Result<Project, String> {
    let mut files = Vec::new();
    collect(root, FOLDER, 0, &mut files)?;
    if root.join(SOURCES).is_file() {
        files.push(SOURCES.to_owned());
    }
    files.sort();
    let read = |path: String| match fs_err::read_to_string(root.join(&path)) {
        Ok(text) => Ok(ProjectFile { path, text }),
        Err(error) => Err(format!("cannot read `{path}`: {error}")),
    };
    Ok(Project::read(&files.into_iter().map(read).collect::<Result<Vec<_>, _>>()?))
}

fn collect(root: &Path, folder: &str, depth: usize, files: &mut Vec<String>) -> Result<(), String> {
    let Ok(entries) = fs_err::read_dir(root.join(folder)) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.file_type().map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if name.starts_with('.') || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() && depth < DEEPEST {
            collect(root, &path, depth + 1, files)?;
        } else if kind.is_file() && [".sql", ".yaml", ".yml"].iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}
