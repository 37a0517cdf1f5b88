//! Passes deadlines and wakes the steps whose approval changed, whichever process changed it.

use std::time::Duration;

use millrace_contract::beat;
use tokio_util::sync::CancellationToken;

use super::{ApprovalError, Approvals};
use crate::engine::Engine;
use crate::error::chain;

/// Time between two rounds: three indexed questions, however many approvals wait, and none while nothing changes.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds after which the roles of accounts are read anew if anything was committed, for the checks of files.
const ROLES_EVERY: u32 = 10;
/// Approvals of one kind that a round takes.
const MOST: i64 = 1_000;

impl Approvals {
    /// Rounds until `stop`.
    pub async fn watch(self, engine: Engine, stop: CancellationToken) {
        let mut failed = false;
        let mut still = self.store.stillness();
        let (mut rounds, mut roles_may_differ) = (0_u32, true);
        while stop.run_until_cancelled(beat(ROUND)).await.is_some() {
            rounds = rounds.wrapping_add(1);
            let is_still = still.holds(self.now());
            roles_may_differ |= !is_still;
            if rounds.is_multiple_of(ROLES_EVERY) && std::mem::take(&mut roles_may_differ) {
                // A database that is away says so below.
                let _ = self.read_account_roles().await;
            }
            if is_still {
                continue;
            }
            match self.round(&engine).await {
                Ok(next) => {
                    failed = false;
                    if let Next::Due(at) = next {
                        still.looked(at);
                    }
                }
                // Once, not every second that a database is away.
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!(error = %chain(&error), "approvals cannot be looked at; it is tried again");
                }
                Err(_) => {}
            }
        }
    }

    async fn round(&self, engine: &Engine) -> Result<Next, ApprovalError> {
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
            next.map(Next::Due).map_err(ApprovalError::store("read the next deadline of an approval"))
        } else {
            Ok(Next::AtOnce)
        }
    }
}

/// When there is something to do though nothing changes.
enum Next {
    /// The steps that were woken have yet to take notice.
    AtOnce,
    /// Microseconds since 1970, if at all.
    Due(Option<i64>),
}
