use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_spec::problem::Problem;

/// Fetches what is attached to mails.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Puts the attachments that are wanted into files of a folder, those of the oldest mail first.
    ///
    /// # Errors
    /// If the connection is not there or not one to a mailbox, or if the server does not give it.
    async fn attachments(&self, wanted: &MailSearch, folder: &Path) -> Result<Vec<Attachment>, Problem>;
}

/// Which attachments are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailSearch {
    /// Name of the connection.
    pub connection: String,
    /// The mailbox: `INBOX`.
    pub mailbox: String,
    /// Only mails that came at this time or later.
    pub since: Option<Timestamp>,
    /// A glob for the sender's address.
    pub from: Option<String>,
    /// A part of the subject, in whatever letters.
    pub subject: Option<String>,
    /// A glob for the names of attachments, in whatever letters.
    pub name: Option<String>,
    /// Mails at most, the newest ones.
    pub most: usize,
}

/// A file that was attached to a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `MAILBOX/number of the mail/name of the file`.
    pub name: String,
    /// Where its content is.
    pub path: PathBuf,
    /// When the mail came.
    pub received: Option<Timestamp>,
}
