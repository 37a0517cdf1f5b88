//! Arrow Flight SQL: servers that answer queries with Arrow over gRPC.

use std::path::Path;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt as _;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use url::Url;

use super::settings::{Hidden, Kind, Settings};
use super::sql::{self, Given};
use super::{Asking, Found, Origin, names_in};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source;
use crate::store::{CONNECT, masked, unless_cancelled};

/// The kind of connection `flight_sql`.
pub(super) const KIND: Kind = Kind::of::<FlightSqlConnection>(
    "copy: {from: \"lake:(select * from orders where day > '2026-01-01')\", to: \"data:orders\"}\n",
);

/// Bytes of a message; a batch of rows is one.
const LONGEST_MESSAGE: usize = 256 << 20;
/// How often a silent server is asked whether it is there, and how long that may take.
const PING: Duration = Duration::from_secs(20);
/// The location that means the connection which is open.
const SAME_CONNECTION: &str = "arrow-flight-reuse-connection:";

/// Reads tables and queries of servers that speak Arrow Flight SQL.
///
/// In connections.yaml: `lake: {flight_sql: {url: "grpc+tls://lake.example:32010", auth: {basic: {user: reader, password: "${{ secrets.lake }}"}}}}`.
/// Then `lake:sales.orders` is a table and `lake:(select …)` a query in the server's own SQL; `where` chooses rows here. A user and a password are
/// exchanged for a token where the server gives one, and sent with each request where it does not.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlightSqlConnection {
    /// Where the server is: `grpc+tls://host:port`, or `grpc://host:port` without encryption.
    url: Url,
    /// What opens it; nothing if absent.
    #[serde(default)]
    auth: FlightAuth,
    /// Further headers of each request. Their values are kept out of messages.
    #[serde(default)]
    headers: IndexMap<String, Hidden>,
    /// Certificate that is trusted beside the system's, PEM.
    #[serde(default)]
    ca: Option<String>,
    /// Whether what opens the server may be sent to `grpc://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

/// What opens a server.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FlightAuth {
    /// Nothing: anybody may ask.
    #[default]
    None,
    /// A user and a password.
    Basic(FlightUser),
    /// A bearer token, usually `${{ secrets.… }}`.
    Bearer(Hidden),
}

/// A user and a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FlightUser {
    /// Who asks.
    user: String,
    /// Usually `${{ secrets.… }}`.
    password: Hidden,
}

impl Settings for FlightSqlConnection {
    const WORD: &'static str = "flight_sql";
    const EXAMPLE: &'static str = "{url: \"grpc+tls://host:32010\", auth: {bearer: \"${{ secrets.lake }}\"}}";

    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        let encrypted = match self.url.scheme() {
            "grpc+tls" | "grpcs" | "https" => true,
            "grpc" | "grpc+tcp" | "http" => false,
            other => return Err(format!("`{other}://` is neither `grpc+tls://` nor `grpc://`")),
        };
        let Some(host) = self.url.host_str().filter(|host| !host.is_empty()) else {
            return Err("`url` names no host".to_owned());
        };
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err("`url` has no user in it; write `auth: {basic: {user: …, password: …}}`".to_owned());
        }
        let opens = !matches!(self.auth, FlightAuth::None) || !self.headers.is_empty();
        if opens && !encrypted && !self.allow_http {
            return Err("its `url` is `grpc://`, which needs `allow_http: true`".to_owned());
        }
        let port = self.url.port().unwrap_or(32010);
        let scheme = if encrypted { "https" } else { "http" };
        let address = format!("{scheme}://{host}:{port}");
        let endpoint = Endpoint::from_shared(address).map_err(|error| error.to_string())?;
        let mut endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true);
        if encrypted {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(ca) = &self.ca {
                tls = tls.ca_certificate(Certificate::from_pem(ca));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| format!("`ca`: {error}"))?;
        }
        let mut secrets: Vec<String> = self.headers.values().map(|value| value.0.clone()).collect();
        match &self.auth {
            FlightAuth::None => {}
            FlightAuth::Basic(FlightUser { password, .. }) => secrets.push(password.0.clone()),
            FlightAuth::Bearer(token) => secrets.push(token.0.clone()),
        }
        let host = host.to_owned();
        Ok(Box::new(FlightSql { endpoint, host, auth: self.auth, headers: self.headers, secrets }))
    }
}

struct FlightSql {
    endpoint: Endpoint,
    host: String,
    auth: FlightAuth,
    headers: IndexMap<String, Hidden>,
    secrets: Vec<String>,
}

type Client = FlightSqlServiceClient<Channel>;

impl FlightSql {
    async fn connect(&self, asking: &Asking<'_>) -> Result<Client, CopyError> {
        let channel = self.endpoint.connect().await;
        let channel = channel.map_err(|error| asking.failed(chain(&error), true))?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(LONGEST_MESSAGE);
        let mut client = FlightSqlServiceClient::new_from_inner(inner);
        for (name, value) in &self.headers {
            client.set_header(name.to_lowercase(), value.0.clone());
        }
        match &self.auth {
            FlightAuth::None => {}
            FlightAuth::Bearer(token) => client.set_token(token.0.clone()),
            FlightAuth::Basic(FlightUser { user, password }) => {
                if let Err(error) = client.handshake(user, &password.0).await {
                    // The client makes words of the server's answer.
                    let said = error.to_string();
                    if !said.to_lowercase().contains("implemented") {
                        let refused = said.contains("authenticat") || said.contains("permission");
                        return Err(asking.failed(masked(&said, &self.secrets), !refused));
                    }
                }
                if client.token().is_none() {
                    let user = STANDARD.encode(format!("{user}:{}", password.0));
                    client.set_header("authorization", format!("Basic {user}"));
                }
            }
        }
        Ok(client)
    }

    /// The ticket of each part, all of which are fetched from the server itself.
    fn tickets(&self, info: FlightInfo, asking: &Asking<'_>) -> Result<Vec<Ticket>, CopyError> {
        let here = |endpoint: &FlightEndpoint| {
            let at = |uri: &str| {
                uri.starts_with(SAME_CONNECTION)
                    || Url::parse(uri).is_ok_and(|url| url.host_str() == Some(self.host.as_str()))
            };
            endpoint.location.is_empty() || endpoint.location.iter().any(|location| at(&location.uri))
        };
        let mut tickets = Vec::new();
        for endpoint in info.endpoint {
            if !here(&endpoint) {
                let elsewhere =
                    endpoint.location.first().map(|location| location.uri.clone()).unwrap_or_default();
                // What opens this server is nothing for another one.
                let message = format!("its rows lie at `{elsewhere}`, which is another server");
                return Err(asking.failed(message, false));
            }
            tickets.extend(endpoint.ticket);
        }
        Ok(tickets)
    }

    fn failed(&self, label: &str, error: &FlightError) -> CopyError {
        failed(label, error, &self.secrets)
    }
}

#[async_trait]
impl Origin for FlightSql {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        sql::check(stream, config)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = sql::query_of(asking.stream)?;
        let opening = async {
            let mut client = self.connect(&asking).await?;
            let info = client.execute(query, None).await;
            let info = info.map_err(|error| self.failed(&asking.label, &error))?;
            let told = info.clone().try_decode_schema().ok();
            let mut parts = Parts {
                client,
                tickets: self.tickets(info, &asking)?.into_iter(),
                open: None,
                label: asking.label.clone(),
                secrets: self.secrets.clone(),
                cancel: asking.context.cancel.clone(),
            };
            // Some servers know it before, all with the first batch.
            let first = match &told {
                Some(_) => None,
                None => parts.next().await?,
            };
            Ok((told, first, parts))
        };
        let (told, mut first, mut parts) = unless_cancelled(asking.context, opening).await?;
        let schema = told.or_else(|| first.as_ref().map(|batch| batch.schema().as_ref().clone()));
        let schema = schema.ok_or_else(|| asking.failed("the server tells no columns and no rows", false))?;
        let runtime = tokio::runtime::Handle::current();
        let next = move || match first.take() {
            Some(batch) => Ok(Some(batch)),
            None => runtime.block_on(parts.next()),
        };
        let rows = Given::new(asking.label.clone(), &schema, Box::new(next));
        let (threads, files) = (asking.config.threads(), asking.config.wants_files());
        Ok(source::stream(Box::new(rows), threads, files, asking.outcome))
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        names_in(self.read(asking.instead("(select 1 as answer)", json!({}))?).await?).await?;
        Ok((format!("`{}` answers", self.host), Vec::new()))
    }
}

/// The parts of an answer, one after another.
struct Parts {
    client: Client,
    tickets: std::vec::IntoIter<Ticket>,
    open: Option<FlightRecordBatchStream>,
    label: String,
    secrets: Vec<String>,
    cancel: CancellationToken,
}

impl Parts {
    async fn next(&mut self) -> Result<Option<RecordBatch>, CopyError> {
        let cancel = self.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => Err(CopyError::Cancelled),
            next = self.batch() => next.map_err(|error| failed(&self.label, &error, &self.secrets)),
        }
    }

    async fn batch(&mut self) -> Result<Option<RecordBatch>, FlightError> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(batch) = open.try_next().await? {
                    return Ok(Some(batch));
                }
                self.open = None;
            }
            let Some(ticket) = self.tickets.next() else { return Ok(None) };
            self.open = Some(self.client.do_get(ticket).await?);
        }
    }
}

/// What a server says, and whether that may pass.
fn failed(label: &str, error: &FlightError, secrets: &[String]) -> CopyError {
    let (message, transient) = match error {
        FlightError::Tonic(status) => {
            let passes = [Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::DeadlineExceeded];
            // A connection that breaks has no code of the server's.
            let broke =
                status.code() == Code::Unknown && std::error::Error::source(status.as_ref()).is_some();
            let message = match (status.message(), status.code()) {
                ("", code) => code.description().to_owned(),
                (message, Code::Unauthenticated | Code::PermissionDenied) => {
                    format!("the server refuses what opens it: {message}")
                }
                (message, _) => message.to_owned(),
            };
            (message, passes.contains(&status.code()) || broke)
        }
        other => (other.to_string(), false),
    };
    CopyError::Read { what: label.to_owned(), message: masked(&message, secrets), transient }
}

/// An error with what it comes from.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
