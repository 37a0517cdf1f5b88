//! Connecting, with a tap on the wire where that is possible.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tap::{Rows, Tap, Tapped};

/// A client, and what drives its connection.
pub(super) type Dialled = (Client, futures::future::BoxFuture<'static, Result<(), tokio_postgres::Error>>);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody answers.
    Away(io::Error),
    /// The server, or the client, does not go on.
    Refused(tokio_postgres::Error),
}

/// Connects as the configuration says. There is a tap if it names one server, by TCP.
///
/// # Errors
/// If no address of the server lets us in: that of the last one.
pub(super) async fn dial(
    config: &Config,
    mut tls: MakeRustlsConnect,
) -> Result<(Dialled, Option<Arc<Rows>>), Failed> {
    let Some((host, port)) = only(config) else {
        let (client, driver) = config.connect(tls).await.map_err(Failed::Refused)?;
        return Ok(((client, Box::pin(driver)), None));
    };
    let nowhere = io::Error::new(io::ErrorKind::InvalidInput, "could not resolve any addresses");
    let mut failed = Failed::Away(nowhere);
    for address in tokio::net::lookup_host((host, port)).await.map_err(Failed::Away)? {
        let stream = match stream(config, address).await {
            Ok(stream) => stream,
            Err(error) => {
                failed = Failed::Away(error);
                continue;
            }
        };
        let rows = Arc::<Rows>::default();
        let Ok(tls) = MakeTlsConnect::<Tap<TcpStream>>::make_tls_connect(&mut tls, host);
        let tapped = Tapped { tls, rows: rows.clone() };
        match config.connect_raw(Tap::new(stream, rows.clone()), tapped).await {
            Ok((client, driver)) => return Ok(((client, Box::pin(driver)), Some(rows))),
            Err(error) => failed = Failed::Refused(error),
        }
    }
    Err(failed)
}

/// The one server that is meant; the client itself chooses among several.
fn only(config: &Config) -> Option<(&str, u16)> {
    let chooses = config.get_target_session_attrs() != TargetSessionAttrs::Any
        || config.get_load_balance_hosts() != LoadBalanceHosts::Disable
        || !config.get_hostaddrs().is_empty();
    match config.get_hosts() {
        [Host::Tcp(host)] if !chooses && config.get_ports().len() <= 1 => {
            Some((host, config.get_ports().first().copied().unwrap_or(5432)))
        }
        _ => None,
    }
}

/// A connection as the client would make it.
async fn stream(config: &Config, address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(address);
    let stream = match config.get_connect_timeout().copied().filter(|limit| *limit > Duration::ZERO) {
        Some(limit) => tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connection timed out"))??,
        None => connecting.await?,
    };
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    if let Some(limit) = config.get_tcp_user_timeout() {
        socket.set_tcp_user_timeout(Some(*limit))?;
    }
    if config.get_keepalives() {
        let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_dialled() {
        let check = |url: &str, expected: Option<(&str, u16)>| {
            let config: Config = url.parse().unwrap();
            assert_eq!(only(&config), expected, "{url}");
        };
        check("postgres://u@db/x", Some(("db", 5432)));
        check("postgres://u@db:5999/x", Some(("db", 5999)));
        check("postgres://u@a,b/x", None);
        check("postgres://u@%2Ftmp/x", None);
        check("postgres://u@db/x?target_session_attrs=read-write", None);
        check("postgres://u@db/x?hostaddr=127.0.0.1", None);
        check("postgres://u@db/x?load_balance_hosts=random", None);
    }
}
