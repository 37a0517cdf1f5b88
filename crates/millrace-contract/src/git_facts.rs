use millrace_spec::triggers::event::GitEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Event;

/// A change of a git repository: `event.git` in expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitFacts {
    /// What happened.
    pub kind: GitEvent,
    /// `refs/heads/main`, `refs/tags/v1`; of a pull request `refs/pull/7/head`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The branch; of a pull request the one that it brings.
    pub branch: String,
    /// The tag, if it is one.
    pub tag: String,
    /// The commit.
    pub sha: String,
    /// The commit before; empty for what is new.
    pub before: String,
    /// Its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// Files that changed since `before`; `None` if nobody says.
    pub files: Option<Vec<String>>,
    /// Number of the pull request.
    pub number: Option<u64>,
    /// The branch that it is to go into.
    pub target: String,
}

impl GitFacts {
    /// A branch or a tag that now is at `sha`.
    pub fn of_ref(reference: String, sha: String, before: Option<String>) -> Self {
        let tag = reference.strip_prefix("refs/tags/").unwrap_or_default().to_owned();
        let branch = reference.strip_prefix("refs/heads/").unwrap_or_default().to_owned();
        let before = before.filter(|before| before.bytes().any(|byte| byte != b'0')).unwrap_or_default();
        let kind = if tag.is_empty() { GitEvent::Push } else { GitEvent::Tag };
        Self {
            kind,
            reference,
            branch,
            tag,
            sha,
            before,
            message: String::new(),
            author: String::new(),
            files: None,
            number: None,
            target: String::new(),
        }
    }

    /// A pull request from `branch` into `target` that now is at `sha`.
    pub fn of_pull_request(number: u64, (branch, target): (String, String), sha: String) -> Self {
        Self {
            kind: GitEvent::PullRequest,
            branch,
            target,
            number: Some(number),
            ..Self::of_ref(format!("refs/pull/{number}/head"), sha, None)
        }
    }

    /// The change as an event of a repository. A change is told apart by kind, reference and commit, whoever tells of it.
    pub fn into_event(self, repository: &str, data: Value) -> Event {
        let subject = match self.kind {
            GitEvent::Push => self.branch.clone(),
            GitEvent::Tag => self.tag.clone(),
            GitEvent::PullRequest => format!("#{}", self.number.unwrap_or_default()),
        };
        let event = Event {
            id: format!("{}:{}:{}", self.kind.word(), self.reference, self.sha),
            source: repository.to_owned(),
            kind: format!("git.{}", self.kind.word()),
            subject: Some(subject),
            time: None,
            data,
            facts: Map::new(),
        };
        event.with_fact("git", serde_json::to_value(self).unwrap_or_default())
    }
}
