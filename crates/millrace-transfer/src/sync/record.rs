//! What became of each file: the manifest.

use std::io::Write as _;
use std::path::Path;

use millrace_spec::asset::{Asset, AssetType};
use serde::Serialize;
use serde_json::{Value, json};

use super::plan::Pair;
use crate::error::CopyError;
use crate::store::FileFacts;

/// Why it is known, or not, that the sink has what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Verified(&'static str),
    NotVerified(&'static str),
}

/// What became of a file, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Copied,
    Same,
    Deleted,
    Failed,
    WouldCopy,
    WouldDelete,
}

/// A line of the manifest.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Record {
    pub(super) action: Action,
    /// Its path below the source's folder; of one that is deleted, its path in the sink's store.
    pub(super) file: String,
    /// Its path in the sink's store.
    pub(super) to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<jiff::Timestamp>,
    /// `blake3:…` of what was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<&'static str>,
    /// Why it is verified or not, or what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    #[serde(skip)]
    pub(super) error: Option<CopyError>,
}

impl Record {
    /// A file of the source.
    pub(super) fn of(pair: &Pair, action: Action) -> Self {
        Self {
            action,
            file: pair.relative.clone(),
            to: pair.target.clone(),
            size_bytes: pair.source.size,
            modified: pair.source.modified,
            digest: None,
            verification: None,
            why: None,
            error: None,
        }
    }

    pub(super) fn copied(pair: &Pair, bytes: u64, digest: Option<blake3::Hash>, proof: Proof) -> Self {
        let (verification, why) = match proof {
            Proof::Verified(how) => ("Verified", how),
            Proof::NotVerified(why) => ("NotVerified", why),
        };
        Self {
            size_bytes: Some(bytes),
            digest: digest.map(|digest| format!("blake3:{}", digest.to_hex())),
            verification: Some(verification),
            why: Some(why.to_owned()),
            ..Self::of(pair, Action::Copied)
        }
    }

    pub(super) fn failed(pair: &Pair, error: CopyError) -> Self {
        Self { why: Some(error.to_string()), error: Some(error), ..Self::of(pair, Action::Failed) }
    }

    /// A file of the sink that the source does not have.
    pub(super) fn gone(file: &FileFacts, deleted: Result<Action, CopyError>) -> Self {
        let pair = Pair { source: file.clone(), relative: file.path.clone(), target: file.path.clone() };
        match deleted {
            Ok(action) => Self::of(&pair, action),
            Err(error) => Self::failed(&pair, error),
        }
    }
}

/// How many records there are of an action.
pub(super) fn count(records: &[Record], action: Action) -> u64 {
    records.iter().filter(|record| record.action == action).count() as u64
}

/// Whether all that was copied is verified, and if not, why the most part is not.
pub(super) fn verification(records: &[Record]) -> Value {
    let copied = records.iter().filter(|record| record.action == Action::Copied);
    let (sure, unsure): (Vec<_>, Vec<_>) = copied.partition(|record| record.verification == Some("Verified"));
    let why = |records: &[&Record]| records.first().and_then(|record| record.why.clone());
    match (sure.len(), unsure.len()) {
        (0, 0) => json!({"result": "Verified", "why": "nothing was copied"}),
        (_, 0) => json!({"result": "Verified", "why": why(&sure)}),
        (verified, rest) => json!({
            "result": "NotVerified",
            "why": format!("{rest} of {} files: {}", verified + rest, why(&unsure).unwrap_or_default()),
        }),
    }
}

/// Writes the manifest: a JSON object a line, sorted by path.
pub(super) fn write(records: &mut [Record], path: &Path) -> Result<Asset, CopyError> {
    records.sort_by(|one, other| one.file.cmp(&other.file));
    let failed = |error: &dyn std::fmt::Display| CopyError::write(path.to_string_lossy(), error);
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record).map_err(|error| failed(&error))?;
        text.push(b'\n');
    }
    let mut file = fs_err::File::create(path).map_err(|error| failed(&error))?;
    file.write_all(&text).map_err(|error| failed(&error))?;
    let uri = url::Url::from_file_path(path).map_err(|()| failed(&"the path is not absolute"))?;
    Ok(Asset {
        kind: AssetType::File,
        name: None,
        version: None,
        uri: uri.to_string(),
        delta_version: None,
        digest: format!("blake3:{}", blake3::hash(&text).to_hex()),
        rows: None,
        size_bytes: Some(text.len() as u64),
    })
}
