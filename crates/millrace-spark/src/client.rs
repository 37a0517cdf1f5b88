//! One query over Spark Connect: a session of its own, its views, its rows, and an end whatever happens.

mod rows;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use millrace_contract::{BatchStream, QueryError, RemoteEngine, RemoteError, RemoteQuery, RemoteView};
use spark_connect_core::client::ReattachableResponseStream;
use spark_connect_core::{ChannelBuilder, RetryPolicy, SparkConnectClient, SparkError};
use spark_connect_proto as proto;

use crate::settings::SparkSettings;

/// gRPC's code for a server that does not answer.
const UNAVAILABLE: i32 = 14;

/// A server.
pub(crate) struct SparkEngine {
    name: String,
    settings: SparkSettings,
}

impl SparkEngine {
    pub(crate) fn new(name: &str, settings: SparkSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }

    async fn session(&self) -> Result<Session, SparkError> {
        let mut builder = ChannelBuilder::parse(&self.settings.url)?;
        builder.set("user_agent", concat!("millrace/", env!("CARGO_PKG_VERSION")));
        // Without a name of its own the server would take all sessions for one account's anyway.
        builder.set("user_id", self.settings.user.as_deref().unwrap_or("millrace"));
        if self.settings.tls {
            builder.set("use_ssl", "true");
        }
        if let Some(token) = &self.settings.token {
            builder.set("token", token);
        }
        for (header, value) in &self.settings.headers {
            builder.set(&header.to_lowercase(), value);
        }
        let mut client = SparkConnectClient::connect(&builder).await?;
        // A quarter of a minute: what is away longer is the step's to try again.
        client.set_retry_policy(RetryPolicy {
            max_retries: Some(6),
            initial_backoff_ms: 250,
            max_backoff_ms: Some(8000),
            ..RetryPolicy::default()
        });
        Ok(Session { client: Arc::new(client), running: None })
    }

    fn error(&self, error: &SparkError) -> RemoteError {
        let message = words(error);
        if error.grpc_code() == Some(UNAVAILABLE) {
            let address = self.settings.url.clone();
            return RemoteError::Unreachable { engine: self.name.clone(), address, message };
        }
        RemoteError::Refused { engine: self.name.clone(), message }
    }

    /// The query's session with its rows, of which none has been read.
    async fn begun(&self, query: &RemoteQuery) -> Result<(Session, ReattachableResponseStream), SparkError> {
        let mut session = self.session().await?;
        for (key, value) in &query.options {
            session.client.set_config(key, value).await?;
        }
        for (key, value) in &self.settings.options {
            session.client.set_config(key, value).await?;
        }
        for view in &query.views {
            session.define(self.relation_of(view), &view.name).await?;
        }
        let sql = proto::Sql { query: query.sql.clone(), ..proto::Sql::default() };
        let plan = proto::plan::OpType::Root(relation(proto::relation::RelType::Sql(sql)));
        let rows = session.execute(plan).await?;
        Ok((session, rows))
    }

    fn relation_of(&self, view: &RemoteView) -> proto::Relation {
        let source = proto::read::DataSource {
            format: Some(view.format.to_owned()),
            schema: view.schema.clone(),
            options: view.options.clone().into_iter().collect(),
            paths: view.paths.iter().map(|path| self.settings.seen(path)).collect(),
            ..proto::read::DataSource::default()
        };
        let read = proto::Read {
            read_type: Some(proto::read::ReadType::DataSource(source)),
            ..proto::Read::default()
        };
        relation(proto::relation::RelType::Read(read))
    }
}

#[async_trait]
impl RemoteEngine for SparkEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn auto_above(&self) -> Option<u64> {
        self.settings.auto_above()
    }

    async fn query(&self, query: RemoteQuery) -> Result<BatchStream, RemoteError> {
        let (session, rows) = self.begun(&query).await.map_err(|error| self.error(&error))?;
        Ok(streamed(session, rows, query.schema))
    }
}

/// What Spark says, without the stack of its own calls.
fn words(error: &SparkError) -> String {
    let message = error.to_string();
    let message = message.split("\n\nJVM stacktrace").next().unwrap_or_default();
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("at "));
    lines.take(12).collect::<Vec<_>>().join("; ")
}

fn relation(of: proto::relation::RelType) -> proto::Relation {
    proto::Relation { common: Some(proto::RelationCommon::default()), rel_type: Some(of) }
}

/// A session on the server. When it is dropped, what runs in it is interrupted and it is given back.
struct Session {
    client: Arc<SparkConnectClient>,
    /// The operation that runs.
    running: Option<String>,
}

impl Session {
    async fn define(&mut self, input: proto::Relation, name: &str) -> Result<(), SparkError> {
        let command = proto::CreateDataFrameViewCommand {
            input: Some(input),
            name: name.to_owned(),
            is_global: false,
            replace: true,
        };
        let command =
            proto::Command { command_type: Some(proto::command::CommandType::CreateDataframeView(command)) };
        let mut answers = self.execute(proto::plan::OpType::Command(command)).await?;
        while answers.message().await?.is_some() {}
        self.running = None;
        Ok(())
    }

    async fn execute(&mut self, plan: proto::plan::OpType) -> Result<ReattachableResponseStream, SparkError> {
        let operation = uuid::Uuid::now_v7().to_string();
        let request = proto::ExecutePlanRequest {
            session_id: self.client.session_id().to_owned(),
            user_context: Some(proto::UserContext {
                user_id: self.client.user_id().unwrap_or_default().to_owned(),
                ..proto::UserContext::default()
            }),
            operation_id: Some(operation.clone()),
            client_type: Some("millrace".to_owned()),
            plan: Some(proto::Plan { op_type: Some(plan) }),
            ..proto::ExecutePlanRequest::default()
        };
        // Noted before it is sent: whoever stops waiting for the first answer stops the work, too.
        self.running = Some(operation);
        self.client.execute_plan_reattachable(request).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (client, running) = (self.client.clone(), self.running.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Some(operation) = running
                && let Err(error) = client.interrupt_operation(&operation).await
            {
                tracing::warn!("cannot interrupt `{operation}` on Spark: {}", words(&error));
            }
            // The server forgets an idle session by itself after a while.
            if let Err(error) = client.release_session().await {
                tracing::debug!("cannot give a session back to Spark: {}", words(&error));
            }
        });
    }
}

/// Where a stream of rows is.
struct Reading {
    session: Session,
    answers: ReattachableResponseStream,
    schema: SchemaRef,
    /// Batches of the last answer, the next one last.
    ready: Vec<arrow::array::RecordBatch>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<arrow::array::RecordBatch>, QueryError> {
        loop {
            if let Some(batch) = self.ready.pop() {
                return Ok(Some(batch));
            }
            let answer =
                self.answers.message().await.map_err(|error| QueryError::Run { message: words(&error) })?;
            let Some(answer) = answer else {
                self.session.running = None;
                return Ok(None);
            };
            if let Some(proto::execute_plan_response::ResponseType::ArrowBatch(batch)) = answer.response_type
            {
                self.ready = rows::read(&batch.data, &self.schema)?;
                self.ready.reverse();
            }
        }
    }
}

fn streamed(session: Session, answers: ReattachableResponseStream, schema: SchemaRef) -> BatchStream {
    let reading = Reading { session, answers, schema: schema.clone(), ready: Vec::new() };
    let batches = futures::stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.next().await?.map(|batch| (batch, reading)))
    });
    BatchStream { schema, batches: Box::pin(batches) }
}
