//! Steps that orchestration itself does.

mod approve;
mod notify;
mod set;

pub use approve::Approve;
pub use notify::NotifyStep;
pub use set::Set;
