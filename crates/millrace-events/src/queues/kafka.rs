//! Kafka: all partitions of a topic, from where the inbox has got to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{KafkaTopic, StartAt};
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::RecordAndOffset;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::connection::{Located, Server, chain};
use crate::message::{Body, Message};
use crate::queue::{AT_ONCE, CONNECT, Driven, Subscription, WAIT, goes_on};
use crate::tls;

/// How often it is looked whether the topic has more partitions.
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(30);
/// Bytes of records that one answer has, unless a single one is larger.
pub(super) const BYTES: std::ops::Range<i32> = 1..4 * 1024 * 1024;

/// Kafka, or what speaks as it does: topics, for copies and triggers.
///
/// A copy reads `log:clicks`, the topic `clicks`.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaServer {
    /// Brokers to begin with, `HOST:PORT`.
    brokers: Vec<String>,
    /// Who logs in.
    #[serde(default)]
    user: Option<String>,
    /// What they log in with: `${{ secrets.NAME }}`.
    #[serde(default)]
    password: Option<String>,
    /// How they log in.
    #[serde(default)]
    sasl: Sasl,
    /// Whether the brokers speak TLS.
    #[serde(default)]
    tls: bool,
    /// Certificate that is trusted beside the system's, PEM.
    #[serde(default)]
    ca: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Sasl {
    #[default]
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Located for KafkaServer {
    const WORD: &'static str = "kafka";
    const EXAMPLE: &'static str =
        "{brokers: [\"host:9092\"], user: reader, password: \"${{ secrets.log }}\", tls: true}";

    fn address(&self) -> String {
        format!("kafka://{}", self.brokers.join(","))
    }

    fn mistake(&self) -> Option<String> {
        let with_port = |broker: &String| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if self.brokers.is_empty() {
            return Some("`brokers` is empty".to_owned());
        }
        let wrong = self.brokers.iter().find(|broker| !with_port(broker))?;
        Some(format!("the broker `{wrong}` is not `HOST:PORT`"))
    }
}

/// Records of a topic that a trigger waits for.
pub(super) struct Topic {
    spec: KafkaTopic,
    server: Server<KafkaServer>,
    pub(super) position: Position,
    listening: Option<Listening>,
}

struct Listening {
    client: Client,
    records: mpsc::Receiver<Result<Batch, Error>>,
    tell: mpsc::Sender<Result<Batch, Error>>,
    readers: BTreeMap<i32, Driven>,
    looked_at: Instant,
    /// Records that came and have not been given.
    left: Option<Batch>,
}

/// Records of one partition.
pub(super) struct Batch {
    pub(super) partition: i32,
    pub(super) records: std::collections::VecDeque<RecordAndOffset>,
}

/// How far the topic was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Offset of the next record of each partition.
    #[serde(default)]
    pub(super) next: BTreeMap<i32, i64>,
}

/// Which topics there are.
pub(crate) async fn topics(server: Server<KafkaServer>) -> Result<(String, Vec<String>), Problem> {
    let spec =
        KafkaTopic { kafka: String::new(), connection: server.connection.clone(), from: StartAt::default() };
    let topic = Topic::new(spec, server);
    let client = topic.connect().await?;
    let found = topic.answered(client.list_topics()).await?;
    let names = found.into_iter().map(|topic| topic.name).collect();
    Ok((format!("`{}` answers", topic.server.address), names))
}

impl Topic {
    pub(super) fn new(spec: KafkaTopic, server: Server<KafkaServer>) -> Self {
        Self { spec, server, position: Position::default(), listening: None }
    }

    pub(super) async fn connect(&self) -> Result<Client, Problem> {
        let settings = &self.server.settings;
        let retries = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
            deadline: Some(WAIT),
        };
        let mut builder =
            ClientBuilder::new(settings.brokers.clone()).client_id("millrace").backoff_config(retries);
        if settings.tls || settings.ca.is_some() {
            builder = builder.tls_config(tls::client(settings.ca.as_deref())?);
        }
        if let Some(user) = &settings.user {
            let known = Credentials::new(user.clone(), settings.password.clone().unwrap_or_default());
            builder = builder.sasl_config(match settings.sasl {
                Sasl::Plain => SaslConfig::Plain(known),
                Sasl::ScramSha256 => SaslConfig::ScramSha256(known),
                Sasl::ScramSha512 => SaslConfig::ScramSha512(known),
            });
        }
        self.answered(builder.build()).await
    }

    /// What a broker answers, if it does in time.
    pub(super) async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(CONNECT, request).await {
            Ok(answer) => answer.map_err(|error| self.problem(&error)),
            Err(_) => Err(self.server.unreachable("it does not answer")),
        }
    }

    pub(super) async fn partitions(&self, client: &Client) -> Result<Vec<i32>, Problem> {
        let topics = self.answered(client.list_topics()).await?;
        let found = topics.into_iter().find(|topic| topic.name == self.spec.kafka);
        let found = found.ok_or_else(|| {
            self.server.failed(
                format_args!("cannot give the topic `{}`", self.spec.kafka),
                "there is none of this name",
            )
        })?;
        Ok(found.partitions.into_iter().collect())
    }

    pub(super) async fn partition(
        &self,
        client: &Client,
        partition: i32,
    ) -> Result<PartitionClient, Problem> {
        let (topic, unknown) = (self.spec.kafka.clone(), UnknownTopicHandling::Error);
        self.answered(client.partition_client(topic, partition, unknown)).await
    }

    /// Reads the partitions that are not read yet, each from where it is known to be; a new one from `from`.
    async fn read_all(&mut self, listening: &mut Listening, from: OffsetAt) -> Result<(), Problem> {
        for partition in self.partitions(&listening.client).await? {
            if listening.readers.contains_key(&partition) {
                continue;
            }
            let client = self.partition(&listening.client, partition).await?;
            let next = self.begin_partition(&client, partition, from).await?.start;
            let reader = read(client, partition, next, listening.tell.clone());
            listening.readers.insert(partition, Driven::spawn(reader));
        }
        listening.looked_at = Instant::now();
        Ok(())
    }

    /// What there is of a partition, from where it is known to be read, or else from `from`.
    pub(super) async fn begin_partition(
        &mut self,
        client: &PartitionClient,
        partition: i32,
        from: OffsetAt,
    ) -> Result<std::ops::Range<i64>, Problem> {
        let earliest = self.answered(client.get_offset(OffsetAt::Earliest)).await?;
        let latest = self.answered(client.get_offset(OffsetAt::Latest)).await?;
        let next = match self.position.next.get(&partition) {
            // Records that are gone, and a topic that was made anew.
            Some(known) if (earliest..=latest).contains(known) => *known,
            Some(known) => {
                tracing::warn!(
                    topic = self.spec.kafka,
                    partition,
                    offset = known,
                    earliest,
                    "the offset is not there any more"
                );
                earliest
            }
            None if from == OffsetAt::Latest => latest,
            None => earliest,
        };
        self.position.next.insert(partition, next);
        Ok(next..latest)
    }

    /// A broker has not got yet what another one had.
    pub(super) fn behind(&self, partition: i32, reaches: i64, end: i64) -> Problem {
        let topic = &self.spec.kafka;
        self.server.failed(
            format_args!("cannot give partition {partition} of the topic `{topic}`"),
            format_args!("it ends at {reaches} and ended at {end} before"),
        )
    }

    pub(super) fn messages(&mut self, batch: &mut Batch, room: usize) -> Vec<Message> {
        let count = batch.records.len().min(room);
        let mut messages = Vec::with_capacity(count);
        for RecordAndOffset { record, offset } in batch.records.drain(..count) {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let mut more = Map::new();
            more.insert("partition".to_owned(), batch.partition.into());
            more.insert("offset".to_owned(), offset.into());
            self.position.next.insert(batch.partition, offset + 1);
            messages.push(Message {
                id: format!("{}-{offset}", batch.partition),
                subject: self.spec.kafka.clone(),
                key: record.key.map(text),
                time_ms: Some(record.timestamp.timestamp_millis()),
                headers: record.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
                body: record.value.map_or(Body::Json(Value::Null), Body::Bytes),
                more,
            });
        }
        messages
    }

    fn problem(&self, error: &Error) -> Problem {
        match error {
            Error::ServerError {
                protocol_error:
                    code @ (ProtocolError::SaslAuthenticationFailed
                    | ProtocolError::TopicAuthorizationFailed
                    | ProtocolError::ClusterAuthorizationFailed),
                ..
            } => self.server.refused(code),
            Error::ServerError { protocol_error, .. } => self
                .server
                .failed(format_args!("cannot give the topic `{}`", self.spec.kafka), protocol_error),
            other => {
                let said = chain(other);
                // What a broker that does not know the login says comes within other errors.
                if said.to_lowercase().contains("sasl") {
                    self.server.refused(said)
                } else {
                    self.server.unreachable(said)
                }
            }
        }
    }
}

/// Reads a partition on and on.
async fn read(
    client: PartitionClient,
    partition: i32,
    mut next: i64,
    tell: mpsc::Sender<Result<Batch, Error>>,
) {
    let wait = i32::try_from(WAIT.as_millis()).unwrap_or(i32::MAX);
    loop {
        let fetched = tokio::time::timeout(WAIT + CONNECT, client.fetch_records(next, BYTES, wait)).await;
        let told = match fetched {
            Err(_) => Err(Error::Timeout),
            Ok(Err(error)) => Err(error),
            Ok(Ok((records, _))) => match records.last() {
                None => continue,
                Some(last) => {
                    next = last.offset + 1;
                    Ok(Batch { partition, records: records.into() })
                }
            },
        };
        if !goes_on(&tell, told).await {
            return;
        }
    }
}

#[async_trait]
impl Subscription for Topic {
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem> {
        let known: Option<Position> = cursor.and_then(|cursor| serde_json::from_value(cursor.clone()).ok());
        let from = match self.spec.from {
            // Partitions that were added while nobody looked.
            _ if known.is_some() => OffsetAt::Earliest,
            StartAt::New => OffsetAt::Latest,
            StartAt::Beginning => OffsetAt::Earliest,
        };
        self.position = known.unwrap_or_default();
        let client = self.connect().await?;
        let (tell, records) = mpsc::channel(1);
        let (readers, looked_at, left) = (BTreeMap::new(), Instant::now(), None);
        let mut listening = Listening { client, records, tell, readers, looked_at, left };
        self.read_all(&mut listening, from).await?;
        self.listening = Some(listening);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Message>, Problem> {
        let Some(mut listening) = self.listening.take() else {
            return Err(self.server.unreachable("the connection broke"));
        };
        if listening.looked_at.elapsed() >= LOOK_FOR_PARTITIONS {
            self.read_all(&mut listening, OffsetAt::Earliest).await?;
        }
        let mut batch = match listening.left.take() {
            Some(batch) => batch,
            None => match tokio::time::timeout(WAIT, listening.records.recv()).await {
                Ok(Some(batch)) => batch.map_err(|error| self.problem(&error))?,
                Ok(None) | Err(_) => {
                    self.listening = Some(listening);
                    return Ok(Vec::new());
                }
            },
        };
        let messages = self.messages(&mut batch, AT_ONCE);
        listening.left = Some(batch).filter(|batch| !batch.records.is_empty());
        self.listening = Some(listening);
        Ok(messages)
    }

    fn cursor(&self) -> Value {
        json!(self.position)
    }

    /// The position is stored with the messages; Kafka keeps records whoever read them.
    async fn settle(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}
