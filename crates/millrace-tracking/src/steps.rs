//! Step kinds of this room: `register`.

use std::sync::Arc;

use millrace_contract::{KindDoc, ModelRegistry, StepKind};

mod register;

pub use register::RegisterStep;

/// Every step kind of this room.
pub fn kinds(registry: &Arc<dyn ModelRegistry>) -> Vec<Arc<dyn StepKind>> {
    vec![Arc::new(RegisterStep::new(registry.clone()))]
}

/// The pages of this room's step kinds.
pub fn docs() -> Vec<KindDoc> {
    vec![register::doc()]
}
