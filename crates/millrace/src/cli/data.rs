//! `millrace data …`. A version is written `name`, `name@3`, `name@alias`, or `name@2026-03-01T06:00:00Z` for the newest of that time.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Without one, list the datasets.
    #[command(subcommand)]
    pub(crate) command: Option<DataCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Show a version: where it lies, its columns, aliases, tags, and what was made from it.
    Show {
        /// `name`, `name@3`, `name@alias` or `name@time`.
        dataset: String,
    },
    /// List the versions of a dataset, newest first.
    Versions {
        /// Its name.
        dataset: String,
    },
    /// Print rows, those that a condition holds for.
    Preview(DataPreview),
    /// Print the statistics of a version's columns.
    Profile {
        /// `name`, `name@3`, `name@alias` or `name@time`.
        dataset: String,
    },
    /// Compare the columns of two versions. Ends with 1 if what reads the old one can fail on the new one.
    DiffSchema {
        /// The old version.
        from: String,
        /// The new version; the newest of the same name if absent.
        to: Option<String>,
    },
    /// Point an alias at a version.
    Alias {
        /// The version.
        dataset: String,
        /// The alias: letters, digits, `_` and `-`.
        alias: String,
    },
    /// Remove an alias.
    Unalias {
        /// Name of the dataset.
        dataset: String,
        /// The alias.
        alias: String,
    },
    /// Set tags of a version.
    Tag {
        /// The version; a name without one means the dataset itself.
        dataset: String,
        /// `KEY=VALUE`.
        #[arg(required = true, value_name = "KEY=VALUE")]
        tags: Vec<String>,
    },
    /// Remove tags of a version.
    Untag {
        /// The version; a name without one means the dataset itself.
        dataset: String,
        /// Keys.
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Say what a version was made from and what read it: sources, steps, runs, models, endpoints.
    Lineage {
        /// The version.
        dataset: String,
    },
    /// Keep a folder of files as the next version of a dataset, with the digest of each file.
    Add {
        /// Name of the dataset.
        dataset: String,
        /// The folder; it is copied.
        folder: PathBuf,
    },
    /// List the files of a folder with their digests; of two versions, those that differ.
    Files {
        /// The version.
        dataset: String,
        /// Compare with this version.
        to: Option<String>,
        /// Read every file again and compare it with its digest.
        #[arg(long)]
        verify: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DataPreview {
    /// `name`, `name@3`, `name@alias` or `name@time`.
    pub(crate) dataset: String,
    /// A condition on the columns in SQL, for example `delay > 15 and carrier = 'UA'`.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// Columns in their order, with commas between.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// At most so many rows.
    #[arg(long, short = 'n', default_value_t = 20)]
    pub(crate) limit: usize,
}
