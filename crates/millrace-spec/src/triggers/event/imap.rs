use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec, bad_globs};
use crate::duration::Elapsed;
use crate::problem::Problem;

/// New mails in a mailbox, each to one run.
///
/// What is there when the trigger is written starts nothing; the mailbox is only read, and no mail is marked as seen. `event.mail` has the
/// `id` (its Message-ID), `from`, `to` (a list), `subject`, `date`, `text` (of the plain part, else of the HTML one, 256 KiB at most) and
/// `attachments`, each with `name`, `type` and `size`; what is in them stays in the mailbox. Servers with IDLE tell of a mail at once.
///
/// `connection` names one of connections.yaml: `post: {imap: {url: "imaps://imap.example", user: orders, password: "${{ secrets.post }}"}}`;
/// `ca` is a certificate in PEM that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailboxMails {
    /// Name of the mailbox, for example `INBOX`.
    pub imap: String,
    /// Name of the connection.
    pub connection: String,
    /// Only mails from such an address: a glob, `*@supplier.example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only mails whose subject has this in it, large or small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only mails with an attachment, or only those without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<bool>,
    /// How often a server without IDLE is asked; `1m` if absent.
    #[serde(default = "a_minute")]
    pub every: Elapsed,
}

impl EventKind for MailboxMails {
    const WORD: &'static str = "imap";
    const EXAMPLE: &'static str =
        "{imap: INBOX, connection: post, from: \"*@supplier.example\", subject: invoice, attachment: true}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Imap(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        bad_globs("from", self.from.iter())
    }
}

fn a_minute() -> Elapsed {
    Elapsed::from_ms(60_000)
}
