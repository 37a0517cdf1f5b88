//! A field of a struct that was computed.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `field_of(struct, name)`: what `get_field` gives, for structs that a node computes. The optimizer moves `get_field` towards the tables, and with
/// it what makes the struct, once for each of its fields; this one stays where it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FieldOf {
    signature: Signature,
    inner: Arc<ScalarUDF>,
}

impl FieldOf {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable), inner: get_field() }
    }
}

impl ScalarUDFImpl for FieldOf {
    fn name(&self) -> &str {
        "field_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of a field depends on its name".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.inner().invoke_with_args(args)
    }
}
