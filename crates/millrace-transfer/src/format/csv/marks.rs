//! Where delimiters, ends of lines and quotes stand, found for 64 bytes at once: fields are so short that a search for each one's end takes
//! longer than reading it.

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// A cursor over the marks of one text.
#[derive(Debug)]
pub(super) struct Marks {
    bytes: [u8; 3],
    /// Where the block begins whose marks are known; that of none yet is after every text.
    block: usize,
    /// A bit for each byte of the block.
    bits: u64,
}

impl Marks {
    /// For a text in which these bytes are looked for.
    pub(super) fn new(bytes: [u8; 3]) -> Self {
        Self { bytes, block: usize::MAX, bits: 0 }
    }

    /// The first mark at or after `at`. It has to be the same text each time.
    pub(super) fn next(&mut self, text: &[u8], mut at: usize) -> Option<usize> {
        while at < text.len() {
            let block = at - at % BLOCK;
            if block != self.block {
                self.bits = self.look(text.get(block..).unwrap_or_default());
                self.block = block;
            }
            let bits = self.bits & (u64::MAX << (at - block));
            if bits != 0 {
                return Some(block + bits.trailing_zeros() as usize);
            }
            at = block + BLOCK;
        }
        None
    }

    fn look(&self, text: &[u8]) -> u64 {
        match text.first_chunk::<BLOCK>() {
            Some(block) => self.bits(block),
            None => {
                let mut block = [0; BLOCK];
                block.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
                self.bits(&block) & ((1 << text.len()) - 1)
            }
        }
    }

    fn bits(&self, block: &[u8; BLOCK]) -> u64 {
        let [first, second, third] = self.bytes;
        // Comparisons of 16 or more bytes at once, which the compiler makes of this.
        let mut hits = [0_u8; BLOCK];
        for (hit, byte) in hits.iter_mut().zip(block) {
            *hit = u8::from(*byte == first) | u8::from(*byte == second) | u8::from(*byte == third);
        }
        let words = hits.as_chunks::<8>().0.iter().enumerate();
        words.fold(0, |bits, (index, word)| bits | gathered(u64::from_le_bytes(*word)) << (8 * index))
    }
}

/// The lowest bits of the bytes side by side: a multiplication moves each to its place in the last byte.
fn gathered(hits: u64) -> u64 {
    hits.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a search byte by byte finds.
        #[test]
        fn marks_are_found(text in prop::collection::vec(prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), Just(0x80), Just(b',' ^ 0x80), any::<u8>()], 0..300), skip in 0usize..5) {
            let mut marks = Marks::new(*b",\n\"");
            let mut at = 0;
            while at <= text.len() {
                let plain = text.get(at..).and_then(|rest| rest.iter().position(|byte| b",\n\"".contains(byte)));
                let found = marks.next(&text, at);
                prop_assert_eq!(found, plain.map(|found| at + found));
                at = found.map_or(text.len(), |found| found) + 1 + skip;
            }
        }
    }
}
