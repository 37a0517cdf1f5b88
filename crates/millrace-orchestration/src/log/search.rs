//! Search in a log that may be larger than memory.

use regex::bytes::{Regex, RegexBuilder};

use super::reader::{AttemptLog, LogLine, LogStream, Piece, split};

/// Longest pattern, bytes.
pub const MAX_PATTERN: usize = 1_000;
/// Largest compiled expression, bytes.
const MAX_COMPILED: usize = 1 << 20;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct LogPattern {
    expression: Regex,
    /// Whether a match in many lines together is found if one is in a line.
    joint: bool,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty.
    #[error("there is nothing to look for")]
    Empty,
    /// It is longer than [`MAX_PATTERN`].
    #[error("the pattern is longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// It is not a regular expression, or too large a one.
    #[error("`{pattern}` is not a regular expression: {reason}")]
    Malformed {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LogPattern {
    /// A plain text, or a regular expression if `regex`; upper and lower case count if `case_sensitive`.
    ///
    /// # Errors
    /// If it is empty, too long, or not a regular expression.
    pub fn new(pattern: &str, regex: bool, case_sensitive: bool) -> Result<Self, PatternError> {
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        if pattern.len() > MAX_PATTERN {
            return Err(PatternError::TooLong);
        }
        let text = if regex { pattern.to_owned() } else { regex::escape(pattern) };
        let built = RegexBuilder::new(&text)
            .case_insensitive(!case_sensitive)
            .multi_line(true)
            .crlf(true)
            .size_limit(MAX_COMPILED)
            .build();
        // The beginning and the end of the whole text are not those of a line.
        let joint = !regex || !["\\A", "\\z"].iter().any(|anchor| pattern.contains(anchor));
        built.map(|expression| Self { expression, joint }).map_err(|error| {
            let reason = match &error {
                // The last line says what is wrong; those before draw it.
                regex::Error::Syntax(text) => {
                    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
                }
                other => other.to_string(),
            };
            PatternError::Malformed { pattern: pattern.to_owned(), reason }
        })
    }

    /// Whether a line has it, colours left out.
    pub fn is_in(&self, line: &str) -> bool {
        self.expression.is_match(without_colors(line).as_bytes())
    }

    /// Whether no line of a piece can have it.
    fn is_nowhere_in(&self, piece: &Piece, bytes: &[u8]) -> bool {
        // Colours may stand in the midst of a word, and what Millrace itself says stands in JSON.
        let plain = piece.stream != LogStream::System && !bytes.contains(&0x1b);
        self.joint && plain && !self.expression.is_match(bytes)
    }
}

/// A line that has the pattern, with its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMatch {
    /// The line.
    pub line: LogLine,
    /// Lines before it.
    pub before: Vec<LogLine>,
    /// Lines behind it.
    pub after: Vec<LogLine>,
}

/// Looks for a pattern from line `from` on and hands over each match with `context` lines on both sides, until `take` says no. Between
/// matches `progress` is told how many lines were looked at; it may say no too.
///
/// # Errors
/// If a file cannot be read.
pub fn search(
    log: &AttemptLog,
    pattern: &LogPattern,
    from: u64,
    context: u64,
    mut take: impl FnMut(LogMatch) -> bool,
    mut progress: impl FnMut(u64) -> bool,
) -> std::io::Result<()> {
    log.for_each_piece(from, |piece, bytes| {
        let lines = if pattern.is_nowhere_in(piece, bytes) { Vec::new() } else { split(piece, bytes) };
        for line in lines {
            if line.number < from || !pattern.is_in(&line.text) {
                continue;
            }
            let first = line.number.saturating_sub(context);
            let around = match context {
                0 => Vec::new(),
                _ => log.read(first, usize::try_from(2 * context + 1).unwrap_or(1))?.lines,
            };
            let (before, mut after): (Vec<_>, Vec<_>) =
                around.into_iter().partition(|other| other.number < line.number);
            after.retain(|other| other.number > line.number && other.number <= line.number + context);
            if !take(LogMatch { line, before, after }) {
                return Ok(false);
            }
        }
        Ok(progress(piece.first_line + piece.lines))
    })
}

/// A line without the sequences by which terminals colour, move and delete.
fn without_colors(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return line.into();
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match behind.strip_prefix('[') {
            // A sequence ends with its first letter, or with `@` to `~` in general.
            Some(sequence) => {
                let end = sequence.find(|c: char| ('@'..='~').contains(&c));
                end.and_then(|end| sequence.get(end + 1..)).unwrap_or_default()
            }
            None => behind,
        };
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "one\ntwo \u{1b}[31mre\u{1b}[0md\nthree\r\nfour [x]\n";

    fn check(pattern: &str, regex: bool, context: u64, expected: &[(u64, &[u64], &[u64])]) {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("stdout.log"), LOG).unwrap();
        let log = AttemptLog::open_whole(folder.path()).unwrap();
        let pattern = LogPattern::new(pattern, regex, false).unwrap();
        let mut found = Vec::new();
        let keep = |matched: LogMatch| {
            found.push(matched);
            true
        };
        search(&log, &pattern, 0, context, keep, |_| true).unwrap();
        let numbers = |lines: &[LogLine]| lines.iter().map(|line| line.number).collect::<Vec<_>>();
        let found: Vec<_> =
            found.iter().map(|m| (m.line.number, numbers(&m.before), numbers(&m.after))).collect();
        let expected: Vec<_> = expected.iter().map(|(at, b, a)| (*at, b.to_vec(), a.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn plain_text_and_expressions_find_lines() {
        check("RED", false, 0, &[(1, &[], &[])]);
        check("[x]", false, 2, &[(3, &[1, 2], &[])]);
        check("^t.*e$", true, 1, &[(2, &[1], &[3])]);
        check(r"\Aone\z", true, 0, &[(0, &[], &[])]);
        check("o", false, 0, &[(0, &[], &[]), (1, &[], &[]), (3, &[], &[])]);
        check("five", false, 0, &[]);
    }

    #[test]
    fn a_search_ends_when_it_is_told_and_says_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("stdout.log"), "line\n".repeat(100_000)).unwrap();
        let log = AttemptLog::open_whole(folder.path()).unwrap();
        let pattern = LogPattern::new("line", false, true).unwrap();
        let mut left = 3;
        let some = |_| {
            left -= 1;
            left > 0
        };
        search(&log, &pattern, 99_000, 0, some, |_| panic!("it should have ended")).unwrap();
        let mut looked = Vec::new();
        let absent = LogPattern::new("absent", false, true).unwrap();
        search(
            &log,
            &absent,
            0,
            0,
            |_| true,
            |lines| {
                looked.push(lines);
                true
            },
        )
        .unwrap();
        assert_eq!((looked.len(), looked.last()), (8, Some(&100_000)));
    }

    #[test]
    fn patterns_that_cannot_be_used() {
        let reason = |pattern: &str, regex| LogPattern::new(pattern, regex, false).unwrap_err().to_string();
        assert_eq!(reason("", false), "there is nothing to look for");
        assert_eq!(reason("(", true), "`(` is not a regular expression: unclosed group");
        assert_eq!(LogPattern::new(&"x".repeat(1_001), false, false).unwrap_err(), PatternError::TooLong);
        assert!(reason(r"\w{1000}{1000}", true).contains("size limit"));
    }
}
