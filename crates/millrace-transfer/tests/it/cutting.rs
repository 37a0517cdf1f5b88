//! Stands between a client and its server, and breaks connections.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What becomes of a connection when the server has said so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Cut,
    /// It stays open and says nothing more.
    Stall,
}

/// A proxy that breaks the first connections which carry much.
pub(crate) struct Cutting {
    pub(crate) port: u16,
    broken: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Cutting {
    /// Forwards to a port of this machine. Connections on which the server says more than `after` bytes meet their fate, `times` of them.
    /// `meanwhile` is done just before one is broken.
    pub(crate) fn to(
        target: u16,
        after: u64,
        (times, fate): (usize, Fate),
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::between("127.0.0.1:0", ("127.0.0.1", target), after, (times, fate), meanwhile)
    }

    /// The same from one address to another.
    pub(crate) fn between(
        here: &str,
        target: (&'static str, u16),
        after: u64,
        (times, fate): (usize, Fate),
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(here).unwrap();
        let port = listener.local_addr().unwrap().port();
        let meanwhile = Arc::new(meanwhile);
        let (broken, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (broken.clone(), stop.clone());
        let listening = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else {
                    continue;
                };
                let (said, heard) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (counted, meanwhile) = (counted.clone(), meanwhile.clone());
                std::thread::spawn(move || forward(said, heard, u64::MAX, |_| true));
                let may_go_on = move |carried: &TcpStream| {
                    if counted.fetch_add(1, Ordering::AcqRel) >= times {
                        return true;
                    }
                    meanwhile();
                    if fate == Fate::Stall {
                        // Until the client has had enough.
                        let _ = carried.peek(&mut [0]);
                        while carried.peek(&mut [0]).is_ok_and(|count| count > 0) {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                    false
                };
                std::thread::spawn(move || forward(server, client, after, may_go_on));
            }
        });
        Self { port, broken, stop, listening: Some(listening) }
    }

    /// Connections that carried much, broken ones and others.
    pub(crate) fn carried(&self) -> usize {
        self.broken.load(Ordering::Acquire)
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It waits for a connection before it looks.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        // The next one may want the same port.
        self.listening.take().map(JoinHandle::join);
    }
}

/// Forwards; after so many bytes it asks whether to go on.
fn forward(mut from: TcpStream, mut to: TcpStream, after: u64, may_go_on: impl Fn(&TcpStream) -> bool) {
    let (mut bytes, mut carried, mut asked) = ([0; 16 * 1024], 0_u64, false);
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
        carried += count as u64;
        if carried > after && !asked {
            asked = true;
            if !may_go_on(&to) {
                break;
            }
        }
    }
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}
