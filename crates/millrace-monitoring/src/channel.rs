//! Where notes go: the server's log, a web server, mail, a chat. A note about an alert has Alertmanager's version 4 body, every other one
//! a subject, a text and a link.

mod chat;
mod mail;

use millrace_contract::network::is_private;
use millrace_metastore::monitoring::AlertNoteRow;
use serde_json::Value;

use crate::rule::{Channel, Webhook};

/// Microseconds before the try after `tries` failed ones: a minute, then twice as long each time.
pub(crate) fn pause_before(tries: i64) -> i64 {
    60_000_000 << tries.clamp(0, 6)
}

/// A note for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// One line.
    pub(crate) subject: String,
    /// The rest.
    pub(crate) text: String,
    /// Where to look at it.
    pub(crate) link: Option<String>,
}

/// Delivers one note, or says why not.
pub(crate) async fn deliver(
    client: &reqwest::Client,
    channel: &Channel,
    note: &AlertNoteRow,
) -> Result<(), String> {
    match channel {
        Channel::Log => {
            let words = words(&note.body);
            tracing::warn!("{}", words.paragraphs().join(" – ").replace('\n', " "));
            Ok(())
        }
        Channel::Webhook(webhook) => post(client, webhook, &note.id, note.body.clone()).await,
        Channel::Mail(mail) => mail::send(mail, &note.id, &words(&note.body)).await,
        Channel::Slack(webhook) => post(client, webhook, &note.id, chat::slack(&words(&note.body))).await,
        Channel::Teams(webhook) => post(client, webhook, &note.id, chat::teams(&words(&note.body))).await,
        Channel::Channel(name) => Err(format!("the channel `{name}` names another channel")),
    }
}

impl Words {
    /// Subject, text and link, those that are there.
    pub(crate) fn paragraphs(&self) -> Vec<String> {
        let all = [Some(self.subject.clone()), Some(self.text.clone()), self.link.clone()];
        all.into_iter().flatten().filter(|text| !text.is_empty()).collect()
    }
}

/// A note for people who read.
fn words(body: &str) -> Words {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    if let Some(subject) = text("/subject") {
        return Words {
            subject: subject.to_owned(),
            text: text("/text").unwrap_or_default().to_owned(),
            link: text("/link").map(str::to_owned),
        };
    }
    let said = |pointer: &str| text(pointer).unwrap_or("?").to_owned();
    let subject = format!(
        "alert `{}` is {} (severity {}): the value is {}, the threshold {}",
        said("/commonLabels/alertname"),
        said("/status"),
        said("/commonLabels/severity"),
        said("/alerts/0/annotations/value"),
        said("/alerts/0/annotations/threshold"),
    );
    Words { subject, text: String::new(), link: None }
}

async fn post(client: &reqwest::Client, webhook: &Webhook, id: &str, body: String) -> Result<(), String> {
    let host = webhook.url.host_str().ok_or("the address has no host")?.trim_matches(['[', ']']).to_owned();
    let port = webhook.url.port_or_known_default().unwrap_or(443);
    if !webhook.allow_private {
        let mut addresses = tokio::net::lookup_host((host.as_str(), port))
            .await
            .map_err(|error| format!("cannot find `{host}`: {error}"))?;
        if addresses.any(|address| is_private(address.ip())) {
            return Err(format!("`{host}` is in a private network; `allow_private: true` allows it"));
        }
    }
    let request = client
        .post(webhook.url.clone())
        .header("content-type", "application/json")
        .header("idempotency-key", id)
        .body(body);
    let answer =
        request.send().await.map_err(|error| format!("cannot reach `{host}`: {}", error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("`{host}` answered {}", answer.status())) }
}
