//! Sends requests as others' servers do, over a connection that stays open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use ring::hmac;
use serde_json::Value;

use crate::server::Up;

/// The secret of the tests' triggers.
pub(super) const SECRET: &str = "the-secret-of-the-hooks";

pub(super) struct Sender {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Sender {
    pub(super) fn to(server: &Up) -> Self {
        let host = server.url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), host }
    }

    /// Status and body of the answer; `None` if the server went away.
    pub(super) fn try_send(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, Value)> {
        let mut head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.host, body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).ok()?;
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status: u16 = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    pub(super) fn send(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        self.try_send(path, headers, body.as_bytes()).unwrap()
    }

    /// As GitHub sends, signed with the tests' secret.
    pub(super) fn github(&mut self, path: &str, event: &str, delivery: &str, body: &str) -> (u16, Value) {
        let signature = signature(body);
        let headers =
            [("x-github-event", event), ("x-github-delivery", delivery), ("x-hub-signature-256", &signature)];
        self.send(path, &headers, body)
    }
}

pub(super) fn signature(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())))
}

/// The variable that sets the secret `hook_key`.
pub(super) fn secret_variable() -> Vec<(String, String)> {
    vec![("MILLRACE_SECRET_HOOK_KEY".to_owned(), SECRET.to_owned())]
}
