//! People are told, through channels that the workspace names, over kills and servers that do not answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::Up;

/// A mail server that keeps what it is told: RFC 5321 as far as a client that sends needs it.
struct MailServer {
    port: u16,
    mails: Receiver<String>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, mails) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(mail) = converse(stream.unwrap()) else { continue };
                if told.send(mail).is_err() {
                    return;
                }
            }
        });
        Self { port, mails }
    }
}

/// One conversation: envelope and message, as they were said.
fn converse(mut stream: TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut mail = String::new();
    write!(stream, "220 test ESMTP\r\n").unwrap();
    loop {
        let line = lines.next()?.ok()?;
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-test\r\n250 8BITMIME",
            "MAIL" | "RCPT" => {
                mail.push_str(&line);
                mail.push('\n');
                "250 fine"
            }
            "DATA" => {
                write!(stream, "354 go on\r\n").unwrap();
                for line in lines.by_ref() {
                    let line = line.ok()?;
                    if line == "." {
                        break;
                    }
                    mail.push_str(&line);
                    mail.push('\n');
                }
                "250 taken"
            }
            "QUIT" => {
                write!(stream, "221 bye\r\n").unwrap();
                return Some(mail);
            }
            _ => "250 fine",
        };
        if write!(stream, "{answer}\r\n").is_err() {
            return Some(mail);
        }
        if word == "DATA" {
            return Some(mail);
        }
    }
}

/// A web server that refuses the first request, and says what the others bring: path, idempotency key, body.
pub(crate) fn web_server() -> (u16, Receiver<(String, String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, posts) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut path, mut key, mut length) = (String::new(), String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                match line.trim_end().split_once(": ") {
                    None => path = line.split(' ').nth(1).unwrap_or_default().to_owned(),
                    Some(("idempotency-key", value)) => key = value.to_owned(),
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    Some(_) => {}
                }
            }
            let mut body = vec![0; length];
            // Whoever sends may be killed in the middle of it.
            if length == 0 || reader.read_exact(&mut body).is_err() {
                continue;
            }
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
            if told.send((path, key, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (port, posts)
}

const PIPELINE: &str = r#"
steps:
  fails: {run: exit 3}
finally:
  tell:
    if: failed()
    notify:
      to: team
      subject: ${{ run.pipeline }} failed
      message: "why: ${{ run.error.message }}"
"#;

#[test]
fn notify_reaches_mail_webhook_and_chats_once() {
    let mail = MailServer::start();
    let (web, posts) = web_server();
    let channels = format!(
        "team:\n  - log\n  - mail: {{server: \"smtp://127.0.0.1:{}\", from: \"Millrace <millrace@example.com>\", to: [ml@example.com, ops@example.com]}}\n  \
         - webhook: {{url: \"http://127.0.0.1:{web}/hook\"}}\n  - slack: {{url: \"http://127.0.0.1:{web}/${{{{ secrets.slack }}}}\"}}\n  \
         - teams: {{url: \"http://127.0.0.1:{web}/teams\"}}\n",
        mail.port
    );
    let variables = vec![("MILLRACE_SECRET_SLACK".to_owned(), "T1/B2".to_owned())];
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("channels.yaml", &channels)])
        .with_variables(variables);
    project.write("millrace.yaml", "name: test\nurl: https://ml.example/\n");
    let server = Up::start(&project);
    let run = server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    wait_until(|| server.get(&format!("/api/runs/{run}"))["run"]["status"] == "failed");
    let link = format!("https://ml.example/runs/{run}");
    let told = mail.mails.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    for part in [
        "MAIL FROM:<millrace@example.com>",
        "RCPT TO:<ml@example.com>",
        "RCPT TO:<ops@example.com>",
        "Subject: p failed",
        "why: ",
        &link,
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..3 {
        let (path, key, body) = posts.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert!(key.starts_with("step-"), "{key}");
        seen.insert(path, body);
    }
    assert_eq!(seen["/hook"]["subject"], "p failed");
    assert_eq!(seen["/hook"]["link"], link);
    assert!(seen["/T1/B2"]["text"].as_str().unwrap().starts_with("*p failed*\nwhy: "), "{seen:?}");
    assert_eq!(seen["/teams"]["attachments"][0]["content"]["actions"][0]["url"], json!(link));
}

#[test]
fn notify_tells_who_is_asked_where_to_decide() {
    let (web, posts) = web_server();
    let project = Project::new(&[
        ("channels.yaml", &format!("team: [slack: {{url: \"http://127.0.0.1:{web}/chat\"}}]\n")),
        (
            "pipelines/p.yaml",
            "steps:\n  gate: {approve: {by: [user:anna], notify: [team], message: AUC 0.91}}\n",
        ),
    ]);
    project.write("millrace.yaml", "name: test\nurl: https://ml.example\n");
    let server = Up::start(&project);
    let run = server.post("/api/pipelines/p/runs", "{}");
    let (_, key, body) = posts.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    let page = server.get(&format!("/api/approvals?run={}", run["id"].as_str().unwrap()));
    let id = page["approvals"][0]["id"].as_str().unwrap();
    assert_eq!(key, format!("approval-{id}/team/0"));
    let wanted = format!(
        "*Approve p #1?*\nAUC 0.91\ngate of p waits for user:anna.\n<https://ml.example/approvals/{id}|Open>"
    );
    assert_eq!(body["text"], wanted);
}

#[test]
fn notify_mistakes_are_found_before_it_runs() {
    let project = Project::new(&[
        (
            "channels.yaml",
            "team: [mail: {server: \"smtp://mail.example\", form: a@b.example, to: [c@d.example]}]\n",
        ),
        (
            "pipelines/p.yaml",
            "steps:\n  tell: {notify: {to: [taem]}}\n  gate: {approve: {by: [user:anna], notify: [team]}}\n",
        ),
    ]);
    assert_snapshot!(project.millrace(&["check", "channels.yaml"]), @r#"
    exit 1
    ----
    error[channels-file]: there is no key `form`
     --> channels.yaml:1:46
      |
    1 | team: [mail: {server: "smtp://mail.example", form: a@b.example, to: [c@d.example]}]
      |                                              ^^^^
    hint: did you mean `from`?
    error[channels-file]: the key `from` is missing
     --> channels.yaml:1:14
      |
    1 | team: [mail: {server: "smtp://mail.example", form: a@b.example, to: [c@d.example]}]
      |              ^
    1 of 1 files have errors
    "#);
    project.write("channels.yaml", "team: [log]\n");
    project.write(
        "pipelines/short.yaml",
        "steps:\n  tell: {notify: team, message: \"run ${{ run.id }}\"}\n  other: {run: echo, message: no}\n",
    );
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 1
    ----
    error[unknown-channel]: there is no channel `taem`
     --> pipelines/p.yaml:2:18
      |
    2 |   tell: {notify: {to: [taem]}}
      |                  ^
    hint: did you mean `team`?
    error[unknown-key]: `message` stands beside `notify: CHANNEL` and nowhere else
     --> pipelines/short.yaml:3:31
      |
    3 |   other: {run: echo, message: no}
      |                               ^^
    hint: remove it, or write it under the kind's key
    2 of 3 files have errors
    "#);
}
