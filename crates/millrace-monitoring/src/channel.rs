//! Where notes of alerts go: the server's log, or a web server that takes Alertmanager's version 4 body.

use millrace_contract::network::is_private;
use millrace_metastore::monitoring::AlertNoteRow;

use crate::rule::{Channel, Webhook};

/// Microseconds before the try after `tries` failed ones: a minute, then twice as long each time.
pub(crate) fn pause_before(tries: i64) -> i64 {
    60_000_000 << tries.clamp(0, 6)
}

/// Delivers one note, or says why not.
pub(crate) async fn deliver(client: &reqwest::Client, note: &AlertNoteRow) -> Result<(), String> {
    let channel: Channel =
        serde_json::from_str(&note.to).map_err(|error| format!("the channel cannot be read: {error}"))?;
    match channel {
        Channel::Log => {
            tracing::warn!("{}", sentence(&note.body));
            Ok(())
        }
        Channel::Webhook(webhook) => post(client, &webhook, note).await,
    }
}

/// A note for people who read a log.
fn sentence(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text =
        |pointer: &str| body.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    format!(
        "alert `{}` is {} (severity {}): the value is {}, the threshold {}",
        text("/commonLabels/alertname"),
        text("/status"),
        text("/commonLabels/severity"),
        text("/alerts/0/annotations/value"),
        text("/alerts/0/annotations/threshold"),
    )
}

async fn post(client: &reqwest::Client, webhook: &Webhook, note: &AlertNoteRow) -> Result<(), String> {
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
        .header("idempotency-key", &note.id)
        .body(note.body.clone());
    let answer =
        request.send().await.map_err(|error| format!("cannot reach `{host}`: {}", error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("`{host}` answered {}", answer.status())) }
}
