use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, Float64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};

use crate::rows;

/// `normal_cdf(x)`: the share of a standard normal distribution that is below `x`, `erfc(-x / √2) / 2`.
pub(super) fn normal_cdf() -> ScalarUDF {
    let of = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let Some(values) = arrays.first() else {
            return Err(DataFusionError::Internal("normal_cdf without an argument".to_owned()));
        };
        let share = |x: f64| libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0;
        let shares: Float64Array = values.as_primitive::<Float64Type>().unary(share);
        Ok(ColumnarValue::Array(Arc::new(shares) as ArrayRef))
    };
    create_udf("normal_cdf", vec![DataType::Float64], DataType::Float64, Volatility::Immutable, Arc::new(of))
}

/// `to_json(x)`: any value as JSON text; null stays null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToJson {
    signature: Signature,
}

impl ToJson {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToJson {
    fn name(&self) -> &str {
        "to_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(values) = arrays.first() else {
            return Err(DataFusionError::Internal("to_json without an argument".to_owned()));
        };
        let text = |row| (!values.is_null(row)).then(|| rows::value(values.as_ref(), row).to_string());
        let texts: StringArray = (0..values.len()).map(text).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    }
}

/// `assert_none(messages, row)`: true where there is no message; where there is one, it fails and shows the row. Volatile, so that nothing is
/// evaluated less often than there are rows.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AssertNone {
    signature: Signature,
}

impl AssertNone {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for AssertNone {
    fn name(&self) -> &str {
        "assert_none"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [messages, row] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("assert_none takes two arguments".to_owned()));
        };
        let messages = arrow::compute::cast(messages, &DataType::Utf8)?;
        let messages = messages.as_string::<i32>();
        let broken = |message: &Option<&str>| message.is_some_and(|message| !message.is_empty());
        if let Some(first) = messages.iter().position(|message| broken(&message)) {
            let count = messages.iter().filter(broken).count();
            let (message, row) = (messages.value(first), rows::value(row.as_ref(), first));
            let more = match count - 1 {
                0 => String::new(),
                others => {
                    format!(", and {others} more of {} rows that were looked at together", messages.len())
                }
            };
            return Err(DataFusionError::Execution(format!(
                "the assertion {message} failed for {row}{more}"
            )));
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(vec![true; messages.len()]))))
    }
}
