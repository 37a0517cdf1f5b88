//! OpenLineage, both ways: others hear of our runs, and their jobs become part of our lineage.
//!
//! Out: a change of a run is noted in its transaction (`lineage_change`); the events are made from its rows when they are sent, so that they
//! are the same however often, and by whichever server, they are sent. In: events are kept as jobs, runs and datasets of others; what is a
//! dataset of ours by its name, its place or its symlinks is that dataset.

mod code;
mod delivery;
mod event;
mod facts;
mod file;
mod names;
mod sender;
mod taken;

pub use code::CodePlace;
pub use file::{Destination, LineageFile, Receiver};
pub use names::{Identity, SourceIdentity, plain_identity, unknown_sources};
pub use sender::{LineageSource, Sender};
pub use taken::{NotAnEvent, Taker};

/// Who makes the events, and how all of our versions begin.
const PRODUCER: &str = concat!("urn:millrace:", env!("CARGO_PKG_VERSION"));
const PRODUCERS: &str = "urn:millrace:";
/// Where the shapes of events are described.
const SPEC: &str = "https://openlineage.io/spec";
