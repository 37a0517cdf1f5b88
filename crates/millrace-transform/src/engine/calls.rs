//! What nodes of a flow may ask of web APIs, as their session knows it.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use millrace_contract::RowCalls;

/// The web APIs of a session, and how much may be asked of them.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) apis: Arc<dyn RowCalls>,
    pub(crate) allowed: Allowed,
}

/// How much may be asked of web APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// What changes nothing, about a few rows: somebody looks at a node.
    Looks,
    /// Everything: a run.
    All,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// The web APIs that a session knows; `None` if flows are only read here, and nothing can be asked.
pub(crate) fn of(context: &SessionContext) -> Option<Arc<Calls>> {
    context.copied_config().get_extension::<Calls>()
}

/// Makes web APIs known to a session, for looks.
pub(super) fn allow_looks(context: &SessionContext, apis: Arc<dyn RowCalls>) {
    set(context, Calls { apis, allowed: Allowed::Looks });
}

/// Allows all of it, for a run.
pub(crate) fn allow_all(context: &SessionContext) {
    if let Some(calls) = of(context) {
        answer_with(context, calls.apis.clone());
    }
}

/// Puts these in the place of the web APIs that the session knows.
pub(crate) fn answer_with(context: &SessionContext, apis: Arc<dyn RowCalls>) {
    set(context, Calls { apis, allowed: Allowed::All });
}

fn set(context: &SessionContext, calls: Calls) {
    context.state_ref().write().config_mut().set_extension(Arc::new(calls));
}
