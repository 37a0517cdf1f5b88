//! MLflow's own stores: takes over what is in one, and writes one.
//!
//! Owns: the formats of MLflow's folders (`mlruns`), databases and protocol as a client, from 2.0 to 3.18, and how much of a source is here.
//! Leaves to others: what is stored here and how (the metastore), and MLflow's protocol as a server (`millrace-api`). Start from
//! [`open`], which gives a [`Source`], [`import`] and [`export`].
#![warn(missing_docs)]

mod assessment;
mod database;
mod digest;
mod error;
mod export;
mod files;
mod folder;
mod import;
mod plan;
mod record;
mod report;
mod server;
mod span;
mod target;
mod trace;

pub use digest::{Tally, Totals};
pub use error::ImportError;
pub use export::{Exported, export};
pub use files::Places;
pub use import::{ImportOptions, Progress, import};
pub use record::{Broken, EvalDataset, Files, Found, Model, Run, Source, Webhook, open};
pub use report::Report;
pub use server::Access;
pub use target::Target;
