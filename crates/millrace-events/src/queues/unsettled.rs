//! What was stored and may not have been acknowledged, of queues whose messages have no ids: the broker delivers it again, and then it is
//! to have the id that it had.

use serde::{Deserialize, Serialize};

/// Part of the cursor of a queue, so that it is stored in the transaction that stores the messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unsettled {
    /// Where a message stood at the broker (0 where it says no such thing), the digest of what it said, and the id that its event got; in
    /// the order in which they came.
    #[serde(default)]
    unsettled: Vec<(u16, String, String)>,
}

impl Unsettled {
    /// The id of a message that comes again, if it is one of these. Each of them comes again once, so that of two that say the same each
    /// keeps its own.
    pub(super) fn take(&mut self, place: u16, digest: &str) -> Option<String> {
        let same = |(at, known, _): &(u16, String, String)| *at == place && known == digest;
        let found = self.unsettled.iter().position(same)?;
        Some(self.unsettled.remove(found).2)
    }

    /// A message that is about to be stored.
    pub(super) fn add(&mut self, place: u16, digest: String, id: String) {
        self.unsettled.push((place, digest, id));
    }

    /// Nothing that stood there comes again: the broker has given the place to another message.
    pub(super) fn free(&mut self, place: u16) {
        self.unsettled.retain(|(at, ..)| *at != place);
    }

    /// Forgets all but the newest ones.
    pub(super) fn keep_newest(&mut self, most: usize) {
        let too_many = self.unsettled.len().saturating_sub(most);
        self.unsettled.drain(..too_many);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.unsettled.clear();
    }

    /// These and others.
    pub(super) fn and(&self, others: &Self) -> Self {
        Self { unsettled: self.unsettled.iter().chain(&others.unsettled).cloned().collect() }
    }
}

/// Tells what messages say apart.
pub(super) fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // With their lengths, since a subject may have any byte in it.
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    format!("{:.16}", hasher.finalize().to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_has_the_id_that_it_had_once_each() {
        let mut unsettled = Unsettled::default();
        for (place, said, id) in [(0, "a", "1"), (0, "b", "2"), (0, "a", "3"), (7, "a", "4")] {
            unsettled.add(place, digest(&[said.as_bytes()]), id.to_owned());
        }
        let again = |place: u16, said: &str, unsettled: &mut Unsettled| {
            unsettled.take(place, &digest(&[said.as_bytes()]))
        };
        assert_eq!(again(0, "a", &mut unsettled).as_deref(), Some("1"));
        assert_eq!(again(0, "a", &mut unsettled).as_deref(), Some("3"));
        assert_eq!(again(0, "a", &mut unsettled), None, "a third that says the same was never stored");
        unsettled.free(7);
        assert_eq!(again(7, "a", &mut unsettled), None);
        assert_eq!(again(0, "b", &mut unsettled).as_deref(), Some("2"));
    }

    #[test]
    fn the_newest_are_kept_and_a_cursor_of_before_has_none() {
        let mut unsettled = Unsettled::default();
        for id in ["1", "2", "3"] {
            unsettled.add(0, id.to_owned(), id.to_owned());
        }
        unsettled.keep_newest(2);
        assert_eq!(serde_json::json!(unsettled)["unsettled"][0][2], "2");
        let before: Unsettled = serde_json::from_str(r#"{"queue": "jobs"}"#).unwrap();
        assert_eq!(before, Unsettled::default());
        assert_ne!(digest(&[b"a", b"bc"]), digest(&[b"ab", b"c"]));
    }
}
