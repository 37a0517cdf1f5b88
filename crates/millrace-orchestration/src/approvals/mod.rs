//! Approvals: what people are asked, who may decide, and what comes of it.
//!
//! An approval is a row. Whoever waits for it holds nothing and looks when it changes; whoever decides changes the row in one
//! transaction, in which the rules are asked ([`ApprovalRule`]). It is about one content: a yes counts only while the subject still has
//! the digest that it had when it was asked.

mod approval;
mod error;
mod form;
mod rule;
mod subject;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::{Clock, DatasetCatalog, ModelRegistry, Note, Notifier, StepContext, StepError};
use millrace_metastore::approvals::{ApprovalChange, ApprovalRefusal, ApprovalRow, approval_state};
use millrace_metastore::runs::PipelineRunRow;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::access::{Access, Person};
use millrace_spec::problem::Problem;
use serde_json::Value;

pub use approval::{Approval, standing_of};
pub use error::ApprovalError;
pub use rule::ApprovalRule;
pub use subject::Subject;

use crate::error::chain;
use subject::Catalogs;

/// Longest time between two looks of a step that waits; changes are told of sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// The same while the database does not answer.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// The groups and roles of the workspace as its file is now.
pub type AccessSource = Arc<dyn Fn() -> Result<Access, Box<Problem>> + Send + Sync>;

/// Names of the accounts that have each role.
type AccountRoles = BTreeMap<String, BTreeSet<String>>;

/// Asks people and takes their decisions.
#[derive(Clone)]
pub struct Approvals {
    store: Metastore,
    clock: Arc<dyn Clock>,
    catalogs: Catalogs,
    access: AccessSource,
    /// As they were when somebody last asked the database.
    account_roles: Arc<RwLock<AccountRoles>>,
    notifier: Arc<dyn Notifier>,
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Approvals")
    }
}

/// What one person says.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Who.
    pub person: Person,
    /// Yes or no.
    pub approve: bool,
    /// Why.
    pub comment: String,
    /// What they filled in.
    pub form: IndexMap<String, Value>,
    /// `api` or `command`.
    pub via: &'static str,
}

/// How an approval stands, for the step that waits for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Nobody has decided.
    Waiting { reason: String, look_again: Duration },
    /// Yes.
    Approved(Box<Approval>),
}

impl Approvals {
    /// Keeps approvals in `store`; who has which role, `access` says each time that somebody decides. Who is asked is told through
    /// `notifier`.
    pub fn new(
        store: Metastore,
        clock: Arc<dyn Clock>,
        (datasets, models): (Arc<dyn DatasetCatalog>, Arc<dyn ModelRegistry>),
        access: AccessSource,
        notifier: Arc<dyn Notifier>,
    ) -> Self {
        let (catalogs, account_roles) = (Catalogs { datasets, models }, Arc::default());
        Self { store, clock, catalogs, access, account_roles, notifier }
    }

    /// The groups and roles as they are now, those of accounts among them.
    ///
    /// # Errors
    /// If `access.yaml` is wrong or the database fails.
    pub async fn access(&self) -> Result<Access, ApprovalError> {
        self.read_account_roles().await?;
        self.known_access()
    }

    /// Reads the roles of accounts for [`Self::known_access`].
    async fn read_account_roles(&self) -> Result<(), ApprovalError> {
        let roles = self.store.list_role_people().await;
        let roles = roles.map_err(ApprovalError::store("read the roles of accounts"))?;
        *self.account_roles.write().unwrap_or_else(PoisonError::into_inner) = roles;
        Ok(())
    }

    /// The groups and roles of the file as it is now, with those of accounts as they were when [`Self::access`] last read them: enough to
    /// say which there are, not to decide.
    ///
    /// # Errors
    /// If `access.yaml` is wrong.
    pub fn known_access(&self) -> Result<Access, ApprovalError> {
        let access = (self.access)().map_err(ApprovalError::Access)?;
        let roles = self.account_roles.read().unwrap_or_else(PoisonError::into_inner);
        Ok(access.with_account_roles(&roles))
    }

    /// One approval.
    ///
    /// # Errors
    /// If there is none with this id, or the database fails.
    pub async fn find(&self, id: &str) -> Result<Approval, ApprovalError> {
        let row = self.store.find_approval(id.to_owned()).await;
        Approval::of(row.map_err(ApprovalError::store("read the approval"))?)
    }

    /// Takes a decision. The one that completes the quorum, and any no, ends the approval.
    ///
    /// An approval whose subject has changed is void: its state says so, and the decision is not taken.
    ///
    /// # Errors
    /// If the rules forbid it, `access.yaml` is wrong, or the database fails. Nothing was changed then.
    pub async fn decide(&self, id: &str, decision: Decision) -> Result<Approval, ApprovalError> {
        let before = self.find(id).await?;
        let access = self.access().await?;
        if before.is_waiting() {
            // Whoever is not asked must not make anything void or late.
            if let Some(refusal @ ApprovalRefusal::NotAsked { .. }) =
                before.refusal(&access, &decision.person)
            {
                return Err(ApprovalError::Refused(refusal));
            }
            if before.row.deadline.is_some_and(|at| at <= self.now()) {
                self.pass_deadline(id).await?;
            }
            if let Some(why) = self.change_of(&before).await? {
                return self.end(id, approval_state::VOID, why).await;
            }
        }
        let now = self.now();
        self.change(id, "store the decision", move |approval| approval.decided(&decision, &access, now)).await
    }

    /// Does what an approval's rule says about its deadline, if that is over.
    ///
    /// # Errors
    /// If it was decided meanwhile, or the database fails.
    pub async fn pass_deadline(&self, id: &str) -> Result<Approval, ApprovalError> {
        let now = self.now();
        self.change(id, "pass the deadline", move |approval| Ok(approval.overdue(now))).await
    }

    /// Asks, once an attempt. `subject`: the value it is about, else it is the run's plan.
    pub(crate) async fn ask(
        &self,
        context: &StepContext,
        subject: Option<&Value>,
        rule: &ApprovalRule,
        environment: Option<&str>,
    ) -> Result<ApprovalRow, StepError> {
        let run = self.run(&context.run_id).await?;
        let subject = Subject::of(subject, context, &run);
        // Nobody for what a trigger started.
        let author = self.origin(&run).await?;
        let now = self.now();
        let row = ApprovalRow {
            id: uuid::Uuid::now_v7().simple().to_string(),
            run_id: context.run_id.clone(),
            step: context.step.clone(),
            attempt: context.attempt.into(),
            pipeline: context.pipeline.clone(),
            environment: environment.map(str::to_owned),
            digest: subject.digest.clone(),
            subject: json(&subject),
            asked_by: author.get("user").and_then(Value::as_str).map(str::to_owned),
            rule: json(rule),
            asked_at: now,
            deadline: rule.timeout_ms.map(|ms| after(now, ms)),
            ..ApprovalRow::default()
        };
        let asked = self.store.insert_approval(row).await.map_err(|error| store_failed(&error))?;
        context.log.line(&format!("asked {} to approve {}", rule.asked_words(false), subject.label));
        self.tell(&asked.id, rule, &subject.label, context).await?;
        Ok(asked)
    }

    /// Tells the channels of the rule, once an approval. The link opens a page; deciding takes a login and a click there.
    async fn tell(
        &self,
        id: &str,
        rule: &ApprovalRule,
        label: &str,
        context: &StepContext,
    ) -> Result<(), StepError> {
        if rule.notify.is_empty() {
            return Ok(());
        }
        let asked =
            format!("{} of {} waits for {}.", context.step, context.pipeline, rule.asked_words(false));
        let note = Note {
            id: format!("approval-{id}"),
            subject: format!("Approve {label}?"),
            text: [rule.message.clone(), asked]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("\n"),
            path: Some(format!("/approvals/{id}")),
        };
        self.notifier.notify(&rule.notify, note).await.map_err(|problem| {
            let transient = problem.code == "store-failed";
            StepError { problem, transient, cancelled: false }
        })
    }

    /// What is wrong with the name of a channel.
    pub(crate) fn unknown_channel(&self, name: &str) -> Option<Problem> {
        self.notifier.unknown(name)
    }

    /// Looks how an approval stands, does what is due, and notes that the step knows it.
    ///
    /// # Errors
    /// If it was rejected, has become void, or was withdrawn. A database that fails is waited for.
    pub(crate) async fn look(&self, id: &str) -> Result<Answer, StepError> {
        match self.look_now(id).await {
            Ok(answer) => answer,
            Err(ApprovalError::Refused(ApprovalRefusal::NoApproval { id })) => {
                let problem = Problem::error("approval-gone", format!("the approval `{id}` is gone"));
                Err(StepError::permanent(problem.hint("run the step again")))
            }
            Err(error) => {
                tracing::warn!(approval = id, error = %chain(&error), "an approval cannot be looked at");
                let reason = "for the database, which does not answer".to_owned();
                Ok(Answer::Waiting { reason, look_again: LOOK_SOON })
            }
        }
    }

    async fn look_now(&self, id: &str) -> Result<Result<Answer, StepError>, ApprovalError> {
        let mut approval = self.find(id).await?;
        if approval.is_waiting() && approval.row.deadline.is_some_and(|at| at <= self.now()) {
            approval = self.settled(id, self.pass_deadline(id).await).await?;
        }
        let mut changed = None;
        if matches!(approval.row.state.as_str(), approval_state::WAITING | approval_state::APPROVED) {
            changed = self.change_of(&approval).await?;
        }
        if let Some(why) = changed.clone().filter(|_| approval.is_waiting()) {
            approval = self.settled(id, self.end(id, approval_state::VOID, why).await).await?;
        }
        if approval.row.seen < approval.row.revision {
            let seen = self.store.mark_approval_seen(id.to_owned(), approval.row.revision).await;
            seen.map_err(ApprovalError::store("note what the step knows"))?;
        }
        let reason = approval.row.reason.clone().unwrap_or_default();
        Ok(match approval.row.state.as_str() {
            approval_state::WAITING => {
                let left = approval.row.deadline.map(|at| u64::try_from(at - self.now()).unwrap_or(0));
                let look_again = left.map_or(LOOK_AGAIN, |left| Duration::from_micros(left).min(LOOK_AGAIN));
                Ok(Answer::Waiting { reason: approval.waits_for(), look_again })
            }
            approval_state::APPROVED => match changed {
                None => Ok(Answer::Approved(Box::new(approval))),
                Some(why) => Err(void(&approval, &why)),
            },
            approval_state::REJECTED => Err(StepError::rejected(reason)),
            approval_state::VOID => Err(void(&approval, &reason)),
            _ => Err(StepError::cancelled()),
        })
    }

    /// Says that nobody waits for it any more.
    pub(crate) async fn withdraw(&self, id: &str) {
        let why = "the run does not wait for it any more".to_owned();
        match self.end(id, approval_state::WITHDRAWN, why).await {
            Ok(_) | Err(ApprovalError::Refused(_)) => {}
            Err(error) => {
                tracing::warn!(approval = id, error = %chain(&error), "an approval stays in the inbox")
            }
        }
    }

    /// The run of a step.
    pub(crate) async fn run(&self, id: &str) -> Result<PipelineRunRow, StepError> {
        let found =
            self.store.find_pipeline_run(id.to_owned()).await.map_err(|error| store_failed(&error))?;
        let gone = || StepError::permanent(Problem::error("unknown-run", format!("there is no run `{id}`")));
        found.ok_or_else(gone)
    }

    /// What started a run: of a sub-pipeline's, what started the run that it is part of.
    pub(crate) async fn origin(&self, run: &PipelineRunRow) -> Result<Value, StepError> {
        let mut top = run.clone();
        while let Some(parent) = top.parent_run.take() {
            top = self.run(&parent).await?;
        }
        Ok(serde_json::from_str(&top.cause).unwrap_or_default())
    }

    /// Why the subject is not what it was.
    async fn change_of(&self, approval: &Approval) -> Result<Option<String>, ApprovalError> {
        let changed = self.catalogs.change_of(&approval.subject).await;
        changed.map_err(|error| ApprovalError::Subject { message: error.to_string() })
    }

    async fn end(&self, id: &str, state: &'static str, why: String) -> Result<Approval, ApprovalError> {
        let now = self.now();
        let end = Some((state, Some(why), now));
        self.change(id, "end the approval", move |_| Ok(ApprovalChange { end, ..ApprovalChange::default() }))
            .await
    }

    /// What somebody else decided in the same moment is as good.
    async fn settled(
        &self,
        id: &str,
        changed: Result<Approval, ApprovalError>,
    ) -> Result<Approval, ApprovalError> {
        match changed {
            Err(ApprovalError::Refused(ApprovalRefusal::Decided { .. })) => self.find(id).await,
            other => other,
        }
    }

    async fn change<F>(&self, id: &str, action: &'static str, change: F) -> Result<Approval, ApprovalError>
    where
        F: FnOnce(&Approval) -> Result<ApprovalChange, ApprovalRefusal> + Send + 'static,
    {
        // Read before, so that only what the database does can fail inside the transaction.
        self.find(id).await?;
        let changed = self.store.change_approval(id.to_owned(), move |row| match Approval::of(row.clone()) {
            Ok(approval) => change(&approval),
            Err(_) => Err(ApprovalRefusal::NoApproval { id: row.id.clone() }),
        });
        Approval::of(changed.await.map_err(ApprovalError::store(action))?)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

fn void(approval: &Approval, why: &str) -> StepError {
    let message = format!("the approval of {} is void: {why}", approval.subject.label);
    StepError::permanent(
        Problem::error("approval-void", message).hint("run it again to ask for what it is now"),
    )
}

fn store_failed(error: &MetastoreError) -> StepError {
    StepError::transient(Problem::error("store-failed", chain(error)))
}

fn after(now: i64, ms: u64) -> i64 {
    now.saturating_add(i64::try_from(ms.saturating_mul(1_000)).unwrap_or(i64::MAX))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
