//! What is known of the rows between two transformations: their columns, what those are called here, and which streams they came through.

use super::script::Type;

/// The name that a column is known by here, where Data Factory keeps a row's act and the marks of its assertions beside the row.
pub(super) const ACT: &str = "_op";

/// What a transformation gives.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    /// The node, or `node.part`, that gives it here.
    pub(super) port: String,
    pub(super) columns: Vec<Column>,
    /// Whether there may be columns that are not known, as with schema drift.
    pub(super) open: bool,
    /// Assertions that only mark rows: their names, and the column here that is true for a row that broke it.
    pub(super) marks: Vec<(String, String)>,
    /// Whether rows say what is done with them in the column [`ACT`].
    pub(super) acts: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Its name there.
    pub(super) name: String,
    /// Its name here.
    pub(super) ours: String,
    pub(super) of: Type,
    /// Streams by which it can be named: `stream@column`.
    pub(super) streams: Vec<String>,
}

impl Column {
    pub(super) fn new(name: &str, of: Type, stream: &str) -> Self {
        Self { name: name.to_owned(), ours: name.to_owned(), of, streams: vec![stream.to_owned()] }
    }
}

impl Stream {
    /// The column that a name means; letters of either case if none has exactly that name.
    pub(super) fn find(&self, stream: Option<&str>, name: &str) -> Option<&Column> {
        let of_stream =
            |column: &&Column| stream.is_none_or(|stream| column.streams.iter().any(|known| known == stream));
        let candidates = || self.columns.iter().filter(of_stream);
        let exact = candidates().find(|column| column.name == name);
        exact.or_else(|| candidates().find(|column| column.name.eq_ignore_ascii_case(name)))
    }

    /// The same rows after a transformation of that name.
    pub(super) fn through(&self, name: &str, port: String) -> Self {
        let mut stream = Self { port, ..self.clone() };
        for column in &mut stream.columns {
            column.streams.push(name.to_owned());
        }
        stream
    }

    /// Adds a column, or gives the one of that name another type.
    pub(super) fn put(&mut self, name: &str, ours: &str, of: Type, stream: &str) {
        match self.columns.iter_mut().find(|column| column.ours == ours) {
            Some(column) => {
                column.of = of;
                column.streams.push(stream.to_owned());
            }
            None => self.columns.push(Column { ours: ours.to_owned(), ..Column::new(name, of, stream) }),
        }
    }

    /// A name that no column has here.
    pub(super) fn fresh(&self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.columns.iter().any(|column| column.ours == name) {
            name.push('_');
        }
        name
    }
}
