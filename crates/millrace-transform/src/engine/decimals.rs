//! Whole numbers beside decimals: `1 - discount` is a number without digits behind the point less one with two. Sum and difference of decimals
//! of different scales multiply both sides in every row, each time with a look whether the product still fits; of one scale they do not. So a
//! number that is written in a query gets the other side's digits once. The result's type stays what it was.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Writes numbers in sums and differences with the digits of the column beside them.
#[derive(Debug)]
pub(crate) struct OneScale;

impl OptimizerRule for OneScale {
    fn name(&self) -> &str {
        "one_scale"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let inputs = plan.inputs();
        if inputs.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&inputs);
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let changed = expression.transform_up(|part| Ok(of_one_scale(part, &schema)))?;
            Ok(if changed.transformed { changed.update_data(|part| name.restore(part)) } else { changed })
        })
    }
}

fn of_one_scale(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) =
        expression
    else {
        return Transformed::no(expression);
    };
    let with = |number: &Expr, other: &Expr| match other.get_type(schema) {
        Ok(DataType::Decimal128(_, scale)) => with_scale(number, scale),
        _ => None,
    };
    if let Some(number) = with(&left, &right) {
        return Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: Box::new(number), op, right }));
    }
    match with(&right, &left) {
        Some(number) => Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right: Box::new(number) })),
        None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    }
}

/// The same number with more digits behind the point, and as many before it; `None` if it is none, has as many, or has no room for them.
fn with_scale(number: &Expr, scale: i8) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Decimal128(Some(value), precision, has), metadata) = number else {
        return None;
    };
    let more = u8::try_from(scale.checked_sub(*has)?).ok().filter(|more| *more > 0)?;
    let precision = precision.checked_add(more).filter(|precision| *precision <= DECIMAL128_MAX_PRECISION)?;
    let value = value.checked_mul(10_i128.checked_pow(u32::from(more))?)?;
    Some(Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), metadata.clone()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
    use arrow::datatypes::DataType;
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;

    use super::*;

    async fn answer(
        context: &SessionContext,
        sql: &str,
    ) -> (String, std::result::Result<Vec<RecordBatch>, ()>) {
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.clone().into_optimized_plan().unwrap().to_string();
        (plan, frame.collect().await.map_err(drop))
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_came_out_without(
            values in prop::collection::vec(prop::option::of(any::<i128>()), 1..20),
            precision in 1_u8..=38,
            scale in 0_i8..=38,
            number in prop_oneof!["[0-9]{1,20}", "[0-9]{1,6}[.][0-9]{1,6}"],
            shape in 0..4_usize,
        ) {
            prop_assume!(scale <= i8::try_from(precision).unwrap());
            let most = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
            let values: Vec<Option<i128>> = values.into_iter().map(|value| value.map(|value| value % most)).collect();
            let column = Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap();
            let batch = RecordBatch::try_from_iter([("a", Arc::new(column) as ArrayRef)]).unwrap();
            let expression =
                [format!("{number} - a"), format!("a - {number}"), format!("{number} + a"), format!("a * ({number} + a)")];
            let sql = format!("select {} from t", expression[shape]);
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let (plain, ours) = (SessionContext::new(), SessionContext::new());
                ours.add_optimizer_rule(Arc::new(OneScale));
                for context in [&plain, &ours] {
                    context.register_batch("t", batch.clone()).unwrap();
                }
                if plain.sql(&sql).await.is_err() {
                    return; // The product has no type.
                }
                let (expected, got) = (answer(&plain, &sql).await.1, answer(&ours, &sql).await.1);
                assert_eq!(expected, got, "{sql}");
            });
        }
    }

    #[tokio::test]
    async fn numbers_get_the_digits_of_the_column_beside_them() {
        let context = SessionContext::new();
        context.add_optimizer_rule(Arc::new(OneScale));
        let column = Decimal128Array::from(vec![5]).with_precision_and_scale(15, 2).unwrap();
        let batch = RecordBatch::try_from_iter([("a", Arc::new(column) as ArrayRef)]).unwrap();
        context.register_batch("t", batch).unwrap();
        let (plan, rows) = answer(&context, "select a * (1 - a) as x, sum(1 + a) over () as y from t").await;
        assert!(plan.contains("Decimal128(1.00,22,2) - t.a"), "{plan}");
        let rows = rows.unwrap();
        let types: Vec<&DataType> =
            rows[0].schema_ref().fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Decimal128(38, 4), &DataType::Decimal128(33, 2)]);
    }
}
