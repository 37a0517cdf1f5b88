//! Why a store cannot be taken over or written at all; what is wrong with single records is in the report.

use std::path::PathBuf;

use millrace_metastore::MetastoreError;

/// Why a store cannot be taken over or written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source names nothing that MLflow keeps its data in.
    #[error(
        "`{given}` is none of MLflow's stores: give a folder such as `./mlruns`, `sqlite:///mlflow.db`, `postgresql://…` or `http://…`"
    )]
    UnknownSource {
        /// As given, without its password.
        given: String,
    },
    /// A folder without experiments.
    #[error("`{folder}` is no `mlruns` folder: no folder in it has a `meta.yaml` of an experiment")]
    NoStore {
        /// Which.
        folder: PathBuf,
    },
    /// A folder or file cannot be read or written.
    #[error("cannot {action} `{path}`")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A database of MLflow cannot be read.
    #[error("cannot read {what} of the source's database")]
    Database {
        /// What was read.
        what: String,
        /// Why.
        #[source]
        error: MetastoreError,
    },
    /// A database that is not MLflow's, or of a version before 1.0.
    #[error("the database has no table `{table}`: it is none of MLflow's, or was never used")]
    NoTable {
        /// What is missing.
        table: &'static str,
    },
    /// A server does not answer as MLflow's does.
    #[error("`{url}` does not answer as a server of MLflow does: {reason}")]
    Server {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Experiments here have the names of others in the source.
    #[error("other experiments here already have these names: {}", names.join(", "))]
    NamesTaken {
        /// Which.
        names: Vec<String>,
    },
    /// No such experiment here.
    #[error("there is no experiment `{name}`")]
    NoExperiment {
        /// Which.
        name: String,
    },
    /// Our own database fails.
    #[error("cannot {action} in the workspace's database")]
    Store {
        /// `look` or `store`.
        action: &'static str,
        /// Why.
        #[source]
        error: MetastoreError,
    },
}

impl ImportError {
    pub(crate) fn reading(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { action: "read", path, error }
    }

    pub(crate) fn writing(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { action: "write", path, error }
    }
}

impl From<MetastoreError> for ImportError {
    fn from(error: MetastoreError) -> Self {
        Self::Store { action: "look or store", error }
    }
}
