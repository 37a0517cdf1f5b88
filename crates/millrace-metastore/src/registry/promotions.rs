//! Requests to point an alias at a version, and who approved of them.
//!
//! A request is about one content, by its digest. It is decided by others than who made it; with the last approval that it needs, the
//! alias moves in the same transaction. Who may vote, the model says: by a tag, or else administrators.

use millrace_spec::access::{ADMIN, Access, Approver, Person};

use super::labels::{lock_version, move_alias};
use super::{MODEL, RegistryRefusal, lock_model};
use crate::assets::{self, VersionSelector};
use crate::{Metastore, MetastoreError, Row, Session};

/// The tag of a registered model that says how many must approve: a number.
pub const APPROVALS_TAG: &str = "millrace.approvals";
/// The tag of a registered model with the aliases that move by an approved request only, with commas between.
pub const PROTECTED_TAG: &str = "millrace.protected_aliases";

/// The tag of a registered model that says who may vote: `user:NAME`, `group:NAME` and `role:NAME`, with commas between. Groups and roles are
/// those of `access.yaml` and of accounts. Without it, administrators may.
pub const APPROVERS_TAG: &str = "millrace.approvers";

/// How a request stands.
pub mod promotion_state {
    /// It waits for approvals.
    pub const PENDING: &str = "pending";
    /// The alias was moved.
    pub const APPROVED: &str = "approved";
    /// Somebody was against it.
    pub const REJECTED: &str = "rejected";
    /// Who made it took it back, or its version was deleted.
    pub const WITHDRAWN: &str = "withdrawn";
    /// The version has another content than when it was made.
    pub const OUTDATED: &str = "outdated";
}

/// A request to be made.
#[derive(Debug, Clone)]
pub struct NewPromotion {
    /// A new id.
    pub id: String,
    /// Model.
    pub name: String,
    /// Version.
    pub version: i64,
    /// Alias that is to point at it.
    pub alias: String,
    /// Approvals that are wanted, if more than the model's tag asks for.
    pub quorum: i64,
    /// Why.
    pub comment: String,
    /// Who asks.
    pub requested_by: String,
}

/// A request with its votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionRow {
    /// Id.
    pub id: String,
    /// Model.
    pub name: String,
    /// Version.
    pub version: i64,
    /// Alias.
    pub alias: String,
    /// Digest of the content that it is about.
    pub digest: String,
    /// Approvals that it needs.
    pub quorum: i64,
    /// Who may vote, as the model says now.
    pub approvers: Vec<String>,
    /// One of [`promotion_state`].
    pub state: String,
    /// Why.
    pub comment: String,
    /// Who asked.
    pub requested_by: String,
    /// Microseconds since 1970.
    pub requested_at: i64,
    /// When it was decided.
    pub decided_at: Option<i64>,
    /// The version that the alias pointed at before.
    pub replaced_version: Option<i64>,
    /// Oldest first.
    pub votes: Vec<VoteRow>,
}

/// What one says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteRow {
    /// Who.
    pub voter: String,
    /// For or against.
    pub approves: bool,
    /// Why.
    pub comment: String,
    /// Microseconds since 1970.
    pub voted_at: i64,
}

const COLUMNS: &str = "id, name, version, alias, digest, quorum, state, comment, requested_by, requested_at, decided_at, replaced_version";

impl Metastore {
    /// Makes a request.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], [`RegistryRefusal::AlreadyRequested`], or if the database fails.
    pub async fn request_promotion(
        &self,
        new: NewPromotion,
        now: i64,
    ) -> Result<PromotionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let (name, version) = (new.name.as_str(), new.version);
                lock_version(session, name, version).await?;
                let digest = digest(session, name, version).await?;
                let sql = "SELECT id FROM promotion WHERE name = $1 AND version = $2 AND alias = $3 AND state = $4";
                let args =
                    [name.into(), version.into(), new.alias.as_str().into(), promotion_state::PENDING.into()];
                if let Some(row) = session.fetch_optional(sql, &args).await? {
                    return Err(RegistryRefusal::AlreadyRequested { id: row.text("id")? }.into());
                }
                let quorum = new.quorum.max(approvals(session, name).await?).max(1);
                let sql = "INSERT INTO promotion (id, name, version, alias, digest, quorum, state, comment, requested_by, requested_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
                let args = [
                    new.id.as_str().into(),
                    name.into(),
                    version.into(),
                    new.alias.as_str().into(),
                    digest.as_str().into(),
                    quorum.into(),
                    promotion_state::PENDING.into(),
                    new.comment.as_str().into(),
                    new.requested_by.as_str().into(),
                    now.into(),
                ];
                session.execute(sql, &args).await?;
                find(session, &new.id).await
            })
        })
        .await
    }

    /// Says yes or no to a request, once a person; a second vote takes the place of the first. A no rejects it. The last yes that it
    /// needs moves the alias.
    ///
    /// `voter`: who votes, and `access`: who has which role now.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoPromotion`], [`RegistryRefusal::OwnRequest`], [`RegistryRefusal::NotAsked`], [`RegistryRefusal::Decided`], or if
    /// the database fails.
    pub async fn vote_on_promotion(
        &self,
        id: String,
        (voter, access): (Person, Access),
        vote: VoteRow,
    ) -> Result<PromotionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let request = find_pending(session, &id).await?;
                if request.requested_by == vote.voter {
                    return Err(RegistryRefusal::OwnRequest { voter: vote.voter }.into());
                }
                // What names nobody lets nobody vote.
                let asked = request.approvers.iter().filter_map(|text| text.parse::<Approver>().ok());
                if !asked.into_iter().any(|approver| access.includes(&approver, &voter)) {
                    let asked = request.approvers.join(" or ");
                    return Err(RegistryRefusal::NotAsked { voter: vote.voter, asked }.into());
                }
                let (name, version) = (request.name.as_str(), request.version);
                if digest(session, name, version).await.ok().as_deref() != Some(request.digest.as_str()) {
                    decide(session, &id, promotion_state::OUTDATED, vote.voted_at, None).await?;
                    return find(session, &id).await;
                }
                let sql = "INSERT INTO promotion_vote (promotion_id, voter, approves, comment, voted_at) VALUES ($1, $2, $3, $4, $5) \
                           ON CONFLICT (promotion_id, voter) DO UPDATE SET approves = excluded.approves, comment = excluded.comment, \
                           voted_at = excluded.voted_at";
                let args = [
                    id.as_str().into(),
                    vote.voter.as_str().into(),
                    vote.approves.into(),
                    vote.comment.as_str().into(),
                    vote.voted_at.into(),
                ];
                session.execute(sql, &args).await?;
                if !vote.approves {
                    decide(session, &id, promotion_state::REJECTED, vote.voted_at, None).await?;
                    return find(session, &id).await;
                }
                let sql = "SELECT count(*) AS yes FROM promotion_vote WHERE promotion_id = $1 AND approves = 1";
                let row = session.fetch_optional(sql, &[id.as_str().into()]).await?;
                if row.map_or(Ok(0), |row| row.int("yes"))? >= request.quorum {
                    let alias = VersionSelector::Alias(request.alias.clone());
                    let before = assets::find(session, MODEL, name, &alias).await?.map(|row| row.version);
                    move_alias(session, (name, version), &request.alias, vote.voted_at).await?;
                    decide(session, &id, promotion_state::APPROVED, vote.voted_at, before).await?;
                }
                find(session, &id).await
            })
        })
        .await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoPromotion`], [`RegistryRefusal::ForeignRequest`], [`RegistryRefusal::Decided`], or if the database fails.
    pub async fn withdraw_promotion(
        &self,
        id: String,
        by: String,
        now: i64,
    ) -> Result<PromotionRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let request = find_pending(session, &id).await?;
                if request.requested_by != by {
                    return Err(RegistryRefusal::ForeignRequest { owner: request.requested_by }.into());
                }
                decide(session, &id, promotion_state::WITHDRAWN, now, None).await?;
                find(session, &id).await
            })
        })
        .await
    }

    /// One request.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoPromotion`], or if the database fails.
    pub async fn find_promotion(&self, id: String) -> Result<PromotionRow, MetastoreError> {
        self.read(move |session| Box::pin(async move { find(session, &id).await })).await
    }

    /// The requests of a model, or of all, newest first; 200 at most.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_promotions(&self, name: Option<String>) -> Result<Vec<PromotionRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let (which, args) = match &name {
                    Some(name) => ("WHERE name = $1", vec![name.as_str().into()]),
                    None => ("", Vec::new()),
                };
                let sql = format!(
                    "SELECT {COLUMNS} FROM promotion {which} ORDER BY requested_at DESC, id DESC LIMIT 200"
                );
                let mut found = Vec::new();
                for row in session.fetch_all(&sql, &args).await? {
                    found.push(with_votes(session, &row).await?);
                }
                Ok(found)
            })
        })
        .await
    }
}

/// Whether an alias of a model moves by an approved request only.
pub(super) async fn is_protected(
    session: &mut Session,
    name: &str,
    alias: &str,
) -> Result<bool, MetastoreError> {
    let listed = tag(session, name, PROTECTED_TAG).await?.unwrap_or_default();
    Ok(listed.split(',').any(|word| word.trim() == alias))
}

/// Takes back what waits for a version that is being deleted.
pub(super) async fn forget_version(
    session: &mut Session,
    (name, version): (&str, i64),
    now: i64,
) -> Result<(), MetastoreError> {
    let sql =
        "UPDATE promotion SET state = $3, decided_at = $4 WHERE name = $1 AND version = $2 AND state = $5";
    let (withdrawn, pending) = (promotion_state::WITHDRAWN, promotion_state::PENDING);
    session
        .execute(sql, &[name.into(), version.into(), withdrawn.into(), now.into(), pending.into()])
        .await?;
    let sql = "DELETE FROM model_card WHERE name = $1 AND version = $2";
    session.execute(sql, &[name.into(), version.into()]).await?;
    Ok(())
}

async fn approvals(session: &mut Session, name: &str) -> Result<i64, MetastoreError> {
    Ok(tag(session, name, APPROVALS_TAG).await?.and_then(|text| text.trim().parse().ok()).unwrap_or(1))
}

async fn approvers(session: &mut Session, name: &str) -> Result<Vec<String>, MetastoreError> {
    let listed = tag(session, name, APPROVERS_TAG).await?.unwrap_or_default();
    let words: Vec<String> =
        listed.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    Ok(if words.is_empty() { vec![format!("role:{ADMIN}")] } else { words })
}

async fn tag(session: &mut Session, name: &str, key: &str) -> Result<Option<String>, MetastoreError> {
    let sql = "SELECT content FROM model_tag WHERE name = $1 AND version = 0 AND key = $2";
    session.fetch_optional(sql, &[name.into(), key.into()]).await?.map(|row| row.text("content")).transpose()
}

async fn digest(session: &mut Session, name: &str, version: i64) -> Result<String, MetastoreError> {
    let found = assets::find(session, MODEL, name, &VersionSelector::Number(version)).await?;
    let absent = || RegistryRefusal::NoVersion { name: name.to_owned(), version };
    Ok(found.ok_or_else(absent)?.digest)
}

/// A request that is not decided; nobody else decides it meanwhile.
async fn find_pending(session: &mut Session, id: &str) -> Result<PromotionRow, MetastoreError> {
    let name = find(session, id).await?.name;
    lock_model(session, &name).await?;
    let request = find(session, id).await?;
    if request.state == promotion_state::PENDING {
        return Ok(request);
    }
    Err(RegistryRefusal::Decided { id: id.to_owned(), state: request.state }.into())
}

async fn decide(
    session: &mut Session,
    id: &str,
    state: &str,
    now: i64,
    replaced: Option<i64>,
) -> Result<(), MetastoreError> {
    let sql = "UPDATE promotion SET state = $2, decided_at = $3, replaced_version = $4 WHERE id = $1";
    session.execute(sql, &[id.into(), state.into(), now.into(), replaced.into()]).await?;
    Ok(())
}

async fn find(session: &mut Session, id: &str) -> Result<PromotionRow, MetastoreError> {
    let sql = format!("SELECT {COLUMNS} FROM promotion WHERE id = $1");
    match session.fetch_optional(&sql, &[id.into()]).await? {
        Some(row) => with_votes(session, &row).await,
        None => Err(RegistryRefusal::NoPromotion { id: id.to_owned() }.into()),
    }
}

async fn with_votes(session: &mut Session, row: &Row) -> Result<PromotionRow, MetastoreError> {
    let id = row.text("id")?;
    let sql = "SELECT voter, approves, comment, voted_at FROM promotion_vote WHERE promotion_id = $1 ORDER BY voted_at, voter";
    let votes = session.fetch_all(sql, &[id.as_str().into()]).await?;
    let vote = |row: &Row| {
        Ok(VoteRow {
            voter: row.text("voter")?,
            approves: row.bool("approves")?,
            comment: row.text("comment")?,
            voted_at: row.int("voted_at")?,
        })
    };
    let name = row.text("name")?;
    Ok(PromotionRow {
        id,
        approvers: approvers(session, &name).await?,
        name,
        version: row.int("version")?,
        alias: row.text("alias")?,
        digest: row.text("digest")?,
        quorum: row.int("quorum")?,
        state: row.text("state")?,
        comment: row.text("comment")?,
        requested_by: row.text("requested_by")?,
        requested_at: row.int("requested_at")?,
        decided_at: row.opt_int("decided_at")?,
        replaced_version: row.opt_int("replaced_version")?,
        votes: votes.iter().map(vote).collect::<Result<_, MetastoreError>>()?,
    })
}
