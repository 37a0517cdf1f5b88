//! What the plugin `pgoutput` says of changes: which rows they are, and in which transactions.
//! <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>

/// A message of the first version of its protocol.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// A transaction begins.
    Begin {
        /// Where its commit stands in the log.
        commit: u64,
        transaction: u32,
    },
    /// The columns of a table, before its first change and when they have changed.
    Relation { oid: u32, columns: Vec<String> },
    /// A row was added, changed or deleted: it as it was where that is told, and as it is.
    Change { oid: u32, rows: Vec<Vec<Cell>> },
    /// Tables were emptied.
    Truncate { oids: Vec<u32> },
    /// What says nothing of rows.
    Other,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    /// As it was, and too large to be told.
    Unchanged,
    Text(String),
}

/// Reads a message; `None` if it is none.
pub(super) fn read(data: &[u8]) -> Option<Message> {
    let (kind, rest) = data.split_first()?;
    let mut rest = Rest(rest);
    Some(match kind {
        b'B' => {
            let commit = u64::from_be_bytes(rest.bytes()?);
            let _time: [u8; 8] = rest.bytes()?;
            Message::Begin { commit, transaction: rest.number()? }
        }
        b'R' => {
            let oid = rest.number()?;
            let (_schema, _name) = (rest.text()?, rest.text()?);
            let _identity: [u8; 1] = rest.bytes()?;
            let columns = (0..rest.count()?).map(|_| {
                let _flags: [u8; 1] = rest.bytes()?;
                let name = rest.text()?;
                let _type_and_modifier: [u8; 8] = rest.bytes()?;
                Some(name)
            });
            Message::Relation { oid, columns: columns.collect::<Option<_>>()? }
        }
        b'I' | b'U' | b'D' => {
            let oid = rest.number()?;
            let mut rows = Vec::new();
            while let Some([b'K' | b'O' | b'N']) = rest.bytes() {
                rows.push(rest.row()?);
            }
            Message::Change { oid, rows }
        }
        b'T' => {
            let count = rest.number()?;
            let _options: [u8; 1] = rest.bytes()?;
            Message::Truncate { oids: (0..count).map(|_| rest.number()).collect::<Option<_>>()? }
        }
        _ => Message::Other,
    })
}

/// What of a message is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn count(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// Up to a byte of 0.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn row(&mut self) -> Option<Vec<Cell>> {
        let cells = (0..self.count()?).map(|_| match self.bytes()? {
            [b'n'] => Some(Cell::Null),
            [b'u'] => Some(Cell::Unchanged),
            [b't'] => {
                let length = usize::try_from(self.number()?).ok()?;
                let (text, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                String::from_utf8(text.to_vec()).ok().map(Cell::Text)
            }
            _ => None,
        });
        cells.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_or_refused() {
        let begin = [&b"B"[..], &7_u64.to_be_bytes(), &[0; 8], &9_u32.to_be_bytes()].concat();
        assert_eq!(read(&begin), Some(Message::Begin { commit: 7, transaction: 9 }));
        let relation =
            b"R\0\0\0\x05public\0orders\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0note\0\0\0\0\x19\xff\xff\xff\xff";
        let columns = vec!["id".to_owned(), "note".to_owned()];
        assert_eq!(read(relation), Some(Message::Relation { oid: 5, columns }));
        let update = b"U\0\0\0\x05K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x012u";
        let (one, two) = (Cell::Text("1".to_owned()), Cell::Text("2".to_owned()));
        let rows = vec![vec![one, Cell::Null], vec![two, Cell::Unchanged]];
        assert_eq!(read(update), Some(Message::Change { oid: 5, rows }));
        assert_eq!(read(b"T\0\0\0\x01\0\0\0\0\x05"), Some(Message::Truncate { oids: vec![5] }));
        assert_eq!(read(b"Y..."), Some(Message::Other));
        // Cut anywhere, it is none, or a row less.
        for message in [&begin[..], relation, update] {
            for end in 0..message.len() {
                let cut = read(&message[..end]);
                assert!(matches!(cut, None | Some(Message::Change { .. })), "{end}: {cut:?}");
            }
        }
    }
}
