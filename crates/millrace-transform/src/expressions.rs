//! Expressions that users write: what type they give, and where in them a mistake is.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::ExprSchemable as _;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr as Ast, Spanned as _, visit_expressions};

use crate::engine::failure::words;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Line and column from 1, and length in characters.
    pub(crate) place: Option<(u32, u32, u32)>,
    pub(crate) unknown_column: Option<String>,
}

/// The type of an expression over the columns of a schema.
pub(crate) fn type_of(context: &SessionContext, schema: &DFSchema, text: &str) -> Result<DataType, Mistake> {
    let state = context.state();
    typed(&state, schema, text).map_err(|error| mistake(&state, schema, text, &error))
}

fn typed(state: &SessionState, schema: &DFSchema, text: &str) -> datafusion::error::Result<DataType> {
    state.create_logical_expr(text, schema)?.get_type(schema)
}

fn mistake(state: &SessionState, schema: &DFSchema, text: &str, error: &DataFusionError) -> Mistake {
    let inner = innermost(state, schema, text);
    let (error, place) = match &inner {
        Some((error, place)) => (error, *place),
        None => (error, parser_place(&words(error))),
    };
    let message = words(error);
    let (message, hint) = shorter(&message);
    Mistake { message, hint, place, unknown_column: unknown_column(error) }
}

type Place = Option<(u32, u32, u32)>;

/// The smallest part of an expression that is wrong by itself, with what is wrong about it.
fn innermost(state: &SessionState, schema: &DFSchema, text: &str) -> Option<(DataFusionError, Place)> {
    let dialect = state.config().options().sql_parser.dialect;
    let whole = state.sql_to_expr(text, &dialect).ok()?;
    let mut found: Option<(DataFusionError, Ast)> = None;
    let _ = visit_expressions(&whole, |part| {
        // Parts come after what they are part of; once a wrong one is left, what follows stands beside it.
        let inside = found.as_ref().is_none_or(|(_, outer)| contains(outer, part));
        if inside && let Err(error) = typed(state, schema, &part.to_string()) {
            found = Some((error, part.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    found.map(|(error, part)| {
        let span = part.span();
        let number = |value: u64| u32::try_from(value).ok().filter(|value| *value > 0);
        let place = number(span.start.line).zip(number(span.start.column)).map(|(line, column)| {
            let same_line = span.end.line == span.start.line;
            let length = if same_line { span.end.column.saturating_sub(span.start.column) } else { 1 };
            (line, column, u32::try_from(length).unwrap_or(1).max(1))
        });
        (error, place)
    })
}

fn contains(outer: &Ast, part: &Ast) -> bool {
    let seen = visit_expressions(outer, |one| {
        if std::ptr::eq(one, part) || (one == part && one.span() == part.span()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    seen.is_break()
}

/// The parser says `… at Line: 1, Column: 8`.
fn parser_place(message: &str) -> Place {
    let (_, rest) = message.split_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?, 1))
}

/// The engine lists every way to call a function; one line says enough.
fn shorter(message: &str) -> (String, Option<String>) {
    let plain = message.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")"));
    let plain = plain.map_or(message, |text| text.split(" at Line:").next().unwrap_or(text));
    if let Some((_, rest)) = plain.split_once("given name and argument types '")
        && let Some((call, _)) = rest.split_once('\'')
    {
        let ways = plain.split_once("Candidate functions:").map(|(_, ways)| {
            let ways: Vec<&str> = ways.lines().map(str::trim).filter(|way| !way.is_empty()).take(3).collect();
            format!("it is called as {}", ways.join(" or "))
        });
        return (format!("there is no `{call}`"), ways);
    }
    if let Some(rest) = plain.strip_prefix("Invalid function '")
        && let Some((name, rest)) = rest.split_once('\'')
    {
        let near = rest.split_once("Did you mean '").and_then(|(_, near)| near.split_once('\''));
        let hint = near.map(|(near, _)| format!("did you mean `{near}`?"));
        return (format!("there is no function `{name}`"), hint);
    }
    (plain.lines().next().unwrap_or(plain).trim_end_matches('.').to_owned(), None)
}

fn unknown_column(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}
