//! Passes deadlines and wakes the steps whose approval changed, whichever process changed it.

use std::time::Duration;

use millrace_metastore::LookAgain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ApprovalError, Approvals};
use crate::engine::Engine;
use crate::error::chain;

/// Time after a commit after which the roles of accounts are read anew, for the checks of files.
const ROLES_AFTER: Duration = Duration::from_secs(10);
/// Approvals of one kind that a round takes.
const MOST: i64 = 1_000;

impl Approvals {
    /// Rounds until `stop`: three indexed questions, however many approvals wait, after a commit or when a deadline is over.
    pub async fn watch(self, engine: Engine, stop: CancellationToken) {
        let mut failed = false;
        let clock = self.clock.clone();
        let mut commits = self.store.commits(move || clock.now().as_microsecond());
        let mut roles_due = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = commits.next() => {}
                () = until(roles_due) => {
                    // A database that is away says so below, and it is read after the next commit.
                    let _ = self.read_account_roles().await;
                    roles_due = None;
                    continue;
                }
            }
            roles_due.get_or_insert_with(|| Instant::now() + ROLES_AFTER);
            let again = match self.round(&engine).await {
                Ok(again) => {
                    failed = false;
                    again
                }
                Err(error) => {
                    // Once, not every second that a database is away.
                    if !std::mem::replace(&mut failed, true) {
                        tracing::warn!(error = %chain(&error), "approvals cannot be looked at; it is tried again");
                    }
                    LookAgain::Soon
                }
            };
            commits.looked(again);
        }
    }

    async fn round(&self, engine: &Engine) -> Result<LookAgain, ApprovalError> {
        let overdue = self.store.list_overdue_approvals(self.now(), MOST).await;
        for id in overdue.map_err(ApprovalError::store("list the approvals that are due"))? {
            match self.pass_deadline(&id).await {
                Ok(_) | Err(ApprovalError::Refused(_)) => {}
                // One that cannot be read must not keep the others from their ends.
                Err(error) => {
                    tracing::warn!(approval = id, error = %chain(&error), "a deadline cannot be passed")
                }
            }
        }
        let unseen = self.store.list_unseen_approvals(MOST).await;
        let unseen = unseen.map_err(ApprovalError::store("list the approvals that changed"))?;
        for (run, step) in &unseen {
            engine.nudge(run, step);
        }
        if unseen.is_empty() {
            let next = self.store.next_approval_deadline().await;
            next.map(LookAgain::from).map_err(ApprovalError::store("read the next deadline of an approval"))
        } else {
            // The steps that were woken have yet to take notice.
            Ok(LookAgain::Soon)
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
