//! A system that answers SQL with Arrow: a Flight SQL server, made of arrow-flight's own.

use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt as _, SqlInfo, TicketStatementQuery};
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::Place;

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// A token, which is given for a user and a password.
    Token,
    /// A user and a password with each request; nothing is given for them.
    Password,
}

/// A server whose queries are answered in two parts, each of some batches.
#[derive(Clone)]
struct Numbers(Opens);

impl Numbers {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let said = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let expected = match self.0 {
            Opens::Token => "Bearer the-token",
            // `reader:secret`
            Opens::Password => "Basic cmVhZGVyOnNlY3JldA==",
        };
        match said == Some(expected) {
            true => Ok(()),
            false => Err(Status::unauthenticated(format!("who are you? not {}", said.unwrap_or("nobody")))),
        }
    }
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let words: DictionaryArray<Int32Type> =
        (from..to).map(|n| if n % 2 == 0 { "even" } else { "odd" }).collect();
    let texts: StringArray = (from..to).map(|n| (n % 3 != 0).then(|| format!("n{n}"))).collect();
    let numbers: Int64Array = (from..to).collect::<Vec<_>>().into();
    let columns: [(&str, ArrayRef); 3] =
        [("n", Arc::new(numbers)), ("text", Arc::new(texts)), ("word", Arc::new(words))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

#[tonic::async_trait]
impl FlightSqlService for Numbers {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        if self.0 == Opens::Password {
            return Err(Status::unimplemented("no handshake here"));
        }
        Self(Opens::Password).check(&request)?;
        let answer = HandshakeResponse { protocol_version: 0, payload: Default::default() };
        let mut response: Response<Pin<Box<dyn Stream<Item = _> + Send>>> =
            Response::new(Box::pin(futures::stream::iter([Ok(answer)])));
        response.metadata_mut().insert("authorization", "Bearer the-token".parse().unwrap());
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.check(&request)?;
        if query.query == "select * from absent" {
            return Err(Status::not_found("there is no table `absent`"));
        }
        let mut info = FlightInfo::new();
        for part in ["0", "1"] {
            let handle = format!("{part} {}", query.query).into();
            let ticket = TicketStatementQuery { statement_handle: handle };
            let ticket = Ticket { ticket: prost::Message::encode_to_vec(&ticket.as_any()).into() };
            let mut endpoint = FlightEndpoint::new().with_ticket(ticket);
            if query.query == "select * from elsewhere" {
                endpoint = endpoint.with_location("grpc://other.example:1");
            }
            info = info.with_endpoint(endpoint);
        }
        if query.query != "select * from untold" {
            info = info.try_with_schema(&rows(0, 0).schema()).unwrap();
        }
        Ok(Response::new(info))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.check(&request)?;
        let handle = String::from_utf8(ticket.statement_handle.to_vec()).unwrap();
        let (part, query) = handle.split_once(' ').unwrap();
        let from = part.parse::<i64>().unwrap() * 10_000;
        let batches = [Ok(rows(from, from + 6_000)), Ok(rows(from + 6_000, from + 10_000))];
        let broken = query == "select * from broken" && from > 0;
        let end = broken.then(|| Err(Status::internal("the secret is out").into()));
        let batches = futures::stream::iter(batches.into_iter().chain(end));
        let data = FlightDataEncoderBuilder::new().build(batches).map_err(Status::from);
        Ok(Response::new(data.boxed()))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

/// Starts a server; its certificate in PEM if it encrypts.
async fn start(opens: Opens, encrypts: bool) -> (SocketAddr, Option<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::builder();
    let mut trusted = None;
    if encrypts {
        let (certificate, key) = certificate();
        trusted = Some(certificate.clone());
        server =
            server.tls_config(ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))).unwrap();
    }
    let incoming = futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let service = FlightServiceServer::new(Numbers(opens));
    tokio::spawn(server.add_service(service).serve_with_incoming(incoming));
    (address, trusted)
}

/// A certificate for `localhost` and its key.
fn certificate() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
    ]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", &place("key"), "-out", &place("certificate")]);
    assert!(openssl.stderr(std::process::Stdio::null()).status().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(place(name)).unwrap();
    (read("certificate"), read("key"))
}

fn connected(settings: Value) -> Place {
    let mut place = Place::new();
    place.connections.insert("lake".to_owned(), json!({"flight_sql": settings}).into());
    place
}

const BASIC: (&str, &str) = ("reader", "secret");

fn basic(password: &str) -> Value {
    json!({"basic": {"user": BASIC.0, "password": password}})
}

#[tokio::test]
async fn flight_sql_answers_become_rows() {
    for opens in [Opens::Token, Opens::Password] {
        let (address, _) = start(opens, false).await;
        let url = format!("grpc://127.0.0.1:{}", address.port());
        let place = connected(json!({"url": url, "auth": basic(BASIC.1), "allow_http": true}));
        for from in ["lake:numbers", "lake:(select * from untold)"] {
            let outcome = place.copy(json!({"from": from, "to": "out.csv"})).await.unwrap();
            assert_eq!(outcome.rows, Some(20_000), "{from}");
            let text = place.text("out.csv");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!((lines[0], lines[1], lines[20_000]), ("n,text,word", "0,,even", "19999,n19999,odd"));
        }
        let limited = json!({"from": "lake:numbers", "to": "out.csv", "limit": 7000});
        assert_eq!(place.copy(limited).await.unwrap().rows, Some(7_000));
        let message = place.message(json!({"from": "lake:absent", "to": "out.csv"})).await;
        assert_eq!(message, "cannot read `lake:absent`: there is no table `absent`");
        let message = place.message(json!({"from": "lake:broken", "to": "new.csv"})).await;
        assert_eq!(message, "cannot read `lake:broken`: the *** is out");
        assert!(!place.folder.path().join("new.csv").exists());
        let message = place.message(json!({"from": "lake:elsewhere", "to": "out.csv"})).await;
        assert_eq!(
            message,
            "cannot read `lake:elsewhere`: its rows lie at `grpc://other.example:1`, which is another server"
        );
        assert_eq!(place.probed("lake").await.unwrap().0, "`127.0.0.1` answers");
        let wrong = connected(json!({"url": url, "auth": basic("wrong"), "allow_http": true}));
        assert!(wrong.probed("lake").await.unwrap_err().contains("who are you?"));
        let error = wrong.copy(json!({"from": "lake:numbers", "to": "out.csv"})).await.unwrap_err();
        assert!(
            !error.transient && error.problem.message.contains("who are you?"),
            "{}",
            error.problem.message
        );
    }
}

#[tokio::test]
async fn flight_sql_over_tls() {
    // As the program does first of all; two providers are linked in.
    rustls::crypto::ring::default_provider().install_default().ok();
    let (address, certificate) = start(Opens::Token, true).await;
    let url = format!("grpc+tls://localhost:{}", address.port());
    let place = connected(json!({"url": url, "auth": {"bearer": "the-token"}, "ca": certificate}));
    assert_eq!(
        place.copy(json!({"from": "lake:numbers", "to": "out.csv"})).await.unwrap().rows,
        Some(20_000)
    );
    let place = connected(json!({"url": url, "auth": {"bearer": "the-token"}}));
    let message = place.message(json!({"from": "lake:numbers", "to": "out.csv"})).await;
    assert!(message.contains("UnknownIssuer") || message.contains("certificate"), "{message}");
    let place = connected(json!({"url": "grpc://localhost:1", "auth": {"bearer": "the-token"}}));
    let message = place.message(json!({"from": "lake:numbers", "to": "out.csv"})).await;
    assert_eq!(message, "the connection `lake`: its `url` is `grpc://`, which needs `allow_http: true`");
    let place = connected(json!({"url": "grpc://127.0.0.1:1"}));
    let error = place.copy(json!({"from": "lake:numbers", "to": "out.csv"})).await.unwrap_err();
    assert!(error.transient, "{}", error.problem.message);
}
