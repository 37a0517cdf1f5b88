//! OData: REST with a query language. <https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html>

use std::path::Path;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::json_path::JsonPath;
use super::rest::{check_web, rooted};
use super::settings::{Hidden, Kind, Settings};
use super::web::{Ask, Auth, Client, Fetch, Pages, Parameters, Request, Server, address};
use super::{Asking, Found, Origin};
use crate::config::{Condition, CopyConfig};
use crate::error::CopyError;
use crate::store::is_glob;

/// The kind of connection `odata`.
pub(super) const KIND: Kind = Kind::of::<OdataConnection>(
    "copy: {from: \"erp:Orders\", select: [Id, Amount], where: \"Amount gt 100\", to: \"data:orders\"}\n",
);

/// Reads entity sets of OData services, version 4.
///
/// In connections.yaml: `erp: {odata: {url: "https://erp.example/odata/v4/", auth: {basic: {user: us, password: "${{ secrets.erp }}"}}}}`. Then
/// `erp:Orders` is the set `Orders`. The step's `select`, `where` and `limit` are sent as `$select`, `$filter` and `$top`; values of expressions in
/// `where` are bound. Other options stand in `request: {params: {"$expand": "Customer"}}`. Pages follow `@odata.nextLink`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OdataConnection {
    /// Root of the service.
    url: Url,
    /// What opens it; nothing if absent.
    #[serde(default)]
    auth: Auth,
    /// Further headers of each request. Their values are kept out of messages.
    #[serde(default)]
    headers: IndexMap<String, Hidden>,
    /// Parameters of each address.
    #[serde(default)]
    params: IndexMap<String, Value>,
    /// Records of a page that the service is asked for.
    #[serde(default)]
    page_size: Option<std::num::NonZeroU32>,
    /// Requests a second at most: 0.5 is one in two seconds.
    #[serde(default)]
    max_requests_per_s: Option<f64>,
    /// Whether what opens the service may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for OdataConnection {
    const WORD: &'static str = "odata";
    const TAKES_CONDITIONS: bool = true;
    const EXAMPLE: &'static str =
        "{url: \"https://erp.example/odata/v4/\", auth: {bearer: \"${{ secrets.erp }}\"}}";

    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        let Self { url, auth, headers, params, page_size, max_requests_per_s, allow_http } = self;
        let client = Server { url, auth, headers, max_requests_per_s, allow_http }.client()?;
        let pages = Pages::NextLink("$['@odata.nextLink']".parse()?);
        Ok(Box::new(Odata { client, params, page_size, pages, records: "$.value".parse()? }))
    }
}

struct Odata {
    client: Client,
    params: IndexMap<String, Value>,
    page_size: Option<std::num::NonZeroU32>,
    pages: Pages,
    records: JsonPath,
}

impl Odata {
    fn ask(&self, stream: &str, config: &CopyConfig) -> Result<Ask, CopyError> {
        let mut request = config.request.clone().unwrap_or_default();
        if request.body.is_some() || !request.variables.is_empty() || request.pages.is_some() {
            return Err(CopyError::config(
                "of `request` OData takes `params`, `path` and `max_pages`",
                "request: {params: {\"$orderby\": Id}}",
            ));
        }
        add_options(&mut request, config)?;
        let mut url = address(&self.client.root, stream, &self.params, &request)?;
        // `$` may stand in a query as it is, and some services do not know it otherwise.
        let query = url.query().map(|query| query.replace("%24", "$"));
        url.set_query(query.as_deref());
        let size = self.page_size.map(|size| ("prefer", format!("odata.maxpagesize={size}")));
        let headers = [("odata-maxversion", "4.0".to_owned())].into_iter().chain(size).collect();
        let accept = "application/json;odata.metadata=none";
        Ok(Ask { url, method: None, accept, headers, body: None, parameters: Parameters::Address })
    }
}

/// What the step says in its own words, in those of OData. An option that the user wrote stays.
fn add_options(request: &mut Request, config: &CopyConfig) -> Result<(), CopyError> {
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            request.params.entry(name.to_owned()).or_insert(value);
        }
    };
    // What the step goes on to do with other columns has to be there.
    let untouched = config.mapping.is_empty()
        && config.incremental.is_none()
        && config.unnest.is_empty()
        && config.add.is_empty()
        && !config.select.iter().any(|name| is_glob(name) || name.contains('.'));
    let chosen = (untouched && !config.select.is_empty()).then(|| config.select.join(","));
    add("$select", chosen.map(Value::from));
    add("$filter", config.condition.as_ref().map(filter).transpose()?.map(Value::from));
    add("$top", config.limit.filter(|_| config.keeps_every_row()).map(|limit| json!(limit)));
    Ok(())
}

/// A condition with its values as literals, which end where they are to end.
fn filter(condition: &Condition) -> Result<String, CopyError> {
    let (text, values) = match condition {
        Condition::Text(text) => return Ok(text.clone()),
        Condition::Bound { text, params } => (text, params),
    };
    let (mut filter, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        filter.push_str(before);
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, after) = after.split_at(digits);
        match number.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(value) => filter.push_str(&literal(value)?),
            None => {
                filter.push('$');
                filter.push_str(number);
            }
        }
        rest = after;
    }
    filter.push_str(rest);
    Ok(filter)
}

fn literal(value: &Value) -> Result<String, CopyError> {
    match value {
        Value::Null => Ok("null".to_owned()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::String(text) if is_moment(text) => Ok(text.clone()),
        Value::String(text) => Ok(format!("'{}'", text.replace('\'', "''"))),
        Value::Array(_) | Value::Object(_) => Err(CopyError::config(
            "a value in `where` is a structure",
            "compare with a text, a number or a date",
        )),
    }
}

/// Days and instants stand without quotes in OData.
fn is_moment(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

#[async_trait]
impl Origin for Odata {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_web(config)?;
        if config.records.is_some() {
            return Err(CopyError::config("OData says itself where its records are", "leave `records` out"));
        }
        self.ask(stream, config).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let ask = self.ask(asking.stream, &asking.config)?;
        let records = Some(&self.records);
        let enough = asking.config.limit.filter(|_| asking.config.keeps_every_row());
        let fetch = Fetch { client: &self.client, pages: &self.pages, records, enough, refusal: |_| None };
        fetch.rows(ask, asking).await
    }

    /// The root of a service lists what it has (OData 4.01, JSON Format, 5).
    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let ask = Ask {
            url: rooted(&self.client.root, &self.params),
            method: None,
            accept: "application/json",
            headers: vec![("odata-maxversion", "4.0".to_owned())],
            body: None,
            parameters: Parameters::Address,
        };
        let answer = self.client.ask_once(&ask).await.map_err(|message| asking.failed(message, true))?;
        let listed = answer.document.get("value").and_then(Value::as_array);
        let listed = listed
            .ok_or_else(|| asking.failed("its root is no service of OData: it lists nothing", false))?;
        let name = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok((format!("`{}` answers", self.client.root), listed.iter().filter_map(name).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literals() {
        let check = |text: &str, params: Value, expected: &str| {
            let params = params.as_array().unwrap().clone();
            let condition = Condition::Bound { text: text.to_owned(), params };
            assert_eq!(filter(&condition).unwrap(), expected);
        };
        check("Name eq $1", json!(["O'Neil' or 1 eq 1"]), "Name eq 'O''Neil'' or 1 eq 1'");
        check("A gt $1 and B eq $2", json!([1.5, null]), "A gt 1.5 and B eq null");
        check("At ge $1", json!(["2026-03-01T00:00:00Z"]), "At ge 2026-03-01T00:00:00Z");
        check("Day lt $1 and $it/X eq 1", json!(["2026-03-01"]), "Day lt 2026-03-01 and $it/X eq 1");
        check("A eq $12", json!([1]), "A eq $12");
    }
}
