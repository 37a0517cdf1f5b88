//! Other orchestrators as steps: begin a run there, wait for it without holding a slot, cancel it through, link to its page.
//!
//! Owns: the `call` step and what it knows of each system ([`targets`]). Leaves to others: when a call is looked at again and what a
//! restart finds (orchestration), which secrets and connections there are (the binary). A target is one file in `targets/` and one line in
//! its list; it begins idempotently, by the other system's own key where that has one, else by looking for the run of an earlier try.
#![warn(missing_docs)]

mod api;
mod azure;
mod error;
mod step;
mod target;
mod targets;

pub use step::{Call, CallServices, ReadConnection};
pub use targets::docs;
