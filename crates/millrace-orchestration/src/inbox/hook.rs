//! Requests to `/hooks/PIPELINE/TRIGGER`: whether they may be believed, and what happened.
//!
//! The signature is checked over the bytes of the body before anything of it is read. Pure: secrets and time are handed in.

mod cloudevents;
mod git;
mod senders;
mod signature;

use jiff::Timestamp;
use millrace_contract::Event;
use millrace_spec::secret::SecretText;
use millrace_spec::triggers::event::{EventSpec, Sender};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct HookRequest {
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// Whether the caller may use this server anyway, so that no signature is needed.
    pub is_trusted: bool,
}

impl HookRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookRefusal {
    /// There is no such trigger, or it takes no requests.
    #[error("there is no webhook `{pipeline}/{trigger}`")]
    Unknown {
        /// As asked.
        pipeline: String,
        /// As asked.
        trigger: String,
    },
    /// It has no secret, and who calls is not known.
    #[error("the trigger names no `secret`, and this server is reached by others")]
    NoSecret,
    /// The secret is not set or cannot be read.
    #[error("the secret of the trigger cannot be used")]
    SecretMissing,
    /// It is not signed, or not by who has the secret.
    #[error("{0}")]
    Signature(&'static str),
    /// It is signed, but not now.
    #[error("the request was signed {0} seconds from now; more than 300 are refused")]
    Clock(i64),
    /// The body is not what the sender sends.
    #[error("{0}")]
    Unreadable(String),
}

/// Checks a request and reads what happened. `address` is where it came to, for senders that do not say where they are.
///
/// # Errors
/// Why it is not believed or cannot be read.
pub(crate) fn read(
    spec: &EventSpec,
    secret: Option<&SecretText>,
    request: &HookRequest,
    address: &str,
    now: Timestamp,
) -> Result<Vec<Event>, HookRefusal> {
    let Some(webhook) = spec.webhook() else {
        return Err(HookRefusal::Signature("the trigger takes no requests"));
    };
    match secret {
        Some(secret) => signature::check(&webhook, secret, request, now)?,
        None if spec.secret().is_some() => return Err(HookRefusal::SecretMissing),
        None if request.is_trusted => {}
        None => return Err(HookRefusal::NoSecret),
    }
    let mut events = match webhook.webhook {
        Sender::Github => vec![senders::github(request)?],
        Sender::Gitlab => vec![senders::gitlab(request)?],
        Sender::AzureDevops => vec![senders::azure_devops(request)?],
        Sender::Hmac => match cloudevents::read(request)? {
            Some(events) => events,
            None => vec![senders::anybody(request, address)?],
        },
        Sender::Cloudevents => cloudevents::read(request)?.ok_or_else(|| {
            HookRefusal::Unreadable(
                "it is no CloudEvent: no header `ce-id`, no type `application/cloudevents+json`".to_owned(),
            )
        })?,
    };
    if let EventSpec::Git(spec) = spec {
        // The same words as the repository itself gives when it is asked, so that both together start one run.
        events = events.into_iter().flat_map(|event| git::changes(spec, event)).collect();
    }
    Ok(events)
}

/// Why an event is not one of those that a webhook wants; `None` if it is.
pub(crate) fn unwanted(wanted: &[String], event: &Event) -> Option<String> {
    let word = event.kind.split_once('.').map_or(event.kind.as_str(), |(_, word)| word);
    let matches = |name: &String| {
        *name == event.kind
            || name == word
            || word.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
    };
    if wanted.is_empty() || wanted.iter().any(matches) {
        return None;
    }
    Some(format!("it is `{word}`, and the trigger wants {}", wanted.join(", ")))
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
