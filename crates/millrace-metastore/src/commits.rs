//! For tests: who wants to know when a transaction is about to be committed, and when it has been. In a user's build nobody does.

#[cfg(any(test, feature = "testing"))]
use std::sync::OnceLock;

#[cfg(any(test, feature = "testing"))]
type Watcher = Box<dyn Fn() + Send + Sync>;

#[cfg(any(test, feature = "testing"))]
static WATCHER: OnceLock<Watcher> = OnceLock::new();

/// Has `watcher` called before and after each commit of this process, whichever store it is of. The first one counts.
#[cfg(any(test, feature = "testing"))]
pub fn watch(watcher: impl Fn() + Send + Sync + 'static) {
    let _ = WATCHER.set(Box::new(watcher));
}

/// Tells the watcher. Who commits elsewhere than in a store of ours calls it before and after.
pub fn pass() {
    #[cfg(any(test, feature = "testing"))]
    if let Some(watcher) = WATCHER.get() {
        watcher();
    }
}
