use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::webhook::{Sender, Webhook};
use crate::duration::DurationText;

pub(super) const EXAMPLE: &str = "code:\n  git: origin\n  branches: [main]\n  paths: [\"churn/**\"]\n  events: [push]\n  inputs: {commit: \"${{ event.git.sha }}\"}";

/// Commits that are pushed, pull requests, and tags of a git repository.
///
/// It asks the repository every minute, or hears of it by `webhook:`, or both: one change starts one run. `event.git` has `kind`, `ref`,
/// `branch` or `tag`, `sha`, `before`, `message`, `author` and the changed `files`; of a pull request its `number` and `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitChange {
    /// A remote of the workspace's repository, such as `origin`, or the URL or folder of any other.
    pub git: String,
    /// What happened.
    #[serde(default = "push")]
    pub events: Vec<GitEvent>,
    /// Only these branches, the target of a pull request: names or globs. All if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// Only these tags: names or globs. All if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only if one of these files changed: globs; one that begins with `!` takes out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// How often the repository is asked: every minute if nobody tells of it by a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<DurationText>,
    /// Who tells of it at `POST /hooks/PIPELINE/TRIGGER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Sender>,
    /// Name of the secret that the sender signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What happens in a git repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitEvent {
    /// A branch has new commits.
    Push,
    /// A pull request was opened or has new commits.
    PullRequest,
    /// A tag was made.
    Tag,
}

impl GitEvent {
    /// The word that users write.
    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Tag => "tag",
        }
    }
}

impl GitChange {
    /// How requests of its sender are taken.
    pub fn as_webhook(&self) -> Option<Webhook> {
        let webhook = self.webhook?;
        Some(Webhook { webhook, secret: self.secret.clone(), events: Vec::new(), signature_header: None })
    }

    /// Whether the repository is asked.
    pub fn is_polled(&self) -> bool {
        self.webhook.is_none() || self.every.is_some()
    }

    /// How often the repository is asked.
    pub fn every(&self) -> DurationText {
        self.every.unwrap_or(DurationText(60_000))
    }
}

fn push() -> Vec<GitEvent> {
    vec![GitEvent::Push]
}
