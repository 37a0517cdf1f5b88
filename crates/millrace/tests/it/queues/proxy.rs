//! Stands between a client and its server, and can swallow what the client says: an acknowledgement that never arrives.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::project::wait_until;

pub(super) struct Proxy {
    pub(super) port: u16,
    mute: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    /// When a client last said something.
    spoke: Arc<Mutex<Instant>>,
}

/// For how long clients say nothing when they only wait.
const QUIET: Duration = Duration::from_secs(1);

impl Proxy {
    /// Forwards to a port of this machine.
    pub(super) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mute, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (muted, stopped) = (mute.clone(), stop.clone());
        let spoke = Arc::new(Mutex::new(Instant::now()));
        let heard = spoke.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", target))) else {
                    continue;
                };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (muted, heard) = (muted.clone(), heard.clone());
                std::thread::spawn(move || {
                    forward(from, to, || {
                        *heard.lock().unwrap() = Instant::now();
                        muted.load(Ordering::Acquire)
                    });
                });
                std::thread::spawn(move || forward(server, client, || false));
            }
        });
        Self { port, mute, stop, spoke }
    }

    /// Waits until the clients have said all that they have to say: what came is acknowledged, and what comes next is asked for.
    pub(super) fn wait_until_quiet(&self) {
        wait_until(|| self.spoke.lock().unwrap().elapsed() > QUIET);
    }

    /// From now on nothing that clients say arrives, or everything again.
    pub(super) fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::Release);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It waits for a connection before it looks.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, swallow: impl Fn() -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || (!swallow() && to.write_all(&bytes[..count]).is_err()) {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}
