//! Rows of a COPY, taken off the wire before the client sees them.
//!
//! The client cuts what the server sends into messages and hands each over by itself, and a row is a message: for a table of a million rows that
//! costs as much as decoding them. The tap knows where messages begin and end, and nothing else of the protocol: of messages that hold rows it
//! keeps whole runs for who wants them, everything else goes on to the client.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_util::io::poll_read_buf;

/// The message of COPY that holds a row.
const COPY_DATA: u8 = b'd';
/// Its kind and its length.
const HEADER: usize = 5;
/// Bytes that are read at once at most, and those that there is room for at least.
const READ: usize = 64 << 10;
const ROOM: usize = 16 << 10;
/// Bytes of rows that wait to be taken; with more the server waits.
const WAITING: usize = 1 << 20;
/// The first packet of a client that asks whether the server speaks TLS: its length and a number that is no version.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// What the first packet of a TLS handshake begins with.
const HANDSHAKE: u8 = 22;

/// What a tap and who takes rows from it have in common.
#[derive(Debug, Default)]
pub(super) struct Rows(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether somebody takes rows.
    taken: bool,
    /// Whether somebody stopped before their end: what comes of them would be taken for those of the next COPY.
    left: bool,
    waiting: VecDeque<Bytes>,
    bytes: usize,
    taker: Option<Waker>,
    /// Of who reads the wire, while too many wait.
    reader: Option<Waker>,
}

impl Rows {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on rows are taken off; until what is returned is dropped. `None` if those of a COPY before may still come.
    pub(super) fn taken(self: &Arc<Self>) -> Option<Taken> {
        let mut state = self.state();
        state.taken = !state.left;
        state.taken.then(|| Taken(self.clone()))
    }

    fn put(&self, rows: Bytes) {
        let mut state = self.state();
        state.bytes += rows.len();
        state.waiting.push_back(rows);
        if let Some(taker) = state.taker.take() {
            taker.wake();
        }
    }

    /// Whether no more should be read now; the task is woken when that changes.
    fn is_full(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        let full = state.taken && state.bytes >= WAITING;
        state.reader = full.then(|| context.waker().clone());
        full
    }
}

/// Rows that are taken off.
#[derive(Debug)]
pub(super) struct Taken(Arc<Rows>);

impl Taken {
    /// Whole messages, each a row; [`messages`] cuts them.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Bytes> {
        let mut state = self.0.state();
        let Some(rows) = state.waiting.pop_front() else {
            state.taker = Some(context.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= rows.len();
        if state.bytes < WAITING
            && let Some(reader) = state.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(rows)
    }
}

impl Taken {
    /// All rows have come: those of another COPY may be taken off.
    pub(super) fn ended(self) {
        self.0.state().taken = false;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let reader = state.reader.take();
        *state = State { left: state.left || state.taken, ..State::default() };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// What each of several whole messages holds.
pub(super) fn messages(mut rows: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_, length) = header(rows)?;
        let (message, rest) = rows.split_at_checked(1 + length)?;
        rows = rest;
        message.get(HEADER..)
    })
}

/// Kind of the message that begins here, and its length without that.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let length = i32::from_be_bytes(*rest.first_chunk::<4>()?);
    // No message is shorter than its length; 0 stands for one that is none.
    Some((*kind, usize::try_from(length).unwrap_or(0)))
}

/// Bytes of the whole messages with rows that stand first.
fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some((COPY_DATA, length)) = bytes.get(end..).and_then(header)
        && length >= HEADER - 1
        && end + 1 + length <= bytes.len()
    {
        end += 1 + length;
    }
    end
}

/// What is known of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// Nothing was sent yet.
    Unknown,
    /// The next byte says whether TLS is spoken.
    Answer,
    /// Messages.
    Messages,
    /// TLS, or nothing that is understood: all of it goes on.
    Other,
}

/// A stream with a tap.
#[derive(Debug)]
pub(super) struct Tap<S> {
    stream: S,
    rows: Arc<Rows>,
    speaks: Speaks,
    read: BytesMut,
    /// Bytes of the message that goes on to the client.
    on: usize,
}

impl<S> Tap<S> {
    /// On a stream of which nothing was read or written yet.
    pub(super) fn new(stream: S, rows: Arc<Rows>) -> Self {
        Self { stream, rows, speaks: Speaks::Unknown, read: BytesMut::with_capacity(READ), on: 0 }
    }
}

impl<S: AsyncRead + Unpin> Tap<S> {
    fn poll_messages(&mut self, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        loop {
            if self.on > 0 && !self.read.is_empty() {
                let some = self.on.min(self.read.len()).min(to.remaining());
                to.put_slice(self.read.get(..some).unwrap_or_default());
                self.read.advance(some);
                self.on -= some;
                if to.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match header(&self.read).filter(|_| self.on == 0) {
                Some((_, length)) if length < HEADER - 1 => {
                    // The client finds out what is wrong.
                    self.speaks = Speaks::Other;
                    return self.poll_rest(context, to);
                }
                Some((COPY_DATA, length)) if self.rows.state().taken => {
                    let whole = whole(&self.read);
                    if whole > 0 {
                        self.rows.put(self.read.split_to(whole).freeze());
                        continue;
                    }
                    self.read.reserve((1 + length).saturating_sub(self.read.len()));
                }
                Some((_, length)) => {
                    self.on = 1 + length;
                    continue;
                }
                None => {}
            }
            if to.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if self.rows.is_full(context) {
                return Poll::Pending;
            }
            self.read.reserve(ROOM);
            if ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.read))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// What was read already, and then what comes.
    fn poll_rest(&mut self, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, to);
        }
        let some = self.read.len().min(to.remaining());
        to.put_slice(self.read.get(..some).unwrap_or_default());
        self.read.advance(some);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.speaks {
            Speaks::Messages => self.poll_messages(context, to),
            Speaks::Answer => {
                let mut byte = [0];
                let mut answer = ReadBuf::new(&mut byte);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut answer))?;
                self.speaks = if answer.filled() == b"S" { Speaks::Other } else { Speaks::Messages };
                to.put_slice(answer.filled());
                Poll::Ready(Ok(()))
            }
            Speaks::Unknown | Speaks::Other => self.poll_rest(context, to),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.speaks == Speaks::Unknown {
            self.speaks = match bytes.first() {
                Some(&HANDSHAKE) => Speaks::Other,
                _ if bytes == TLS_REQUEST => Speaks::Answer,
                _ => Speaks::Messages,
            };
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tap<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// TLS with a tap on what it has decrypted.
pub(super) struct Tapped<T> {
    pub(super) tls: T,
    pub(super) rows: Arc<Rows>,
}

impl<S, T> TlsConnect<S> for Tapped<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Tap<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let (connecting, rows) = (self.tls.connect(stream), self.rows);
        Box::pin(async move { Ok(Tap::new(connecting.await?, rows)) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = i32::try_from(content.len() + 4).unwrap().to_be_bytes();
        [&[kind], length.as_slice(), content].concat()
    }

    /// What the client gets of what a server sends in pieces of this size, and the rows that were taken off.
    async fn sent(bytes: &[u8], piece: usize, taken: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
        let rows = Arc::new(Rows::default());
        let taker = taken.then(|| rows.taken().unwrap());
        let (client, mut server) = tokio::io::duplex(piece);
        let mut tap = Tap::new(client, rows);
        tap.write_all(&[0]).await.unwrap();
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            server.write_all(&bytes).await.unwrap();
        });
        let reading = tokio::spawn(async move {
            let mut got = Vec::new();
            tap.read_to_end(&mut got).await.unwrap();
            got
        });
        let mut found = Vec::new();
        if let Some(taker) = &taker {
            let mut reading = reading;
            loop {
                let next = std::future::poll_fn(|context| taker.poll(context));
                tokio::select! {
                    biased;
                    rows = next => found.extend(messages(&rows).map(<[u8]>::to_vec)),
                    got = &mut reading => {
                        sending.await.unwrap();
                        return (got.unwrap(), found);
                    }
                }
            }
        }
        let got = reading.await.unwrap();
        sending.await.unwrap();
        (got, found)
    }

    #[tokio::test]
    async fn rows_are_taken_off_and_the_rest_goes_on() {
        let big = vec![7; WAITING + READ];
        let parts = [
            message(b'H', &[1, 0, 0]),
            message(b'd', b"first"),
            message(b'N', b"a notice between rows"),
            message(b'd', b""),
            message(b'd', &big),
            message(b'd', b"last"),
            message(b'c', b""),
            message(b'Z', b"I"),
        ];
        let all = parts.concat();
        let rest: Vec<u8> = parts.iter().filter(|part| part[0] != b'd').flatten().copied().collect();
        for piece in [61, 1000, 1 << 20] {
            let (got, rows) = sent(&all, piece, true).await;
            assert_eq!(got, rest, "{piece}");
            assert_eq!(rows, [b"first".to_vec(), Vec::new(), big.clone(), b"last".to_vec()], "{piece}");
            assert_eq!(sent(&all, piece, false).await, (all.clone(), Vec::new()), "{piece}");
        }
    }

    #[tokio::test]
    async fn what_is_no_message_goes_on_as_it_is() {
        let strange = [message(b'd', b"row"), vec![b'd', 0, 0, 0, 1, 9, 9], message(b'd', b"row")].concat();
        let (got, rows) = sent(&strange, 1000, true).await;
        assert_eq!(rows, [b"row".to_vec()]);
        assert_eq!(got, strange[8..]);
    }

    #[tokio::test]
    async fn a_stream_that_turns_to_tls_is_left_alone() {
        for (answer, speaks) in [(b'S', Speaks::Other), (b'N', Speaks::Messages)] {
            let (client, mut server) = tokio::io::duplex(1000);
            let mut tap = Tap::new(client, Arc::default());
            tap.write_all(&TLS_REQUEST).await.unwrap();
            server.write_all(&[answer, b'x']).await.unwrap();
            let mut byte = [0];
            tap.read_exact(&mut byte).await.unwrap();
            assert_eq!((byte[0], tap.speaks), (answer, speaks));
        }
    }

    #[test]
    fn rows_that_were_left_are_not_taken_for_others() {
        let rows = Arc::new(Rows::default());
        rows.taken().unwrap().ended();
        drop(rows.taken().unwrap());
        assert!(rows.taken().is_none());
        assert!(!rows.state().taken, "the client gets what still comes");
    }

    #[tokio::test]
    async fn a_server_waits_until_its_rows_are_taken() {
        let rows = Arc::new(Rows::default());
        let taker = rows.taken().unwrap();
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let mut tap = Tap::new(client, rows.clone());
        tap.write_all(&[0]).await.unwrap();
        let row = message(b'd', &[1; 1000]);
        let sending = tokio::spawn(async move {
            for _ in 0..10_000 {
                server.write_all(&row).await.unwrap();
            }
        });
        let reading = tokio::spawn(async move { tap.read_to_end(&mut Vec::new()).await });
        let mut count = 0;
        while count < 10_000 {
            tokio::task::yield_now().await;
            assert!(rows.state().bytes <= WAITING + READ, "{}", rows.state().bytes);
            let some = std::future::poll_fn(|context| taker.poll(context)).await;
            count += messages(&some).count();
        }
        sending.await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 0);
    }
}
