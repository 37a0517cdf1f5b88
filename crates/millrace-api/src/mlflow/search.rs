//! What searches of runs, experiments and logged models have alike: view, order, page.

use millrace_metastore::experiments::{Cursor, Order, Query, View};
use millrace_tracking::search::{Target, parse_filter, parse_order};

use super::error::MlflowError;
use super::wire::Fields;
use crate::page_token;

/// Most results that a client may ask for.
const MOST: i64 = 50_000;

/// Reads filter, order, view, page token and limit of a request.
pub(super) fn query(fields: &Fields, target: Target, default_limit: i64) -> Result<Query, MlflowError> {
    Ok(Query {
        filter: parse_filter(target, &fields.text("filter")?.unwrap_or_default())?,
        after: cursor(fields)?,
        limit: limit(fields, default_limit)?,
        ..Query::default()
    })
}

/// How many results are wanted.
pub(super) fn limit(fields: &Fields, default: i64) -> Result<i64, MlflowError> {
    let limit = fields.int("max_results")?.unwrap_or(default);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    Err(MlflowError::invalid(format!(
        "Invalid value {limit} for parameter 'max_results' supplied: it must be between 1 and {MOST}"
    )))
}

/// Orders that are written as texts.
pub(super) fn orders(fields: &Fields, target: Target) -> Result<Vec<Order>, MlflowError> {
    let mut orders: Vec<Order> = Vec::new();
    for text in fields.texts("order_by")? {
        let order = parse_order(target, &text)?;
        if orders.iter().any(|other| other.field == order.field) {
            return Err(MlflowError::invalid(format!("`order_by` contains duplicate fields: {text}")));
        }
        orders.push(order);
    }
    Ok(orders)
}

/// Deleted or not.
pub(super) fn view(fields: &Fields, name: &str) -> Result<View, MlflowError> {
    match fields.text(name)?.unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "ACTIVE_ONLY" | "1" => Ok(View::Active),
        "DELETED_ONLY" | "2" => Ok(View::Deleted),
        "ALL" | "3" => Ok(View::All),
        other => {
            Err(MlflowError::invalid(format!("Invalid value \"{other}\" for parameter '{name}' supplied")))
        }
    }
}

/// The experiments that are named; what is no number is no experiment.
pub(super) fn experiments(fields: &Fields) -> Result<Vec<i64>, MlflowError> {
    Ok(fields.texts("experiment_ids")?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Reads which experiments are searched; beyond MLflow, `*` is all of them.
pub(super) fn scope(fields: &Fields, query: &mut Query) -> Result<(), MlflowError> {
    query.everywhere = fields.texts("experiment_ids")?.iter().any(|id| id == "*");
    query.experiments = experiments(fields)?;
    Ok(())
}

pub(super) fn cursor(fields: &Fields) -> Result<Option<Cursor>, MlflowError> {
    match fields.text("page_token")?.filter(|token| !token.is_empty()) {
        None => Ok(None),
        Some(token) => page_token::decode(&token)
            .map(Some)
            .ok_or_else(|| MlflowError::invalid("Invalid page token, decoding failed")),
    }
}
