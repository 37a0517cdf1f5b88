//! What searches of runs, experiments and logged models have alike: view, order, page tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_metastore::experiments::{Clause, Cursor, Key, Order, Query, View};
use millrace_tracking::search::{Target, parse_filter, parse_order};
use serde_json::{Value, json};

use super::error::MlflowError;
use super::wire::Fields;

/// Most results that a client may ask for.
const MOST: i64 = 50_000;

/// Reads filter, order, view, page token and limit of a request.
pub(super) fn query(fields: &Fields, target: Target, default_limit: i64) -> Result<Query, MlflowError> {
    let clauses: Vec<Clause> = parse_filter(target, &fields.text("filter")?.unwrap_or_default())?;
    Ok(Query {
        experiments: Vec::new(),
        clauses,
        order: Vec::new(),
        view: View::Active,
        after: cursor(fields)?,
        limit: limit(fields, default_limit)?,
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

/// Experiments that are searched; what is no number is no experiment.
pub(super) fn experiments(fields: &Fields) -> Result<Vec<i64>, MlflowError> {
    Ok(fields.texts("experiment_ids")?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Where the page before ended.
pub(super) fn cursor(fields: &Fields) -> Result<Option<Cursor>, MlflowError> {
    match fields.text("page_token")?.filter(|token| !token.is_empty()) {
        None => Ok(None),
        Some(token) => decode(&token)
            .map(Some)
            .ok_or_else(|| MlflowError::invalid("Invalid page token, decoding failed")),
    }
}

/// A page token that only this server reads.
pub(super) fn encode(cursor: &Cursor) -> String {
    let key = |key: &Key| match key {
        Key::Int(number) => json!({"i": number}),
        // Bits, so that the number comes back as it was.
        Key::Real(number) => json!({"r": number.to_bits()}),
        Key::Text(text) => json!({"t": text}),
    };
    URL_SAFE_NO_PAD.encode(Value::Array(cursor.iter().map(key).collect()).to_string())
}

fn decode(token: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let Value::Array(keys) = serde_json::from_slice(&bytes).ok()? else { return None };
    let key = |key: &Value| {
        if let Some(number) = key.get("i") {
            return Some(Key::Int(number.as_i64()?));
        }
        if let Some(bits) = key.get("r") {
            return Some(Key::Real(f64::from_bits(bits.as_u64()?)));
        }
        Some(Key::Text(key.get("t")?.as_str()?.to_owned())).filter(|key| match key {
            Key::Text(text) => !text.contains('\0'),
            _ => true,
        })
    };
    keys.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_come_back_as_they_were() {
        let cursor = vec![Key::Int(-3), Key::Real(0.1 + 0.2), Key::Text("ü".to_owned())];
        assert_eq!(decode(&encode(&cursor)), Some(cursor));
        for garbage in ["", "x", "e30", "W10x", "W3siaSI6ImEifV0"] {
            assert!(decode(garbage).is_none(), "{garbage}");
        }
    }
}
