//! How an API divides its records, and where the next ones are.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::json_path::JsonPath;
use super::as_text;
use super::client::{Answer, Ask};

/// How the records are divided into pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pages {
    /// Not at all: one answer has everything.
    #[default]
    None,
    /// By the number of the page.
    Number(NumberedPages),
    /// By how many records come before.
    Offset(OffsetPages),
    /// By a word of the answer that the next request gives back.
    Cursor(Cursor),
    /// By the address that stands in the answer: `$.links.next`.
    NextLink(JsonPath),
    /// By the header `Link` with `rel="next"`.
    LinkHeader,
    /// By the last record: the next request asks for what comes after its key.
    Keyed(Keyed),
}

/// Pages with numbers. They end with an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberedPages {
    /// The parameter that has the number; `page` if absent.
    #[serde(default = "page")]
    pub param: String,
    /// Number of the first page; 1 if absent.
    #[serde(default = "one")]
    pub first: u64,
    /// The parameter that says how many records a page has.
    #[serde(default)]
    pub size_param: Option<String>,
    /// Records of a page. A page with fewer is the last one.
    #[serde(default)]
    pub size: Option<std::num::NonZeroU64>,
    /// Where the answer says how many records there are altogether: `$.total`.
    #[serde(default)]
    pub total: Option<JsonPath>,
}

/// Pages that begin after so many records. They end with an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffsetPages {
    /// The parameter that says how many records come before; `offset` if absent.
    #[serde(default = "offset")]
    pub param: String,
    /// The parameter that says how many records a page has; `limit` if absent.
    #[serde(default = "limit")]
    pub size_param: String,
    /// Records of a page at most.
    pub size: std::num::NonZeroU64,
    /// Where the answer says how many records there are altogether: `$.total`.
    #[serde(default)]
    pub total: Option<JsonPath>,
}

/// Pages whose next one a word names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The parameter, or variable, that takes the word.
    pub param: String,
    /// Where the answer has it: `$.meta.next`. If it is absent there, null or empty, the page is the last one.
    pub path: JsonPath,
    /// Where the answer says whether there are more: `$.meta.has_more`.
    #[serde(default)]
    pub more: Option<JsonPath>,
}

/// Pages that begin after the last record of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    /// The parameter that takes the key: `since_id`, `starting_after`.
    pub param: String,
    /// Where a record has its key: `$.id`.
    pub key: JsonPath,
    /// Where the answer says whether there are more; else an empty page is the last one.
    #[serde(default)]
    pub more: Option<JsonPath>,
}

fn page() -> String {
    "page".to_owned()
}

fn offset() -> String {
    "offset".to_owned()
}

fn limit() -> String {
    "limit".to_owned()
}

fn one() -> u64 {
    1
}

/// A page that has come.
pub(super) struct Page<'a> {
    pub(super) answer: &'a Answer,
    pub(super) records: &'a [Value],
    /// From 1.
    pub(super) number: u64,
    /// Records of this and all pages before it.
    pub(super) so_far: u64,
}

impl Page<'_> {
    fn has_all(&self, total: Option<&JsonPath>) -> Result<bool, String> {
        let Some(path) = total else { return Ok(false) };
        let said = path.find(&self.answer.document);
        let total = said.and_then(|said| said.as_u64().or_else(|| said.as_str()?.parse().ok()));
        match total {
            Some(total) => Ok(self.so_far >= total),
            None => Err(format!("the answer has no number at `{path}`, where `total` is to be")),
        }
    }

    fn says_no_more(&self, more: Option<&JsonPath>) -> bool {
        let said = more.map(|path| path.find(&self.answer.document));
        matches!(said, Some(None | Some(Value::Null | Value::Bool(false))))
    }
}

impl Pages {
    /// Whether pages go on until an empty one, whatever the answers say.
    pub(super) fn are_counted(&self) -> bool {
        match self {
            Self::Number(pages) => pages.total.is_none(),
            Self::Offset(pages) => pages.total.is_none(),
            _ => false,
        }
    }

    /// Makes a request one for the first page.
    pub(super) fn begin(&self, ask: &mut Ask) {
        match self {
            Self::Number(pages) => {
                ask.set(&pages.param, json!(pages.first));
                if let (Some(param), Some(size)) = (&pages.size_param, pages.size) {
                    ask.set(param, json!(size));
                }
            }
            Self::Offset(pages) => {
                ask.set(&pages.param, json!(0));
                ask.set(&pages.size_param, json!(pages.size));
            }
            Self::None | Self::Cursor(_) | Self::NextLink(_) | Self::LinkHeader | Self::Keyed(_) => {}
        }
    }

    /// Makes the request one for the page after this; `false` if this is the last one.
    pub(super) fn turn(&self, ask: &mut Ask, page: &Page<'_>) -> Result<bool, String> {
        match self {
            Self::None => Ok(false),
            Self::Number(pages) => {
                let short = pages.size.is_some_and(|size| (page.records.len() as u64) < size.get());
                if page.records.is_empty() || short || page.has_all(pages.total.as_ref())? {
                    return Ok(false);
                }
                ask.set(&pages.param, json!(pages.first.saturating_add(page.number)));
                Ok(true)
            }
            // A server may give fewer records than it is asked for, so a short page is not yet the end.
            Self::Offset(pages) => {
                if page.records.is_empty() || page.has_all(pages.total.as_ref())? {
                    return Ok(false);
                }
                ask.set(&pages.param, json!(page.so_far));
                Ok(true)
            }
            Self::Cursor(cursor) => {
                let word = cursor.path.find(&page.answer.document);
                let word = word.filter(|word| as_text(word).is_some_and(|text| !text.is_empty()));
                let Some(word) = word.filter(|word| !word.is_boolean()) else { return Ok(false) };
                if page.says_no_more(cursor.more.as_ref()) {
                    return Ok(false);
                }
                ask.set(&cursor.param, word.clone());
                Ok(true)
            }
            Self::Keyed(keyed) => {
                let Some(last) = page.records.last() else { return Ok(false) };
                if page.says_no_more(keyed.more.as_ref()) {
                    return Ok(false);
                }
                let key = keyed.key.find(last).filter(|key| as_text(key).is_some());
                let key = key.ok_or_else(|| format!("the last record has no key at `{}`", keyed.key))?;
                ask.set(&keyed.param, key.clone());
                Ok(true)
            }
            Self::NextLink(path) => {
                let link = path.find(&page.answer.document).and_then(Value::as_str);
                follow(ask, link.filter(|link| !link.is_empty()))
            }
            Self::LinkHeader => follow(ask, page.answer.next.as_deref()),
        }
    }
}

/// Goes where a link of the answer leads, on the same server: what opens it is not sent to another one.
fn follow(ask: &mut Ask, link: Option<&str>) -> Result<bool, String> {
    let Some(link) = link else { return Ok(false) };
    let mut next = ask.url.join(link).map_err(|error| format!("`{link}` is no address: {error}"))?;
    if next.scheme() == "http" && ask.url.scheme() == "https" && next.port().is_none() {
        // Servers behind others that encrypt do not know that they are.
        let _ = next.set_scheme("https");
    }
    if next.origin() != ask.url.origin() {
        let host = next.host_str().unwrap_or("another server");
        return Err(format!("the next page is on `{host}`, which `url` of the connection does not name"));
    }
    ask.url = next;
    Ok(true)
}
