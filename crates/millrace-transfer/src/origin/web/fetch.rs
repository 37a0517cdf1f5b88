//! All pages of an answer.

use std::collections::HashSet;

use millrace_contract::{BatchStream, Progress};
use serde_json::Value;

use super::client::{Answer, Ask, Client};
use super::pages::{Page, Pages};
use crate::error::CopyError;
use crate::format::Format;
use crate::origin::Asking;
use crate::origin::json_path::JsonPath;
use crate::origin::staged::Staged;
use crate::store::unless_cancelled;

/// Pages after which nobody is waiting for the end any more.
const MOST_PAGES: u64 = 100_000;

/// How the records of an API are fetched.
pub(crate) struct Fetch<'a> {
    pub(crate) client: &'a Client,
    pub(crate) pages: &'a Pages,
    /// Where the records are in an answer; `None` if nobody said.
    pub(crate) records: Option<&'a JsonPath>,
    /// Records after which no more are asked for.
    pub(crate) enough: Option<u64>,
    /// What an answer says that is none, although its status is good.
    pub(crate) refusal: fn(&Value) -> Option<String>,
}

impl Fetch<'_> {
    /// The rows of all pages, in their order.
    pub(crate) async fn rows(&self, ask: Ask, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let staged = unless_cancelled(asking.context, self.stage(ask, &asking)).await?;
        let records = self.records.map(ToString::to_string);
        staged.read(asking, Format::Json, records).await
    }

    async fn stage(&self, mut ask: Ask, asking: &Asking<'_>) -> Result<Staged, CopyError> {
        let most = asking.config.request.as_ref().and_then(|request| request.max_pages);
        let most = most.map_or(MOST_PAGES, std::num::NonZero::get);
        let mut staged = Staged::new(asking).await?;
        let (mut asked, mut first) = (HashSet::new(), None);
        self.pages.begin(&mut ask);
        for number in 1.. {
            if number > most {
                let message = format!("there are more than {most} pages; raise `request: {{max_pages: …}}`");
                return Err(asking.failed(message, false));
            }
            let here = |message: String| asking.failed(format!("page {number}: {message}"), false);
            if !asked.insert(format!("{} {:?}", ask.url, ask.body)) {
                return Err(here("the page before leads to one that was read already".to_owned()));
            }
            let answer = self.client.ask(&ask, asking).await?;
            if let Some(refusal) = (self.refusal)(&answer.document) {
                return Err(here(refusal));
            }
            let records = self.found(&answer).map_err(here)?;
            // An API that does not know the parameter of its pages gives the first one for ever.
            let content = (!records.is_empty()).then(|| blake3::hash(&answer.body));
            if number == 2 && self.pages.are_counted() && content.is_some() && content == first {
                let message = "it is the first page again; does the API know the parameter that `pages` names? \
                    If the records are really the same, `total` tells where they end";
                return Err(here(message.to_owned()));
            }
            first = first.or(content);
            if !records.is_empty() {
                let name = format!("{} page {number}", asking.label);
                staged.add(name, &answer.body, records.len() as u64).await?;
            }
            let message = Some(format!("{number} pages"));
            let (rows, bytes) = (Some(staged.rows), Some(staged.bytes));
            asking.context.progress.report(Progress { fraction: None, rows, bytes, message });
            let page = Page { answer: &answer, records, number, so_far: staged.rows };
            let more = self.pages.turn(&mut ask, &page).map_err(here)?;
            if !more || self.enough.is_some_and(|enough| staged.rows >= enough) {
                break;
            }
        }
        Ok(staged)
    }

    /// The records of an answer.
    fn found<'v>(&self, answer: &'v Answer) -> Result<&'v [Value], String> {
        let document = &answer.document;
        let found = match self.records {
            Some(path) => path.find(document).ok_or_else(|| {
                format!(
                    "the answer has nothing at `{path}`, where `records` are to be; {}",
                    names_of(document)
                )
            })?,
            None if lists_of(document).next().is_some() => {
                return Err(format!("say where the records are: {}", names_of(document)));
            }
            None => document,
        };
        match found {
            Value::Array(records) => Ok(records),
            Value::Null => Ok(&[]),
            Value::Object(_) => Ok(std::slice::from_ref(found)),
            _ => Err("where the records are to be there is neither a list nor an object".to_owned()),
        }
    }
}

/// The names under which an object has lists.
fn lists_of(document: &Value) -> impl Iterator<Item = &str> {
    let fields = document.as_object().into_iter().flatten();
    fields.filter(|(_, value)| value.is_array()).map(|(name, _)| name.as_str())
}

/// What to type, by what an answer has.
fn names_of(document: &Value) -> String {
    let lists: Vec<String> = lists_of(document).map(|name| format!("`records: $.{name}`")).collect();
    if !lists.is_empty() {
        return lists.join(" or ");
    }
    let names: Vec<&str> =
        document.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        [] => "it is no object".to_owned(),
        names => format!("it has `{}`", names.iter().take(10).copied().collect::<Vec<_>>().join("`, `")),
    }
}
