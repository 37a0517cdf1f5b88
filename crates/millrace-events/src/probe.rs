//! Whether a connection leads to its server, asked before anything is received over it.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use millrace_contract::{KindDoc, KindFamily};
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::connection::{Located, ReadConnection, Server};
use crate::imap::{self, ImapServer};
use crate::queue::CONNECT;
use crate::queues::{kafka, mqtt, nats, rabbitmq, redis};

/// Names that are told at most.
pub(crate) const MOST_NAMES: usize = 200;
/// How long a server may take to tell names that it may not know how to.
const NAMING: Duration = Duration::from_secs(5);

/// What a server said: who it is, and names of what can be read there, the first of them.
pub type Found = (String, Vec<String>);

/// The pages of the connections that lead to queues and mailboxes.
pub fn connection_kinds() -> Vec<KindDoc> {
    [
        doc::<redis::RedisServer>(),
        doc::<nats::NatsServer>(),
        doc::<mqtt::MqttServer>(),
        doc::<rabbitmq::RabbitServer>(),
        doc::<kafka::KafkaServer>(),
        doc::<ImapServer>(),
    ]
    .into()
}

fn doc<S: Located>() -> KindDoc {
    KindDoc::of::<S>(KindFamily::Connector, S::WORD, S::EXAMPLE)
}

/// Connects as triggers and copies do; `None` if the connection of that name leads to no queue and to no mailbox. Nothing is received, and nothing
/// changes there.
///
/// # Errors
/// As a trigger on it would fail.
pub async fn probe(
    name: &str,
    settings: &Value,
    connections: &ReadConnection,
) -> Option<Result<Found, Problem>> {
    let has = |word: &str| settings.get(word).is_some();
    Some(if has(redis::RedisServer::WORD) {
        asked(name, connections, redis_streams).await
    } else if has(nats::NatsServer::WORD) {
        asked(name, connections, nats_streams).await
    } else if has(mqtt::MqttServer::WORD) {
        asked(name, connections, async |server| Ok((mqtt::greeted(&server).await?, Vec::new()))).await
    } else if has(rabbitmq::RabbitServer::WORD) {
        asked(name, connections, async |server| Ok((rabbitmq::greeted(server).await?, Vec::new()))).await
    } else if has(kafka::KafkaServer::WORD) {
        asked(name, connections, kafka::topics).await
    } else if has(ImapServer::WORD) {
        asked(name, connections, mailboxes).await
    } else {
        return None;
    })
}

async fn asked<S: Located>(
    name: &str,
    connections: &ReadConnection,
    ask: impl AsyncFnOnce(Server<S>) -> Result<Found, Problem>,
) -> Result<Found, Problem> {
    let (said, mut names) = ask(Server::read(name, connections)?).await?;
    names.sort();
    names.truncate(MOST_NAMES);
    Ok((said, names))
}

async fn redis_streams(server: Server<redis::RedisServer>) -> Result<Found, Problem> {
    let what = "what it is";
    let failed = |error: ::redis::RedisError| redis::problem(&server, what, &error);
    let mut connection = redis::connect(&server, what).await?;
    let info: String =
        ::redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(failed)?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
    // Servers before 6 cannot be asked for keys of one type.
    let mut scan = ::redis::cmd("SCAN");
    scan.arg(0).arg("TYPE").arg("stream").arg("COUNT").arg(10_000);
    let found: Result<(String, Vec<String>), _> = scan.query_async(&mut connection).await;
    Ok((format!("Redis {version}"), found.map(|(_, names)| names).unwrap_or_default()))
}

async fn nats_streams(server: Server<nats::NatsServer>) -> Result<Found, Problem> {
    let client = nats::connect(&server, "millrace-probe").await?.0;
    let said = format!("NATS {}", client.server_info().version);
    // A server without JetStream keeps silent.
    let streams = async_nats::jetstream::new(client);
    let names = streams.stream_names().take(MOST_NAMES).map_ok(|name| format!("{name}/>"));
    let names = names.try_collect::<Vec<_>>();
    let names = tokio::time::timeout(NAMING, names).await;
    Ok((said, names.ok().and_then(Result::ok).unwrap_or_default()))
}

async fn mailboxes(server: Server<ImapServer>) -> Result<Found, Problem> {
    let listing = async {
        let mut session = imap::connect(&server, "INBOX").await?;
        let problem = |error: async_imap::error::Error| imap::problem(&server, "*", &error);
        let found = session.list(None, Some("*")).await.map_err(problem)?;
        let names: Vec<String> =
            found.map_ok(|name| name.name().to_owned()).try_collect().await.map_err(problem)?;
        session.logout().await.ok();
        Ok((format!("`{}` lets in", server.address), names))
    };
    let listed = tokio::time::timeout(CONNECT * 2, listing).await;
    listed.map_err(|_| server.unreachable("it does not answer"))?
}
