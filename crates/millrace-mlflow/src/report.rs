//! What became of an import.

use serde_json::{Value, json};

use crate::digest::Totals;
use crate::record::Broken;

/// Entries of each list; of more only the number is told.
const MOST: usize = 1_000;

/// What became of an import.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What tells the source from others.
    pub identity: String,
    /// Whether nothing was stored.
    pub dry_run: bool,
    /// What the source has.
    pub source: Totals,
    /// What is here of it.
    pub here: Totals,
    /// Records and files that were not here before.
    pub new: u64,
    /// Bytes of files that were copied.
    pub bytes: u64,
    /// Experiments whose number is another one here: name, there, here.
    pub renumbered: Vec<(String, i64, i64)>,
    /// What cannot be read.
    pub broken: Many<Broken>,
    /// What is here and not as in the source.
    pub differing: Many<String>,
    /// Files whose name cannot be one here: where they are there, and their path here.
    pub renamed: Many<(String, String)>,
    /// Files that stay where they are.
    pub elsewhere: Many<String>,
    /// Webhooks that are disabled here, since what they are signed with cannot be read.
    pub disabled: Many<String>,
    /// What is not taken over, and why.
    pub left_out: Vec<String>,
}

/// A list that does not grow without end.
#[derive(Debug, Clone)]
pub struct Many<T> {
    /// The first of them.
    pub first: Vec<T>,
    /// How many there are.
    pub count: u64,
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T> Many<T> {
    pub(crate) fn push(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < MOST {
            self.first.push(one);
        }
    }

    pub(crate) fn extend(&mut self, all: impl IntoIterator<Item = T>) {
        all.into_iter().for_each(|one| self.push(one));
    }
}

impl Report {
    /// Whether everything is here as it is in the source.
    pub fn is_sound(&self) -> bool {
        self.broken.count == 0 && self.differing.count == 0 && (self.dry_run || self.source == self.here)
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        let kinds: Vec<Value> = self
            .kinds()
            .map(|(kind, source, here)| {
                json!({
                    "kind": kind, "source": source.count, "here": here.count,
                    "source_digest": source.digest(), "here_digest": here.digest(), "equal": source == here,
                })
            })
            .collect();
        let broken =
            self.broken.first.iter().map(|broken| json!({"place": broken.place, "reason": broken.reason}));
        let renumbered = self
            .renumbered
            .iter()
            .map(|(name, there, here)| json!({"name": name, "source": there, "here": here}));
        json!({
            "source": self.identity,
            "dry_run": self.dry_run,
            "sound": self.is_sound(),
            "new": self.new,
            "bytes_copied": self.bytes,
            "kinds": kinds,
            "renumbered": renumbered.collect::<Vec<_>>(),
            "renamed": self.renamed.first.iter().map(|(there, here)| json!({"source": there, "here": here})).collect::<Vec<_>>(),
            "broken": broken.collect::<Vec<_>>(), "broken_count": self.broken.count,
            "differing": self.differing.first, "differing_count": self.differing.count,
            "elsewhere": self.elsewhere.first, "elsewhere_count": self.elsewhere.count,
            "disabled": self.disabled.first, "disabled_count": self.disabled.count,
            "left_out": self.left_out,
        })
    }

    /// Each kind with what the source and this workspace have of it.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, crate::Tally, crate::Tally)> + '_ {
        let mut names: Vec<&'static str> =
            self.source.iter().chain(self.here.iter()).map(|(kind, _)| kind).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|kind| (kind, self.source.of(kind), self.here.of(kind)))
    }
}
