//! Steps that orchestration itself does.

mod pipeline;
mod set;

pub use pipeline::SubPipeline;
pub use set::Set;
