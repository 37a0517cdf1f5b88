//! A blob that is sent in one request while it comes: for Azure and its emulator a fraction of the work that blocks are, and the answer tells
//! a digest. `object_store` sends in one request only what is in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use object_store::azure::MicrosoftAzure;
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{Attribute, Attributes};
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::settings::masked;
use super::{CONNECT, Receipt, SILENCE, StagedFile, http::in_words};
use crate::error::CopyError;

/// The biggest blob that is sent so: what breaks begins anew, and Microsoft's own clients set the same limit.
pub(super) const MOST: u64 = 256 * 1024 * 1024;
/// How long a signature holds: a limit on the whole request.
const SIGNED_FOR: Duration = Duration::from_secs(6 * 3_600);
/// Pieces that wait to be sent.
const AHEAD: usize = 4;

/// Sends blobs of one container.
#[derive(Clone)]
pub(super) struct BlobPuts {
    azure: Arc<MicrosoftAzure>,
    client: Client,
    secrets: Vec<String>,
}

impl BlobPuts {
    /// `azure` has an account key, by which requests are signed.
    pub(super) fn new(azure: Arc<MicrosoftAzure>, secrets: Vec<String>) -> reqwest::Result<Self> {
        // No limit on the whole: silence is limited where it is waited for.
        let client = Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
        Ok(Self { azure, client: client.build()?, secrets })
    }

    pub(super) async fn begin(
        &self,
        (key, label): (&Path, String),
        size: u64,
        attributes: &Attributes,
    ) -> Result<Box<dyn StagedFile>, CopyError> {
        let signed = self.azure.signed_url(Method::PUT, key, SIGNED_FOR).await;
        let signed = signed.map_err(|error| self.failed(&label, error.to_string(), true))?;
        let (pieces, receiver) = mpsc::channel::<Bytes>(AHEAD);
        let body = futures::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), receiver))
        });
        let request = self
            .client
            .put(signed)
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-length", size)
            .body(Body::wrap_stream(body));
        // Ends with its body; aborted with the blob.
        let sending = Sending(tokio::spawn(described(request, attributes).send()));
        Ok(Box::new(Sent { puts: self.clone(), label, pieces: Some(pieces), sending, digest: Md5::new() }))
    }

    fn failed(&self, label: &str, message: String, transient: bool) -> CopyError {
        CopyError::Write { what: label.to_owned(), message: masked(&message, &self.secrets), transient }
    }
}

/// What a blob has beside its bytes, as headers.
fn described(mut request: RequestBuilder, attributes: &Attributes) -> RequestBuilder {
    for (attribute, value) in attributes {
        let name = match attribute {
            Attribute::CacheControl => "x-ms-blob-cache-control".to_owned(),
            Attribute::ContentDisposition => "x-ms-blob-content-disposition".to_owned(),
            Attribute::ContentEncoding => "x-ms-blob-content-encoding".to_owned(),
            Attribute::ContentLanguage => "x-ms-blob-content-language".to_owned(),
            Attribute::ContentType => "x-ms-blob-content-type".to_owned(),
            Attribute::StorageClass => "x-ms-access-tier".to_owned(),
            Attribute::Metadata(name) => format!("x-ms-meta-{name}"),
            _ => continue,
        };
        request = request.header(name, value.as_ref());
    }
    request
}

/// A request on its way, which ends with this.
struct Sending(JoinHandle<reqwest::Result<Response>>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A blob on its way. There is nothing of it before the server has all.
struct Sent {
    puts: BlobPuts,
    label: String,
    pieces: Option<mpsc::Sender<Bytes>>,
    sending: Sending,
    digest: Md5,
}

impl Sent {
    fn silent(&self) -> CopyError {
        let message = format!("the server was silent for {} seconds", SILENCE.as_secs());
        self.puts.failed(&self.label, message, true)
    }

    /// What the server answered.
    async fn answered(&mut self) -> Result<Response, CopyError> {
        self.pieces = None;
        let answer = tokio::time::timeout(SILENCE, &mut self.sending.0).await.map_err(|_| self.silent())?;
        let answer = answer.map_err(|error| CopyError::write(self.label.clone(), &error))?;
        let answer =
            answer.map_err(|error| self.puts.failed(&self.label, in_words(&error.without_url()), true))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        let told = answer.text().await.unwrap_or_default();
        let told = told.split_once("<Message>").and_then(|(_, rest)| rest.split_once(['<', '\n']));
        let told = told.map_or_else(String::new, |(message, _)| format!(": {message}"));
        Err(self.puts.failed(&self.label, format!("the server answers {status}{told}"), passes))
    }
}

#[async_trait]
impl StagedFile for Sent {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        self.digest.update(&bytes);
        let sent = match &self.pieces {
            Some(pieces) => {
                tokio::time::timeout(SILENCE, pieces.send(bytes)).await.map_err(|_| self.silent())?.is_ok()
            }
            None => false,
        };
        if sent {
            return Ok(());
        }
        // Nobody takes the pieces any more: the server has answered already.
        self.answered().await?;
        Err(CopyError::write(self.label.clone(), &"the server did not take the whole file"))
    }

    async fn commit(mut self: Box<Self>) -> Result<Receipt, CopyError> {
        let answer = self.answered().await?;
        let Some(theirs) = answer.headers().get("content-md5") else {
            return Ok(Receipt::Silent("the store tells no digest of what it has taken"));
        };
        let ours = BASE64.encode(self.digest.finalize_reset());
        Ok(if theirs.as_bytes() == ours.as_bytes() {
            Receipt::Agrees("its MD5 is that of what was sent")
        } else {
            Receipt::Differs("its MD5 is not that of what was sent")
        })
    }

    async fn abort(self: Box<Self>) {}
}
