//! Functions of our own beside the engine's.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, ScalarUDFImpl};

mod aggregates;
mod external_call;
mod field_of;
mod fraction;
mod library;
mod parse_text;
mod scalars;
mod similarity;

pub(crate) use external_call::{Asked, ExternalCall};
pub use library::{Function, functions, page};
pub(crate) use parse_text::{OnError, ParseText, TextFormat};

/// Makes them known to a session.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let scalar = |function: ScalarUDF| Arc::new(function);
    registry.register_udf(scalar(of(fraction::RowFraction::new())))?;
    registry.register_udf(scalar(of(scalars::ToJson::new())))?;
    registry.register_udf(scalar(of(field_of::FieldOf::new())))?;
    registry.register_udf(scalar(of(scalars::AssertNone::new())))?;
    registry.register_udf(scalar(scalars::normal_cdf()))?;
    registry.register_udf(scalar(similarity::soundex()))?;
    registry.register_udf(scalar(of(similarity::Similarity::new())))?;
    for function in
        [aggregates::skewness(), aggregates::kurtosis(), AggregateUDF::from(aggregates::Mode::new())]
    {
        registry.register_udaf(Arc::new(function))?;
    }
    Ok(())
}

fn of(function: impl ScalarUDFImpl + 'static) -> ScalarUDF {
    ScalarUDF::new_from_impl(function)
}
