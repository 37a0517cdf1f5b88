//! NATS: a durable consumer of a JetStream, or a subject that is listened to.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use millrace_contract::{QueueReader, Received};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{NatsSubject, StartAt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use crate::connection::{ByUrl, Located, Server, chain, shown};
use crate::message::{Body, Message};
use crate::queue::{AT_ONCE, CONNECT, Subscriber, Subscription, WAIT};
use crate::tls;

/// How long the server waits for an acknowledgement before it delivers again.
const ACK_WAIT: Duration = Duration::from_secs(20);

/// NATS: streams of JetStream and subjects, for copies and triggers.
///
/// `url` is `nats://host:4222`, `tls://` with TLS. A copy reads `bus:ORDERS/orders.eu.>`, subjects of the stream `ORDERS`.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NatsServer {
    /// Where the server is.
    url: Url,
    /// Who logs in.
    #[serde(default)]
    user: Option<String>,
    /// What they log in with: `${{ secrets.NAME }}`.
    #[serde(default)]
    password: Option<String>,
    /// A token instead of both.
    #[serde(default)]
    token: Option<String>,
    /// Text of a `.creds` file.
    #[serde(default)]
    credentials: Option<String>,
    /// Certificate that is trusted beside the system's, PEM.
    #[serde(default)]
    ca: Option<String>,
}

impl Located for NatsServer {
    const WORD: &'static str = "nats";
    const EXAMPLE: &'static str =
        "{url: \"nats://host:4222\", user: reader, password: \"${{ secrets.bus }}\"}";

    fn address(&self) -> String {
        shown(&self.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.url.scheme();
        (!matches!(scheme, "nats" | "tls")).then(|| format!("`{scheme}://` is not `nats://` or `tls://`"))
    }
}

/// Messages that a trigger waits for.
pub(super) struct Subject {
    wanted: Wanted,
    /// Tells messages of this subscription, which have no number, from those of others.
    session: String,
    counted: u64,
    listening: Option<Listening>,
    received: Vec<jetstream::Message>,
}

/// What is listened to, and where.
struct Wanted {
    spec: NatsSubject,
    server: Server<NatsServer>,
    group: String,
}

struct Listening {
    client: Client,
    messages: Messages,
    /// Becomes true when the connection breaks.
    lost: watch::Receiver<bool>,
}

enum Messages {
    Kept(Box<pull::Stream>),
    Passing(async_nats::Subscriber),
}

impl Subject {
    pub(super) fn new(spec: NatsSubject, server: Server<NatsServer>, subscriber: &Subscriber) -> Self {
        let group = spec.group.clone().unwrap_or_else(|| subscriber.name.clone());
        let session = crate::queue::session();
        Self {
            wanted: Wanted { spec, server, group },
            session,
            counted: 0,
            listening: None,
            received: Vec::new(),
        }
    }

    fn message(&mut self, message: &async_nats::Message, sent: Option<(u64, i64)>) -> Message {
        let number = || {
            self.counted += 1;
            format!("{}-{}", self.session, self.counted)
        };
        told(message, sent, number)
    }
}

/// A message with its sequence and time, if a stream keeps it; `number` tells one without an id from others.
fn told(message: &async_nats::Message, sent: Option<(u64, i64)>, number: impl FnOnce() -> String) -> Message {
    let headers = message.headers.as_ref().map(texts).unwrap_or_default();
    let id = match (headers.get("Nats-Msg-Id"), sent) {
        (Some(id), _) => id.clone(),
        (None, Some((sequence, _))) => sequence.to_string(),
        (None, None) => number(),
    };
    let mut more = serde_json::Map::new();
    more.extend(sent.map(|(sequence, _)| ("sequence".to_owned(), sequence.into())));
    Message {
        id,
        subject: message.subject.to_string(),
        time_ms: sent.map(|(_, time_ms)| time_ms),
        headers,
        body: Body::Bytes(message.payload.to_vec()),
        more,
        ..Message::default()
    }
}

/// Connects as `name`; what follows becomes true when the connection breaks.
pub(crate) async fn connect(
    server: &Server<NatsServer>,
    name: &str,
) -> Result<(Client, watch::Receiver<bool>), Problem> {
    let settings = &server.settings;
    let (tell, lost) = watch::channel(false);
    let mut options = ConnectOptions::new().name(name).connection_timeout(CONNECT);
    options = options.event_callback(move |event| {
        if matches!(event, Event::Disconnected | Event::Closed) {
            tell.send_replace(true);
        }
        std::future::ready(())
    });
    let url = ByUrl {
        url: settings.url.clone(),
        user: settings.user.clone(),
        password: settings.password.clone(),
        ca: settings.ca.clone(),
    };
    if let (Some(user), password) = url.credentials() {
        options = options.user_and_password(user, password.unwrap_or_default());
    }
    if let Some(token) = &settings.token {
        options = options.token(token.clone());
    }
    if let Some(credentials) = &settings.credentials {
        options = options.credentials(credentials).map_err(|error| server.refused(error))?;
    }
    if settings.ca.is_some() || settings.url.scheme() == "tls" {
        let config = tls::client(settings.ca.as_deref())?;
        options = options.tls_client_config(config.as_ref().clone()).require_tls(true);
    }
    let (host, port) = url.host(4222);
    let client = options.connect(format!("{}://{host}:{port}", settings.url.scheme())).await;
    let client = client.map_err(|error| match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            server.refused(chain(&error))
        }
        _ => server.unreachable(chain(&error)),
    })?;
    Ok((client, lost))
}

impl Wanted {
    /// The messages that a consumer of the stream is given.
    async fn consume(&self, client: &Client, stream: &str) -> Result<pull::Stream, Problem> {
        let consumer = self.consumer(client, stream, pull::Config::default()).await?;
        let messages = consumer.stream().max_messages_per_batch(AT_ONCE).messages().await;
        messages.map_err(|error| self.not_given(stream, &error))
    }

    fn not_given(&self, stream: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
        self.server.failed(format_args!("cannot give the stream `{stream}`"), chain(error))
    }

    /// The durable consumer of the group; `more` is what else it is made with.
    async fn consumer(
        &self,
        client: &Client,
        stream: &str,
        more: pull::Config,
    ) -> Result<PullConsumer, Problem> {
        let failed = |error: &(dyn std::error::Error + 'static)| self.not_given(stream, error);
        let mut context = jetstream::new(client.clone());
        context.set_timeout(CONNECT);
        let stream = context.get_stream(stream).await.map_err(|error| failed(&error))?;
        let new = pull::Config {
            durable_name: Some(self.group.clone()),
            deliver_policy: match self.spec.from {
                StartAt::New => DeliverPolicy::New,
                StartAt::Beginning => DeliverPolicy::All,
            },
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            filter_subject: self.spec.nats.clone(),
            ..more
        };
        let known: Result<PullConsumer, _> = stream.get_consumer(&self.group).await;
        Ok(match known {
            // Where it began is the past; what it filters may be another subject now.
            Ok(known) if known.cached_info().config.filter_subject == self.spec.nats => known,
            Ok(known) => {
                let changed =
                    pull::Config { deliver_policy: known.cached_info().config.deliver_policy, ..new };
                stream.create_consumer(changed).await.map_err(|error| failed(&error))?
            }
            Err(_) => stream.create_consumer(new).await.map_err(|error| failed(&error))?,
        })
    }
}

impl Wanted {
    /// Number and time of a message that a stream keeps.
    fn sent(&self, message: &jetstream::Message) -> Result<(u64, i64), Problem> {
        let sent = message.info().map_err(|error| self.server.failed("sends what cannot be read", error))?;
        let millis = sent.published.unix_timestamp_nanos() / 1_000_000;
        Ok((sent.stream_sequence, i64::try_from(millis).unwrap_or_default()))
    }
}

fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |(name, values): (&async_nats::HeaderName, &Vec<async_nats::HeaderValue>)| {
        let value = values.first().map(|value| value.as_str().to_owned()).unwrap_or_default();
        (name.to_string(), value)
    };
    headers.iter().map(text).collect()
}

/// Returns when the connection breaks.
async fn broken(lost: &mut watch::Receiver<bool>) {
    // Who would say so is gone with the client.
    lost.wait_for(|lost| *lost).await.ok();
}

/// The next messages of a stream: waits for one, and takes those that are there already. `None` if it is over.
async fn next<S: futures::Stream + Unpin>(messages: &mut S) -> Option<Vec<S::Item>> {
    let Ok(first) = tokio::time::timeout(WAIT, messages.next()).await else { return Some(Vec::new()) };
    let mut all = vec![first?];
    while all.len() < AT_ONCE
        && let Some(Some(more)) = messages.next().now_or_never()
    {
        all.push(more);
    }
    Some(all)
}

#[async_trait]
impl Subscription for Subject {
    async fn begin(&mut self, _: Option<&Value>) -> Result<(), Problem> {
        let (client, lost) = connect(&self.wanted.server, &self.wanted.group).await?;
        let messages = match self.wanted.spec.stream.clone() {
            Some(stream) => Messages::Kept(Box::new(self.wanted.consume(&client, &stream).await?)),
            None => {
                let subject = self.wanted.spec.nats.clone();
                let subscription = client.queue_subscribe(subject, self.wanted.group.clone()).await;
                let subscription = subscription.map_err(|error| self.wanted.server.unreachable(error))?;
                // What is published from now on is heard.
                client.flush().await.map_err(|error| self.wanted.server.unreachable(error))?;
                Messages::Passing(subscription)
            }
        };
        self.listening = Some(Listening { client, messages, lost });
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        let over = || self.wanted.server.unreachable("the connection broke");
        let Some(mut listening) = self.listening.take() else { return Err(over()) };
        let Listening { messages, lost, .. } = &mut listening;
        let mut received = Vec::new();
        match messages {
            Messages::Kept(messages) => {
                let some = tokio::select! {
                    some = next(messages) => some.ok_or_else(over)?,
                    () = broken(lost) => return Err(over()),
                };
                for message in some {
                    let message = message.map_err(|error| self.wanted.server.unreachable(chain(&error)))?;
                    let sent = self.wanted.sent(&message)?;
                    received.push(self.message(&message.message, Some(sent)));
                    self.received.push(message);
                }
            }
            Messages::Passing(messages) => {
                let some = tokio::select! {
                    some = next(messages) => some.ok_or_else(over)?,
                    () = broken(lost) => return Err(over()),
                };
                received.extend(some.iter().map(|message| self.message(message, None)));
            }
        }
        self.listening = Some(listening);
        Ok(received)
    }

    /// The consumer keeps how far it is.
    fn cursor(&self) -> Value {
        json!({"consumer": self.wanted.group})
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        let received = std::mem::take(&mut self.received);
        let Some(listening) = self.listening.as_ref().filter(|_| !received.is_empty()) else { return Ok(()) };
        for message in received {
            message.ack().await.map_err(|error| self.wanted.server.unreachable(error))?;
        }
        listening.client.flush().await.map_err(|error| self.wanted.server.unreachable(error))
    }
}

/// Messages that one request asks for.
const ASKED: usize = 1_000;
/// Longest wait for messages that a reader before this one was given and did not acknowledge.
const LEFT_OVER: Duration = Duration::from_secs(2 * ACK_WAIT.as_secs());

/// A stream that is read some messages at a time.
pub(crate) struct Reading {
    wanted: Wanted,
    stream: String,
    client: Client,
    lost: watch::Receiver<bool>,
    consumer: PullConsumer,
    held: Vec<jetstream::message::Acker>,
    /// Their numbers: what takes longer than [`ACK_WAIT`] is delivered again meanwhile.
    known: HashSet<u64>,
    last_at: Instant,
}

impl Reading {
    /// `queue`: a stream, or `stream/subject`.
    pub(crate) async fn begin(
        queue: &str,
        server: Server<NatsServer>,
        reader: &Subscriber,
    ) -> Result<Self, Problem> {
        let (stream, subject) = queue.split_once('/').unwrap_or((queue, ""));
        let (connection, from) = (server.connection.clone(), StartAt::Beginning);
        let (nats, kept) = (subject.to_owned(), Some(stream.to_owned()));
        let spec = NatsSubject { nats, connection, stream: kept, group: None, from };
        let wanted = Wanted { spec, server, group: reader.name.clone() };
        let (client, lost) = connect(&wanted.server, &wanted.group).await?;
        // As many as the copy takes are on their way.
        let more = pull::Config { max_ack_pending: -1, ..pull::Config::default() };
        let consumer = wanted.consumer(&client, stream, more).await?;
        let (stream, held, known) = (stream.to_owned(), Vec::new(), HashSet::new());
        Ok(Self { wanted, stream, client, lost, consumer, held, known, last_at: Instant::now() })
    }

    /// Whether nothing is left, nor with a reader that is gone.
    async fn is_all(&self) -> Result<bool, Problem> {
        let info = self.consumer.get_info().await;
        let info = info.map_err(|error| self.wanted.not_given(&self.stream, &error))?;
        let of_others = info.num_ack_pending > self.held.len() && self.last_at.elapsed() < LEFT_OVER;
        Ok(info.num_pending == 0 && !of_others)
    }

    async fn some(&self, most: usize, wait: Duration) -> Result<Vec<jetstream::Message>, Problem> {
        let failed = |error: &(dyn std::error::Error + 'static)| self.wanted.not_given(&self.stream, error);
        let asked = most.min(ASKED);
        let mut messages = if wait.is_zero() {
            let asked = self.consumer.fetch().max_messages(asked).messages().await;
            asked.map_err(|error| failed(&error))?
        } else {
            let asked = self.consumer.batch().max_messages(asked).expires(wait.min(WAIT)).messages().await;
            asked.map_err(|error| failed(&error))?
        };
        let mut some = Vec::new();
        while let Some(message) = messages.next().await {
            some.push(message.map_err(|error| self.wanted.server.unreachable(error))?);
        }
        Ok(some)
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        let mut lost = self.lost.clone();
        let some = tokio::select! {
            some = self.some(most, wait) => some?,
            () = broken(&mut lost) => return Err(self.wanted.server.unreachable("the connection broke")),
        };
        let mut received = Received::default();
        for message in some {
            let sent = self.wanted.sent(&message)?;
            let (message, acknowledgement) = message.split();
            if self.known.insert(sent.0) {
                received.messages.push(told(&message, Some(sent), String::new).into());
                self.held.push(acknowledgement);
                self.last_at = Instant::now();
            }
        }
        received.is_all = received.messages.is_empty() && self.is_all().await?;
        Ok(received)
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        self.known.clear();
        for acknowledgement in std::mem::take(&mut self.held) {
            acknowledgement.ack().await.map_err(|error| self.wanted.server.unreachable(error))?;
        }
        let flushed = tokio::time::timeout(CONNECT, self.client.flush()).await;
        let flushed = flushed.map_err(|_| self.wanted.server.unreachable("it does not answer"))?;
        flushed.map_err(|error| self.wanted.server.unreachable(error))
    }
}
