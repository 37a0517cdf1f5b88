//! GraphQL: a query of the workspace, sent until there are no more pages. <https://spec.graphql.org/>

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::json_path::JsonPath;
use super::rest::{check_web, enough, records_of};
use super::settings::{Hidden, Kind, Settings};
use super::web::{Ask, Auth, Client, Cursor, Fetch, Pages, Parameters, Server};
use super::{Asking, Found, Origin};
use crate::config::CopyConfig;
use crate::error::CopyError;

/// The kind of connection `graphql`.
pub(super) const KIND: Kind = Kind::of::<GraphqlConnection>(
    "copy: {from: \"tracker:queries/issues.graphql\", records: $.data.issues.nodes, to: \"data:issues\"}\n",
);

/// Reads lists from GraphQL APIs.
///
/// In connections.yaml: `tracker: {graphql: {url: "https://api.example/graphql", auth: {bearer: "${{ secrets.tracker }}"}}}`. Then
/// `tracker:queries/issues.graphql` is what the query in that file of the workspace answers; `records: $.data.issues.nodes` says where its records
/// are, `request: {variables: {state: open}}` gives its variables. A query with a variable `$after` goes on page by page, by the `pageInfo` beside
/// the records (`hasNextPage`, `endCursor`); `request: {pages: …}` says another way. An answer with `errors` fails the copy.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphqlConnection {
    /// Where queries are sent.
    url: Url,
    /// What opens it; nothing if absent.
    #[serde(default)]
    auth: Auth,
    /// Further headers of each request. Their values are kept out of messages.
    #[serde(default)]
    headers: IndexMap<String, Hidden>,
    /// Requests a second at most: 0.5 is one in two seconds.
    #[serde(default)]
    max_requests_per_s: Option<f64>,
    /// Whether what opens the API may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for GraphqlConnection {
    const WORD: &'static str = "graphql";
    const EXAMPLE: &'static str =
        "{url: \"https://api.example/graphql\", auth: {bearer: \"${{ secrets.api }}\"}}";

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        let Self { url, auth, headers, max_requests_per_s, allow_http } = self;
        let place = url.clone();
        let client = Server { url, auth, headers, max_requests_per_s, allow_http }.client()?;
        Ok(Box::new(Graphql { client, place, workspace: workspace.to_owned() }))
    }
}

struct Graphql {
    client: Client,
    place: Url,
    workspace: PathBuf,
}

impl Graphql {
    fn query(&self, stream: &str) -> Result<String, CopyError> {
        let path = Path::new(stream);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || stream.is_empty() {
            return Err(CopyError::config(
                format!("`{stream}` is no file of the workspace"),
                "from: \"tracker:queries/issues.graphql\"",
            ));
        }
        fs_err::read_to_string(self.workspace.join(path)).map_err(|error| CopyError::read(stream, &error))
    }

    fn ask(&self, query: &str, config: &CopyConfig) -> Result<Ask, CopyError> {
        let request = config.request.clone().unwrap_or_default();
        if request.body.is_some() || !request.params.is_empty() || !request.path.is_empty() {
            return Err(CopyError::config(
                "of `request` GraphQL takes `variables`, `pages` and `max_pages`",
                "request: {variables: {state: open}}",
            ));
        }
        Ok(Ask {
            url: self.place.clone(),
            method: None,
            accept: "application/json",
            headers: Vec::new(),
            body: Some(json!({"query": query, "variables": request.variables})),
            parameters: Parameters::Variables,
        })
    }
}

/// The pages of a query that has the variable `$after`, as Relay's connections do it.
fn pages_of(query: &str, records: &JsonPath, config: &CopyConfig) -> Result<Pages, CopyError> {
    if let Some(pages) = config.request.as_ref().and_then(|request| request.pages.clone()) {
        return Ok(pages);
    }
    let declares = regex::Regex::new(r"\$after\s*:").is_ok_and(|variable| variable.is_match(query));
    if !declares {
        return Ok(Pages::None);
    }
    let path = records.to_string();
    let connection = path.rsplit_once('.').map_or("$", |(connection, _)| connection);
    let facts = |name: &str| format!("{connection}.pageInfo.{name}").parse();
    let paths = facts("endCursor").and_then(|path| Ok((path, facts("hasNextPage")?)));
    let (path, more) =
        paths.map_err(|message: String| CopyError::config(message, "records: $.data.issues.nodes"))?;
    Ok(Pages::Cursor(Cursor { param: "after".to_owned(), path, more: Some(more) }))
}

fn records(config: &CopyConfig) -> Result<JsonPath, CopyError> {
    records_of(config, None)?.ok_or_else(|| {
        CopyError::config("nothing says where the query's records are", "records: $.data.issues.nodes")
    })
}

/// What the `errors` of an answer say.
fn refusal(answer: &Value) -> Option<String> {
    let errors = answer.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let said: Vec<String> = errors
        .iter()
        .take(3)
        .map(|error| {
            error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
        })
        .collect();
    Some(format!("the query fails: {}", said.join("; ")))
}

#[async_trait]
impl Origin for Graphql {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_web(config)?;
        let query = self.query(stream)?;
        pages_of(&query, &records(config)?, config)?;
        self.ask(&query, config).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = self.query(asking.stream)?;
        let ask = self.ask(&query, &asking.config)?;
        let records = records(&asking.config)?;
        let pages = pages_of(&query, &records, &asking.config)?;
        let (client, pages, records, enough) = (&self.client, &pages, Some(&records), enough(&asking.config));
        Fetch { client, pages, records, enough, refusal }.rows(ask, asking).await
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let ask = self.ask("{ __typename }", &asking.config)?;
        let answer = self.client.ask_once(&ask).await.map_err(|message| asking.failed(message, true))?;
        match refusal(&answer.document) {
            Some(refusal) => Err(asking.failed(refusal, false)),
            None if answer.document.get("data").is_none() => {
                Err(asking.failed("the answer is none of GraphQL: it has no `data`", false))
            }
            None => Ok((format!("`{}` answers", self.place), Vec::new())),
        }
    }
}
