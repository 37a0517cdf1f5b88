use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::webhook::{Sender, Webhook};
use super::{EventKind, EventSpec, bad_globs};
use crate::duration::Elapsed;
use crate::problem::Problem;

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
    pub every: Option<Elapsed>,
    /// Who tells of it at `POST /hooks/PIPELINE/TRIGGER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Sender>,
    /// Name of the secret that the sender signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl EventKind for GitChange {
    const WORD: &'static str = "git";
    const EXAMPLE: &'static str = "{git: origin, branches: [main], paths: [\"churn/**\"], events: [push]}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Git(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        let globs = [("branches", &self.branches), ("tags", &self.tags), ("paths", &self.paths)];
        let mut found: Vec<_> =
            globs.into_iter().flat_map(|(key, globs)| bad_globs(key, globs.iter())).collect();
        if self.secret.is_some() && self.webhook.is_none() {
            let problem =
                Problem::error("no-webhook", "`secret` is for requests, and no `webhook` sends any");
            found.push(("secret", problem.hint("say who sends them: `webhook: github`")));
        }
        found
    }
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
    pub fn every(&self) -> Elapsed {
        self.every.unwrap_or(Elapsed::from_ms(60_000))
    }
}

fn push() -> Vec<GitEvent> {
    vec![GitEvent::Push]
}
