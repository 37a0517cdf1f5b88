//! Files that are attached to mails, as sources.

use std::num::NonZeroUsize;
use std::sync::Arc;

use millrace_contract::{BatchStream, MailSearch, StepContext};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Copy, staging};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source;
use crate::source::Outcome;
use crate::source::files::SourceFile;
use crate::store::unless_cancelled;
use crate::sync::Moment;

/// Mails that are looked at if a copy does not say.
const MOST: usize = 1_000;

/// Which mails of a mailbox, and which of the files that are attached to them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mails {
    /// Only those that came since: an instant, a day, or a duration before now, `7d`.
    #[serde(default)]
    pub since: Option<Moment>,
    /// A glob for the sender's address: `*@supplier.example`.
    #[serde(default)]
    pub from: Option<String>,
    /// A part of the subject, in whatever letters.
    #[serde(default)]
    pub subject: Option<String>,
    /// A glob for the names of the files: `*.csv`. All if absent.
    #[serde(default)]
    pub attachment: Option<String>,
    /// Mails at most, the newest ones; 1000 if absent.
    #[serde(default)]
    pub max: Option<NonZeroUsize>,
}

/// `mails` of a step whose source is no mailbox.
pub(super) fn not_here() -> CopyError {
    CopyError::config("`mails` is for mailboxes", "from: \"post:INBOX\", a connection of the kind `imap`")
}

impl Copy {
    /// The files, fetched into the attempt's folder and read as files of the workspace are.
    pub(super) async fn read_mails(
        &self,
        (connection, mailbox): (&str, &str),
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let label = format!("{connection}:{mailbox}");
        let said = config.mails.clone().unwrap_or_default();
        let now = self.services.clock.now();
        let search = MailSearch {
            connection: connection.to_owned(),
            mailbox: mailbox.to_owned(),
            since: said.since.map(|since| since.seen_at(now)),
            from: said.from,
            subject: said.subject,
            name: said.attachment,
            most: said.max.map_or(MOST, NonZeroUsize::get),
        };
        let folder = staging(context).join(uuid::Uuid::now_v7().simple().to_string());
        let made = fs_err::tokio::create_dir_all(&folder).await;
        made.map_err(|error| CopyError::write("the attempt's folder", &error))?;
        let fetching = async {
            let found = self.services.mailboxes.attachments(&search, &folder).await;
            found.map_err(|problem| refused(&label, problem))
        };
        let found = unless_cancelled(context, fetching).await?;
        if found.is_empty() {
            return Err(CopyError::read(label, &"no mail has a file that is wanted"));
        }
        context.log.line(&format!("{} attached files of `{label}`", found.len()));
        let file = |found: millrace_contract::Attachment| {
            SourceFile::local(format!("{connection}:{}", found.name), found.path)
        };
        source::open(found.into_iter().map(file).collect(), config.clone(), outcome.clone()).await
    }
}

/// What a mailbox says, in a copy's words.
fn refused(label: &str, problem: Problem) -> CopyError {
    if problem.code == "event-source" && problem.hints.is_empty() {
        return CopyError::Read { what: label.to_owned(), message: problem.message, transient: true };
    }
    CopyError::Connection(Box::new(problem))
}
