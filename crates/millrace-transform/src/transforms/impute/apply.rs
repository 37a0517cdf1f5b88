//! The function that fills the gaps of rows.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Builder, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{Imputation, value};

/// Takes all columns as floating-point numbers, gives those that are filled.
#[derive(Debug)]
pub(super) struct Impute {
    name: String,
    signature: Signature,
    learned: Imputation,
    fields: Fields,
}

impl Impute {
    pub(super) fn new(learned: Imputation) -> std::result::Result<Self, String> {
        let text = serde_json::to_string(&learned).map_err(|error| error.to_string())?;
        let digest = blake3::hash(text.as_bytes()).to_hex();
        let width = learned.columns.len();
        let sound = |known: &super::Known| {
            known.equation.as_ref().is_none_or(|equation| equation.coefficients.len() + 1 == width)
        };
        if !learned.columns.iter().all(sound) {
            return Err("an equation of what was learned is not over all other columns".to_owned());
        }
        let filled = learned.columns.iter().filter(|known| known.equation.is_some());
        let fields = filled.map(|known| Field::new(&known.name, DataType::Float64, true)).collect();
        let signature = Signature::exact(vec![DataType::Float64; width], Volatility::Immutable);
        Ok(Self {
            name: format!("impute_{}", digest.get(..16).unwrap_or_default()),
            signature,
            learned,
            fields,
        })
    }

    /// Its name in SQL.
    pub(super) fn called(&self) -> String {
        self.name.clone()
    }
}

// What was learned has numbers, which have no hash; the name is its digest.
impl PartialEq for Impute {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Impute {}

impl std::hash::Hash for Impute {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Impute {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(self.fields.clone()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let columns: Vec<_> = arrays.iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let mut filled: Vec<Float64Builder> =
            self.fields.iter().map(|_| Float64Builder::with_capacity(rows)).collect();
        let mut row = vec![0.0; columns.len()];
        let mut gaps = Vec::with_capacity(columns.len());
        for at in 0..rows {
            gaps.clear();
            for (place, (slot, (column, known))) in
                row.iter_mut().zip(columns.iter().zip(&self.learned.columns)).enumerate()
            {
                let found = value(column, at);
                *slot = found.unwrap_or(known.mean);
                if let (None, Some(equation)) = (found, &known.equation) {
                    gaps.push((place, equation));
                }
            }
            // With one gap the second round finds what the first one did.
            let rounds = if gaps.len() < 2 { gaps.len() } else { self.learned.rounds };
            for _ in 0..rounds {
                for (place, equation) in &gaps {
                    let value = equation.at(&row, *place);
                    if let Some(slot) = row.get_mut(*place) {
                        *slot = value;
                    }
                }
            }
            let of_filled =
                row.iter().zip(&self.learned.columns).filter(|(_, known)| known.equation.is_some());
            for (builder, (value, _)) in filled.iter_mut().zip(of_filled) {
                builder.append_value(*value);
            }
        }
        let arrays: Vec<ArrayRef> =
            filled.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        let made = StructArray::try_new(self.fields.clone(), arrays, None);
        Ok(ColumnarValue::Array(Arc::new(made.map_err(DataFusionError::from)?)))
    }
}
