//! Logs of attempts.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogLineView {
    /// From 0, over all streams.
    pub number: u64,
    /// When it came, milliseconds since 1970; `null` where nobody noted it.
    pub at_ms: Option<i64>,
    /// `stdout`, `stderr`, or `system` for what Millrace says.
    pub stream: String,
    /// Without its newline, secrets masked, with the sequences that colour it.
    pub text: String,
    /// Whether it is longer than what is shown.
    pub cut: bool,
}

/// Some lines of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogView {
    /// The attempt, from 1.
    pub attempt: u32,
    /// In order.
    pub lines: Vec<LogLineView>,
    /// Number of the line to read on with.
    pub next: u64,
    /// Lines so far.
    pub total: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Whether nothing more will come.
    pub ended: bool,
    /// What is missing, since the program said more than is kept; known when nothing more will come.
    pub dropped: Vec<DroppedView>,
}

/// A part of a log that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct DroppedView {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Bytes that are missing.
    pub bytes: u64,
    /// Why: `` `max_log` is reached ``, or `the disk is full`.
    pub reason: String,
    /// Number of the line that stands in their place.
    pub line: u64,
}

/// Told when a log that is followed has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogEndView {
    /// Lines of the log.
    pub total: u64,
    /// What is missing.
    pub dropped: Vec<DroppedView>,
}

/// A line with what was looked for, and its neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogMatchView {
    /// The line.
    pub line: LogLineView,
    /// Lines before it.
    pub before: Vec<LogLineView>,
    /// Lines behind it.
    pub after: Vec<LogLineView>,
}

/// How far a search is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogSearchView {
    /// Lines that were looked at.
    pub looked_at: u64,
    /// Lines of the log.
    pub total: u64,
    /// Matches that were told.
    pub matches: u64,
    /// Whether there may be more than those: `from` of the next search is `looked_at`.
    pub more: bool,
}
