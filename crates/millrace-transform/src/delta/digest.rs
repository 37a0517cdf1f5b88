//! A digest of rows that does not depend on files, batches or order.
//!
//! Each row is encoded with its schema's names and types in Arrow's row format and hashed with BLAKE3; the digests are added lane by
//! lane, modulo 2^64 each. Addition makes it a digest of a multiset: a query without `order by`, which two runs may answer in two
//! orders, has one digest, and appended rows are added to the sum that the log keeps. The price: two tables that differ only in order
//! are equal, as they are to SQL. It tells equal data from different data; it is no defence against someone who forges rows.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use serde::{Deserialize, Serialize};

/// The sum over the rows so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowSum {
    pub(super) rows: u64,
    lanes: [u64; 4],
}

/// Adds rows of one schema to a [`RowSum`].
pub(super) struct Hasher {
    converter: RowConverter,
    sum: RowSum,
}

impl Hasher {
    pub(super) fn new(schema: &Schema, sum: RowSum) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, sum })
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.sum.rows += batch.num_rows() as u64;
        if batch.num_columns() == 0 {
            return Ok(());
        }
        for row in self.converter.convert_columns(batch.columns())?.iter() {
            let hash = blake3::hash(row.as_ref());
            for (lane, bytes) in self.sum.lanes.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
                let mut word = [0_u8; 8];
                word.copy_from_slice(bytes);
                *lane = lane.wrapping_add(u64::from_le_bytes(word));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> RowSum {
        self.sum
    }
}

impl RowSum {
    /// Counts the rows of another sum in.
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        for (lane, more) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(more);
        }
    }

    /// `blake3:<hex>` over the columns' names and types, the number of rows and the sum.
    pub(super) fn digest(&self, schema: &Schema) -> String {
        let mut hasher = blake3::Hasher::new();
        for field in schema.fields() {
            hasher.update(field.name().as_bytes());
            hasher.update(&[0]);
            hasher.update(field.data_type().to_string().as_bytes());
            hasher.update(&[0]);
        }
        hasher.update(&self.rows.to_le_bytes());
        for lane in self.lanes {
            hasher.update(&lane.to_le_bytes());
        }
        format!("blake3:{}", hasher.finalize().to_hex())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(ids: &[i64], names: &[Option<&str>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let names: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]).unwrap()
    }

    fn digest(batches: &[RecordBatch]) -> String {
        let schema = batches[0].schema();
        let mut hasher = Hasher::new(&schema, RowSum::default()).unwrap();
        batches.iter().for_each(|b| hasher.add(b).unwrap());
        hasher.finish().digest(&schema)
    }

    #[test]
    fn batches_and_order_do_not_matter_but_every_value_and_repeat_does() {
        let whole = digest(&[batch(&[1, 2, 3], &[Some("a"), None, Some("c")])]);
        assert_eq!(whole, digest(&[batch(&[3], &[Some("c")]), batch(&[2, 1], &[None, Some("a")])]));
        assert_ne!(whole, digest(&[batch(&[1, 2, 3], &[Some("a"), Some(""), Some("c")])]));
        assert_ne!(whole, digest(&[batch(&[1, 2, 3], &[Some("c"), None, Some("a")])]));
        assert_ne!(whole, digest(&[batch(&[1, 2, 3, 3], &[Some("a"), None, Some("c"), Some("c")])]));
    }
}
