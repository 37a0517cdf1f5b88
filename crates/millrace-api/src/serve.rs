//! Serving: from a listening socket until told to stop.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::router::router;

/// Answers requests on `listener` until `stop` is cancelled; requests that have begun are answered first.
///
/// # Errors
/// If the listener fails.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    // Who fails to log in is slowed down by address.
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(async move { stop.cancelled().await }).await
}
