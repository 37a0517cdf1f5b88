//! Numbers in few bytes: LEB128 varints and zigzag, as Protocol Buffers have them.

/// Bytes that end too early or are not what they should be: the database was damaged or written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored document cannot be read: {0}")]
pub struct Unreadable(pub &'static str);

/// Appends numbers to a buffer.
#[derive(Debug, Default)]
pub(super) struct Packer {
    pub(super) bytes: Vec<u8>,
}

impl Packer {
    pub(super) fn unsigned(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub(super) fn count(&mut self, number: usize) {
        self.unsigned(number as u64);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.unsigned(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn real(&mut self, number: f64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// Reads what [`Packer`] wrote. Never panics, whatever the bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'a> {
    rest: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.rest.split_first().ok_or(Unreadable("it ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable("a number is too long"))
    }

    /// A number of things that follow, each at least a byte long: never more than there are bytes.
    pub(super) fn count(&mut self) -> Result<usize, Unreadable> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| Unreadable("a count is too large"))?;
        if count > self.rest.len() { Err(Unreadable("a count is too large")) } else { Ok(count) }
    }

    pub(super) fn signed(&mut self) -> Result<i64, Unreadable> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Unreadable("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn real(&mut self) -> Result<f64, Unreadable> {
        let bytes = self.take(8)?.try_into().map_err(|_| Unreadable("it ends too early"))?;
        Ok(f64::from_le_bytes(bytes))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Unreadable("a text is not UTF-8"))
    }
}
