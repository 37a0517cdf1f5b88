//! Columns within columns that grow value by value and can forget the last rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{FieldRef, Fields};
use arrow::error::ArrowError;
use indexmap::IndexMap;

use super::shape::{Shape, element_field, fields_of};
use super::{CellFormat, ColumnBuilder, ColumnType};

/// Collects the values of a column.
#[derive(Debug)]
pub(crate) enum Node {
    Leaf(Leaf),
    Struct(Struct),
    List(List),
}

/// Values without inner structure.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) builder: ColumnBuilder,
    /// The user says the type, so that texts are read as values of it.
    pub(crate) declared: bool,
}

/// Records.
#[derive(Debug)]
pub(crate) struct Struct {
    fields: Fields,
    children: IndexMap<String, Node>,
    valid: Vec<bool>,
}

/// Lists, their elements end to end.
#[derive(Debug)]
pub(crate) struct List {
    field: FieldRef,
    pub(crate) child: Box<Node>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Node {
    /// For a shape that is settled.
    pub(crate) fn new(shape: &Shape, rows: usize) -> Self {
        let leaf = |format: CellFormat, declared| {
            Self::Leaf(Leaf { builder: ColumnBuilder::new(format, rows), declared })
        };
        match shape {
            Shape::Nothing => leaf(CellFormat::plain(ColumnType::String), false),
            Shape::Kind(kind) => leaf(CellFormat::plain(*kind), false),
            Shape::Texts(inference) => leaf(CellFormat::plain(inference.column_type()), false),
            Shape::Declared(format) => leaf(format.clone(), true),
            Shape::List(element) => Self::List(List {
                field: element_field(element),
                child: Box::new(Self::new(element, rows)),
                ends: Vec::with_capacity(rows),
                valid: Vec::with_capacity(rows),
            }),
            Shape::Struct(fields) => Self::Struct(Struct::new(fields, rows)),
        }
    }

    /// Values so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.builder.len(),
            Self::Struct(record) => record.valid.len(),
            Self::List(list) => list.valid.len(),
        }
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            Self::Leaf(leaf) => leaf.builder.append_null(),
            Self::Struct(record) => record.append(false),
            Self::List(list) => list.append(false),
        }
    }

    /// Forgets all values after the first `rows`, also half of one.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Leaf(leaf) => leaf.builder.truncate(rows),
            Self::Struct(record) => record.truncate(rows),
            Self::List(list) => {
                list.ends.truncate(rows);
                list.valid.truncate(rows);
                let end = list.ends.last().copied().unwrap_or(0);
                list.child.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
    }

    /// The column.
    ///
    /// # Errors
    /// [`ArrowError`] if a text is not UTF-8.
    pub(crate) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Leaf(leaf) => leaf.builder.finish()?,
            Self::Struct(record) => {
                let (rows, nulls) = (record.valid.len(), nulls(record.valid));
                let columns = record.children.into_values().map(Self::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new_with_length(record.fields, columns, nulls, rows)?)
            }
            Self::List(list) => {
                let mut offsets = Vec::with_capacity(list.ends.len() + 1);
                offsets.push(0);
                offsets.extend(list.ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::try_new(list.field, offsets, list.child.finish()?, nulls(list.valid))?)
            }
        })
    }
}

impl Struct {
    pub(crate) fn new(fields: &IndexMap<String, Shape>, rows: usize) -> Self {
        Self {
            fields: fields_of(fields),
            children: fields.iter().map(|(name, shape)| (name.clone(), Node::new(shape, rows))).collect(),
            valid: Vec::with_capacity(rows),
        }
    }

    /// Records so far.
    pub(crate) fn len(&self) -> usize {
        self.valid.len()
    }

    /// The column of a name. Names mostly come in the same order, so that the one at `hint` is looked at first.
    pub(crate) fn field(&mut self, name: &str, hint: usize) -> Option<(usize, &mut Node)> {
        let index = match self.children.get_index(hint) {
            Some((known, _)) if known == name => hint,
            _ => self.children.get_index_of(name)?,
        };
        self.children.get_index_mut(index).map(|(_, node)| (index, node))
    }

    /// Ends a record: fields that got nothing are null.
    pub(crate) fn append(&mut self, valid: bool) {
        self.valid.push(valid);
        let rows = self.valid.len();
        self.children.values_mut().filter(|child| child.len() < rows).for_each(Node::append_null);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        self.children.values_mut().for_each(|child| child.truncate(rows));
    }

    /// The columns of records none of which is null.
    pub(crate) fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.children.into_values().map(Node::finish).collect()
    }
}

impl List {
    /// Ends a list: its elements are those that the child got since the last one.
    pub(crate) fn append(&mut self, valid: bool) {
        // A chunk of text has fewer elements than bytes, and those are few.
        self.ends.push(i32::try_from(self.child.len()).unwrap_or(i32::MAX));
        self.valid.push(valid);
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    valid.contains(&false).then(|| NullBuffer::from(valid))
}
