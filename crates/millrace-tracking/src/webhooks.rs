//! Tells webhooks what changed in the model registry, signed as MLflow signs.
//!
//! The change and its notes are stored in one transaction, so a kill loses none; a note that was sent but not yet marked is sent again
//! with the same id. A receiver that does not answer is tried again, ever more rarely, for about an hour.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use indexmap::IndexMap;
use millrace_contract::Clock;
use millrace_contract::network::is_public;
use millrace_metastore::registry::{NoteRow, RegistryRefusal, WebhookRow, webhook_body};
use millrace_metastore::{LookAgain, Metastore, MetastoreError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

/// Shortest one, so that a broken database is not asked without pause.
const PAUSE: Duration = Duration::from_millis(200);
/// Tries before a note is given up.
const MOST_TRIES: i64 = 12;
/// Notes that one round takes, for each webhook and in all.
const EACH: u32 = 20;
const ALL: u32 = 200;
/// Webhooks that are told at once.
const AT_ONCE: usize = 8;
/// Microseconds that a delivered note is kept.
const KEPT: i64 = 7 * 24 * 3600 * 1_000_000;
/// Bytes of an answer to a test that are shown.
const SHOWN: usize = 4_096;

/// Every event with what a test call tells of it. The names are MLflow's.
const EVENTS: &[(&str, &str)] = &[
    (
        "registered_model.created",
        r#"{"name": "example_model", "tags": {"example_key": "example_value"}, "description": "An example registered model"}"#,
    ),
    (
        "model_version.created",
        r#"{"name": "example_model", "version": "1", "source": "models:/123", "run_id": "abcd1234abcd5678", "tags": {"example_key": "example_value"}, "description": "An example model version"}"#,
    ),
    (
        "model_version_tag.set",
        r#"{"name": "example_model", "version": "1", "key": "example_key", "value": "example_value"}"#,
    ),
    ("model_version_tag.deleted", r#"{"name": "example_model", "version": "1", "key": "example_key"}"#),
    ("model_version_alias.created", r#"{"name": "example_model", "alias": "example_alias", "version": "1"}"#),
    ("model_version_alias.deleted", r#"{"name": "example_model", "alias": "example_alias"}"#),
    (
        "prompt.created",
        r#"{"name": "example_prompt", "tags": {"example_key": "example_value"}, "description": "An example prompt"}"#,
    ),
    (
        "prompt_version.created",
        r#"{"name": "example_prompt", "version": "1", "template": "Hello {{name}}!", "tags": {"example_key": "example_value"}, "description": "An example prompt version"}"#,
    ),
    ("prompt_tag.set", r#"{"name": "example_prompt", "key": "example_key", "value": "example_value"}"#),
    ("prompt_tag.deleted", r#"{"name": "example_prompt", "key": "example_key"}"#),
    (
        "prompt_version_tag.set",
        r#"{"name": "example_prompt", "version": "1", "key": "example_key", "value": "example_value"}"#,
    ),
    ("prompt_version_tag.deleted", r#"{"name": "example_prompt", "version": "1", "key": "example_key"}"#),
    ("prompt_alias.created", r#"{"name": "example_prompt", "alias": "example_alias", "version": "1"}"#),
    ("prompt_alias.deleted", r#"{"name": "example_prompt", "alias": "example_alias"}"#),
];

/// Which addresses may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All: who can call this server is on this machine.
    Anywhere,
    /// Those of the internet, so that a caller cannot reach the server's own network through it.
    Internet,
}

/// How a test call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestOutcome {
    /// The receiver answered.
    Answered {
        /// HTTP.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// It could not be reached.
    Failed(String),
}

/// Delivers what waits for webhooks.
#[derive(Clone)]
pub struct Webhooks {
    store: Metastore,
    clock: Arc<dyn Clock>,
    client: reqwest::Client,
    reach: Reach,
    bell: Arc<Notify>,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// The names of all events, `entity.action`.
pub fn events() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(event, _)| *event)
}

impl Webhooks {
    /// Notes come from `store` and go as far as `reach`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(store: Metastore, clock: Arc<dyn Clock>, reach: Reach) -> Result<Self, reqwest::Error> {
        // A redirect or a proxy could lead to where the address may not.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(GuardedNames(reach)))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { store, clock, client, reach, bell: Arc::default() })
    }

    /// Says that there may be something to deliver.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// Checks where a webhook is to be told: `http` or `https`, as far as this server reaches.
    ///
    /// # Errors
    /// Why not.
    pub fn check_url(&self, text: &str) -> Result<(), String> {
        check_url(text, self.reach)
    }

    /// Rounds until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let clock = self.clock.clone();
        let mut commits = self.store.commits(move || clock.now().as_microsecond());
        let (mut next, mut failed) = (None, false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.bell.notified() => {}
                () = commits.next() => {}
                () = self.until(next) => {}
            }
            // A receiver that is slow must not keep the server; its note is sent again by the next one.
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            let again = match looked {
                Ok(due_at) => {
                    (next, failed) = (due_at, false);
                    due_at.into()
                }
                Err(error) => {
                    // Once, not every second that a database is away.
                    if !std::mem::replace(&mut failed, true) {
                        tracing::warn!(%error, "the webhooks could not be told; it is tried again");
                    }
                    next = None;
                    LookAgain::Soon
                }
            };
            commits.looked(again);
        }
    }

    /// Delivers what is due, and answers when something will be: microseconds since 1970.
    async fn look(&self) -> Result<Option<i64>, MetastoreError> {
        self.round().await?;
        self.store.next_webhook_note_at().await
    }

    /// To the moment itself; commits only tell of it within a second.
    async fn until(&self, next: Option<i64>) {
        let Some(next) = next else { return std::future::pending().await };
        let wait = u64::try_from(next.saturating_sub(self.now())).unwrap_or_default();
        tokio::time::sleep(Duration::from_micros(wait).max(PAUSE)).await;
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Delivers what is due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn round(&self) -> Result<(), MetastoreError> {
        let mut waiting: IndexMap<String, Vec<NoteRow>> = IndexMap::new();
        for note in self.store.list_due_webhook_notes(self.now(), ALL, EACH).await? {
            waiting.entry(note.to.clone()).or_default().push(note);
        }
        let told = futures::stream::iter(waiting).map(|(id, notes)| self.tell(id, notes));
        let outcomes: Vec<_> = told.buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }

    /// Sends the notes of one webhook in their order, until one does not arrive.
    async fn tell(&self, id: String, notes: Vec<NoteRow>) -> Result<(), MetastoreError> {
        let webhook = match self.store.find_webhook(id).await {
            // It was deleted meanwhile, and its notes with it.
            Err(MetastoreError::Registry(RegistryRefusal::NoWebhook { .. })) => return Ok(()),
            found => found?,
        };
        for note in notes {
            let sent = self.send(&webhook, &note.id, note.body).await;
            let now = self.now();
            match sent.and_then(accepted) {
                Ok(()) => self.store.mark_webhook_note_delivered(note.id, now, now - KEPT).await?,
                Err(error) => {
                    let again = (note.attempts + 1 < MOST_TRIES).then(|| now + pause_before(note.attempts));
                    tracing::warn!(
                        webhook = webhook.name,
                        note = note.id,
                        error,
                        given_up = again.is_none(),
                        "a webhook was not told"
                    );
                    return self.store.postpone_webhook_note(note.id, again, error).await;
                }
            }
        }
        Ok(())
    }

    /// Sends an example of an event now, whether or not the webhook is active.
    pub async fn test(&self, webhook: &WebhookRow, event: &str) -> TestOutcome {
        let example = EVENTS.iter().find(|(name, _)| *name == event).map_or("{}", |(_, example)| example);
        let data: Value = serde_json::from_str(example).unwrap_or_else(|_| json!({}));
        let body = webhook_body(event, &data, self.now());
        let id = uuid::Uuid::now_v7().to_string();
        match self.send(webhook, &id, body).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                TestOutcome::Answered { status, body: beginning(answer).await }
            }
            Err(error) => TestOutcome::Failed(error),
        }
    }

    async fn send(&self, webhook: &WebhookRow, id: &str, body: String) -> Result<reqwest::Response, String> {
        check_url(&webhook.url, self.reach)?;
        let timestamp = self.clock.now().as_second().to_string();
        let mut request = self
            .client
            .post(&webhook.url)
            .header("content-type", "application/json")
            .header("x-mlflow-delivery-id", id)
            .header("x-mlflow-timestamp", &timestamp);
        if let Some(secret) = webhook.secret.as_deref().filter(|secret| !secret.is_empty()) {
            request = request.header("x-mlflow-signature", signature(secret, id, &timestamp, &body));
        }
        request.body(body).send().await.map_err(|error| chain(&error.without_url()))
    }
}

/// `v1,` and the Base64 of an HMAC (RFC 2104) with SHA-256 over `id.timestamp.body`.
fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    // An HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Microseconds before the try after `tries` failed ones: two seconds, then twice as long each time.
fn pause_before(tries: i64) -> i64 {
    2_000_000 << tries.clamp(0, 11)
}

fn accepted(answer: reqwest::Response) -> Result<(), String> {
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
}

async fn beginning(answer: reqwest::Response) -> String {
    let mut shown = Vec::new();
    let mut parts = answer.bytes_stream();
    while let Some(Ok(part)) = parts.next().await {
        shown.extend_from_slice(&part);
        if shown.len() >= SHOWN {
            shown.truncate(SHOWN);
            break;
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

fn check_url(text: &str, reach: Reach) -> Result<(), String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("Invalid webhook URL '{text}': {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(format!("Invalid webhook URL scheme: '{scheme}'. Allowed schemes are: https, http."));
    }
    let address = match url.host() {
        None => return Err(format!("Webhook URL must include a hostname: '{text}'")),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
    };
    allowed(address, reach)
}

fn allowed(address: IpAddr, reach: Reach) -> Result<(), String> {
    if reach == Reach::Anywhere || is_public(address) {
        return Ok(());
    }
    Err(format!(
        "Webhook URL must not lead to a private network ({address}); MILLRACE_WEBHOOKS=anywhere on the server allows it"
    ))
}

/// Looks names up and gives only the addresses that may be told: what is checked is what is connected to.
struct GuardedNames(Reach);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                allowed(address.ip(), reach)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// An error with its causes: the first one says only that something was sent.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use millrace_contract::FixedClock;

    use super::*;

    #[test]
    fn the_signature_is_mlflows() {
        // hmac.new(b"secret", b"id.1.{}", hashlib.sha256), from Python.
        assert_eq!(signature("secret", "id", "1", "{}"), "v1,490pAcC1LQ1k1cOcmH0da199+A88OKCj0Io4WnJlp68=");
    }

    #[test]
    fn every_example_is_a_document() {
        for (event, example) in EVENTS {
            assert!(serde_json::from_str::<Value>(example).is_ok(), "{event}");
        }
    }

    #[test]
    fn a_server_that_others_reach_tells_the_internet_only() {
        for url in ["ftp://a.example/", "file:///etc/passwd", "nothing", "http://"] {
            assert!(check_url(url, Reach::Anywhere).is_err(), "{url}");
        }
        for url in [
            "http://127.0.0.1:9/",
            "http://[::1]/",
            "http://10.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
        ] {
            assert!(check_url(url, Reach::Anywhere).is_ok(), "{url}");
            assert!(check_url(url, Reach::Internet).is_err(), "{url}");
        }
        assert!(check_url("https://hooks.example/a", Reach::Internet).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let resolve = |reach| GuardedNames(reach).resolve("localhost".parse().unwrap());
        assert!(resolve(Reach::Anywhere).await.is_ok());
        assert!(resolve(Reach::Internet).await.is_err());
    }
    #[tokio::test]
    async fn a_note_that_is_never_taken_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("m.db").display());
        let store = Metastore::open(&url).await.unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::from_second(1_000).unwrap()));
        let webhooks = Webhooks::new(store.clone(), clock.clone(), Reach::Anywhere).unwrap();
        let webhook = WebhookRow {
            id: "w".to_owned(),
            // Nobody listens on port 9 of loopback here.
            url: "http://127.0.0.1:9/".to_owned(),
            active: true,
            events: vec!["registered_model.created".to_owned()],
            ..WebhookRow::default()
        };
        store.create_webhook(webhook).await.unwrap();
        store.create_registered_model("m".to_owned(), None, Vec::new(), webhooks.now()).await.unwrap();
        for tries in 1..=MOST_TRIES {
            webhooks.round().await.unwrap();
            let again = store.next_webhook_note_at().await.unwrap();
            assert_eq!(again.is_some(), tries < MOST_TRIES, "{tries}");
            clock.set(Timestamp::from_microsecond(again.unwrap_or_default()).unwrap());
        }
    }
}
