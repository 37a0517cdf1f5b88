//! Page tokens: where a page of a search ended, as clients carry it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_metastore::experiments::{Cursor, Key};
use serde_json::{Value, json};

/// A page token that only this server reads.
pub(crate) fn encode(cursor: &Cursor) -> String {
    let key = |key: &Key| match key {
        Key::Int(number) => json!({"i": number}),
        // Bits, so that the number comes back as it was.
        Key::Real(number) => json!({"r": number.to_bits()}),
        Key::Text(text) => json!({"t": text}),
    };
    URL_SAFE_NO_PAD.encode(Value::Array(cursor.iter().map(key).collect()).to_string())
}

/// The cursor of a token; `None` if it is none.
pub(crate) fn decode(token: &str) -> Option<Cursor> {
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
