//! Ballista: the same engine on many machines. A session of its own kind sends its plans to a scheduler, which cuts them into stages that
//! executors run; the rows come back.
//!
//! Client, scheduler and executors are one program, so functions and readers are those of the local engine. Start from `client.rs` for the side
//! that asks, from `nodes.rs` for those that work. Ballista itself is behind the feature `ballista`.

mod settings;

pub use settings::{BallistaSettings, WORD, connection_doc, connection_problem, connection_schema};

#[cfg(feature = "ballista")]
mod buckets;
#[cfg(feature = "ballista")]
mod client;
#[cfg(feature = "ballista")]
mod codec;
#[cfg(feature = "ballista")]
mod nodes;
#[cfg(feature = "ballista")]
mod stages;
#[cfg(not(feature = "ballista"))]
mod unbuilt;

#[cfg(feature = "ballista")]
pub use client::reach;
#[cfg(feature = "ballista")]
pub(crate) use client::{begin, session};
#[cfg(feature = "ballista")]
pub use nodes::{Executor, NodeError, Scheduler};
#[cfg(not(feature = "ballista"))]
pub use unbuilt::reach;
#[cfg(not(feature = "ballista"))]
pub(crate) use unbuilt::{begin, session};
