//! SQL models: queries in `models/**/*.sql` that name each other by `ref`, each of which is kept as a dataset.
//!
//! Everything that can be said of them without running one: what stands in the files ([`ModelDoc`], [`Sources`]), which model reads which
//! ([`Project`]), which are meant by a selection ([`Selection`]), and the SQL of one ([`Template`]). The words are dbt's where it has one.

mod document;
mod project;
mod quality;
mod selection;
mod template;

pub use document::{
    ColumnDoc, Freshness, HardDeletes, Incremental, ModelDoc, PlainTest, QueryTestDoc, Relationship,
    SchemaChange, Snapshot, Source, SourceTable, Sources, Strategy, TestDoc, TestLimits, TestRule,
    TestSeverity, Threshold, Verdict,
};
pub use project::{Materialization, Project, ProjectFile, SqlModel};
pub use quality::{ModelTest, TestQuery};
pub use selection::Selection;
pub use template::{Call, Names, Rendered, Rendering, Template, quoted};

/// Folder of models.
pub const FOLDER: &str = "models";
/// Folder of tests that are queries.
pub const TESTS: &str = "models/tests/";
/// The file of sources, in the workspace's root.
pub const SOURCES: &str = "sources.yaml";

/// What a model reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Another model, by its name.
    Model(String),
    /// A table of a source: both names.
    Source(String, String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(name) => write!(f, "ref('{name}')"),
            Self::Source(source, table) => write!(f, "source('{source}', '{table}')"),
        }
    }
}
