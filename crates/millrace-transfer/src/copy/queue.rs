//! Queues as sources: so many messages, or those of so long, or all that are there. A queue may forget them once the sink has them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    BatchStream, ListEnd, Progress, QueueMessage, QueueReader, QueueReading, Reader, Received, StepContext,
    StepOutcome,
};
use millrace_spec::duration::Elapsed;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use super::{Copy, staging};
use crate::address::{Address, sources};
use crate::config::{CopyConfig, Write};
use crate::error::CopyError;
use crate::format::Format;
use crate::needless::{FORMAT, INCREMENTAL, LIMIT, RECORDS, REQUEST, STATE, refuse};
use crate::origin::{Asking, Staged};
use crate::progress::new_load_key;
use crate::source::Outcome;
use crate::store::unless_cancelled;
use crate::types::{ColumnSpec, ColumnType};

/// Messages that a copy takes if it does not say.
const MOST: u64 = 100_000;
/// Messages that are asked for at once.
const AT_ONCE: usize = 1_000;
/// How long messages are waited for before it is looked whether the time is over.
const WAIT: Duration = Duration::from_secs(1);

/// What is read of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// How many at most; 100000 if absent. What is left comes with the next copy.
    #[serde(default)]
    pub max: Option<NonZeroU64>,
    /// How long messages are listened for; if absent, those that are there are read, until there are no more.
    #[serde(default, rename = "for")]
    pub time: Option<Elapsed>,
    /// Who reads, where a queue keeps how far each of its readers is: the consumer group of Redis, the durable consumer of JetStream, the session
    /// of MQTT; of Kafka, the workspace keeps it. A name of the step's own if absent.
    #[serde(default)]
    pub reader: Option<String>,
    /// What the column `body` is.
    #[serde(default)]
    pub body: BodyColumn,
    /// The field with the body; the others are the headers. All fields, as one JSON text, are the body if absent. Redis only.
    #[serde(default)]
    pub field: Option<String>,
    /// The key is a list, whose elements are taken from this end: `left` where `RPUSH` adds them, `right` where `LPUSH` does. It is a stream if
    /// absent. Redis only.
    #[serde(default)]
    pub list: Option<ListEnd>,
}

/// What the column with the bodies of messages is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyColumn {
    /// Text, as it came.
    #[default]
    Text,
    /// What its JSON says, as in a file of JSON lines: a number, a structure whose parts `mapping` names.
    Json,
}

/// What of a step says nothing to a queue.
pub(super) fn check(config: &CopyConfig) -> Result<(), CopyError> {
    for (part, hint) in [
        (LIMIT, "messages: {max: 1000}"),
        (INCREMENTAL, "a queue gives what its reader has not acknowledged yet"),
        (REQUEST, "messages: {max: 1000, for: 30s}"),
        (STATE, "a queue knows itself how far it was read"),
        (RECORDS, "messages: {body: json}"),
        (FORMAT, "messages: {body: json}"),
    ] {
        refuse(config, &[part], "a queue", hint)?;
    }
    Ok(())
}

/// `messages` of a step whose source is no queue.
pub(super) fn check_absent(config: &CopyConfig) -> Result<(), CopyError> {
    match &config.messages {
        Some(_) => Err(CopyError::config(
            "`messages` is for queues",
            "from: \"queue:orders\", a connection of the kind `redis`, `nats`, `rabbitmq`, `mqtt` or `kafka`",
        )),
        None => Ok(()),
    }
}

/// The key that messages are loaded by. A step that reads a queue has one of its own for each attempt: one that is begun again reads other messages
/// than the first one did, so that what that has loaded does not stand for them. Where they are the same again, so is the key.
fn load_key(queue: &dyn QueueReader, context: &StepContext) -> String {
    let new = || new_load_key(&context.idempotency_key);
    queue.owed_to().map_or_else(new, str::to_owned)
}

impl Copy {
    /// Messages that wait in the attempt's folder until all of them are there; they are acknowledged when the outcome is settled.
    pub(super) async fn read_queue(
        &self,
        (connection, queue): (&str, &str),
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let label = format!("{connection}:{queue}");
        let (config, outcome, folder) = (config.clone(), outcome.clone(), staging(context));
        let mut asking = Asking { stream: queue, label, config, context, folder, outcome };
        let spec = asking.config.messages.clone().unwrap_or_default();
        let own = || Reader::Step { pipeline: context.pipeline.clone(), step: context.step.clone() };
        let reader = spec.reader.clone().map_or_else(own, Reader::Named);
        let (field, list) = (spec.field.clone(), spec.list);
        let reading =
            QueueReading { connection: connection.to_owned(), queue: queue.to_owned(), reader, field, list };
        let said = |problem: Problem| said(&asking.label, problem);
        let opened = async { self.services.queues.read(reading).await.map_err(said) };
        let mut queue = unless_cancelled(context, opened).await?;
        let mut staged = Staged::new(&asking).await?;
        unless_cancelled(context, drain(&mut *queue, &spec, &mut staged, &asking)).await?;
        let mut columns = columns(spec.body, queue.has_keys());
        columns.extend(asking.config.columns.clone());
        if staged.rows == 0 && (leaves_alone(&asking.config.write) || !columns.contains_key("body")) {
            return Err(CopyError::NoMessage { queue: asking.label });
        }
        let (log, label) = (context.log.clone(), asking.label.clone());
        let load = load_key(&*queue, context);
        if queue.owed_to().is_some() {
            log.line(&format!(
                "`{label}` gives what a copy had read that did not end; the rest comes with the next one"
            ));
        }
        asking.outcome.load_by(load.clone());
        let (queue, noting) = (Arc::new(Mutex::new(queue)), asking.label.clone());
        let noted = queue.clone();
        asking.outcome.commit_after(Box::pin(async move {
            noted.lock().await.note(&load).await.map_err(|problem| self::said(&noting, problem))
        }));
        asking.outcome.settle_with(Box::pin(async move {
            // The sink has them: a queue that does not hear of it gives them once more, and that is all.
            if let Err(problem) = queue.lock().await.acknowledge().await {
                log.line(&format!("`{label}` gives these messages once more: {}", problem.message));
            }
            Ok(())
        }));
        asking.config = Arc::new(CopyConfig { columns, ..CopyConfig::clone(&asking.config) });
        staged.read(asking, Format::Jsonl, None).await
    }
}

impl Copy {
    /// What becomes of a copy that found nothing: the sink stays as it is.
    pub(super) async fn left_alone(&self, from: &Address, to: &Address) -> Result<StepOutcome, CopyError> {
        let mut outcome = StepOutcome { sources: sources(from), rows: Some(0), ..StepOutcome::default() };
        let data = match to {
            Address::Dataset(name) => {
                self.services.datasets.resolve(name).await.ok().map(|found| found.asset.to_value())
            }
            Address::Table(asset) => Some(asset.to_value()),
            Address::Database { connection, table } => Some(format!("{connection}:{table}").into()),
            _ => None,
        };
        outcome.outputs.extend(data.map(|data| ("data".to_owned(), data)));
        let verification = serde_json::json!({"result": "NotVerified", "why": "nothing was written"});
        let told = [("rows", 0.into()), ("rejected", 0.into()), ("verification", verification)];
        outcome.outputs.extend(told.map(|(name, value)| (name.to_owned(), value)));
        Ok(outcome)
    }
}

/// Whether no rows change nothing of the sink.
pub(super) fn leaves_alone(write: &Write) -> bool {
    matches!(
        write,
        Write::Append
            | Write::Upsert(_)
            | Write::DeleteInsert(_)
            | Write::InsertOnly(_)
            | Write::ApplyChanges(_)
            | Write::Snapshot
    )
}

/// What a queue says, in a copy's words.
fn said(label: &str, problem: Problem) -> CopyError {
    if problem.code == "event-source" && problem.hints.is_empty() {
        return CopyError::Read { what: label.to_owned(), message: problem.message, transient: true };
    }
    CopyError::Connection(Box::new(problem))
}

/// The columns of every queue.
fn columns(body: BodyColumn, keys: bool) -> IndexMap<String, ColumnSpec> {
    let mut columns = vec![("id", ColumnType::String), ("subject", ColumnType::String)];
    columns.extend(keys.then_some(("key", ColumnType::String)));
    columns.extend([("time", ColumnType::Timestamp), ("headers", ColumnType::String)]);
    if body == BodyColumn::Text {
        columns.push(("body", ColumnType::String));
    }
    columns.into_iter().map(|(name, kind)| (name.to_owned(), ColumnSpec::Type(kind))).collect()
}

/// Receives messages into a file, a line each.
async fn drain(
    queue: &mut dyn QueueReader,
    spec: &Messages,
    staged: &mut Staged,
    asking: &Asking<'_>,
) -> Result<(), CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::write("the attempt's folder", error);
    let path = staged.place(asking.label.clone());
    let mut file = fs_err::tokio::File::create(&path).await.map_err(|error| failed(&error))?;
    let until = spec.time.map(|time| Instant::now() + Duration::from_millis(time.ms));
    let most = spec.max.map_or(MOST, NonZeroU64::get);
    let mut wait = Duration::ZERO;
    let mut left = most;
    // What is owed belongs together.
    while left > 0 || queue.owed_to().is_some() {
        let is_owed = queue.owed_to().is_some();
        if let Some(until) = until.filter(|_| !is_owed) {
            wait = until.saturating_duration_since(Instant::now()).min(WAIT);
            if wait.is_zero() {
                break;
            }
        }
        let wanted = if is_owed { AT_ONCE } else { usize::try_from(left).unwrap_or(usize::MAX).min(AT_ONCE) };
        let received = queue.receive(wanted, wait).await;
        let Received { messages, is_all } = received.map_err(|problem| said(&asking.label, problem))?;
        let lines: String =
            messages.iter().map(|message| line(message, spec.body, queue.has_keys())).collect();
        file.write_all(lines.as_bytes()).await.map_err(|error| failed(&error))?;
        staged.rows += messages.len() as u64;
        left = left.saturating_sub(messages.len() as u64);
        staged.bytes += lines.len() as u64;
        let (rows, bytes) = (Some(staged.rows), Some(staged.bytes));
        let message = Some("the queue gives its messages".to_owned());
        asking.context.progress.report(Progress { fraction: None, rows, bytes, message });
        if is_all && (until.is_none() || queue.owed_to().is_some()) {
            break;
        }
        // What is left is with another reader, and comes back if that is gone.
        wait = if messages.is_empty() { WAIT } else { Duration::ZERO };
    }
    file.sync_all().await.map_err(|error| failed(&error))
}

/// A message as a line of JSON.
fn line(message: &QueueMessage, body: BodyColumn, keys: bool) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let time = message.time_ms.and_then(|time| Timestamp::from_millisecond(time).ok());
    let time = time.map_or_else(|| "null".to_owned(), |time| text(&time.to_string()));
    let headers = serde_json::json!(message.headers).to_string();
    let body = match body {
        // Between the parts of a JSON text, the end of a line is a blank; within a text of its it cannot stand.
        BodyColumn::Json if message.is_json => message.body.replace(['\n', '\r'], " "),
        _ => text(&message.body),
    };
    let key = message.key.as_deref().map_or_else(|| "null".to_owned(), text);
    let key = if keys { format!(",\"key\":{key}") } else { String::new() };
    let (id, subject, headers) = (text(&message.id), text(&message.subject), text(&headers));
    format!(
        "{{\"id\":{id},\"subject\":{subject}{key},\"time\":{time},\"headers\":{headers},\"body\":{body}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line() {
        let mut message = QueueMessage {
            id: "1".to_owned(),
            subject: "a\"b".to_owned(),
            key: Some("k1".to_owned()),
            time_ms: Some(1_500),
            headers: [("k".to_owned(), "v".to_owned())].into(),
            body: "{\"n\":\n 1.10}".to_owned(),
            is_json: true,
        };
        let begin =
            r#"{"id":"1","subject":"a\"b","time":"1970-01-01T00:00:01.5Z","headers":"{\"k\":\"v\"}","body":"#;
        assert_eq!(line(&message, BodyColumn::Json, false), format!("{begin}{{\"n\":  1.10}}}}\n"));
        assert_eq!(line(&message, BodyColumn::Text, false), format!("{begin}\"{{\\\"n\\\":\\n 1.10}}\"}}\n"));
        assert!(
            line(&message, BodyColumn::Text, true)
                .starts_with(r#"{"id":"1","subject":"a\"b","key":"k1","time""#)
        );
        message.key = None;
        assert!(line(&message, BodyColumn::Text, true).contains(r#","key":null,"#));
        (message.body, message.is_json, message.time_ms) = ("hello".to_owned(), false, None);
        assert!(
            line(&message, BodyColumn::Json, false)
                .ends_with(",\"time\":null,\"headers\":\"{\\\"k\\\":\\\"v\\\"}\",\"body\":\"hello\"}\n")
        );
    }
}
