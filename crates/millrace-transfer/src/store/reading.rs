//! Reading one file to its end, whatever happens to the connection.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ByteStream, CHANGED, FileFacts, FileStore, Nature, Opened, SILENCE, changed};
use crate::error::CopyError;

/// How often a read that makes no progress is begun again, and how often one that makes some.
const FRUITLESS: u32 = 5;
const RESUMED: u32 = 100;
/// Before the first new beginning; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// Pieces that wait for who reads; servers send pieces of some ten kilobytes, at most some megabytes.
const AHEAD: usize = 8;

/// The bytes of a file, from its beginning to its end. A connection that breaks is made again and goes on where it was, if the file is still
/// the same; a file that has changed ends with an error.
pub(crate) fn steady(store: Arc<dyn FileStore>, path: &str, seen: Option<FileFacts>) -> ByteStream {
    Reading::new(store, path, seen).bytes()
}

/// The same, and before any of its bytes what the store says of the file.
pub(crate) async fn opened(
    store: Arc<dyn FileStore>,
    path: &str,
    seen: Option<FileFacts>,
) -> Result<Opened, CopyError> {
    let mut reading = Reading::new(store, path, seen);
    let begun = tokio::time::timeout(SILENCE, reading.begin()).await;
    let nature = begun.unwrap_or_else(|_| Err(reading.broken("the server stopped answering".to_owned())))?;
    let facts = reading.seen.clone().unwrap_or_default();
    Ok(Opened { facts, nature, bytes: reading.bytes() })
}

struct Reading {
    store: Arc<dyn FileStore>,
    path: String,
    seen: Option<FileFacts>,
    open: Option<ByteStream>,
    /// Whether the file was open before. What fails at the very beginning is not tried again here but by the step.
    begun: bool,
    at: u64,
    fruitless: u32,
    resumed: u32,
}

impl Reading {
    fn new(store: Arc<dyn FileStore>, path: &str, seen: Option<FileFacts>) -> Self {
        Self { store, path: path.to_owned(), seen, open: None, begun: false, at: 0, fruitless: 0, resumed: 0 }
    }

    fn bytes(self) -> ByteStream {
        let pieces = futures::stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        pieces.boxed()
    }

    fn size(&self) -> Option<u64> {
        self.seen.as_ref().and_then(|facts| facts.size)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CopyError> {
        loop {
            let next = tokio::time::timeout(SILENCE, self.piece()).await;
            let next = next.unwrap_or_else(|_| Err(self.broken("the server stopped answering".to_owned())));
            match next {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    self.fruitless = 0;
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    fn broken(&self, message: String) -> CopyError {
        CopyError::Read { what: self.store.label(&self.path), message, transient: true }
    }

    /// Opens the file at the place up to which it was read.
    async fn begin(&mut self) -> Result<Nature, CopyError> {
        let opened = self.store.read(&self.path, self.at, self.seen.as_ref()).await?;
        if self.seen.as_ref().is_some_and(|seen| !seen.agrees_with(&opened.facts)) {
            return Err(changed(self.store.label(&self.path)));
        }
        self.begun = true;
        self.seen = Some(opened.facts);
        self.open = Some(opened.bytes);
        Ok(opened.nature)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, CopyError> {
        if self.open.is_none() {
            self.begin().await?;
        }
        if let Some(open) = &mut self.open
            && let Some(bytes) = open.next().await
        {
            return bytes.map(Some);
        }
        match self.size() {
            Some(size) if self.at < size => {
                Err(self.broken(format!("it ended after {} of {size} bytes", self.at)))
            }
            Some(size) if self.at > size => Err(changed(self.store.label(&self.path))),
            _ => Ok(None),
        }
    }

    /// Prepares to go on after an error, or gives up.
    async fn resume(&mut self, error: CopyError) -> Result<(), CopyError> {
        if !matches!(&error, CopyError::Read { transient: true, message, .. } if message != CHANGED) {
            return Err(error);
        }
        self.open = None;
        self.fruitless += 1;
        self.resumed += 1;
        if !self.begun || self.fruitless > FRUITLESS || self.resumed > RESUMED {
            return Err(error);
        }
        tracing::info!(%error, at = self.at, "a read goes on after it broke off");
        tokio::time::sleep(PAUSE * 2_u32.pow(self.fruitless.min(FRUITLESS) - 1)).await;
        Ok(())
    }
}

/// Lets a blocking reader take the bytes of a stream.
pub(crate) struct Blocking {
    pieces: mpsc::Receiver<Result<Bytes, CopyError>>,
    open: Bytes,
}

impl Blocking {
    /// Takes from the stream on the runtime of the caller, some pieces ahead. That ends with the stream, when this is dropped, and as soon as
    /// the step is cancelled.
    pub(crate) fn new(mut bytes: ByteStream, cancel: CancellationToken) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        tokio::runtime::Handle::current().spawn(async move {
            loop {
                let next = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    () = cancel.cancelled() => Some(Err(CopyError::Cancelled)),
                    next = bytes.next() => next,
                };
                let Some(next) = next else { return };
                let last = next.is_err();
                if sender.send(next).await.is_err() || last {
                    return;
                }
            }
        });
        Self { pieces, open: Bytes::new() }
    }
}

impl Read for Blocking {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        while self.open.is_empty() {
            match self.pieces.blocking_recv() {
                Some(next) => self.open = next.map_err(std::io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = room.len().min(self.open.len());
        let (Some(room), Some(bytes)) = (room.get_mut(..count), self.open.get(..count)) else { return Ok(0) };
        room.copy_from_slice(bytes);
        self.open.advance(count);
        Ok(count)
    }
}
