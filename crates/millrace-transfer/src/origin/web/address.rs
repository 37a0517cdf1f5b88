//! Addresses of what is asked for, their values bound.

use indexmap::IndexMap;
use serde_json::Value;
use url::Url;

use super::{Request, as_text};
use crate::error::CopyError;

/// The address of `stream`, a path with `{name}` for values and perhaps a query, below `root`. `always`: parameters of every request.
pub(crate) fn address(
    root: &Url,
    stream: &str,
    always: &IndexMap<String, Value>,
    request: &Request,
) -> Result<Url, CopyError> {
    let mut url = root.clone();
    let (path, query) = stream.split_once('?').unwrap_or((stream, ""));
    let refused = |message: String| CopyError::config(message, "api:customers/{id}/orders?status=open");
    let mut unused: Vec<&str> = request.path.keys().map(String::as_str).collect();
    let parts = path.trim_matches('/').split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| filled(part, &request.path, &mut unused));
    let parts = parts.collect::<Result<Vec<_>, _>>().map_err(refused)?;
    if parts.iter().any(|part| matches!(part.as_str(), "." | "..")) {
        return Err(refused(format!("`{stream}` leads out of the API")));
    }
    if let Some(name) = unused.first() {
        return Err(refused(format!("`{{{name}}}` is not in `{stream}`, but has a value in `request`")));
    }
    let not_below = || refused(format!("`{root}` has no paths below it"));
    url.path_segments_mut().map_err(|()| not_below())?.pop_if_empty().extend(&parts);
    let written: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let chosen = |name: &str| request.params.contains_key(name);
    let named = |name: &str| chosen(name) || written.iter().any(|(known, _)| known == name);
    for (name, value) in always.iter().filter(|(name, _)| !named(name)) {
        append(&mut url, name, value)?;
    }
    for (name, value) in written.iter().filter(|(name, _)| !chosen(name)) {
        url.query_pairs_mut().append_pair(name, value);
    }
    for (name, value) in &request.params {
        append(&mut url, name, value)?;
    }
    Ok(url)
}

/// Gives a parameter this value alone.
pub(super) fn set(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
}

fn append(url: &mut Url, name: &str, value: &Value) -> Result<(), CopyError> {
    let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    for value in values.iter().filter(|value| !value.is_null()) {
        let text = as_text(value).ok_or_else(|| {
            CopyError::config(
                format!("the parameter `{name}` is a structure"),
                "request: {params: {name: a text, a number, or a list of them}}",
            )
        })?;
        url.query_pairs_mut().append_pair(name, &text);
    }
    Ok(())
}

/// A part of a path with its values in their places.
fn filled<'a>(
    part: &str,
    values: &'a IndexMap<String, Value>,
    unused: &mut Vec<&'a str>,
) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), part);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("`{part}` has no `}}` after `{{`"))?;
        let value = values.get(name).ok_or_else(|| {
            format!("`{{{name}}}` has no value; write it as `request: {{path: {{{name}: …}}}}`")
        })?;
        let text = as_text(value).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| format!("the value of `{{{name}}}` is neither text nor a number"))?;
        unused.retain(|unused| *unused != name);
        filled.push_str(before);
        filled.push_str(&text);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(stream: &str, request: Value, expected: Result<&str, &str>) {
        let root = Url::parse("https://api.example/v2/").unwrap();
        let always: IndexMap<String, Value> = [("lang".to_owned(), json!("de"))].into_iter().collect();
        let request: Request = serde_json::from_value(request).unwrap();
        let found = address(&root, stream, &always, &request).map_err(|error| error.to_string());
        assert_eq!(found.as_ref().map(Url::as_str).map_err(String::as_str), expected, "{stream}");
    }

    #[test]
    fn values_stay_values() {
        check("orders", json!({}), Ok("https://api.example/v2/orders?lang=de"));
        check("/orders/?a=1&a=2", json!({}), Ok("https://api.example/v2/orders?lang=de&a=1&a=2"));
        check(
            "orders?status=open",
            json!({"params": {"status": "a&b=c", "ids": [1, "2"], "lang": null}}),
            Ok("https://api.example/v2/orders?status=a%26b%3Dc&ids=1&ids=2"),
        );
        check(
            "customers/{id}/o",
            json!({"path": {"id": "a/../b?c"}}),
            Ok("https://api.example/v2/customers/a%2F..%2Fb%3Fc/o?lang=de"),
        );
        check("customers/{id}", json!({"path": {"id": ".."}}), Err("`customers/{id}` leads out of the API"));
        check(
            "customers/{id}",
            json!({}),
            Err("`{id}` has no value; write it as `request: {path: {id: …}}`"),
        );
        check("a", json!({"path": {"id": 1}}), Err("`{id}` is not in `a`, but has a value in `request`"));
        check("a", json!({"params": {"b": {}}}), Err("the parameter `b` is a structure"));
    }
}
