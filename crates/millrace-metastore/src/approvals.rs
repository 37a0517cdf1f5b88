//! What people are asked, and what they decided.
//!
//! Whoever changes an approval holds its row, so that of several decisions made at once one is the last and there is one outcome. What a
//! change is, the caller says from the row as it is then: the rules of approvals are the orchestration room's.

use crate::{Metastore, MetastoreError, Row, Session, Value};

/// How an approval stands.
pub mod approval_state {
    /// It waits for decisions.
    pub const WAITING: &str = "waiting";
    /// Enough people said yes.
    pub const APPROVED: &str = "approved";
    /// Somebody said no, or nobody decided in time.
    pub const REJECTED: &str = "rejected";
    /// The subject has another content than when it was asked.
    pub const VOID: &str = "void";
    /// The run does not wait any more.
    pub const WITHDRAWN: &str = "withdrawn";
}

/// A row of `approval` with its decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApprovalRow {
    /// UUIDv7, 32 hex digits.
    pub id: String,
    /// Pipeline run that waits.
    pub run_id: String,
    /// Its step.
    pub step: String,
    /// The attempt of the step.
    pub attempt: i64,
    /// Pipeline of the run.
    pub pipeline: String,
    /// Environment whose rules ask; `None` for an `approve` step.
    pub environment: Option<String>,
    /// What is to be approved, JSON.
    pub subject: String,
    /// Digest of the content that it is about.
    pub digest: String,
    /// Author of the run, if a person started it.
    pub asked_by: Option<String>,
    /// Who is asked and how it is decided, JSON.
    pub rule: String,
    /// One of [`approval_state`].
    pub state: String,
    /// Why it ended so.
    pub reason: Option<String>,
    /// Values of the form, JSON, once somebody filled it in.
    pub form: Option<String>,
    /// Microseconds since 1970.
    pub asked_at: i64,
    /// Until when it may be decided.
    pub deadline: Option<i64>,
    /// When others were asked too.
    pub escalated_at: Option<i64>,
    /// When it ended.
    pub decided_at: Option<i64>,
    /// Changes so far.
    pub revision: i64,
    /// Changes that the step has taken notice of.
    pub seen: i64,
    /// Oldest first.
    pub decisions: Vec<ApprovalDecisionRow>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalDecisionRow {
    /// Who.
    pub decided_by: String,
    /// Yes or no.
    pub approves: bool,
    /// The approvers that the person was one of, JSON list.
    pub standing: String,
    /// Why.
    pub comment: String,
    /// `api` or `command`.
    pub via: String,
    /// Microseconds since 1970.
    pub decided_at: i64,
}

/// What becomes of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApprovalChange {
    /// What somebody said; it takes the place of what the same person said before.
    pub decision: Option<ApprovalDecisionRow>,
    /// Values of the form, JSON.
    pub form: Option<String>,
    /// A new deadline, with the time when others are asked too.
    pub escalation: Option<(i64, Option<i64>)>,
    /// Its end: state word, reason, time.
    pub end: Option<(&'static str, Option<String>, i64)>,
}

/// Why a request about an approval is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefusal {
    /// No such approval.
    #[error("there is no approval `{id}`")]
    NoApproval {
        /// As asked.
        id: String,
    },
    /// It ended before.
    #[error("the approval `{id}` is {state} already")]
    Decided {
        /// Which.
        id: String,
        /// How it ended.
        state: String,
    },
    /// Somebody who is not asked.
    #[error("`{who}` is not asked: {asked} decide")]
    NotAsked {
        /// Who it is.
        who: String,
        /// Who is asked.
        asked: String,
    },
    /// Who started a run does not approve it.
    #[error("`{who}` started this run: somebody else has to approve it")]
    OwnRun {
        /// Who it is.
        who: String,
    },
    /// The same person said yes before.
    #[error("`{who}` has approved it already")]
    Again {
        /// Who it is.
        who: String,
    },
    /// The form is not filled in, or wrong.
    #[error("{message}")]
    Form {
        /// Which field, and what is wrong.
        message: String,
        /// A way out.
        hint: String,
    },
    /// A no without a reason.
    #[error("who rejects says why")]
    NoReason,
}

/// Which approvals a listing wants.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this run.
    pub run_id: Option<String>,
    /// Only those asked before this one: asked at, id.
    pub before: Option<(i64, String)>,
    /// At most so many.
    pub limit: i64,
}

const COLUMNS: &str = "id, run_id, step, attempt, pipeline, environment, subject, digest, asked_by, rule, state, reason, form, asked_at, \
     deadline, escalated_at, decided_at, revision, seen";

impl Metastore {
    /// Asks, unless the attempt has asked already: then the earlier approval is returned.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert_approval(&self, row: ApprovalRow) -> Result<ApprovalRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "INSERT INTO approval ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, NULL, $12, $13, NULL, NULL, 0, 0) \
                     ON CONFLICT (run_id, step, attempt) DO NOTHING"
                );
                let args = [
                    row.id.as_str().into(),
                    row.run_id.as_str().into(),
                    row.step.as_str().into(),
                    row.attempt.into(),
                    row.pipeline.as_str().into(),
                    row.environment.as_deref().into(),
                    row.subject.as_str().into(),
                    row.digest.as_str().into(),
                    row.asked_by.as_deref().into(),
                    row.rule.as_str().into(),
                    approval_state::WAITING.into(),
                    row.asked_at.into(),
                    row.deadline.into(),
                ];
                session.execute(&sql, &args).await?;
                let sql = "SELECT id FROM approval WHERE run_id = $1 AND step = $2 AND attempt = $3";
                let args = [row.run_id.as_str().into(), row.step.as_str().into(), row.attempt.into()];
                let id = match session.fetch_optional(sql, &args).await? {
                    Some(found) => found.text("id")?,
                    None => row.id,
                };
                find(session, &id).await
            })
        })
        .await
    }

    /// One approval.
    ///
    /// # Errors
    /// [`ApprovalRefusal::NoApproval`], or if the database fails.
    pub async fn find_approval(&self, id: String) -> Result<ApprovalRow, MetastoreError> {
        self.read(move |session| Box::pin(async move { find(session, &id).await })).await
    }

    /// Approvals, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_approvals(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let (conditions, mut args) = conditions(&filter);
                args.push(filter.limit.into());
                let sql = format!(
                    "SELECT {COLUMNS} FROM approval {conditions} ORDER BY asked_at DESC, id DESC LIMIT ${}",
                    args.len()
                );
                let mut found = Vec::new();
                for row in session.fetch_all(&sql, &args).await? {
                    found.push(with_decisions(session, &row).await?);
                }
                Ok(found)
            })
        })
        .await
    }

    /// How many wait.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_waiting_approvals(&self) -> Result<i64, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT count(*) AS waiting FROM approval WHERE state = 'waiting'";
                session.fetch_optional(sql, &[]).await?.map_or(Ok(0), |row| row.int("waiting"))
            })
        })
        .await
    }

    /// Changes an approval that waits as `change` says, which sees it as it is while nobody else can change it.
    ///
    /// # Errors
    /// [`ApprovalRefusal::NoApproval`], [`ApprovalRefusal::Decided`], what `change` refuses, or if the database fails: nothing was
    /// changed then.
    pub async fn change_approval<F>(&self, id: String, change: F) -> Result<ApprovalRow, MetastoreError>
    where
        F: FnOnce(&ApprovalRow) -> Result<ApprovalChange, ApprovalRefusal> + Send + 'static,
    {
        self.write(move |session| {
            Box::pin(async move {
                // Takes the row: on PostgreSQL, whoever else decides at this moment waits here.
                let sql = "UPDATE approval SET revision = revision + 1 WHERE id = $1";
                session.execute(sql, &[id.as_str().into()]).await?;
                let row = find(session, &id).await?;
                if row.state != approval_state::WAITING {
                    return Err(ApprovalRefusal::Decided { id, state: row.state }.into());
                }
                apply(session, &id, change(&row)?).await?;
                find(session, &id).await
            })
        })
        .await
    }

    /// Ids of those that wait although their deadline is over at `now`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_overdue_approvals(&self, now: i64, limit: i64) -> Result<Vec<String>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql =
                    "SELECT id FROM approval WHERE state = 'waiting' AND deadline <= $1 ORDER BY deadline LIMIT $2";
                session.fetch_all(sql, &[now.into(), limit.into()]).await?.iter().map(|row| row.text("id")).collect()
            })
        })
        .await
    }

    /// The next deadline of those that wait; microseconds since 1970.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_approval_deadline(&self) -> Result<Option<i64>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT deadline FROM approval WHERE state = 'waiting' AND deadline IS NOT NULL ORDER BY deadline LIMIT 1";
                session.fetch_all(sql, &[]).await?.first().map(|row| row.int("deadline")).transpose()
            })
        })
        .await
    }

    /// Runs and steps whose approval changed and that have not taken notice.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_unseen_approvals(&self, limit: i64) -> Result<Vec<(String, String)>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT run_id, step FROM approval WHERE seen < revision LIMIT $1";
                let rows = session.fetch_all(sql, &[limit.into()]).await?;
                rows.iter().map(|row| Ok((row.text("run_id")?, row.text("step")?))).collect()
            })
        })
        .await
    }

    /// Notes that the step knows the approval up to a revision.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mark_approval_seen(&self, id: String, revision: i64) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE approval SET seen = $2 WHERE id = $1 AND seen < $2";
                session.execute(sql, &[id.as_str().into(), revision.into()]).await.map(drop)
            })
        })
        .await
    }
}

fn conditions(filter: &ApprovalFilter) -> (String, Vec<Value<'_>>) {
    let (mut conditions, mut args): (Vec<String>, Vec<Value<'_>>) = (Vec::new(), Vec::new());
    match filter.state.as_deref() {
        // Of a state that is bound, SQLite does not know that the index of those that wait is good for it.
        Some("waiting") => conditions.push("state = 'waiting'".to_owned()),
        Some(state) => {
            args.push(state.into());
            conditions.push(format!("state = ${}", args.len()));
        }
        None => {}
    }
    if let Some(run_id) = &filter.run_id {
        args.push(run_id.into());
        conditions.push(format!("run_id = ${}", args.len()));
    }
    if let Some((at, id)) = &filter.before {
        args.push((*at).into());
        args.push(id.into());
        let (at, id) = (args.len() - 1, args.len());
        conditions.push(format!("(asked_at < ${at} OR (asked_at = ${at} AND id < ${id}))"));
    }
    match conditions.is_empty() {
        true => (String::new(), args),
        false => (format!("WHERE {}", conditions.join(" AND ")), args),
    }
}

async fn apply(session: &mut Session, id: &str, change: ApprovalChange) -> Result<(), MetastoreError> {
    if let Some(decision) = &change.decision {
        let sql = "INSERT INTO approval_decision (approval_id, decided_by, approves, standing, comment, via, decided_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (approval_id, decided_by) DO UPDATE SET \
                   approves = excluded.approves, standing = excluded.standing, comment = excluded.comment, via = excluded.via, \
                   decided_at = excluded.decided_at";
        let args = [
            id.into(),
            decision.decided_by.as_str().into(),
            decision.approves.into(),
            decision.standing.as_str().into(),
            decision.comment.as_str().into(),
            decision.via.as_str().into(),
            decision.decided_at.into(),
        ];
        session.execute(sql, &args).await?;
    }
    if let Some(form) = &change.form {
        let sql = "UPDATE approval SET form = $2 WHERE id = $1";
        session.execute(sql, &[id.into(), form.as_str().into()]).await?;
    }
    if let Some((at, deadline)) = change.escalation {
        let sql = "UPDATE approval SET escalated_at = $2, deadline = $3 WHERE id = $1";
        session.execute(sql, &[id.into(), at.into(), deadline.into()]).await?;
    }
    if let Some((state, reason, at)) = change.end {
        let sql = "UPDATE approval SET state = $2, reason = $3, decided_at = $4 WHERE id = $1";
        session.execute(sql, &[id.into(), state.into(), reason.into(), at.into()]).await?;
    }
    Ok(())
}

async fn find(session: &mut Session, id: &str) -> Result<ApprovalRow, MetastoreError> {
    let sql = format!("SELECT {COLUMNS} FROM approval WHERE id = $1");
    match session.fetch_optional(&sql, &[id.into()]).await? {
        Some(row) => with_decisions(session, &row).await,
        None => Err(ApprovalRefusal::NoApproval { id: id.to_owned() }.into()),
    }
}

async fn with_decisions(session: &mut Session, row: &Row) -> Result<ApprovalRow, MetastoreError> {
    let id = row.text("id")?;
    let sql = "SELECT decided_by, approves, standing, comment, via, decided_at FROM approval_decision \
               WHERE approval_id = $1 ORDER BY decided_at, decided_by";
    let decision = |row: &Row| {
        Ok(ApprovalDecisionRow {
            decided_by: row.text("decided_by")?,
            approves: row.bool("approves")?,
            standing: row.text("standing")?,
            comment: row.text("comment")?,
            via: row.text("via")?,
            decided_at: row.int("decided_at")?,
        })
    };
    let decisions = session.fetch_all(sql, &[id.as_str().into()]).await?;
    Ok(ApprovalRow {
        id,
        run_id: row.text("run_id")?,
        step: row.text("step")?,
        attempt: row.int("attempt")?,
        pipeline: row.text("pipeline")?,
        environment: row.opt_text("environment")?,
        subject: row.text("subject")?,
        digest: row.text("digest")?,
        asked_by: row.opt_text("asked_by")?,
        rule: row.text("rule")?,
        state: row.text("state")?,
        reason: row.opt_text("reason")?,
        form: row.opt_text("form")?,
        asked_at: row.int("asked_at")?,
        deadline: row.opt_int("deadline")?,
        escalated_at: row.opt_int("escalated_at")?,
        decided_at: row.opt_int("decided_at")?,
        revision: row.int("revision")?,
        seen: row.int("seen")?,
        decisions: decisions.iter().map(decision).collect::<Result<_, MetastoreError>>()?,
    })
}
