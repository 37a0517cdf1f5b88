//! REST: lists of JSON objects, page by page.

use std::path::Path;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{BatchStream, RowAnswer, RowCall, RowCaller};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::json_path::JsonPath;
use super::settings::{Hidden, Kind, Settings};
use super::web::{
    Ask, Auth, Client, Delivery, Fetch, Pages, Parameters, Request, Server, address, check_delivery,
};
use super::{Asking, Found, Origin, Writing};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::format;

/// The kind of connection `rest`.
pub(super) const KIND: Kind = Kind::of::<RestConnection>(
    "copy: {from: \"shop:orders?status=open\", records: $.data, to: \"data:orders\"}\n",
);

/// Reads lists from web APIs that answer in JSON, and sends rows to them.
///
/// In connections.yaml: `shop: {rest: {url: "https://api.example/v2/", auth: {bearer: "${{ secrets.shop }}"}, pages: {next_link: $.next}}}`. Then
/// `shop:orders` is what `GET https://api.example/v2/orders` answers, all pages of it. What is asked for beside the path stands in the step's
/// `request`: `{params: {since: "${{ window.start }}"}, path: {id: 7}}`. `to: {path: "shop:orders/{id}", method: put}` with `write: append` sends rows there,
/// each in a request of its own; `rows: 100` and `body: {records: $rows}` say otherwise. Requests that fail for a reason that may pass (429, 5xx, a connection
/// that breaks) are sent again, when `Retry-After` says. No row reaches the sink before all pages are there.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestConnection {
    /// What the addresses of its resources begin with.
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
    /// How records are divided into pages; a step's `request` may say it of one resource.
    #[serde(default)]
    pages: Pages,
    /// Where the records are in an answer: `$.data`; a step's `records` may say it of one resource.
    #[serde(default)]
    records: Option<JsonPath>,
    /// Requests a second at most: 0.5 is one in two seconds.
    #[serde(default)]
    max_requests_per_s: Option<f64>,
    /// Whether what opens the API may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for RestConnection {
    const WORD: &'static str = "rest";
    const EXAMPLE: &'static str =
        "{url: \"https://api.example/v2/\", auth: {bearer: \"${{ secrets.api }}\"}}";
    const TAKES_ROWS: bool = true;

    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        self.rest().map(|rest| Box::new(rest) as Box<dyn Origin>)
    }
}

impl RestConnection {
    pub(super) fn rest(self) -> Result<Rest, String> {
        let Self { url, auth, headers, params, pages, records, max_requests_per_s, allow_http } = self;
        let client = Server { url, auth, headers, max_requests_per_s, allow_http }.client()?;
        Ok(Rest { client, params, pages, records })
    }
}

pub(super) struct Rest {
    client: Client,
    params: IndexMap<String, Value>,
    pages: Pages,
    records: Option<JsonPath>,
}

impl Rest {
    fn ask(&self, stream: &str, request: &Request) -> Result<Ask, CopyError> {
        if !request.variables.is_empty() {
            return Err(CopyError::config("`variables` are GraphQL's", "request: {params: {…}}"));
        }
        Ok(Ask {
            url: address(&self.client.root, stream, &self.params, request)?,
            method: None,
            accept: "application/json",
            headers: Vec::new(),
            body: request.body.clone(),
            parameters: if request.body.is_some() { Parameters::Body } else { Parameters::Address },
        })
    }

    fn records(&self, config: &CopyConfig) -> Result<Option<JsonPath>, CopyError> {
        records_of(config, self.records.as_ref())
    }
}

/// Where a step says that the records are, or else its connection.
pub(super) fn records_of(
    config: &CopyConfig,
    usual: Option<&JsonPath>,
) -> Result<Option<JsonPath>, CopyError> {
    let chosen = config.records.as_deref().map(str::parse).transpose();
    let chosen = chosen.map_err(|message: String| CopyError::config(message, "records: $.data"))?;
    let path = chosen.or_else(|| usual.cloned());
    if let Some(path) = &path {
        format::check_records(&path.to_string())?;
    }
    Ok(path)
}

/// What of a step says nothing to an API.
pub(super) fn check_web(config: &CopyConfig) -> Result<(), CopyError> {
    if config.format.is_some_and(|format| format != format::Format::Json) {
        return Err(CopyError::config(
            "an API's answers are JSON",
            "leave `format` out; for a file behind a login there is the connection `http`",
        ));
    }
    Ok(())
}

/// Records after which no more are asked for; a record may become no row, and does not count then.
pub(super) fn enough(config: &CopyConfig) -> Option<u64> {
    config.limit.filter(|_| config.keeps_every_row() && config.condition.is_none())
}

#[async_trait]
impl Origin for Rest {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_web(config)?;
        self.records(config)?;
        self.ask(stream, &config.request.clone().unwrap_or_default()).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let request = asking.config.request.clone().unwrap_or_default();
        let ask = self.ask(asking.stream, &request)?;
        let records = self.records(&asking.config)?;
        let pages = request.pages.as_ref().unwrap_or(&self.pages);
        let (client, records, enough) = (&self.client, records.as_ref(), enough(&asking.config));
        let fetch = Fetch { client, pages, records, enough, refusal: |_| None };
        fetch.rows(ask, asking).await
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let ask = Ask {
            url: rooted(&self.client.root, &self.params),
            method: Some(Method::GET),
            accept: "application/json, */*;q=0.5",
            headers: Vec::new(),
            body: None,
            parameters: Parameters::Address,
        };
        let status = self.client.greet(&ask).await.map_err(|message| asking.failed(message, true))?;
        // Many have nothing at their root.
        Ok((format!("`{}` answers, with status {status}", self.client.root), Vec::new()))
    }

    fn check_write(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_delivery(stream, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        Delivery { client: &self.client, params: &self.params, writing: &writing }.run(rows).await
    }
}

/// The root of an API with what each of its addresses has.
pub(super) fn rooted(root: &Url, params: &IndexMap<String, Value>) -> Url {
    let mut url = root.clone();
    if !params.is_empty() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        url.query_pairs_mut().extend_pairs(params.iter().map(|(name, value)| (name, text(value))));
    }
    url
}

#[async_trait]
impl RowCaller for Rest {
    async fn call(&self, call: &RowCall) -> Result<RowAnswer, String> {
        let texts = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
        };
        let request =
            Request { params: texts(&call.params), path: texts(&call.values), ..Request::default() };
        let url = address(&self.client.root, &call.path, &self.params, &request);
        let body = call.body.as_deref().map(serde_json::from_str).transpose();
        let ask = Ask {
            url: url.map_err(|error| error.to_string())?,
            method: Some(
                Method::from_bytes(call.method.word().as_bytes()).map_err(|error| error.to_string())?,
            ),
            accept: "application/json, */*;q=0.5",
            headers: Vec::new(),
            body: body.map_err(|error| format!("the body is not JSON: {error}"))?,
            parameters: Parameters::Address,
        };
        let (status, body) = self.client.call(&ask).await?;
        Ok(RowAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
