//! For tests: who wants to know when a transaction is about to be committed, and when it has been.

use std::sync::OnceLock;

type Watcher = Box<dyn Fn() + Send + Sync>;

static WATCHER: OnceLock<Watcher> = OnceLock::new();

/// Has `watcher` called before and after each commit of this process, whichever store it is of. The first one counts.
pub fn watch(watcher: impl Fn() + Send + Sync + 'static) {
    let _ = WATCHER.set(Box::new(watcher));
}

/// Tells the watcher.
pub(crate) fn pass() {
    if let Some(watcher) = WATCHER.get() {
        watcher();
    }
}
