//! A client that sends what no decent client would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::TELLTALES;

pub(super) struct Client {
    address: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        Self { address: url.trim_start_matches("http://").to_owned() }
    }

    /// Sends a request on a connection of its own; an answer that is not one has the status 0.
    pub(super) fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        self.send_with(method, path, &[("Content-Type", kind)], body)
    }

    pub(super) fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        // The server may refuse a body before it has read all of it.
        stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body)).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, body: body.to_owned() }
    }
}

impl Answer {
    /// Fails unless it is an answer that a client can read and that tells nothing of the inside.
    pub(super) fn check(&self, path: &str, sent: &Value) {
        let sent = sent.to_string();
        let sent: String = sent.chars().take(2_000).collect();
        assert!((200..500).contains(&self.status), "{} for {path}: {}\n{sent}", self.status, self.body);
        if self.status == 200 {
            return;
        }
        let told = self.body.to_lowercase();
        // What was sent may be told again.
        for word in TELLTALES.iter().filter(|word| !sent.to_lowercase().contains(**word)) {
            assert!(!told.contains(word), "`{word}` for {path}: {}\n{sent}", self.body);
        }
        if matches!(self.status, 404 | 405 | 413 | 414 | 431) && self.body.is_empty() {
            return;
        }
        let error: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} for {path}: {} {}\n{sent}", self.status, self.body));
        assert!(error["error_code"].is_string() || error["code"].is_string(), "{path}: {error}\n{sent}");
    }
}
