//! Bodies that were answered without being read: read to their end and thrown away, so that the connection stays good.
//!
//! Who is refused is refused by the head of a request. Clients such as Python's `requests` send the body after it, so
//! that the answer can be on its way before the body has come; the server then closes the connection, which the
//! client has kept for its next request, and that one fails for no reason of its own. RFC 9112, 9.3 and 9.6: read
//! the whole body, or say that the connection is closed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use crate::router::MAX_BODY;

/// How long the rest of a body is waited for.
const LONGEST: Duration = Duration::from_secs(10);

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody takes it back once the answer is on its way.
            let _ = back.send(body);
        }
    }
}

/// Answers a request when the rest of its body has been read; says that the connection ends if that is too much, or
/// if the client still waits to be asked for it.
pub(crate) async fn read_the_rest(request: Request, next: Next) -> Response {
    let one_by_one = request.version() < Version::HTTP_2;
    if !one_by_one || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let asks_first = request.headers().contains_key(header::EXPECT);
    let (back, mut came_back) = oneshot::channel();
    let request = request.map(|body| Body::new(Lent { body: Some(body), back: Some(back) }));
    let mut response = next.run(request).await;
    if let Ok(rest) = came_back.try_recv()
        && (asks_first || !has_ended(rest).await)
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a body was read to its end, with no more left of it than a JSON body may have.
async fn has_ended(rest: Body) -> bool {
    let reading = async {
        let (mut chunks, mut room) = (rest.into_data_stream(), MAX_BODY);
        while let Some(chunk) = chunks.next().await {
            let Some(left) = chunk.ok().and_then(|chunk| room.checked_sub(chunk.len())) else { return false };
            room = left;
        }
        true
    };
    tokio::time::timeout(LONGEST, reading).await.unwrap_or(false)
}
