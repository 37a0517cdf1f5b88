//! Aggregates and functions over windows.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};

use super::expression::Scope;
use super::types::{is_decimal, literal, word};
use super::{Translated, Untranslated};

/// Aggregate, how many arguments it has, and what it is over there.
const SAME: &[(&str, usize, &str)] = &[
    ("count", 1, "count"),
    ("sum", 1, "sum"),
    ("avg", 1, "avg"),
    ("min", 1, "min"),
    ("max", 1, "max"),
    ("stddev", 1, "stddev_samp"),
    ("stddev_pop", 1, "stddev_pop"),
    ("var", 1, "var_samp"),
    ("var_samp", 1, "var_samp"),
    ("var_pop", 1, "var_pop"),
    ("corr", 2, "corr"),
    ("covar_pop", 2, "covar_pop"),
    ("covar_samp", 2, "covar_samp"),
    ("regr_slope", 2, "regr_slope"),
    ("regr_intercept", 2, "regr_intercept"),
    ("bool_and", 1, "bool_and"),
    ("bool_or", 1, "bool_or"),
];

/// Windows' own functions whose frame is not asked for.
const RANKS: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];

/// A call of an aggregate, as it stands in a group.
pub(super) fn call(
    scope: &Scope<'_>,
    name: &str,
    params: &AggregateFunctionParams,
    kind: &DataType,
) -> Translated {
    if params.null_treatment.is_some() {
        return Err(Untranslated::new(format!("`{name}` that ignores nulls is not translated")));
    }
    let arguments = scope.expressions(&params.args)?;
    let first = params.args.first().map_or(Ok(DataType::Null), |argument| scope.type_of(argument))?;
    let distinct = if params.distinct { "distinct " } else { "" };
    let plain = match (name, arguments.as_slice()) {
        ("avg" | "median", [_]) if is_decimal(&first) => {
            return Err(Untranslated::new(format!("`{name}` of decimals is rounded in another way"))
                .hinted("cast the value to double"));
        }
        ("median", [value]) if first.is_floating() => format!("median({distinct}{value})"),
        ("median", _) => {
            return Err(Untranslated::new("`median` of whole numbers is cut off here and not there")
                .hinted("cast the value to double"));
        }
        ("percentile_cont", [value, share]) if first.is_floating() && !params.distinct => {
            let descending = params.order_by.first().is_some_and(|order| !order.asc);
            format!(
                "percentile_cont({share}) within group (order by {value}{})",
                if descending { " desc" } else { "" }
            )
        }
        // Of values that are all the same: not a number here, null there.
        ("skewness" | "kurtosis", [value]) if params.filter.is_none() && !params.distinct => {
            format!("(case when var_pop({value}) = 0 then cast('NaN' as double) else {name}({value}) end)")
        }
        ("mode", [value]) => format!("mode() within group (order by {value})"),
        _ if !params.order_by.is_empty() => {
            return Err(Untranslated::new(format!("`{name}` with an order is not translated")));
        }
        ("sum", [value]) if is_decimal(&first) => format!("cast(sum({distinct}{value}) as {})", word(kind)?),
        _ => {
            let fits = |(known, count, _): &&(&str, usize, &str)| *known == name && *count == arguments.len();
            let Some((_, _, there)) = SAME.iter().find(fits) else {
                let message =
                    format!("the aggregate `{name}` has no equal in Spark that is known to give the same");
                return Err(Untranslated::new(message));
            };
            format!("{there}({distinct}{})", arguments.join(", "))
        }
    };
    match &params.filter {
        Some(condition) => Ok(format!("{plain} filter (where {})", scope.expression(condition)?)),
        None => Ok(plain),
    }
}

/// A call over a window.
pub(super) fn window(
    scope: &Scope<'_>,
    function: &WindowFunctionDefinition,
    params: &WindowFunctionParams,
    kind: &DataType,
) -> Translated {
    let name = function.name();
    if params.null_treatment.is_some() || params.distinct {
        return Err(Untranslated::new(format!("`{name}` over a window with `distinct` or without nulls")));
    }
    if matches!(name, "skewness" | "kurtosis" | "median" | "mode" | "percentile_cont") {
        return Err(Untranslated::new(format!("`{name}` over a window is not translated")));
    }
    let is_rank = RANKS.contains(&name);
    let called = match function {
        WindowFunctionDefinition::AggregateUDF(_) => {
            let params = AggregateFunctionParams {
                args: params.args.clone(),
                distinct: false,
                filter: params.filter.clone(),
                order_by: Vec::new(),
                null_treatment: None,
            };
            call(scope, name, &params, kind)?
        }
        WindowFunctionDefinition::WindowUDF(_) => {
            let mut arguments = scope.expressions(&params.args)?;
            // Their numbers of rows are ints over there.
            for (at, argument) in params.args.iter().enumerate() {
                if let (true, datafusion::logical_expr::Expr::Literal(ScalarValue::Int64(Some(number)), _)) =
                    (at == 1 || name == "ntile", argument)
                {
                    arguments[at] = number.to_string();
                }
            }
            match name {
                _ if is_rank => format!("{name}({})", arguments.join(", ")),
                "first_value" | "last_value" | "nth_value" => format!("{name}({})", arguments.join(", ")),
                other => {
                    return Err(Untranslated::new(format!(
                        "the window function `{other}` is not translated"
                    )));
                }
            }
        }
    };
    if params.order_by.is_empty() && is_rank {
        return Err(Untranslated::new(format!("`{name}` without an order gives other rows each time"))
            .hinted("add `order`"));
    }
    let mut over = Vec::new();
    if !params.partition_by.is_empty() {
        over.push(format!("partition by {}", scope.expressions(&params.partition_by)?.join(", ")));
    }
    if !params.order_by.is_empty() {
        over.push(format!("order by {}", scope.order(&params.order_by)?.join(", ")));
    }
    if !is_rank {
        over.push(frame(params)?);
    }
    let sql = format!("{called} over ({})", over.join(" "));
    // Ranks are ints over there.
    Ok(if kind.is_integer() { format!("cast({sql} as {})", word(kind)?) } else { sql })
}

fn frame(params: &WindowFunctionParams) -> Translated {
    let frame = &params.window_frame;
    if params.order_by.is_empty() {
        // All rows are peers.
        return Ok("rows between unbounded preceding and unbounded following".to_owned());
    }
    let units = match frame.units {
        WindowFrameUnits::Rows => "rows",
        WindowFrameUnits::Range => "range",
        WindowFrameUnits::Groups => {
            return Err(
                Untranslated::new("a frame of groups is not translated").hinted("use `rows` or `range`")
            );
        }
    };
    Ok(format!("{units} between {} and {}", bound(&frame.start_bound)?, bound(&frame.end_bound)?))
}

fn bound(bound: &WindowFrameBound) -> Translated {
    Ok(match bound {
        WindowFrameBound::Preceding(value) if value.is_null() => "unbounded preceding".to_owned(),
        WindowFrameBound::Following(value) if value.is_null() => "unbounded following".to_owned(),
        WindowFrameBound::CurrentRow => "current row".to_owned(),
        WindowFrameBound::Preceding(value) => format!("{} preceding", rows(value)?),
        WindowFrameBound::Following(value) => format!("{} following", rows(value)?),
    })
}

fn rows(value: &ScalarValue) -> Translated {
    match value {
        ScalarValue::UInt64(Some(rows)) => Ok(rows.to_string()),
        ScalarValue::Int64(Some(rows)) => Ok(rows.to_string()),
        other => literal(other),
    }
}
