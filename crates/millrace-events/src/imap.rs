//! Mails that come into a mailbox, over IMAP.

use std::time::Duration;

use async_imap::extensions::idle::IdleResponse;
use async_imap::{Client, Session, error::Error};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};
use millrace_contract::{Event, EventSource, Polled};
use millrace_spec::glob::Glob;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::MailboxMails;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::connection::{ByUrl, Located, Server, chain, shown};
use crate::queue::CONNECT;
use crate::tls;

/// Mails that one look takes in.
const AT_ONCE: usize = 50;
/// Bytes of a mail that is read; of a larger one only the head is.
const MOST_BYTES: u32 = 25 * 1024 * 1024;
/// Bytes of a mail's text that are taken into an event.
const MOST_TEXT: usize = 256 * 1024;
/// How long the server is waited for to tell of a mail.
const IDLE: Duration = Duration::from_secs(25);

/// A mailbox by IMAP: attachments for copies, mails for triggers.
///
/// `url` is `imaps://host`, `imap://` without encryption. A copy reads `post:INBOX`, the files that are attached to its mails.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(crate) struct ImapServer(ByUrl);

impl Located for ImapServer {
    const WORD: &'static str = "imap";
    const EXAMPLE: &'static str =
        "{url: \"imaps://imap.example\", user: orders, password: \"${{ secrets.post }}\"}";

    fn address(&self) -> String {
        shown(&self.0.url)
    }

    fn mistake(&self) -> Option<String> {
        let scheme = self.0.url.scheme();
        if !matches!(scheme, "imap" | "imaps") {
            return Some(format!("`{scheme}://` is not `imaps://` or `imap://`"));
        }
        let (user, password) = self.0.credentials();
        (user.is_none() || password.is_none()).then(|| "`user` and `password` are missing".to_owned())
    }
}

/// What a session talks over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Wire for T {}

pub(crate) type Talk = Session<Box<dyn Wire>>;

/// How far a mailbox was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// The mailbox's numbers mean something only together with it.
    validity: u32,
    /// Number of the next mail.
    next: u32,
}

pub(crate) struct MailSource {
    spec: MailboxMails,
    server: Server<ImapServer>,
    session: Option<Talk>,
    can_idle: bool,
    /// Whether mails may be there that were not looked at.
    has_more: bool,
}

impl MailSource {
    pub(crate) fn new(spec: MailboxMails, server: Server<ImapServer>) -> Self {
        Self { spec, server, session: None, can_idle: false, has_more: true }
    }

    /// Opens the mailbox, read only. Where it is now, and where reading goes on.
    async fn open(&mut self, cursor: Option<&Value>) -> Result<Position, Problem> {
        let opening = async {
            let mut session = connect(&self.server, &self.spec.imap).await?;
            let capabilities = session.capabilities().await.map_err(|error| self.problem(&error))?;
            let mailbox = session.examine(&self.spec.imap).await.map_err(|error| self.problem(&error))?;
            Ok((session, capabilities.has_str("IDLE"), mailbox))
        };
        let opened = tokio::time::timeout(CONNECT * 2, opening).await;
        let (session, can_idle, mailbox) =
            opened.map_err(|_| self.server.unreachable("it does not answer"))??;
        let (Some(validity), Some(next)) = (mailbox.uid_validity, mailbox.uid_next) else {
            return Err(self.server.failed(
                format_args!("cannot give `{}`", self.spec.imap),
                "its mails have no lasting numbers",
            ));
        };
        (self.session, self.can_idle, self.has_more) = (Some(session), can_idle, true);
        let known = cursor.and_then(|cursor| serde_json::from_value::<Position>(cursor.clone()).ok());
        Ok(match known {
            Some(known) if known.validity == validity => known,
            Some(_) => {
                // The server numbers its mails anew. Each is looked at again: the inbox knows those that it has had.
                tracing::warn!(mailbox = self.spec.imap, "the mails of a mailbox have new numbers");
                Position { validity, next: 1 }
            }
            None => Position { validity, next },
        })
    }

    /// Mails from a number on, and the number after the last of them.
    async fn look(&self, session: &mut Talk, position: Position) -> Result<(Vec<Event>, u32, bool), Error> {
        let found = session.uid_search(format!("UID {}:*", position.next)).await?;
        // `*` is the last mail, also if its number is smaller.
        let mut found: Vec<u32> = found.into_iter().filter(|number| *number >= position.next).collect();
        found.sort_unstable();
        let has_more = found.len() > AT_ONCE;
        found.truncate(AT_ONCE);
        let mut events = Vec::new();
        let mut next = position.next;
        for number in found {
            let sizes: Vec<_> =
                session.uid_fetch(number.to_string(), "RFC822.SIZE").await?.try_collect().await?;
            let whole = sizes.first().and_then(|fetched| fetched.size).is_none_or(|size| size <= MOST_BYTES);
            let part = if whole { "BODY.PEEK[]" } else { "BODY.PEEK[HEADER]" };
            let mails: Vec<_> = session.uid_fetch(number.to_string(), part).await?.try_collect().await?;
            let bytes = mails.iter().find_map(|fetched| fetched.body().or_else(|| fetched.header()));
            // A mail may be gone before it is read.
            events.extend(bytes.and_then(|bytes| self.event(bytes, number, position.validity)));
            next = number.saturating_add(1);
        }
        Ok((events, next, has_more))
    }

    /// The event of a mail, if it is one that the trigger wants.
    fn event(&self, bytes: &[u8], number: u32, validity: u32) -> Option<Event> {
        let mail = MessageParser::default().parse(bytes)?;
        let from = addresses(mail.from()).into_iter().next().unwrap_or_default();
        let subject = mail.subject().unwrap_or_default();
        let wanted = &self.spec;
        let is_from = |glob: &String| {
            Glob::new(&glob.to_lowercase()).is_some_and(|glob| glob.matches(&from.to_lowercase()))
        };
        let has_subject = |part: &String| subject.to_lowercase().contains(&part.to_lowercase());
        let attachments = attachments(&mail);
        if !(wanted.from.as_ref().is_none_or(is_from)
            && wanted.subject.as_ref().is_none_or(has_subject)
            && wanted.attachment.is_none_or(|wanted| wanted != attachments.is_empty()))
        {
            return None;
        }
        let id = mail.message_id().map(|id| format!("<{id}>"));
        let time = mail.date().map(mail_parser::DateTime::to_rfc3339);
        let fact = json!({
            "id": id, "number": number, "from": from, "to": addresses(mail.to()), "subject": subject, "date": time,
            "text": text(&mail), "attachments": attachments,
        });
        let event = Event {
            id: id.unwrap_or_else(|| format!("{validity}-{number}")),
            source: format!("{}/{}", self.server.address, self.spec.imap),
            kind: "imap.mail".to_owned(),
            subject: Some(subject.to_owned()),
            time,
            data: fact.clone(),
            facts: Map::new(),
        };
        Some(event.with_fact("mail", fact))
    }

    /// Returns when something may have come.
    async fn wait(&self, session: Talk) -> Result<Talk, Error> {
        let mut idle = session.idle();
        idle.init().await?;
        let (told, _interrupt) = idle.wait_with_timeout(IDLE);
        // Whatever the server says, it is looked.
        let (IdleResponse::NewData(_) | IdleResponse::Timeout | IdleResponse::ManualInterrupt) = told.await?;
        idle.done().await
    }

    fn problem(&self, error: &Error) -> Problem {
        problem(&self.server, &self.spec.imap, error)
    }
}

/// Logs in; `mailbox` is what is wanted there.
pub(crate) async fn connect(server: &Server<ImapServer>, mailbox: &str) -> Result<Talk, Problem> {
    let settings = &server.settings.0;
    let encrypted = settings.url.scheme() == "imaps";
    let (host, port) = settings.host(if encrypted { 993 } else { 143 });
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| server.unreachable(error))?;
    let stream: Box<dyn Wire> = if encrypted {
        let name = ServerName::try_from(host).map_err(|error| server.unreachable(error))?;
        let connector = tokio_rustls::TlsConnector::from(tls::client(settings.ca.as_deref())?);
        let stream = connector.connect(name, stream).await;
        Box::new(stream.map_err(|error| server.unreachable(error))?)
    } else {
        Box::new(stream)
    };
    let mut client = Client::new(stream);
    let greeting = client.read_response().await.map_err(|error| server.unreachable(error))?;
    if greeting.is_none() {
        return Err(server.unreachable("it closes the connection"));
    }
    let (user, password) = settings.credentials();
    let session = client.login(user.unwrap_or_default(), password.unwrap_or_default()).await;
    session.map_err(|(error, _)| match error {
        Error::No(said) => server.refused(said),
        other => problem(server, mailbox, &other),
    })
}

/// What the server says of a mailbox.
pub(crate) fn problem(server: &Server<ImapServer>, mailbox: &str, error: &Error) -> Problem {
    match error {
        Error::No(said) | Error::Bad(said) => {
            server.failed(format_args!("cannot give the mailbox `{mailbox}`"), said)
        }
        other => server.unreachable(chain(other)),
    }
}

#[async_trait]
impl EventSource for MailSource {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        if self.session.is_none() {
            // The first answer comes at once: it says that the mailbox can be read.
            let position = self.open(cursor).await?;
            return Ok(Polled { events: Vec::new(), cursor: json!(position), look_again: Duration::ZERO });
        }
        let broken = || self.server.unreachable("the connection broke");
        let position = cursor.and_then(|cursor| serde_json::from_value::<Position>(cursor.clone()).ok());
        let (Some(mut session), Some(position)) = (self.session.take(), position) else {
            return Err(broken());
        };
        if !self.has_more && self.can_idle {
            let waited = tokio::time::timeout(IDLE + CONNECT, self.wait(session)).await;
            session = waited.map_err(|_| broken())?.map_err(|error| self.problem(&error))?;
        }
        let looked = tokio::time::timeout(CONNECT * 8, self.look(&mut session, position)).await;
        let (events, next, has_more) = looked.map_err(|_| broken())?.map_err(|error| self.problem(&error))?;
        (self.session, self.has_more) = (Some(session), has_more);
        let look_again = if has_more || self.can_idle {
            Duration::ZERO
        } else {
            Duration::from_millis(self.spec.every.ms)
        };
        Ok(Polled { events, cursor: json!(Position { next, ..position }), look_again })
    }
}

pub(crate) fn addresses(found: Option<&Address<'_>>) -> Vec<String> {
    let Some(found) = found else { return Vec::new() };
    found.iter().filter_map(|address| address.address().map(str::to_owned)).collect()
}

fn attachments(mail: &Message<'_>) -> Vec<Value> {
    let attachment = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type().map(|kind| {
            let sub = kind.subtype().map(|sub| format!("/{sub}")).unwrap_or_default();
            format!("{}{sub}", kind.ctype())
        });
        json!({"name": part.attachment_name(), "type": kind, "size": part.len()})
    };
    mail.attachments().map(attachment).collect()
}

/// The mail's text, cut where a character ends.
fn text(mail: &Message<'_>) -> Option<String> {
    let mut text = mail.body_text(0)?.into_owned();
    let mut end = MOST_TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Some(text)
}
