//! Steps that orchestration itself does.

mod approve;
mod notify;
mod pipeline;
mod set;

pub use approve::Approve;
pub use notify::NotifyStep;
pub use pipeline::SubPipeline;
pub use set::Set;
