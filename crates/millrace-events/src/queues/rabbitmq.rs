//! RabbitMQ: a queue that is emptied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, Error, ErrorKind};
use millrace_contract::{QueueReader, Received};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::RabbitQueue;
use serde_json::{Map, Value, json};

use crate::connection::{ByUrl, Located, Server, chain, shown};
use crate::message::{Body, Message};
use crate::queue::{AT_ONCE, CONNECT, Subscriber, Subscription, WAIT};
use crate::queues::unsettled::{Unsettled, digest};

/// How long after the beginning of a subscription the broker may still notice that an earlier one has ended, and give its messages again: two
/// heartbeats of RabbitMQ's sixty seconds, and some.
const COMES_AGAIN: Duration = Duration::from_secs(300);

/// RabbitMQ by AMQP 0.9.1: queues, for copies and triggers.
///
/// `url` is `amqp://host:5672/vhost`, `amqps://` with TLS. A copy reads `rabbit:orders`, the queue `orders`.
#[derive(Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(crate) struct RabbitServer(ByUrl);

impl Located for RabbitServer {
    const WORD: &'static str = "rabbitmq";
    const EXAMPLE: &'static str =
        "{url: \"amqp://host:5672/vhost\", user: reader, password: \"${{ secrets.rabbit }}\"}";

    fn address(&self) -> String {
        shown(&self.0.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.0.url.scheme();
        (!matches!(scheme, "amqp" | "amqps")).then(|| format!("`{scheme}://` is not `amqp://` or `amqps://`"))
    }
}

/// Messages of a queue that a trigger waits for.
pub(super) struct Queue {
    spec: RabbitQueue,
    server: Server<RabbitServer>,
    name: String,
    /// Tells messages of this subscription, which have no id, from those of others.
    session: String,
    listening: Option<Listening>,
    /// Tag of the last message that was received.
    received: Option<u64>,
    /// Messages without an id that earlier subscriptions stored and may not have acknowledged.
    earlier: Unsettled,
    /// Those that came last, which the broker does not know yet to be stored.
    last: Unsettled,
}

struct Listening {
    since: Instant,
    /// Messages come as long as there is a connection.
    _connection: Connection,
    channel: Channel,
    messages: Consumer,
}

/// Connects and leaves; which server it is.
pub(crate) async fn greeted(server: Server<RabbitServer>) -> Result<String, Problem> {
    let spec = RabbitQueue { rabbitmq: String::new(), connection: server.connection.clone(), prefetch: 1 };
    let subscriber = Subscriber { name: "millrace-probe".to_owned(), server: String::new() };
    let queue = Queue::new(spec, server, &subscriber);
    let connection = queue.connect().await?;
    connection.close(200, "".into()).await.ok();
    Ok(format!("`{}` lets in", queue.server.address))
}

impl Queue {
    pub(super) fn new(spec: RabbitQueue, server: Server<RabbitServer>, subscriber: &Subscriber) -> Self {
        let (name, session) = (subscriber.name.clone(), crate::queue::session());
        let (earlier, last) = (Unsettled::default(), Unsettled::default());
        Self { spec, server, name, session, listening: None, received: None, earlier, last }
    }

    async fn connect(&self) -> Result<Connection, Problem> {
        let settings = &self.server.settings.0;
        let mut url = settings.url.clone();
        // A URL without a path means the host that is named `/`.
        if url.path() == "/" {
            url.set_path("");
        }
        let uri: Result<AMQPUri, String> = url.as_str().parse();
        let mut uri = uri.map_err(|error| self.server.unreachable(error))?;
        let (user, password) = settings.credentials();
        if let Some(user) = user {
            uri.authority.userinfo.username = user;
        }
        if let Some(password) = password {
            uri.authority.userinfo.password = password;
        }
        let tls = OwnedTLSConfig { identity: None, cert_chain: settings.ca.clone() };
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.problem(&error))?;
        let connected = Connection::connect_uri_with_config(uri, properties, tls, runtime);
        let connected = tokio::time::timeout(CONNECT, connected).await;
        let connected = connected.map_err(|_| self.server.unreachable("it does not answer"))?;
        connected.map_err(|error| self.problem(&error))
    }

    /// What the server answers, if it does in time.
    async fn answered<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Problem> {
        let answer = tokio::time::timeout(CONNECT, request).await;
        let answer = answer.map_err(|_| self.server.unreachable("it does not answer"))?;
        answer.map_err(|error| self.problem(&error))
    }

    /// The message's id: the sender's, or one of this subscription.
    fn id(&self, delivery: &Delivery) -> String {
        let given = given_id(delivery).map(str::to_owned);
        given.unwrap_or_else(|| format!("{}-{}", self.session, delivery.delivery_tag))
    }

    /// The same; of what has none and comes again, the one that it had.
    fn known_id(&mut self, delivery: &Delivery) -> String {
        if given_id(delivery).is_some() {
            return self.id(delivery);
        }
        let (exchange, key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
        let digest = digest(&[exchange.as_bytes(), key.as_bytes(), &delivery.data]);
        let known = delivery.redelivered.then(|| self.earlier.take(0, &digest)).flatten();
        let id = known.unwrap_or_else(|| self.id(delivery));
        self.last.add(0, digest, id.clone());
        id
    }

    fn message(&self, delivery: Delivery, id: String) -> Message {
        let properties = &delivery.properties;
        let given =
            |text: &Option<lapin::types::ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        if let Some(table) = properties.headers() {
            headers.extend(table.inner().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))));
        }
        headers.extend(given(properties.content_type()).map(|kind| ("content-type".to_owned(), kind)));
        headers.extend(given(properties.correlation_id()).map(|id| ("correlation-id".to_owned(), id)));
        let mut more = Map::new();
        more.insert("exchange".to_owned(), delivery.exchange.as_str().into());
        more.insert("redelivered".to_owned(), delivery.redelivered.into());
        let seconds = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
        Message {
            id,
            subject: delivery.routing_key.as_str().to_owned(),
            time_ms: seconds.map(|seconds| seconds.saturating_mul(1_000)),
            headers,
            body: Body::Bytes(delivery.data),
            more,
            ..Message::default()
        }
    }

    fn problem(&self, error: &Error) -> Problem {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return self.server.unreachable(chain(error));
        };
        match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => self.server.refused(said.get_message()),
            AMQPErrorKind::Soft(_) => self
                .server
                .failed(format_args!("cannot give the queue `{}`", self.spec.rabbitmq), said.get_message()),
            AMQPErrorKind::Hard(_) => self.server.unreachable(said.get_message()),
        }
    }
}

/// The id that the sender gave.
fn given_id(delivery: &Delivery) -> Option<&str> {
    delivery.properties.message_id().as_ref().map(|id| id.as_str()).filter(|id| !id.is_empty())
}

/// A header's value as text; of what has parts, its JSON.
fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        other => match serde_json::to_value(other) {
            // `{"LongInt": 1}`: the type's name is no part of the value.
            Ok(Value::Object(fields)) => {
                fields.into_iter().next().map(|(_, value)| value.to_string()).unwrap_or_default()
            }
            Ok(value) => value.to_string(),
            Err(_) => String::new(),
        },
    }
}

#[async_trait]
impl Subscription for Queue {
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem> {
        self.earlier =
            cursor.and_then(|cursor| serde_json::from_value(cursor.clone()).ok()).unwrap_or_default();
        let connection = self.connect().await?;
        let started = async {
            let channel = connection.create_channel().await?;
            channel.basic_qos(self.spec.prefetch, BasicQosOptions::default()).await?;
            let (queue, tag) = (self.spec.rabbitmq.as_str().into(), self.name.as_str().into());
            let messages = channel
                .basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default())
                .await?;
            Ok::<_, Error>((channel, messages))
        };
        // A server that is only just up may take a connection and say no more.
        let started = tokio::time::timeout(CONNECT, started).await;
        let started = started.map_err(|_| self.server.unreachable("it does not answer"))?;
        let (channel, messages) = started.map_err(|error| self.problem(&error))?;
        let since = Instant::now();
        self.listening = Some(Listening { since, _connection: connection, channel, messages });
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        let over = || self.server.unreachable("the connection broke");
        let Some(listening) = &mut self.listening else { return Err(over()) };
        let Ok(first) = tokio::time::timeout(WAIT, listening.messages.next()).await else {
            return Ok(Vec::new());
        };
        let mut deliveries = vec![first.ok_or_else(over)?];
        while deliveries.len() < AT_ONCE
            && let Some(Some(more)) = listening.messages.next().now_or_never()
        {
            deliveries.push(more);
        }
        if listening.since.elapsed() > COMES_AGAIN {
            self.earlier.clear();
        }
        let mut received = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let delivery = delivery.map_err(|error| self.problem(&error))?;
            self.received = Some(delivery.delivery_tag);
            let id = self.known_id(&delivery);
            received.push(self.message(delivery, id));
        }
        Ok(received)
    }

    /// The queue keeps what is in it; of what it may give again, what its messages were.
    fn cursor(&self) -> Value {
        json!(self.earlier.and(&self.last))
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        let (Some(last), Some(listening)) = (self.received.take(), &self.listening) else { return Ok(()) };
        // Up to the last one: they came in this order.
        let acknowledged = listening.channel.basic_ack(last, BasicAckOptions { multiple: true });
        self.answered(acknowledged).await?;
        // An acknowledgement has no answer; that of a later request on its channel says that it has arrived, so that these never come again.
        let (prefetch, options) = (self.spec.prefetch, BasicQosOptions::default());
        self.answered(listening.channel.basic_qos(prefetch, options)).await?;
        self.last.clear();
        Ok(())
    }
}

/// Between two looks at a queue that is empty.
const LOOK: Duration = Duration::from_millis(100);

/// A queue that is read some messages at a time: each is asked for, so that none waits here that nobody wants.
pub(crate) struct Reading {
    queue: Queue,
    /// Messages are held as long as there is a connection.
    _connection: Connection,
    channel: Channel,
    /// Tag of the last one.
    held: Option<u64>,
}

impl Reading {
    pub(crate) async fn begin(
        name: String,
        server: Server<RabbitServer>,
        reader: &Subscriber,
    ) -> Result<Self, Problem> {
        let connection = server.connection.clone();
        let spec = RabbitQueue { rabbitmq: name, connection, prefetch: 1 };
        let queue = Queue::new(spec, server, reader);
        let connection = queue.connect().await?;
        let channel = queue.answered(connection.create_channel()).await?;
        Ok(Self { queue, _connection: connection, channel, held: None })
    }

    async fn next(&mut self) -> Result<Option<Delivery>, Problem> {
        let name = self.queue.spec.rabbitmq.as_str().into();
        let asked = self.channel.basic_get(name, BasicGetOptions::default());
        Ok(self.queue.answered(asked).await?.map(|found| found.delivery))
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        let until = Instant::now() + wait.min(WAIT);
        let mut received = Received::default();
        while received.messages.len() < most {
            match self.next().await? {
                Some(delivery) => {
                    self.held = Some(delivery.delivery_tag);
                    let id = self.queue.id(&delivery);
                    received.messages.push(self.queue.message(delivery, id).into());
                }
                None if received.messages.is_empty() && Instant::now() < until => {
                    tokio::time::sleep(LOOK).await
                }
                None => {
                    received.is_all = true;
                    break;
                }
            }
        }
        Ok(received)
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        let Some(last) = self.held.take() else { return Ok(()) };
        let acknowledged = self.channel.basic_ack(last, BasicAckOptions { multiple: true });
        self.queue.answered(acknowledged).await?;
        // An acknowledgement has no answer. One of a later request says that it has arrived.
        let closed = self.channel.close(200, "read".into());
        self.queue.answered(closed).await
    }
}
