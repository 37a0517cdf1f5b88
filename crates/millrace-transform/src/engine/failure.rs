//! DataFusion's errors in our words: where in the SQL, and what was probably meant.

use datafusion::error::DataFusionError;
use millrace_contract::QueryError;

/// An error found while planning; the SQL is to blame.
pub(crate) fn plan_error(error: DataFusionError) -> QueryError {
    let position = error.diagnostic().and_then(|d| d.span).and_then(|span| {
        Some((u32::try_from(span.start.line).ok()?, u32::try_from(span.start.column).ok()?))
    });
    let message = words(&error);
    let position = position.or_else(|| parser_position(&message));
    QueryError::Plan { message, position }
}

/// An error found while running; the data or the machine is to blame.
pub(crate) fn run_error(error: DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::External(inner) if inner.is::<QueryError>() => match inner.downcast_ref() {
            Some(QueryError::Source { message }) => QueryError::Source { message: message.clone() },
            Some(other) => QueryError::Run { message: other.to_string() },
            None => QueryError::Run { message: words(&error) },
        },
        _ => QueryError::Run { message: words(&error) },
    }
}

/// The message without the engine's own prefixes and backtraces, with its suggestion.
pub(crate) fn words(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let mut text = text.as_str();
    loop {
        let shorter = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
        match shorter {
            Some(rest) => text = rest,
            None => break,
        }
    }
    let mut message = text.trim_end_matches(['.', '\n']).to_owned();
    for help in error.diagnostic().iter().flat_map(|d| &d.helps) {
        if !message.contains(&help.message) {
            message = format!("{message}; {}", help.message);
        }
    }
    message
}

const PREFIXES: [&str; 9] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "External error: ",
    "This feature is not implemented: ",
    "Optimizer rule ",
    "Object Store error: ",
];

/// The parser says `… at Line: 1, Column: 8`.
fn parser_position(message: &str) -> Option<(u32, u32)> {
    let (_, rest) = message.split_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?))
}
