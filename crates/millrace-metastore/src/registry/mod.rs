//! The model registry: names with versions, their tags, aliases and stages, and who is told of changes.
//!
//! Names and rules are MLflow's. A registered model is one whether a `register` step or a client of MLflow made it; its content is a
//! row of `asset_version`. A prompt is a registered model with the tag [`PROMPT_TAG`] and without content. Times are microseconds
//! since 1970. Whatever changes here tells the webhooks of it in the same transaction.

mod cards;
mod events;
mod import;
mod labels;
mod models;
mod own;
mod promotions;
mod search;
mod versions;
mod webhooks;

pub use cards::CardRow;
pub use import::{ImportedRegistered, is_deleted};
pub use own::{NewModelAsset, RegisteredAsset};
pub use promotions::{
    APPROVALS_TAG, APPROVERS_TAG, NewPromotion, PROTECTED_TAG, PromotionRow, VoteRow, promotion_state,
};
pub use search::{RegistryClause, RegistryField, RegistryOrder, RegistryQuery};
pub use versions::NewVersion;
pub use webhooks::{WebhookChange, WebhookDelivery, WebhookRow, webhook_body};

pub use crate::outbox::NoteRow;

use std::collections::HashMap;

use crate::{MetastoreError, Row, Session, Value};

/// The tag that makes a registered model a prompt, if its value is `true`.
pub const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// The kind of models in the tables of assets.
const MODEL: &str = "model";
/// Stage of a version that is gone.
const DELETED: &str = "Deleted_Internal";
/// Stage that versions are moved to when another takes their place.
const ARCHIVED: &str = "Archived";
/// Rows that one statement asks about.
const CHUNK: usize = 200;

/// Why a request about the registry is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryRefusal {
    /// No such registered model.
    #[error("Registered Model with name={name} not found")]
    NoModel {
        /// Which.
        name: String,
    },
    /// No such version, or it is deleted.
    #[error("Model Version (name={name}, version={version}) not found")]
    NoVersion {
        /// Of which model.
        name: String,
        /// Which.
        version: i64,
    },
    /// It has no version at all.
    #[error("Latest version not found for model {name}.")]
    NoLatest {
        /// Which model.
        name: String,
    },
    /// No such alias.
    #[error("Registered model alias {alias} not found.")]
    NoAlias {
        /// Which.
        alias: String,
    },
    /// A model or a prompt has the name.
    #[error("{}", taken(name, *by_prompt, *for_prompt))]
    NameTaken {
        /// The name.
        name: String,
        /// Whether a prompt has it.
        by_prompt: bool,
        /// Whether a prompt was to get it.
        for_prompt: bool,
    },
    /// A prompt has no content to register.
    #[error("`{name}` is a prompt, so it cannot have versions of a model")]
    IsPrompt {
        /// Its name.
        name: String,
    },
    /// No such webhook.
    #[error("Webhook with ID {id} not found.")]
    NoWebhook {
        /// Which.
        id: String,
    },
    /// An alias that moves by an approved request only.
    #[error(
        "the alias `{alias}` of `{name}` is protected: it moves when a request to promote a version is approved"
    )]
    Protected {
        /// Of which model.
        name: String,
        /// Which alias.
        alias: String,
    },
    /// No such request.
    #[error("there is no request `{id}`")]
    NoPromotion {
        /// Which.
        id: String,
    },
    /// The same is asked for already.
    #[error("the request `{id}` asks for the same and waits for a decision")]
    AlreadyRequested {
        /// Which does.
        id: String,
    },
    /// Whoever asks does not decide.
    #[error("`{voter}` made this request: somebody else has to decide it")]
    OwnRequest {
        /// Who it is.
        voter: String,
    },
    /// Others are asked.
    #[error("`{voter}` is not asked: {asked} decides this request")]
    NotAsked {
        /// Who it is.
        voter: String,
        /// Who decides.
        asked: String,
    },
    /// Only who made a request takes it back.
    #[error("`{owner}` made this request, and nobody else takes it back")]
    ForeignRequest {
        /// Who did.
        owner: String,
    },
    /// The request was decided before.
    #[error("the request `{id}` is {state} already")]
    Decided {
        /// Which.
        id: String,
        /// How.
        state: String,
    },
    /// The page token was made by another search.
    #[error("Invalid page token: it is not of this search")]
    ForeignToken,
}

fn taken(name: &str, by_prompt: bool, for_prompt: bool) -> String {
    let word = |prompt: bool| if prompt { "Prompt" } else { "Registered Model" };
    if by_prompt == for_prompt {
        return format!("{} (name={name}) already exists.", word(for_prompt));
    }
    format!(
        "Tried to create a {} with name '{name}', but the name is already taken by a {}. A model and a prompt cannot have the same name.",
        word(for_prompt).to_lowercase(),
        word(by_prompt).to_lowercase(),
    )
}

/// A name and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegisteredModelRow {
    /// Name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// By key.
    pub tags: Vec<(String, String)>,
    /// With the versions they point at, by alias.
    pub aliases: Vec<(String, i64)>,
    /// The newest version of each stage, oldest first.
    pub latest: Vec<ModelVersionRow>,
}

impl RegisteredModelRow {
    /// Whether it is a prompt.
    pub fn is_prompt(&self) -> bool {
        marks_prompt(&self.tags)
    }
}

/// A version of a name, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelVersionRow {
    /// Name of its model.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// MLflow's word: `None`, `Staging`, `Production`, `Archived`.
    pub stage: String,
    /// For people.
    pub description: Option<String>,
    /// Where it came from, as the client said.
    pub source: String,
    /// Where its files are, if not at the source.
    pub location: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A page that shows the run.
    pub run_link: Option<String>,
    /// The logged model that it is.
    pub model_id: Option<String>,
    /// By key.
    pub tags: Vec<(String, String)>,
    /// Those that point at it, sorted.
    pub aliases: Vec<String>,
}

/// Whether these tags are a prompt's.
pub fn marks_prompt(tags: &[(String, String)]) -> bool {
    tags.iter().any(|(key, value)| key == PROMPT_TAG && value.eq_ignore_ascii_case("true"))
}

const SELECT_VERSION: &str = "SELECT this.name, this.version, this.created_at, this.updated_at, this.stage, this.description, \
     this.source, this.location, this.run_id, this.run_link, this.model_id";

fn version_row(row: &Row) -> Result<ModelVersionRow, MetastoreError> {
    Ok(ModelVersionRow {
        name: row.text("name")?,
        version: row.int("version")?,
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
        stage: row.text("stage")?,
        description: row.opt_text("description")?,
        source: row.text("source")?,
        location: row.opt_text("location")?,
        run_id: row.opt_text("run_id")?,
        run_link: row.opt_text("run_link")?,
        model_id: row.opt_text("model_id")?,
        tags: Vec::new(),
        aliases: Vec::new(),
    })
}

/// Adds the tags and aliases of versions.
async fn add_labels(session: &mut Session, versions: &mut [ModelVersionRow]) -> Result<(), MetastoreError> {
    for versions in versions.chunks_mut(CHUNK) {
        let args: Vec<Value<'_>> =
            versions.iter().flat_map(|row| [row.name.clone().into(), row.version.into()]).collect();
        let pairs: Vec<String> =
            (0..versions.len()).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
        let pairs = pairs.join(", ");
        let sql = format!(
            "SELECT name, version, key, content FROM model_tag WHERE (name, version) IN (VALUES {pairs}) ORDER BY name, version, key"
        );
        let mut tags: HashMap<(String, i64), Vec<(String, String)>> = HashMap::new();
        for row in session.fetch_all(&sql, &args).await? {
            let of = (row.text("name")?, row.int("version")?);
            tags.entry(of).or_default().push((row.text("key")?, row.text("content")?));
        }
        let sql = format!(
            "SELECT name, version, alias FROM asset_alias WHERE kind = '{MODEL}' AND (name, version) IN (VALUES {pairs}) ORDER BY alias"
        );
        let mut aliases: HashMap<(String, i64), Vec<String>> = HashMap::new();
        for row in session.fetch_all(&sql, &args).await? {
            aliases.entry((row.text("name")?, row.int("version")?)).or_default().push(row.text("alias")?);
        }
        for version in versions {
            let of = (version.name.clone(), version.version);
            version.tags = tags.remove(&of).unwrap_or_default();
            version.aliases = aliases.remove(&of).unwrap_or_default();
        }
    }
    Ok(())
}

/// Lets no other change of this model begin before this one has ended.
async fn lock_model(session: &mut Session, name: &str) -> Result<(), MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT name FROM registered_model WHERE name = $1{lock}");
    match session.fetch_optional(&sql, &[name.into()]).await? {
        Some(_) => Ok(()),
        None => Err(RegistryRefusal::NoModel { name: name.to_owned() }.into()),
    }
}

async fn touch_model(session: &mut Session, name: &str, now: i64) -> Result<(), MetastoreError> {
    let sql = "UPDATE registered_model SET updated_at = $2 WHERE name = $1";
    match session.execute(sql, &[name.into(), now.into()]).await? {
        0 => Err(RegistryRefusal::NoModel { name: name.to_owned() }.into()),
        _ => Ok(()),
    }
}

/// Whether a name is a prompt's.
async fn is_prompt(session: &mut Session, name: &str) -> Result<bool, MetastoreError> {
    let sql = "SELECT content FROM model_tag WHERE name = $1 AND version = 0 AND key = $2";
    let found = session.fetch_optional(sql, &[name.into(), PROMPT_TAG.into()]).await?;
    Ok(found
        .map(|row| row.text("content"))
        .transpose()?
        .is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

/// `$from, $from+1, …`: so many placeholders with commas between.
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
