//! A blob that is sent in one request while it comes: for Azure and its emulator a fraction of the work that blocks are, and the answer tells
//! a digest. `object_store` sends in one request only what is in memory; it signs this one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use object_store::azure::{AzureAuthorizer, MicrosoftAzure};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{Attribute, Attributes};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response};
use url::Url;

use super::http::passes;
use super::settings::masked;
use super::streamed::Streamed;
use super::{CONNECT, NewFile, Receipt, StagedFile};
use crate::error::CopyError;

/// The biggest blob that is sent so: what breaks begins anew, and Microsoft's own clients set the same limit.
pub(super) const MOST: u64 = 256 * 1024 * 1024;

/// Sends blobs of one container.
#[derive(Clone)]
pub(super) struct BlobPuts {
    azure: Arc<MicrosoftAzure>,
    account: String,
    client: Client,
    secrets: Vec<String>,
}

impl BlobPuts {
    /// `azure` has a key of the account, by which requests are signed.
    pub(super) fn new(
        azure: Arc<MicrosoftAzure>,
        account: String,
        secrets: Vec<String>,
    ) -> reqwest::Result<Self> {
        let client = Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
        Ok(Self { azure, account, client: client.build()?, secrets })
    }

    pub(super) async fn begin(
        &self,
        (key, label): (&Path, String),
        size: u64,
        new: &NewFile,
    ) -> Result<Box<dyn StagedFile>, CopyError> {
        let failed = |error: String| self.failed(&label, error, false);
        let mut headers = described(&new.nature.attributes).map_err(failed)?;
        headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
        headers.insert(CONTENT_LENGTH, size.into());
        let (url, headers) =
            self.authorized(key, headers).await.map_err(|error| failed(error.to_string()))?;
        let body = Streamed::begin(self.client.put(url).headers(headers), label.clone(), &self.secrets);
        let told = new.md5.as_ref().and_then(|digits| hex::decode(digits).ok());
        let digest = told.map_or_else(|| Known::Counted(Md5::new()), Known::Told);
        Ok(Box::new(Sent { puts: self.clone(), label, body, digest }))
    }

    /// Where a blob is, and the headers with the signature of the account's key.
    async fn authorized(&self, key: &Path, headers: HeaderMap) -> object_store::Result<(Url, HeaderMap)> {
        // Only the address is taken of it. Its own signature would begin to hold now, by this machine's clock, which may be ahead of theirs.
        let mut url = self.azure.signed_url(Method::PUT, key, Duration::from_secs(60)).await?;
        url.set_query(None);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::PUT;
        *request.headers_mut() = headers;
        *request.uri_mut() = url.as_str().parse().map_err(|error| object_store::Error::Generic {
            store: "MicrosoftAzure",
            source: Box::new(error),
        })?;
        let credential = self.azure.credentials().get_credential().await?;
        AzureAuthorizer::new(&credential, &self.account).authorize(&mut request);
        Ok((url, std::mem::take(request.headers_mut())))
    }

    fn failed(&self, label: &str, message: String, transient: bool) -> CopyError {
        CopyError::Write { what: label.to_owned(), message: masked(&message, &self.secrets), transient }
    }
}

/// What a blob has beside its bytes, as headers.
fn described(attributes: &Attributes) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
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
        let refused = || format!("`{name}` cannot be `{}` there", value.as_ref());
        // What is signed is ASCII.
        let text = HeaderValue::from_str(value.as_ref()).ok().filter(|value| value.to_str().is_ok());
        headers
            .insert(HeaderName::try_from(name.as_str()).map_err(|_| refused())?, text.ok_or_else(refused)?);
    }
    Ok(headers)
}

/// A blob on its way. There is nothing of it before the server has all.
struct Sent {
    puts: BlobPuts,
    label: String,
    body: Streamed,
    digest: Known,
}

/// The MD5 that the blob has to have.
enum Known {
    /// What the source says of the same bytes. To work it out would be a third of what it takes to pass them on.
    Told(Vec<u8>),
    /// Of what was sent so far.
    Counted(Md5),
}

impl Sent {
    /// The answer, if the server has taken the blob.
    async fn taken(&self, answer: Response) -> Result<Response, CopyError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let told = answer.text().await.unwrap_or_default();
        let told = told.split_once("<Message>").and_then(|(_, rest)| rest.split_once(['<', '\n']));
        let told = told.map_or_else(String::new, |(message, _)| format!(": {message}"));
        Err(self.puts.failed(&self.label, format!("the server answers {status}{told}"), passes(status)))
    }
}

#[async_trait]
impl StagedFile for Sent {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        if let Known::Counted(digest) = &mut self.digest {
            digest.update(&bytes);
        }
        let Some(answer) = self.body.write(bytes).await? else { return Ok(()) };
        self.taken(answer).await?;
        Err(CopyError::write(self.label.clone(), &"the server did not take the whole file"))
    }

    async fn commit(mut self: Box<Self>) -> Result<Receipt, CopyError> {
        let answer = self.body.answered().await?;
        let answer = self.taken(answer).await?;
        let Some(theirs) = answer.headers().get("content-md5") else {
            return Ok(Receipt::Silent("the store tells no digest of what it has taken"));
        };
        let (ours, agrees, differs) = match self.digest {
            Known::Told(digest) => {
                // Where it encrypts with keys of its user, what the source tells is of something else.
                (
                    digest,
                    "its MD5 is the one that the source tells",
                    "its MD5 is not the one that the source tells",
                )
            }
            Known::Counted(digest) => {
                let digest = digest.finalize().to_vec();
                (digest, "its MD5 is that of what was sent", "its MD5 is not that of what was sent")
            }
        };
        Ok(match theirs.as_bytes() == BASE64.encode(ours).as_bytes() {
            true => Receipt::Agrees(agrees),
            false => Receipt::Differs(differs),
        })
    }

    /// The request ends with this.
    async fn abort(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use object_store::AttributeValue;

    use super::*;

    #[test]
    fn what_a_blob_has_beside_its_bytes() {
        let owner = |name: &str| (Attribute::Metadata("owner".into()), name.to_owned());
        let described = |attributes: Vec<(Attribute, String)>| {
            let values = attributes.into_iter().map(|(name, value)| (name, AttributeValue::from(value)));
            let attributes: Attributes = values.collect();
            described(&attributes).map(|headers| format!("{headers:?}"))
        };
        assert_eq!(
            described(vec![(Attribute::ContentType, "text/html".to_owned())]).unwrap(),
            r#"{"x-ms-blob-content-type": "text/html"}"#
        );
        assert_eq!(described(vec![owner("us")]).unwrap(), r#"{"x-ms-meta-owner": "us"}"#);
        assert_eq!(described(vec![owner("Zoë")]).unwrap_err(), "`x-ms-meta-owner` cannot be `Zoë` there");
    }
}
