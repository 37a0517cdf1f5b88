//! One event to one receiver.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::file::Destination;

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// Why an event could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// Nobody is there: the next event would not arrive either.
    Away(String),
    /// It was not taken, which the next one may be.
    Refused(String),
}

impl Undelivered {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Away(reason) | Self::Refused(reason) => reason,
        }
    }
}

pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10))
        .build()
}

/// Sends an event, or adds it to a file below `root`.
pub(super) async fn deliver(
    client: &reqwest::Client,
    root: PathBuf,
    destination: &Destination,
    event: &Value,
) -> Result<(), Undelivered> {
    let (url, headers) = match destination {
        Destination::File(path) => {
            let (path, line) = (root.join(path), format!("{event}\n"));
            let written = tokio::task::spawn_blocking(move || append(&path, &line)).await;
            let written = written.map_err(|error| error.to_string());
            return written.and_then(|it| it.map_err(|error| error.to_string())).map_err(Undelivered::Away);
        }
        Destination::Server { url, headers } => (url, headers),
    };
    let mut request = client.post(url.clone()).json(event);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(|error| Undelivered::Away(chain(&error.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said: String = answer.text().await.unwrap_or_default().chars().take(SHOWN).collect();
    // It will never take this event, and the others need not wait for that.
    if matches!(status.as_u16(), 400 | 413 | 415 | 422) {
        tracing::warn!(%status, said, "a receiver of lineage refuses an event for good");
        return Ok(());
    }
    Err(Undelivered::Refused(format!("it answered {status} {said}").trim_end().to_owned()))
}

/// An error with its causes: `error sending request` alone tells nobody anything.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Adds a line. One that a kill cut short stays alone.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let mut file = fs_err::OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut text = String::new();
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_short_stays_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out/lineage.ndjson");
        append(&path, "{\"a\": 1}\n").unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map(|mut file| std::io::Write::write_all(&mut file, b"{\"b\""))
            .unwrap()
            .unwrap();
        append(&path, "{\"c\": 3}\n").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"a\": 1}\n{\"b\"\n{\"c\": 3}\n");
    }
}
