//! Files that come, change or go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{Clock, Event, EventSource, Polled};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{BlobFiles, FileChange, LocalFiles};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::listing::{Found, Listing};

/// Shortest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a trigger wants of files.
pub(crate) struct Wanted {
    /// `file` or `blob`.
    family: &'static str,
    events: Vec<FileChange>,
    settle_ms: u64,
    every: Duration,
    empty: bool,
}

impl From<&LocalFiles> for Wanted {
    fn from(spec: &LocalFiles) -> Self {
        let (settle_ms, every) = (spec.settle.ms, Duration::from_millis(spec.every.ms).max(SHORTEST));
        Self { family: "file", events: spec.events.clone(), settle_ms, every, empty: spec.empty }
    }
}

impl From<&BlobFiles> for Wanted {
    fn from(spec: &BlobFiles) -> Self {
        let (settle_ms, every) = (spec.settle.ms, Duration::from_millis(spec.every.ms).max(SHORTEST));
        Self { family: "blob", events: spec.events.clone(), settle_ms, every, empty: spec.empty }
    }
}

/// Tells of files that a listing has, or has no more.
pub(crate) struct FileSource {
    wanted: Wanted,
    listing: Listing,
    clock: Arc<dyn Clock>,
}

impl FileSource {
    pub(crate) fn new(wanted: Wanted, listing: Listing, clock: Arc<dyn Clock>) -> Self {
        Self { wanted, listing, clock }
    }

    fn event(&self, change: FileChange, file: &Found) -> Event {
        let uri = self.listing.uri(&file.path);
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let blob = json!({
            "uri": uri, "path": file.path, "name": name, "size": file.size, "etag": file.etag, "change": change.word(),
        });
        let event = Event {
            id: format!("{}:{uri}:{}", change.word(), file.etag),
            source: self.listing.base.clone(),
            kind: format!("{}.{}", self.wanted.family, change.word()),
            subject: Some(file.path.clone()),
            time: None,
            data: blob.clone(),
            facts: Map::new(),
        };
        event.with_fact("blob", blob)
    }
}

#[async_trait]
impl EventSource for FileSource {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let found = self.listing.list().await?;
        let every = self.wanted.every;
        let Some(before) = cursor.and_then(|cursor| serde_json::from_value::<Seen>(cursor.clone()).ok())
        else {
            let begun = Seen { known: known(&found, self.wanted.empty), settling: BTreeMap::new() };
            return Ok(Polled { events: Vec::new(), cursor: json!(begun), look_again: every });
        };
        let now = self.clock.now().as_millisecond();
        let Looked { changes, seen, settles_in_ms } = look(before, &found, now, &self.wanted);
        let wanted = |(change, _): &(FileChange, Found)| self.wanted.events.contains(change);
        let events =
            changes.iter().filter(|change| wanted(change)).map(|(change, file)| self.event(*change, file));
        let settles = settles_in_ms.map_or(every, Duration::from_millis).max(SHORTEST);
        Ok(Polled { events: events.collect(), cursor: json!(seen), look_again: every.min(settles) })
    }
}

/// What was there at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// Path to etag and size.
    known: BTreeMap<String, (String, u64)>,
    /// Files that are new or changed, and may still be written: etag, and since when it has not changed, milliseconds since 1970.
    settling: BTreeMap<String, (String, i64)>,
}

/// What a look found out.
struct Looked {
    changes: Vec<(FileChange, Found)>,
    seen: Seen,
    /// When the next file has settled if nobody writes to it, from now.
    settles_in_ms: Option<u64>,
}

fn known(found: &[Found], empty: bool) -> BTreeMap<String, (String, u64)> {
    found
        .iter()
        .filter(|file| file.size > 0 || empty)
        .map(|file| (file.path.clone(), (file.etag.clone(), file.size)))
        .collect()
}

/// Compares what is there with what was. `now` in milliseconds since 1970.
fn look(before: Seen, found: &[Found], now: i64, wanted: &Wanted) -> Looked {
    let settle = i64::try_from(wanted.settle_ms).unwrap_or(i64::MAX);
    let mut changes = Vec::new();
    let mut seen = Seen::default();
    let mut settles_in: Option<i64> = None;
    for file in found {
        if file.size == 0 && !wanted.empty {
            // Somebody is about to write it anew: it is what it was until then.
            if let Some(known) = before.known.get(&file.path) {
                seen.known.insert(file.path.clone(), known.clone());
            }
            continue;
        }
        let same = before.known.get(&file.path).filter(|(etag, _)| *etag == file.etag);
        if let Some(known) = same {
            seen.known.insert(file.path.clone(), known.clone());
            continue;
        }
        let since = match before.settling.get(&file.path) {
            Some((etag, since)) if *etag == file.etag => *since,
            _ => now,
        };
        let left = since.saturating_add(settle) - now;
        if left <= 0 {
            changes.push((FileChange::Created, file.clone()));
            seen.known.insert(file.path.clone(), (file.etag.clone(), file.size));
            continue;
        }
        seen.settling.insert(file.path.clone(), (file.etag.clone(), since));
        // What it was before stays known until the new content has settled.
        if let Some(known) = before.known.get(&file.path) {
            seen.known.insert(file.path.clone(), known.clone());
        }
        settles_in = Some(settles_in.map_or(left, |least| least.min(left)));
    }
    for (path, (etag, size)) in before.known {
        if found.binary_search_by(|file| file.path.cmp(&path)).is_err() {
            changes.push((FileChange::Deleted, Found { path, size, etag }));
        }
    }
    Looked { changes, seen, settles_in_ms: settles_in.and_then(|left| u64::try_from(left).ok()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Found> {
        let file =
            |&(path, etag): &(&str, &str)| Found { path: path.to_owned(), size: 1, etag: etag.to_owned() };
        files.iter().map(file).collect()
    }

    fn settle(settle_ms: u64) -> Wanted {
        Wanted { family: "file", events: Vec::new(), settle_ms, every: SHORTEST, empty: false }
    }

    fn words(looked: &Looked) -> String {
        let word =
            |(change, file): &(FileChange, Found)| format!("{} {}@{}", change.word(), file.path, file.etag);
        looked.changes.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_file_comes_once_it_is_whole_and_goes_once() {
        let begun = Seen { known: known(&found(&[("a", "1")]), false), settling: BTreeMap::new() };
        let looked = look(begun, &found(&[("a", "1"), ("b", "1")]), 1_000, &settle(5_000));
        assert_eq!((words(&looked).as_str(), looked.settles_in_ms), ("", Some(5_000)));
        // It is still written to: the time begins anew.
        let looked = look(looked.seen, &found(&[("a", "1"), ("b", "2")]), 5_000, &settle(5_000));
        assert_eq!((words(&looked).as_str(), looked.settles_in_ms), ("", Some(5_000)));
        let looked = look(looked.seen, &found(&[("a", "1"), ("b", "2")]), 9_000, &settle(5_000));
        assert_eq!((words(&looked).as_str(), looked.settles_in_ms), ("", Some(1_000)));
        let looked = look(looked.seen, &found(&[("a", "1"), ("b", "2")]), 10_000, &settle(5_000));
        assert_eq!(words(&looked), "created b@2");
        let looked = look(looked.seen, &found(&[("b", "2")]), 11_000, &settle(5_000));
        assert_eq!(words(&looked), "deleted a@1");
        let looked = look(looked.seen, &found(&[("b", "3")]), 12_000, &settle(0));
        assert_eq!(words(&looked), "created b@3");
        assert_eq!(words(&look(looked.seen, &found(&[("b", "3")]), 13_000, &settle(0))), "");
    }

    #[test]
    fn an_empty_file_is_not_there_and_one_that_is_emptied_is_not_gone() {
        let empty = |path: &str| Found { path: path.to_owned(), size: 0, etag: "0".to_owned() };
        let begun = Seen { known: known(&found(&[("a", "1")]), false), settling: BTreeMap::new() };
        let looked = look(begun, &[empty("a"), empty("b")], 1_000, &settle(0));
        assert_eq!(words(&looked), "");
        assert_eq!(words(&look(looked.seen, &found(&[("a", "2")]), 2_000, &settle(0))), "created a@2");
    }

    #[test]
    fn a_file_that_goes_before_it_settled_was_never_there() {
        let looked = look(Seen::default(), &found(&[("b", "1")]), 1_000, &settle(5_000));
        assert_eq!(words(&look(looked.seen, &[], 9_000, &settle(5_000))), "");
    }
}
