//! Some rows and columns of one table. The condition is parsed as one expression over its columns: it cannot become another statement.

use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{ExprSchemable as _, ident};
use millrace_contract::{QueryError, Selection, TableRef};

use super::failure::plan_error;
use super::{DataFusionEngine, source};

/// Without what the engine calls a table that has no name, and the wrapping of its parser's words.
pub(super) fn told(error: QueryError) -> QueryError {
    let QueryError::Plan { message, position } = error else { return error };
    let message = message.replace("\"?table?\".", "");
    let plain = message.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")"));
    let plain = plain.map(|text| text.split(" at Line:").next().unwrap_or(text).to_owned());
    QueryError::Plan { message: plain.unwrap_or(message), position }
}

/// The wanted rows and columns of a table.
pub(super) async fn frame(
    engine: &DataFusionEngine,
    table: &TableRef,
    selection: &Selection,
) -> Result<DataFrame, QueryError> {
    let mut frame = source::frame(engine, table, None, None).await?;
    if let Some(filter) = selection.filter.as_deref().filter(|text| !text.trim().is_empty()) {
        let condition = frame.parse_sql_expr(filter).map_err(|error| told(plan_error(error)))?;
        let kind = condition.get_type(frame.schema()).map_err(plan_error)?;
        if !matches!(kind, arrow::datatypes::DataType::Boolean | arrow::datatypes::DataType::Null) {
            let message = format!("the condition gives {kind}, not true or false; compare it with something");
            return Err(QueryError::Plan { message, position: Some((1, 1)) });
        }
        frame = frame.filter(condition).map_err(plan_error)?;
    }
    if let Some(columns) = &selection.columns {
        let known: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        for column in columns {
            if !known.contains(column) {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let near = millrace_spec::suggest::nearest(column, &names);
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("there is no column `{column}`{hint}");
                return Err(QueryError::Plan { message, position: None });
            }
        }
        frame = frame.select(columns.iter().map(ident).collect::<Vec<_>>()).map_err(plan_error)?;
    }
    match selection.limit {
        Some(limit) => frame.limit(0, Some(limit)).map_err(plan_error),
        None => Ok(frame),
    }
}
