//! Kafka topics, read some messages at a time: each partition to where it ended when the reading began, or was looked at last.
//!
//! How far a reader is, Kafka's own client keeps in a consumer group, and moves it on after what it was given was kept elsewhere: what falls between is
//! given twice. Here it stands in a file of the workspace, with the load that is about to be committed beside it. A reader that is begun again after a
//! kill gives exactly the records of that load, under its key, and a sink that has them already leaves them out.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{QueueMessage, QueueReader, Received};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{KafkaTopic, StartAt};
use rskafka::client::Client;
use rskafka::client::partition::{OffsetAt, PartitionClient};
use serde::{Deserialize, Serialize};

use super::kafka::{BYTES, Batch, KafkaServer, Position, Topic};
use super::kept::Kept;
use crate::connection::Server;
use crate::queue::{Subscriber, WAIT};

/// How long another copy may read it. After a kill there are two: the step that is begun again, and who comes next.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic that is read.
pub(crate) struct Reading {
    topic: Topic,
    client: Client,
    partitions: BTreeMap<i32, Partition>,
    /// Records that came and have not been given.
    left: Option<Batch>,
    progress: Progress,
    /// Whether anything was given.
    has_given: bool,
}

/// A partition and where it ends.
struct Partition {
    client: PartitionClient,
    end: i64,
}

/// How far the topic was read, and the file that says so.
struct Progress {
    kept: Kept,
    said: Said,
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Up to where sinks have everything.
    #[serde(default)]
    read: Position,
    /// A load that may have been committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loading: Option<Loading>,
}

/// A load, and how far the topic is read when the sink has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Loading {
    load: String,
    read: Position,
}

impl Reading {
    pub(crate) async fn begin(
        topic: String,
        server: Server<KafkaServer>,
        reader: &Subscriber,
        folder: &Path,
    ) -> Result<Self, Problem> {
        // By the connection's name and not by its brokers, which are only some of a cluster's to begin with.
        let (name, connection) = (&reader.name, server.connection.clone());
        let digest = blake3::hash(format!("kafka\0{name}\0{connection}\0{topic}").as_bytes());
        let progress = Progress::open(&folder.join(format!("{:.32}", digest.to_hex())), PATIENCE).await?;
        let mut topic = Topic::new(KafkaTopic { kafka: topic, connection, from: StartAt::Beginning }, server);
        topic.position = progress.said.read.clone();
        let client = topic.connect().await?;
        let (partitions, left, has_given) = (BTreeMap::new(), None, false);
        let mut reading = Self { topic, client, partitions, left, progress, has_given };
        reading.look().await?;
        Ok(reading)
    }

    /// Finds the partitions and where they end now.
    async fn look(&mut self) -> Result<(), Problem> {
        for number in self.topic.partitions(&self.client).await? {
            if let Some(known) = self.partitions.get_mut(&number) {
                known.end = self.topic.answered(known.client.get_offset(OffsetAt::Latest)).await?;
                continue;
            }
            let client = self.topic.partition(&self.client, number).await?;
            let end = self.topic.begin_partition(&client, number, OffsetAt::Earliest).await?.end;
            self.partitions.insert(number, Partition { client, end });
        }
        // A load of a topic that is gone; the one that has its name now is shorter.
        let is_gone = |loading: &Loading| {
            let end = |number: &i32| self.partitions.get(number).map(|partition| partition.end);
            loading.read.next.iter().any(|(number, next)| end(number).is_none_or(|end| end < *next))
        };
        if self.progress.said.loading.as_ref().is_some_and(is_gone) {
            self.progress.said.loading = None;
        }
        Ok(())
    }

    /// Where a partition is to be read to.
    fn end(&self, number: i32) -> i64 {
        match &self.progress.said.loading {
            Some(loading) => loading.read.next.get(&number).copied().unwrap_or_default(),
            None => self.partitions.get(&number).map(|partition| partition.end).unwrap_or_default(),
        }
    }

    /// The next records before the ends; none if there are none.
    async fn some(&mut self, most: usize) -> Result<Vec<QueueMessage>, Problem> {
        let mut batch = match self.left.take() {
            Some(batch) => batch,
            None => match self.fetch().await? {
                Some(batch) => batch,
                None => return Ok(Vec::new()),
            },
        };
        let messages = self.topic.messages(&mut batch, most);
        self.left = Some(batch).filter(|batch| !batch.records.is_empty());
        self.has_given |= !messages.is_empty();
        Ok(messages.into_iter().map(QueueMessage::from).collect())
    }

    async fn fetch(&mut self) -> Result<Option<Batch>, Problem> {
        let wait = i32::try_from(WAIT.as_millis()).unwrap_or(i32::MAX);
        let numbers: Vec<i32> = self.partitions.keys().copied().collect();
        for number in numbers {
            let end = self.end(number);
            let next = self.topic.position.next.get(&number).copied().unwrap_or(end);
            let Some(partition) = self.partitions.get(&number).filter(|_| next < end) else { continue };
            let fetching = partition.client.fetch_records(next, BYTES, wait);
            let (records, reaches) = self.topic.answered(fetching).await?;
            let mut records: VecDeque<_> = records.into();
            if records.is_empty() && reaches < end {
                return Err(self.topic.behind(number, reaches, end));
            }
            records.retain(|record| record.offset < end);
            if !records.is_empty() {
                return Ok(Some(Batch { partition: number, records }));
            }
            // Marks of transactions may stand there instead of records, and compaction leaves holes.
            self.topic.position.next.insert(number, end);
        }
        Ok(None)
    }

    /// Everything that the load of before had received was given.
    async fn over(&mut self) -> Result<(), Problem> {
        // Kafka has removed all of it meanwhile: there is nothing to load by that key.
        if self.owed_to().is_some() && !self.has_given {
            self.acknowledge().await?;
            self.look().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl QueueReader for Reading {
    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Received, Problem> {
        let mut messages = self.some(most).await?;
        if messages.is_empty() {
            self.over().await?;
            if self.owed_to().is_none() && !wait.is_zero() {
                tokio::time::sleep(wait).await;
                self.look().await?;
            }
            messages = self.some(most).await?;
        }
        Ok(Received { is_all: messages.is_empty(), messages })
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        // The last of a load's records may be gone.
        let owed = self.progress.said.loading.iter().flat_map(|loading| &loading.read.next);
        for (number, owed) in owed {
            let next = self.topic.position.next.entry(*number).or_insert(*owed);
            *next = (*next).max(*owed);
        }
        let read = self.topic.position.clone();
        self.progress.say(Said { read, loading: None }).await
    }

    fn has_keys(&self) -> bool {
        true
    }

    fn owed_to(&self) -> Option<&str> {
        self.progress.said.loading.as_ref().map(|loading| loading.load.as_str())
    }

    async fn note(&mut self, load: &str) -> Result<(), Problem> {
        if self.owed_to() == Some(load) {
            return Ok(());
        }
        let (load, read) = (load.to_owned(), self.topic.position.clone());
        self.progress.note(Loading { load, read }).await
    }
}

impl Progress {
    async fn open(folder: &Path, patience: Duration) -> Result<Self, Problem> {
        let kept = Kept::open(folder.to_owned(), "position.json", patience).await?;
        let said = match kept.read().await? {
            Some(text) => serde_json::from_slice(&text).map_err(|error| kept.unreadable(&error))?,
            None => Said::default(),
        };
        Ok(Self { kept, said })
    }

    /// A load is about to be committed. What is owed from now on is known to who begins next, not to who has just received it.
    async fn note(&self, loading: Loading) -> Result<(), Problem> {
        let read = self.said.read.clone();
        self.write(&Said { read, loading: Some(loading) }).await
    }

    async fn say(&mut self, said: Said) -> Result<(), Problem> {
        self.write(&said).await?;
        self.said = said;
        Ok(())
    }

    async fn write(&self, said: &Said) -> Result<(), Problem> {
        let text = serde_json::to_vec(said).map_err(|error| self.kept.failed(&error))?;
        self.kept.replace(&text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(next: i64) -> Position {
        Position { next: BTreeMap::from([(0, next)]) }
    }

    #[tokio::test]
    async fn a_load_is_known_to_who_begins_next_until_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let mut progress = Progress::open(folder.path(), Duration::ZERO).await.unwrap();
        assert!(Progress::open(folder.path(), Duration::ZERO).await.is_err(), "another one reads it");
        progress.say(Said { read: position(3), loading: None }).await.unwrap();
        progress.note(Loading { load: "a/1".to_owned(), read: position(5) }).await.unwrap();
        assert_eq!(progress.said.loading, None);
        drop(progress);
        let mut progress = Progress::open(folder.path(), Duration::ZERO).await.unwrap();
        let loading = Loading { load: "a/1".to_owned(), read: position(5) };
        assert_eq!(progress.said, Said { read: position(3), loading: Some(loading) });
        progress.say(Said { read: position(5), loading: None }).await.unwrap();
        let text = std::fs::read_to_string(folder.path().join("position.json")).unwrap();
        assert_eq!(text, "{\"read\":{\"next\":{\"0\":5}}}");
        std::fs::write(folder.path().join("position.json"), "{").unwrap();
        drop(progress);
        let said = Progress::open(folder.path(), Duration::ZERO).await.err().unwrap().message;
        assert!(said.contains("position.json` does not say how far the topic was read: EOF"), "{said}");
    }
}
