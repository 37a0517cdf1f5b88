//! Parts of a table that need not be read, since no row of theirs can fulfil a condition.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::prelude::SessionContext;
use millrace_contract::{PartFacts, QueryError};
use serde_json::Value;

use super::expressions::planned;
use super::failure::plan_error;

/// Whether each part may have a row that the condition holds for.
pub(super) fn may_hold(
    context: &SessionContext,
    condition: &str,
    params: &[Value],
    parts: &PartFacts,
) -> Result<Vec<bool>, QueryError> {
    let condition = planned(context, &parts.schema, condition, params)?;
    let pruning = PruningPredicateBuilder::new().with_file_schema(parts.schema.clone());
    let pruning = pruning.try_build(condition).map_err(plan_error)?;
    pruning.prune(&Statistics(parts)).map_err(plan_error)
}

struct Statistics<'a>(&'a PartFacts);

impl Statistics<'_> {
    fn of<'b>(&'b self, column: &Column, values: &'b [ArrayRef]) -> Option<ArrayRef> {
        values.get(self.0.schema.index_of(&column.name).ok()?).cloned()
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, &self.0.least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, &self.0.greatest)
    }

    fn num_containers(&self) -> usize {
        self.0.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.0.nulls.get(self.0.schema.index_of(&column.name).ok()?)?;
        Some(Arc::new(counts.clone()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.0.rows.clone()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray, UInt64Array};
    use arrow::datatypes::{DataType, Field, Schema};

    /// Three parts: 1 to 9, 10 to 19, and one of which nothing is known but that `name` is null everywhere.
    fn check(condition: &str, params: &[Value], expected: [bool; 3]) {
        let (number, text) =
            (Field::new("n", DataType::Int64, true), Field::new("name", DataType::Utf8, true));
        let numbers = |values: [Option<i64>; 3]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
        let texts = |values: [Option<&str>; 3]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let parts = PartFacts {
            schema: Arc::new(Schema::new(vec![number, text])),
            least: vec![numbers([Some(1), Some(10), None]), texts([Some("a"), Some("m"), None])],
            greatest: vec![numbers([Some(9), Some(19), None]), texts([Some("l"), Some("z"), None])],
            nulls: vec![
                UInt64Array::from(vec![Some(0), Some(1), None]),
                UInt64Array::from(vec![Some(0), None, Some(5)]),
            ],
            rows: UInt64Array::from(vec![5, 5, 5]),
        };
        let found = may_hold(&SessionContext::new(), condition, params, &parts).unwrap();
        assert_eq!(found, expected, "{condition}");
    }

    #[test]
    fn parts_that_a_condition_leaves_out() {
        check("n > 9", &[], [false, true, true]);
        check("n > 9 and name < 'm'", &[], [false, false, false]);
        check("n = 5 or n = 15", &[], [true, true, true]);
        check("n in ($1, 30)", &[25.into()], [false, false, true]);
        check("name is null", &[], [false, true, true]);
        check("n is not null and name = 'b'", &[], [true, false, false]);
        check("n % 2 = 0", &[], [true, true, true]);
    }
}
