//! The body of an export: its encoding, its packing, the spans in it.

use std::io::Read as _;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use millrace_tracking::traces::Arrived;
use prost::Message as _;

use super::messages::{ExportRequest, ScopeSpans, Span};
use super::{convert, json};
use crate::mlflow::MlflowError;

/// Bytes of a body, packed or not.
pub(super) const LARGEST: usize = 32 * 1024 * 1024;

/// How a body, and the answer to it, is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Deflate,
}

fn refused(message: impl Into<String>) -> MlflowError {
    MlflowError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

fn malformed() -> MlflowError {
    refused("Invalid OpenTelemetry format")
}

impl Encoding {
    /// As the header `Content-Type` says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, MlflowError> {
        let kind = text(headers, header::CONTENT_TYPE);
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(refused(format!(
                "Invalid Content-Type: '{kind}'. Expected: application/x-protobuf or application/json"
            ))),
        }
    }
}

impl Packing {
    /// As the header `Content-Encoding` says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, MlflowError> {
        let packing = text(headers, header::CONTENT_ENCODING);
        match packing.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(refused(format!("Unsupported Content-Encoding: '{packing}'. Use gzip or deflate"))),
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The spans of a body, at least one.
pub(super) fn spans(body: Bytes, packing: Packing, encoding: Encoding) -> Result<Vec<Arrived>, MlflowError> {
    let body = unpacked(body, packing)?;
    let mut arrived = Vec::new();
    let mut add = |resource: &Arc<_>, span: Span| {
        let converted = convert::span(span).map_err(|error| {
            MlflowError::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_PARAMETER_VALUE", error.to_string())
        });
        let (trace_id, span) = converted?;
        arrived.push(Arrived { trace_id, span, resource: Arc::clone(resource) });
        Ok::<(), MlflowError>(())
    };
    match encoding {
        Encoding::Json => {
            for (resource, spans) in json::read(&body).ok_or_else(malformed)? {
                let resource = Arc::new(convert::attributes(resource));
                spans.into_iter().try_for_each(|span| add(&resource, span))?;
            }
        }
        Encoding::Protobuf => {
            let request = ExportRequest::decode(body).map_err(|_| malformed())?;
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap_or_default();
                let resource = Arc::new(convert::attributes(resource.attributes));
                for scope in of_resource.scope_spans {
                    for span in ScopeSpans::decode(scope).map_err(|_| malformed())?.spans {
                        add(&resource, Span::decode(span).map_err(|_| malformed())?)?;
                    }
                }
            }
        }
    }
    if arrived.is_empty() {
        return Err(refused("Invalid OpenTelemetry format - no spans found"));
    }
    Ok(arrived)
}

fn unpacked(body: Bytes, packing: Packing) -> Result<Bytes, MlflowError> {
    match packing {
        Packing::None => Ok(body),
        Packing::Gzip => unpack(MultiGzDecoder::new(&*body)),
        // The standard's deflate has a header; some clients send it without.
        Packing::Deflate => match unpack(ZlibDecoder::new(&*body)) {
            Err(Unpack::Broken) => unpack(DeflateDecoder::new(&*body)),
            done => done,
        },
    }
    .map_err(|error: Unpack| match error {
        Unpack::Broken => refused("Failed to decompress the payload"),
        Unpack::TooLarge => {
            let message = format!("The payload has more than {LARGEST} bytes once decompressed");
            MlflowError::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMETER_VALUE", message)
        }
    })
}

enum Unpack {
    Broken,
    TooLarge,
}

fn unpack(decoder: impl std::io::Read) -> Result<Bytes, Unpack> {
    let mut plain = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX) + 1;
    decoder.take(most).read_to_end(&mut plain).map_err(|_| Unpack::Broken)?;
    if plain.len() > LARGEST { Err(Unpack::TooLarge) } else { Ok(plain.into()) }
}
