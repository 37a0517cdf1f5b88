use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};
use crate::problem::Problem;

/// A request to `POST /hooks/PIPELINE/TRIGGER` of the server.
///
/// The signature is checked before the body is read: `X-Hub-Signature-256` of GitHub, the token of GitLab, the password of Azure DevOps,
/// `webhook-signature` (Standard Webhooks) or `X-Signature` of others. What comes twice, by the sender's id of the delivery, the
/// `Idempotency-Key`, the id of a CloudEvent, or else by the body itself, starts one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Who sends it.
    pub webhook: Sender,
    /// Name of the secret that the sender signs with (`millrace secrets set NAME`). Without it only callers who are logged in are heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Only these kinds of event: `push`, `release.published`, `build.complete`, the type of a CloudEvent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Header with the signature, if it is not `X-Signature`; only of `hmac` and `cloudevents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<String>,
}

impl EventKind for Webhook {
    const WORD: &'static str = "webhook";
    const EXAMPLE: &'static str =
        "{webhook: github, secret: hook_key, events: [release], if: \"event.action == 'published'\"}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Webhook(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        if self.signature_header.is_none() || self.secret.is_some() {
            return Vec::new();
        }
        let problem = Problem::error("no-secret", "`signature_header` without `secret` checks nothing");
        vec![("signature_header", problem.hint("name the secret: `secret: NAME`"))]
    }
}

/// Who sends requests, and so how they are signed and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// GitHub and what speaks like it (Gitea, Forgejo).
    Github,
    /// GitLab.
    Gitlab,
    /// Service hooks of Azure DevOps.
    AzureDevops,
    /// Anybody who signs with HMAC-SHA256.
    Hmac,
    /// CloudEvents 1.0 over HTTP, binary, structured or in batches.
    Cloudevents,
}

impl Sender {
    /// The word that users write.
    pub fn word(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::AzureDevops => "azure_devops",
            Self::Hmac => "hmac",
            Self::Cloudevents => "cloudevents",
        }
    }
}
