//! A file that is the body of one request, sent while it comes.

use bytes::Bytes;
use reqwest::{Body, RequestBuilder, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::SILENCE;
use super::http::said;
use crate::error::CopyError;

/// Pieces that wait to be sent.
const AHEAD: usize = 4;

/// A request on its way, which ends with this. Its client must have no `read_timeout`: that clock runs while the body is sent.
pub(super) struct Streamed {
    /// What messages call the file.
    label: String,
    secrets: Vec<String>,
    pieces: Option<mpsc::Sender<Bytes>>,
    sending: JoinHandle<reqwest::Result<Response>>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl Streamed {
    /// Begins to send; what it writes is the request's body.
    pub(super) fn begin(request: RequestBuilder, label: String, secrets: &[String]) -> Self {
        let (pieces, receiver) = mpsc::channel::<Bytes>(AHEAD);
        let body = futures::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), receiver))
        });
        let sending = tokio::spawn(request.body(Body::wrap_stream(body)).send());
        Self { label, secrets: secrets.to_vec(), pieces: Some(pieces), sending }
    }

    /// Sends a piece. `Some`: the server has answered before it had all, and takes no more.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<Option<Response>, CopyError> {
        let sent = match &self.pieces {
            Some(pieces) => {
                let sent = tokio::time::timeout(SILENCE, pieces.send(bytes)).await;
                sent.map_err(|_| self.silent())?.is_ok()
            }
            None => false,
        };
        if sent { Ok(None) } else { self.answered().await.map(Some) }
    }

    /// What the server answers to the whole, whatever its status is.
    pub(super) async fn answered(&mut self) -> Result<Response, CopyError> {
        self.pieces = None;
        let answer = tokio::time::timeout(SILENCE, &mut self.sending).await.map_err(|_| self.silent())?;
        let answer = answer.map_err(|error| CopyError::write(self.label.clone(), &error))?;
        answer.map_err(|error| {
            let (message, transient) = said(error, &self.secrets);
            CopyError::Write { what: self.label.clone(), message, transient }
        })
    }

    fn silent(&self) -> CopyError {
        let message = format!("the server was silent for {} seconds", SILENCE.as_secs());
        CopyError::Write { what: self.label.clone(), message, transient: true }
    }
}
