//! Permutation importance (Breiman, 2001): how much worse a model gets when one column's values are dealt out anew.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::table::row_hashes;

/// Rows of the sample at most.
const MAX_ROWS: usize = 5000;

/// Times that each column is dealt out; the importance is the mean.
const REPEATS: u64 = 3;

/// The rows with the smallest hashes: a sample that does not depend on the order of rows.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    kept: Option<(RecordBatch, Vec<u64>)>,
}

impl Sample {
    pub(crate) fn add(&mut self, batch: &RecordBatch, seed: u64) -> Result<(), ArrowError> {
        let mut hashes = row_hashes(batch, seed)?;
        let mut rows = batch.clone();
        if let Some((kept, old)) = self.kept.take() {
            rows = concat_batches(&batch.schema(), [&kept, batch])?;
            hashes = [old, hashes].concat();
        }
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_by_key(|row| hashes.get(*row as usize).copied());
        order.truncate(MAX_ROWS);
        let kept = order.iter().filter_map(|row| hashes.get(*row as usize).copied()).collect();
        self.kept = Some((take_record_batch(&rows, &UInt32Array::from(order))?, kept));
        Ok(())
    }

    /// The rows, in the order of their hashes.
    pub(crate) fn rows(self) -> Option<RecordBatch> {
        self.kept.map(|(rows, _)| rows).filter(|rows| rows.num_rows() > 1)
    }
}

/// For every named column of `rows` how much `badness` rises when it is permuted; the largest first.
pub(crate) fn permutation_importance<E: From<ArrowError>>(
    rows: &RecordBatch,
    columns: &[String],
    seed: u64,
    mut badness: impl FnMut(&RecordBatch) -> Result<f64, E>,
) -> Result<Vec<(String, f64)>, E> {
    let base = badness(rows)?;
    let mut found = Vec::with_capacity(columns.len());
    for (place, name) in columns.iter().enumerate() {
        let Ok(index) = rows.schema().index_of(name) else { continue };
        let mut rise = 0.0;
        for repeat in 0..REPEATS {
            let mut random = ChaCha8Rng::seed_from_u64(seed ^ ((place as u64) << 8) ^ repeat);
            let mut deal: Vec<u32> = (0..rows.num_rows() as u32).collect();
            deal.shuffle(&mut random);
            let mut arrays: Vec<ArrayRef> = rows.columns().to_vec();
            if let Some(array) = arrays.get_mut(index) {
                *array = take(array, &UInt32Array::from(deal), None)?;
            }
            rise += badness(&RecordBatch::try_new(Arc::clone(&rows.schema()), arrays)?)? - base;
        }
        found.push((name.clone(), rise / REPEATS as f64));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(found)
}
