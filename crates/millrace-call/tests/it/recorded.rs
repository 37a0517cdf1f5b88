//! A server that expects certain requests in a certain order and answers as it was told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Exchanges that are still to come, and what went wrong.
#[derive(Default)]
struct Script {
    expected: VecDeque<Value>,
    wrong: Vec<String>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, shared.clone()));
            }
        });
        Self { url, script }
    }

    /// `{ask: "POST /path?query", with: {headers…}, body: …, answer: …, status: 200, headers: …}`
    pub(crate) fn expect(&self, exchange: Value) {
        self.script.lock().unwrap().expected.push_back(exchange);
    }

    pub(crate) fn all_asked(&self, name: &str) {
        let script = self.script.lock().unwrap();
        assert!(script.wrong.is_empty(), "{name}: {}", script.wrong.join("\n"));
        assert!(script.expected.is_empty(), "{name}: nobody asked {:?}", script.expected);
    }
}

async fn converse(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    while let Some((asked, headers, body)) = read(&mut stream).await {
        let expected = script.lock().unwrap().expected.pop_front().unwrap_or_default();
        let mut wrong = Vec::new();
        if expected["ask"] != asked.as_str() {
            wrong.push(format!("asked {asked} {body} instead of {}", expected["ask"]));
        }
        for (name, value) in expected["with"].as_object().into_iter().flatten() {
            let sent = headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
            if sent.map(|(_, value)| value.as_str()) != value.as_str() {
                wrong.push(format!("{asked}: the header {name} is {sent:?} instead of {value}"));
            }
        }
        let sent: Value = serde_json::from_str(&body).unwrap_or_else(|_| body.clone().into());
        if expected.get("body").is_some_and(|expected| *expected != sent) {
            wrong.push(format!("{asked}: the body is {sent} instead of {}", expected["body"]));
        }
        script.lock().unwrap().wrong.extend(wrong);
        let mut answer = format!("HTTP/1.1 {} X\r\n", expected["status"].as_u64().unwrap_or(200));
        for (name, value) in expected["headers"].as_object().into_iter().flatten() {
            answer.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
        }
        let text = match &expected["answer"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        answer.push_str(&format!("Content-Length: {}\r\n\r\n{text}", text.len()));
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Method and path, headers, body of the next request.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<(String, String)>, String)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let asked = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((asked, headers, String::from_utf8(body).ok()?))
}
