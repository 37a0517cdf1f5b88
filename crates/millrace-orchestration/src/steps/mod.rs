//! Steps that orchestration itself does.

mod approve;
mod set;

pub use approve::Approve;
pub use set::Set;
