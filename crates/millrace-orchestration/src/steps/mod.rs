//! Steps that orchestration itself does.

mod set;

pub use set::Set;
