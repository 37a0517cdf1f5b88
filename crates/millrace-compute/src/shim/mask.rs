//! Replaces secrets in a stream of bytes, wherever the chunks happen to be cut.

use std::fmt;

/// What stands in a log instead of a secret.
const MASK: &[u8] = b"***";

/// A filter for one stream.
pub(crate) struct Masker {
    /// Longest first, so that of two secrets with one beginning the longer is masked.
    secrets: Vec<Vec<u8>>,
    first_bytes: [bool; 256],
    held: Vec<u8>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Masker {
    pub(crate) fn new(secrets: &[String]) -> Self {
        let mut secrets: Vec<Vec<u8>> =
            secrets.iter().filter(|s| !s.is_empty()).map(|s| s.as_bytes().to_vec()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut first_bytes = [false; 256];
        for first in secrets.iter().filter_map(|secret| secret.first()) {
            if let Some(flag) = first_bytes.get_mut(usize::from(*first)) {
                *flag = true;
            }
        }
        Self { secrets, first_bytes, held: Vec::new() }
    }

    /// Takes a chunk and gives what can be shown already. What may be the beginning of a secret is held back.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.secrets.is_empty() {
            return chunk.to_vec();
        }
        self.held.extend_from_slice(chunk);
        self.advance(false)
    }

    /// Gives what was held back.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.advance(true)
    }

    fn advance(&mut self, at_end: bool) -> Vec<u8> {
        let mut shown = Vec::with_capacity(self.held.len());
        let mut rest = self.held.as_slice();
        while let Some(&byte) = rest.first() {
            if !self.first_bytes.get(usize::from(byte)).copied().unwrap_or(false) {
                shown.push(byte);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let may_grow = |secret: &Vec<u8>| secret.len() > rest.len() && secret.starts_with(rest);
            if !at_end && self.secrets.iter().any(may_grow) {
                break;
            }
            let taken = if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                shown.extend_from_slice(MASK);
                secret.len()
            } else {
                shown.push(byte);
                1
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.held = rest.to_vec();
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], chunks: &[&str], expected: &str) {
        let secrets: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        let mut masker = Masker::new(&secrets);
        let mut shown: Vec<u8> = chunks.iter().flat_map(|chunk| masker.feed(chunk.as_bytes())).collect();
        shown.extend(masker.finish());
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_as_a_whole_and_line_by_line() {
        let secrets = ["first\nsecond", "second", "first"];
        check(&secrets, &["> fir", "st\n", "second\n"], "> ***\n");
        check(&secrets, &["> first\n> second\n"], "> ***\n> ***\n");
    }

    #[test]
    fn a_secret_is_masked_wherever_the_chunks_are_cut() {
        check(&["hunter2"], &["a hunter2 b"], "a *** b");
        check(&["hunter2"], &["a hun", "ter", "2 b"], "a *** b");
        check(&["hunter2"], &["a hunt", "ers"], "a hunters");
        check(&["hunter2"], &["hunhunter2hun"], "hun***hun");
        check(&["ab", "abcd"], &["xab", "cdx ab", " y"], "x***x *** y");
        check(&["", "x"], &["axb"], "a***b");
    }
}
