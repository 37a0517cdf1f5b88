//! `row_fraction(seed, value, …)`: a number in `[0, 1)` that depends on nothing but its arguments. Samples and splits are made of it,
//! so that a row falls on the same side in every run, on every machine and in any order.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::engine::types;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowFraction {
    signature: Signature,
}

impl RowFraction {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RowFraction {
    fn name(&self) -> &str {
        "row_fraction"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let columns = plain_columns(&columns)?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        let fractions = rows.iter().map(|row| fraction(row.as_ref()));
        Ok(ColumnarValue::Array(Arc::new(Float64Array::from_iter_values(fractions))))
    }
}

/// The first 53 bits of BLAKE3, which is what a double holds exactly.
fn fraction(bytes: &[u8]) -> f64 {
    let hash = blake3::hash(bytes);
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let bits = (u64::from_le_bytes(first) >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

fn plain_columns(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, c)| arrow::datatypes::Field::new(at.to_string(), c.data_type().clone(), true))
        .collect();
    let schema = types::plain_schema(&arrow::datatypes::Schema::new(fields));
    columns
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()).map_err(DataFusionError::from))
        .collect()
}
