//! What is attached to mails, for copies.

use std::path::Path;

use async_imap::error::Error;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mail_parser::{MessageParser, MimeHeaders as _};
use millrace_contract::{Attachment, MailSearch, Mailboxes};
use millrace_spec::glob::Glob;
use millrace_spec::problem::Problem;

use crate::connection::Server;
use crate::imap::{ImapServer, Talk, addresses, connect, problem};
use crate::queue::CONNECT;
use crate::reading::ConnectedQueues;

/// Bytes of a mail that is read.
const MOST_BYTES: u32 = 100 * 1024 * 1024;

#[async_trait]
impl Mailboxes for ConnectedQueues {
    async fn attachments(&self, wanted: &MailSearch, folder: &Path) -> Result<Vec<Attachment>, Problem> {
        let server: Server<ImapServer> = Server::read(&wanted.connection, &self.connections)?;
        let matching = Matching::new(wanted)?;
        let opening = async {
            let mut session = connect(&server, &wanted.mailbox).await?;
            let opened = session.examine(&wanted.mailbox).await;
            opened.map_err(|error| problem(&server, &wanted.mailbox, &error))?;
            Ok(session)
        };
        let opened = tokio::time::timeout(CONNECT * 2, opening).await;
        let mut session = opened.map_err(|_| server.unreachable("it does not answer"))??;
        let found = matching.numbers(&mut session).await;
        let mut files = Vec::new();
        for number in found.map_err(|error| problem(&server, &wanted.mailbox, &error))? {
            let mail = fetched(&mut session, number).await;
            match mail.map_err(|error| problem(&server, &wanted.mailbox, &error))? {
                Some(mail) => matching.keep(&mail, number, folder, &mut files).await?,
                None => continue,
            }
        }
        session.logout().await.ok();
        Ok(files)
    }
}

/// The bytes of a mail; `None` if it is gone.
async fn fetched(session: &mut Talk, number: u32) -> Result<Option<Vec<u8>>, Error> {
    let sizes: Vec<_> = session.uid_fetch(number.to_string(), "RFC822.SIZE").await?.try_collect().await?;
    if let Some(size) = sizes.first().and_then(|fetched| fetched.size).filter(|size| *size > MOST_BYTES) {
        let message = format!("the mail {number} has {size} bytes, and {MOST_BYTES} are read at most");
        return Err(Error::Bad(message));
    }
    let mails: Vec<_> = session.uid_fetch(number.to_string(), "BODY.PEEK[]").await?.try_collect().await?;
    Ok(mails.iter().find_map(|fetched| fetched.body()).map(<[u8]>::to_vec))
}

/// What is looked for.
struct Matching<'a> {
    wanted: &'a MailSearch,
    from: Option<Glob>,
    name: Option<Glob>,
}

impl<'a> Matching<'a> {
    fn new(wanted: &'a MailSearch) -> Result<Self, Problem> {
        let glob = |text: &Option<String>| -> Result<Option<Glob>, Problem> {
            let Some(text) = text else { return Ok(None) };
            let glob = Glob::new(&text.to_lowercase());
            let odd = || Problem::error("bad-glob", format!("`{text}` is no glob: a bracket is not closed"));
            glob.map(Some).ok_or_else(odd)
        };
        Ok(Self { wanted, from: glob(&wanted.from)?, name: glob(&wanted.name)? })
    }

    /// The numbers of mails that may be meant. What the server is asked is coarse: a day, and words of plain letters.
    async fn numbers(&self, session: &mut Talk) -> Result<Vec<u32>, Error> {
        let mut asked = vec!["ALL".to_owned()];
        if let Some(since) = self.wanted.since {
            // Days of the server's own zone.
            let day = since.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(since);
            asked.push(format!("SINCE {}", day.strftime("%d-%b-%Y")));
        }
        let plain =
            |text: &&String| text.chars().all(|sign| sign.is_ascii_alphanumeric() || " @._-+".contains(sign));
        if let Some(from) = self.wanted.from.as_ref().filter(plain) {
            asked.push(format!("FROM \"{from}\""));
        }
        if let Some(subject) = self.wanted.subject.as_ref().filter(plain) {
            asked.push(format!("SUBJECT \"{subject}\""));
        }
        let mut found: Vec<u32> = session.uid_search(asked.join(" ")).await?.into_iter().collect();
        found.sort_unstable();
        let older = found.len().saturating_sub(self.wanted.most);
        Ok(found.split_off(older))
    }

    /// Writes what is attached to a mail, if it is wanted.
    async fn keep(
        &self,
        bytes: &[u8],
        number: u32,
        folder: &Path,
        files: &mut Vec<Attachment>,
    ) -> Result<(), Problem> {
        let Some(mail) = MessageParser::default().parse(bytes) else { return Ok(()) };
        let received = mail.date().and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
        let from = addresses(mail.from()).into_iter().next().unwrap_or_default().to_lowercase();
        let subject = mail.subject().unwrap_or_default().to_lowercase();
        let is_late = self.wanted.since.is_none_or(|since| received.is_none_or(|at| at >= since));
        let is_from = self.from.as_ref().is_none_or(|glob| glob.matches(&from));
        let about = self.wanted.subject.as_ref().is_none_or(|part| subject.contains(&part.to_lowercase()));
        if !(is_late && is_from && about) {
            return Ok(());
        }
        for part in mail.attachments() {
            // Names of files alone: what a mail calls them is a stranger's word.
            let name =
                part.attachment_name().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
            if name.is_empty() || !self.name.as_ref().is_none_or(|glob| glob.matches(&name.to_lowercase())) {
                continue;
            }
            let path = folder.join(format!("{:08}", files.len()));
            let written = tokio::fs::write(&path, part.contents()).await;
            written.map_err(|error| {
                Problem::error("event-source", format!("an attachment cannot be kept: {error}"))
            })?;
            let name = format!("{}/{number}/{name}", self.wanted.mailbox);
            files.push(Attachment { name, path, received });
        }
        Ok(())
    }
}
