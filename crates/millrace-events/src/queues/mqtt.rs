//! MQTT, 3.1.1 and 5: a session that the broker keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{MqttProtocol, MqttTopic};
use rumqttc::{TlsConfiguration, Transport, v5};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::connection::{ByUrl, Located, Server, chain, shown};
use crate::message::{Body, Message};
use crate::queue::{CONNECT, Driven, Subscriber, Subscription, WAIT, goes_on};
use crate::queues::unsettled::{Unsettled, digest};
use crate::tls;

/// Messages that may be on their way at once.
const ON_THEIR_WAY: u16 = 100;
/// Messages that are known when they come again: those of the last acknowledgements, too, which have no answer and may have been lost.
const MOST_UNSETTLED: usize = 2 * ON_THEIR_WAY as usize;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a broker keeps the session of who does not come back (MQTT 5), seconds: as long as the inbox knows what came.
const SESSION: u32 = 14 * 24 * 3_600;
/// Largest packet that is taken.
const MOST_BYTES: u32 = 16 * 1024 * 1024;

/// A broker of MQTT, 3.1.1 or 5: topics, for copies and triggers.
///
/// `url` is `mqtt://host:1883`, `mqtts://` with TLS. A copy reads `broker:sensors/#`.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(crate) struct MqttServer(ByUrl);

impl Located for MqttServer {
    const WORD: &'static str = "mqtt";
    const EXAMPLE: &'static str =
        "{url: \"mqtt://host:1883\", user: reader, password: \"${{ secrets.broker }}\"}";

    fn address(&self) -> String {
        shown(&self.0.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.0.url.scheme();
        (!matches!(scheme, "mqtt" | "mqtts")).then(|| format!("`{scheme}://` is not `mqtt://` or `mqtts://`"))
    }
}

/// Messages that a trigger waits for.
pub(super) struct Topic {
    spec: MqttTopic,
    server: Server<MqttServer>,
    client_id: String,
    session: String,
    counted: u64,
    listening: Option<Listening>,
    /// By packet id: under the same one the broker delivers again what it does not know to be acknowledged.
    known: Unsettled,
    received: Vec<Acknowledgement>,
}

struct Listening {
    client: Client,
    heard: mpsc::Receiver<Result<Heard, Failure>>,
    /// What the broker delivered before it answered the subscription.
    early: Vec<Delivery>,
    _driver: Driven,
}

enum Client {
    Mqtt3(rumqttc::AsyncClient),
    Mqtt5(v5::AsyncClient),
}

enum Acknowledgement {
    Mqtt3(rumqttc::Publish),
    Mqtt5(Box<v5::mqttbytes::v5::Publish>),
}

/// What the broker says.
enum Heard {
    Subscribed,
    Message(Box<Delivery>),
}

/// A message as either version delivers it.
struct Delivery {
    topic: String,
    body: Vec<u8>,
    packet: u16,
    again: bool,
    retained: bool,
    headers: BTreeMap<String, String>,
    acknowledgement: Acknowledgement,
}

/// Why the broker cannot be listened to.
enum Failure {
    Refused(String),
    Unsubscribed(String),
    Unreachable(String),
}

/// Connects and leaves, without a session that would be kept.
pub(crate) async fn greeted(server: &Server<MqttServer>) -> Result<String, Problem> {
    use rumqttc::{ConnectReturnCode, ConnectionError, Event, Packet};
    let settings = &server.settings.0;
    let (host, port) = settings.host(if settings.url.scheme() == "mqtt" { 1883 } else { 8883 });
    let mut options = rumqttc::MqttOptions::new(format!("probe-{:.16}", crate::queue::session()), host, port);
    options.set_transport(transport(server)?).set_clean_session(true);
    if let (Some(user), password) = settings.credentials() {
        options.set_credentials(user, password.unwrap_or_default());
    }
    let (client, mut events) = rumqttc::AsyncClient::new(options, 1);
    events.network_options.set_connection_timeout(CONNECT.as_secs());
    let greeting = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(
                    code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
                )) => return Err(server.refused(format!("{code:?}"))),
                Err(error) => return Err(server.unreachable(chain(&error))),
            }
        }
    };
    let greeted = tokio::time::timeout(CONNECT * 2, greeting).await;
    greeted.map_err(|_| server.unreachable("it does not answer"))??;
    client.try_disconnect().ok();
    Ok(format!("`{}` lets in", server.address))
}

fn transport(server: &Server<MqttServer>) -> Result<Transport, Problem> {
    let settings = &server.settings.0;
    if settings.url.scheme() == "mqtt" {
        return Ok(Transport::Tcp);
    }
    Ok(Transport::tls_with_config(TlsConfiguration::Rustls(tls::client(settings.ca.as_deref())?)))
}

impl Topic {
    pub(super) fn new(spec: MqttTopic, server: Server<MqttServer>, subscriber: &Subscriber) -> Self {
        // 23 characters are all that MQTT 3.1.1 promises.
        let own = || format!("millrace-{:.14}", blake3::hash(subscriber.name.as_bytes()).to_hex());
        let client_id = spec.client_id.clone().unwrap_or_else(own);
        let session = crate::queue::session();
        let (listening, known, received) = (None, Unsettled::default(), Vec::new());
        Self { spec, server, client_id, session, counted: 0, listening, known, received }
    }

    fn connect(&self) -> Result<Listening, Problem> {
        let settings = &self.server.settings.0;
        let transport = transport(&self.server)?;
        let (host, port) = settings.host(if settings.url.scheme() == "mqtt" { 1883 } else { 8883 });
        let credentials = match settings.credentials() {
            (Some(user), password) => Some((user, password.unwrap_or_default())),
            (None, _) => None,
        };
        let timeout = CONNECT.as_secs();
        let (tell, heard) = mpsc::channel(usize::from(ON_THEIR_WAY));
        let (client, driver) = match self.spec.protocol {
            MqttProtocol::Mqtt3 => {
                let mut options = rumqttc::MqttOptions::new(&self.client_id, host, port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_session(false);
                let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
                options.set_manual_acks(true).set_max_packet_size(most, most);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, mut events) = rumqttc::AsyncClient::new(options, usize::from(ON_THEIR_WAY) * 2);
                events.network_options.set_connection_timeout(timeout);
                (Client::Mqtt3(client), Driven::spawn(async move { drive_mqtt3(events, tell).await }))
            }
            MqttProtocol::Mqtt5 => {
                let mut options = v5::MqttOptions::new(&self.client_id, host, port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_start(false);
                options.set_manual_acks(true).set_connection_timeout(timeout);
                options.set_session_expiry_interval(Some(SESSION)).set_receive_maximum(Some(ON_THEIR_WAY));
                options.set_max_packet_size(Some(MOST_BYTES));
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, events) = v5::AsyncClient::new(options, usize::from(ON_THEIR_WAY) * 2);
                (Client::Mqtt5(client), Driven::spawn(async move { drive_mqtt5(events, tell).await }))
            }
        };
        Ok(Listening { client, heard, early: Vec::new(), _driver: driver })
    }

    /// The event's id: of what comes again, the one that it had.
    fn id(&mut self, delivery: &Delivery) -> String {
        let digest = digest(&[delivery.topic.as_bytes(), &delivery.body]);
        let known = delivery.again.then(|| self.known.take(delivery.packet, &digest)).flatten();
        let id = known.unwrap_or_else(|| {
            self.counted += 1;
            format!("{}-{}", self.session, self.counted)
        });
        // Quality of service 0 has no packet id, and comes once.
        if delivery.packet != 0 {
            self.known.free(delivery.packet);
            self.known.add(delivery.packet, digest, id.clone());
            self.known.keep_newest(MOST_UNSETTLED);
        }
        id
    }

    fn problem(&self, failure: Failure) -> Problem {
        match failure {
            Failure::Refused(why) => self.server.refused(why),
            Failure::Unsubscribed(why) => {
                self.server.failed(format_args!("refuses the topic `{}`", self.spec.mqtt), why)
            }
            Failure::Unreachable(why) => self.server.unreachable(why),
        }
    }
}

type Tell = mpsc::Sender<Result<Heard, Failure>>;

async fn drive_mqtt3(mut events: rumqttc::EventLoop, tell: Tell) {
    use rumqttc::{ConnectReturnCode, ConnectionError, Event, Packet, SubscribeReasonCode};
    loop {
        let told = match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => Ok(Heard::Message(Box::new(Delivery {
                topic: publish.topic.clone(),
                body: publish.payload.to_vec(),
                packet: publish.pkid,
                again: publish.dup,
                retained: publish.retain,
                headers: BTreeMap::new(),
                acknowledgement: Acknowledgement::Mqtt3(publish),
            }))),
            Ok(Event::Incoming(Packet::SubAck(answer))) => match answer.return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Ok(Heard::Subscribed),
                _ => Err(Failure::Unsubscribed("it answers with a failure".to_owned())),
            },
            Ok(_) => continue,
            Err(ConnectionError::ConnectionRefused(
                code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
            )) => Err(Failure::Refused(format!("{code:?}"))),
            Err(error) => Err(Failure::Unreachable(chain(&error))),
        };
        if !goes_on(&tell, told).await {
            return;
        }
    }
}

async fn drive_mqtt5(mut events: v5::EventLoop, tell: Tell) {
    use v5::mqttbytes::v5::{ConnectReturnCode, Packet, SubscribeReasonCode};
    use v5::{ConnectionError, Event};
    loop {
        let told = match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let properties = publish.properties.clone().unwrap_or_default();
                let mut headers: BTreeMap<String, String> = properties.user_properties.into_iter().collect();
                headers.extend(properties.content_type.map(|kind| ("content-type".to_owned(), kind)));
                Ok(Heard::Message(Box::new(Delivery {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    body: publish.payload.to_vec(),
                    packet: publish.pkid,
                    again: publish.dup,
                    retained: publish.retain,
                    headers,
                    acknowledgement: Acknowledgement::Mqtt5(Box::new(publish)),
                })))
            }
            Ok(Event::Incoming(Packet::SubAck(answer))) => match answer.return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Ok(Heard::Subscribed),
                other => Err(Failure::Unsubscribed(format!("{other:?}"))),
            },
            Ok(_) => continue,
            Err(ConnectionError::ConnectionRefused(
                code @ (ConnectReturnCode::BadUserNamePassword
                | ConnectReturnCode::NotAuthorized
                | ConnectReturnCode::Banned
                | ConnectReturnCode::BadAuthenticationMethod),
            )) => Err(Failure::Refused(format!("{code:?}"))),
            Err(error) => Err(Failure::Unreachable(chain(&error))),
        };
        if !goes_on(&tell, told).await {
            return;
        }
    }
}

#[async_trait]
impl Subscription for Topic {
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem> {
        self.known =
            cursor.and_then(|cursor| serde_json::from_value(cursor.clone()).ok()).unwrap_or_default();
        let mut listening = self.connect()?;
        let subscribed = match &listening.client {
            Client::Mqtt3(client) => client
                .subscribe(&self.spec.mqtt, rumqttc::QoS::AtLeastOnce)
                .await
                .map_err(|error| error.to_string()),
            Client::Mqtt5(client) => {
                let quality = v5::mqttbytes::QoS::AtLeastOnce;
                client.subscribe(&self.spec.mqtt, quality).await.map_err(|error| error.to_string())
            }
        };
        subscribed.map_err(|error| self.server.unreachable(error))?;
        loop {
            match tokio::time::timeout(CONNECT * 2, listening.heard.recv()).await {
                Ok(Some(Ok(Heard::Subscribed))) => break,
                Ok(Some(Ok(Heard::Message(delivery)))) => listening.early.push(*delivery),
                Ok(Some(Err(failure))) => return Err(self.problem(failure)),
                Ok(None) => return Err(self.server.unreachable("the connection broke")),
                Err(_) => return Err(self.server.unreachable("it does not answer")),
            }
        }
        self.listening = Some(listening);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        self.receive_within(WAIT).await
    }

    fn cursor(&self) -> Value {
        json!(self.known)
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        let Some(listening) = &self.listening else { return Ok(()) };
        for received in std::mem::take(&mut self.received) {
            let acknowledged = match (&listening.client, &received) {
                (Client::Mqtt3(client), Acknowledgement::Mqtt3(publish)) => {
                    client.ack(publish).await.map_err(|error| error.to_string())
                }
                (Client::Mqtt5(client), Acknowledgement::Mqtt5(publish)) => {
                    client.ack(publish).await.map_err(|error| error.to_string())
                }
                _ => Ok(()),
            };
            acknowledged.map_err(|error| self.server.unreachable(error))?;
        }
        Ok(())
    }
}

impl Topic {
    /// What came, or else what comes within that time.
    pub(super) async fn receive_within(&mut self, wait: Duration) -> Result<Vec<Message>, Problem> {
        let over = || self.server.unreachable("the connection broke");
        let Some(listening) = &mut self.listening else { return Err(over()) };
        let mut deliveries = std::mem::take(&mut listening.early);
        let mut failure = None;
        if deliveries.is_empty() {
            match tokio::time::timeout(wait, listening.heard.recv()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(None) => return Err(over()),
                Ok(Some(Ok(Heard::Subscribed))) => {}
                Ok(Some(Ok(Heard::Message(delivery)))) => deliveries.push(*delivery),
                Ok(Some(Err(why))) => failure = Some(why),
            }
        }
        while deliveries.len() < usize::from(ON_THEIR_WAY)
            && failure.is_none()
            && let Ok(heard) = listening.heard.try_recv()
        {
            match heard {
                Ok(Heard::Subscribed) => {}
                Ok(Heard::Message(delivery)) => deliveries.push(*delivery),
                Err(why) => failure = Some(why),
            }
        }
        // What came before the connection broke comes again.
        if let Some(failure) = failure {
            return Err(self.problem(failure));
        }
        let mut messages = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            if !delivery.retained {
                let id = self.id(&delivery);
                let mut more = Map::new();
                more.insert("redelivered".to_owned(), delivery.again.into());
                messages.push(Message {
                    id,
                    subject: delivery.topic,
                    headers: delivery.headers,
                    body: Body::Bytes(delivery.body),
                    more,
                    ..Message::default()
                });
            }
            self.received.push(delivery.acknowledgement);
        }
        Ok(messages)
    }
}
