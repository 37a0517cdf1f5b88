//! Redis lists, read some elements at a time. What was read is moved into a list of the reader's own, where it stays until it is acknowledged:
//! a reader that is gone finds it there when it comes again.

use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{ListEnd, QueueMessage, QueueReader, Received};
use millrace_spec::problem::Problem;
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use super::redis::{RedisServer, connect, problem};
use crate::connection::Server;
use crate::message::{Body, Message};
use crate::queue::{Subscriber, WAIT};

/// Elements that one pipeline moves or removes.
const AT_ONCE: usize = 1_000;

/// A list that is read.
pub(crate) struct Reading {
    key: String,
    /// The list with what this reader was given and did not acknowledge.
    own: String,
    end: &'static str,
    server: Server<RedisServer>,
    connection: MultiplexedConnection,
    /// How much of `own` was there before and was given again; `None` once that is all of it.
    again: Option<isize>,
    held: Vec<Vec<u8>>,
}

impl Reading {
    pub(crate) async fn begin(
        (key, end): (String, ListEnd),
        server: Server<RedisServer>,
        reader: &Subscriber,
    ) -> Result<Self, Problem> {
        let connection = connect(&server, &what(&key)).await?;
        let end = match end {
            ListEnd::Left => "LEFT",
            ListEnd::Right => "RIGHT",
        };
        let own = format!("{key}:{}", reader.name);
        Ok(Self { key, own, end, server, connection, again: Some(0), held: Vec::new() })
    }

    fn problem(&self, error: &RedisError) -> Problem {
        problem(&self.server, &what(&self.key), error)
    }

    /// What was given before and not acknowledged.
    async fn left_over(&mut self, from: isize, most: usize) -> Result<Vec<Vec<u8>>, RedisError> {
        let last = from.saturating_add_unsigned(most).saturating_sub(1);
        let mut command = redis::cmd("LRANGE");
        command.arg(&self.own).arg(from).arg(last);
        command.query_async(&mut self.connection).await
    }

    /// Moves what is there now.
    async fn moved(&mut self, most: usize) -> Result<Vec<Vec<u8>>, RedisError> {
        let mut pipeline = redis::pipe();
        for _ in 0..most.min(AT_ONCE) {
            pipeline.cmd("LMOVE").arg(&self.key).arg(&self.own).arg(self.end).arg("RIGHT");
        }
        let elements: Vec<Option<Vec<u8>>> = pipeline.query_async(&mut self.connection).await?;
        Ok(elements.into_iter().flatten().collect())
    }

    /// Waits for an element.
    async fn awaited(&mut self, wait: Duration) -> Result<Vec<Vec<u8>>, RedisError> {
        let mut command = redis::cmd("BLMOVE");
        command.arg(&self.key).arg(&self.own).arg(self.end).arg("RIGHT").arg(wait.min(WAIT).as_secs_f64());
        let element: Option<Vec<u8>> = command.query_async(&mut self.connection).await?;
        Ok(element.into_iter().collect())
    }

    async fn elements(&mut self, most: usize, wait: Duration) -> Result<Vec<Vec<u8>>, RedisError> {
        if let Some(from) = self.again.take() {
            let left = self.left_over(from, most).await?;
            if !left.is_empty() {
                self.again = Some(from.saturating_add_unsigned(left.len()));
                return Ok(left);
            }
        }
        let moved = self.moved(most).await?;
        // To wait for no time is to wait for ever.
        if moved.is_empty() && wait.as_millis() > 0 { self.awaited(wait).await } else { Ok(moved) }
    }

    fn message(&self, element: Vec<u8>) -> QueueMessage {
        Message { subject: self.key.clone(), body: Body::Bytes(element), ..Message::default() }.into()
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        let elements = self.elements(most, wait).await.map_err(|error| self.problem(&error))?;
        self.held.extend(elements.iter().cloned());
        let is_all = elements.is_empty();
        Ok(Received { messages: elements.into_iter().map(|element| self.message(element)).collect(), is_all })
    }

    /// By their values, and not by how many there are: another copy of the same step may be reading too.
    async fn acknowledge(&mut self) -> Result<(), Problem> {
        for elements in std::mem::take(&mut self.held).chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for element in elements {
                pipeline.cmd("LREM").arg(&self.own).arg(1).arg(element.as_slice()).ignore();
            }
            let removed = pipeline.query_async::<()>(&mut self.connection).await;
            removed.map_err(|error| self.problem(&error))?;
        }
        Ok(())
    }
}

fn what(key: &str) -> String {
    format!("the list `{key}`")
}
