use async_trait::async_trait;
use millrace_spec::problem::Problem;

/// Something that people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Unique: the same note again is told once.
    pub id: String,
    /// One line.
    pub subject: String,
    /// What there is to say, plain text.
    pub text: String,
    /// Where to look at it: a path of the web UI, `/runs/…`.
    pub path: Option<String>,
}

/// Tells people, through the channels that the workspace names.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// What is wrong with the name of a channel; `None` if there is such a channel.
    fn unknown(&self, channel: &str) -> Option<Problem>;

    /// Stores a note for each channel; it is delivered, and tried again, from there on. A note with a known id is stored once.
    ///
    /// # Errors
    /// If a channel is unknown or the database fails. Nothing was stored then.
    async fn notify(&self, channels: &[String], note: Note) -> Result<(), Problem>;
}
