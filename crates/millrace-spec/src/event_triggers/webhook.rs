use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const EXAMPLE: &str = "published:\n  webhook: github\n  secret: hook_key\n  events: [release]\n  if: event.action == 'published'\n  inputs: {tag: \"${{ event.release.tag_name }}\"}";

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
