//! RSS and Atom feeds: entries that were not there before.

use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{Event, EventSource, Polled};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::FeedEntries;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event as Xml};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Bytes of a feed.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Entries that are known though the feed has them no more, since feeds sometimes bring one back.
const REMEMBERED: usize = 1_000;

pub(crate) struct FeedSource {
    spec: FeedEntries,
    client: reqwest::Client,
}

/// How far a feed was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The server's tag of what was read, so that it need not send the same again.
    etag: Option<String>,
    /// Ids of entries, oldest first.
    ids: Vec<String>,
}

/// An entry: `event.entry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Entry {
    id: String,
    title: String,
    link: String,
    published: String,
    summary: String,
}

impl FeedSource {
    pub(crate) fn new(spec: FeedEntries, client: reqwest::Client) -> Self {
        Self { spec, client }
    }

    /// The feed's text and tag; `None` if it is still what was read before.
    async fn read(&self, known: Option<&str>) -> Result<Option<(String, Option<String>)>, Problem> {
        let failed = |why: String| {
            Problem::error("event-source", format!("`{}` cannot be read: {why}", self.spec.feed))
        };
        let mut request = self.client.get(&self.spec.feed);
        if let Some(etag) = known {
            request = request.header("if-none-match", etag);
        }
        let mut answer = request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        if answer.status() == reqwest::StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(failed(format!("the server answers {}", answer.status())));
        }
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| failed(error.without_url().to_string()))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_BYTES {
                return Err(failed(format!("it is longer than {MOST_BYTES} bytes")));
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
        Ok(Some((text, etag)))
    }

    fn event(&self, entry: &Entry) -> Event {
        let fact = json!(entry);
        let event = Event {
            id: entry.id.clone(),
            source: self.spec.feed.clone(),
            kind: "feed.entry".to_owned(),
            subject: Some(entry.title.clone()),
            time: None,
            data: fact.clone(),
            facts: Map::new(),
        };
        event.with_fact("entry", fact)
    }
}

#[async_trait]
impl EventSource for FeedSource {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let look_again = Duration::from_millis(self.spec.every.ms).max(Duration::from_millis(200));
        let seen = cursor.and_then(|cursor| serde_json::from_value::<Seen>(cursor.clone()).ok());
        let known = seen.as_ref().and_then(|seen| seen.etag.as_deref());
        let Some((text, etag)) = self.read(known).await? else {
            return Ok(Polled { events: Vec::new(), cursor: json!(seen), look_again });
        };
        let mut entries = entries(&text).map_err(|why| {
            Problem::error("event-source", format!("`{}` is no RSS or Atom feed: {why}", self.spec.feed))
        })?;
        // Feeds have the newest first.
        entries.reverse();
        let (begun, mut ids) = (seen.is_some(), seen.map(|seen| seen.ids).unwrap_or_default());
        entries.retain(|entry| !ids.contains(&entry.id));
        ids.extend(entries.iter().map(|entry| entry.id.clone()));
        let forgotten = ids.len().saturating_sub(REMEMBERED.max(entries.len()));
        ids.drain(..forgotten);
        let events = entries.iter().filter(|_| begun).map(|entry| self.event(entry)).collect();
        Ok(Polled { events, cursor: json!(Seen { etag, ids }), look_again })
    }
}

/// The entries of a feed in its own order: `item` of RSS, `entry` of Atom.
fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let mut reader = Reader::from_str(text);
    let mut found = Vec::new();
    let mut entry: Option<Entry> = None;
    // The field of the entry that is being read, and its text so far.
    let mut field: Option<(&'static str, String)> = None;
    let mut is_feed = false;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Xml::Eof => break,
            Xml::Start(tag) => match tag.local_name().as_ref() {
                b"rss" | b"RDF" | b"feed" => is_feed = true,
                b"item" | b"entry" => entry = Some(Entry::default()),
                name => {
                    if let Some(entry) = &mut entry {
                        link_of(&tag, entry);
                        if field.is_none() {
                            field = field_of(name).map(|field| (field, String::new()));
                        }
                    }
                }
            },
            Xml::Empty(tag) => {
                if let Some(entry) = &mut entry {
                    link_of(&tag, entry);
                }
            }
            Xml::Text(words) => add(&mut field, &words.decode().map_err(|error| error.to_string())?),
            Xml::CData(words) => add(&mut field, &words.decode().map_err(|error| error.to_string())?),
            Xml::GeneralRef(name) => {
                let sign = name.resolve_char_ref().map_err(|error| error.to_string())?;
                let word = name.decode().map_err(|error| error.to_string())?;
                match (sign, resolve_predefined_entity(&word)) {
                    (Some(sign), _) => add(&mut field, sign.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => add(&mut field, text),
                    (None, None) => {}
                }
            }
            Xml::End(tag) => match tag.local_name().as_ref() {
                b"item" | b"entry" => found.extend(entry.take().and_then(whole)),
                name => {
                    if let Some((known, text)) = field.take_if(|(known, _)| field_of(name) == Some(*known))
                        && let Some(entry) = &mut entry
                    {
                        keep(entry, known, text.trim());
                    }
                }
            },
            _ => {}
        }
    }
    if is_feed { Ok(found) } else { Err("it has neither `rss` nor `feed`".to_owned()) }
}

fn add(field: &mut Option<(&'static str, String)>, words: &str) {
    if let Some((_, text)) = field {
        text.push_str(words);
    }
}

fn field_of(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"id" | b"guid" => "id",
        b"title" => "title",
        b"link" => "link",
        b"pubDate" | b"published" | b"date" => "published",
        b"updated" => "updated",
        b"description" | b"summary" => "summary",
        _ => return None,
    })
}

fn keep(entry: &mut Entry, field: &str, text: &str) {
    let place = match field {
        "id" => &mut entry.id,
        "title" => &mut entry.title,
        "link" => &mut entry.link,
        "summary" => &mut entry.summary,
        _ => &mut entry.published,
    };
    // When it was published counts more than when it was changed.
    if place.is_empty() || field == "published" {
        text.clone_into(place);
    }
}

/// Atom's `<link href="…"/>`; the one to the page itself if there are several.
fn link_of(tag: &BytesStart<'_>, entry: &mut Entry) {
    if tag.local_name().as_ref() != b"link" {
        return;
    }
    let attribute = |name: &str| {
        let found = tag.try_get_attribute(name).ok().flatten()?;
        found.unescape_value().ok().map(|value| value.into_owned())
    };
    let is_page = attribute("rel").is_none_or(|rel| rel == "alternate");
    if let Some(href) = attribute("href").filter(|_| is_page && entry.link.is_empty()) {
        entry.link = href;
    }
}

/// An entry without an id is told by its link; without both it cannot be told from others.
fn whole(mut entry: Entry) -> Option<Entry> {
    if entry.id.is_empty() {
        entry.id.clone_from(&entry.link);
    }
    (!entry.id.is_empty()).then_some(entry)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const ATOM: &str = r#"<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>all</title>
<entry><id>urn:2</id><title>Two &amp; &#x63;o</title><link rel="edit" href="/e"/><link href="https://x/2"/><updated>2026-02-02</updated><published>2026-01-01</published></entry>
<entry><id>urn:1</id><title type="html"><![CDATA[One <b>]]></title><link href="https://x/1"/><updated>2026-01-01</updated><summary>s</summary></entry></feed>"#;
    const RSS: &str = "<rss version=\"2.0\"><channel><title>t</title><link>https://x</link>\
        <item><title>New</title><link>https://x/n</link><pubDate>Fri, 01 May 2026</pubDate><description>d</description></item>\
        <item><guid>g1</guid><title>Old</title></item><item><title>nothing to tell it by</title></item></channel></rss>";

    fn lines(text: &str) -> Vec<String> {
        let line = |entry: Entry| {
            format!("{}|{}|{}|{}|{}", entry.id, entry.title, entry.link, entry.published, entry.summary)
        };
        entries(text).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn atom_and_rss_have_entries() {
        assert_eq!(
            lines(ATOM),
            ["urn:2|Two & co|https://x/2|2026-01-01|", "urn:1|One <b>|https://x/1|2026-01-01|s"]
        );
        assert_eq!(lines(RSS), ["https://x/n|New|https://x/n|Fri, 01 May 2026|d", "g1|Old|||"]);
        assert_eq!(entries("<html></html>").unwrap_err(), "it has neither `rss` nor `feed`");
        assert!(entries("<rss><item></rss>").is_err());
    }

    #[tokio::test]
    async fn event_rss_entry_is_told_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let feed = format!("http://{}/feed", listener.local_addr().unwrap());
        let newer =
            RSS.replace("<item><guid>", "<item><guid>g2</guid><title>Newer</title></item><item><guid>");
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in
                [("200 OK", RSS), ("304 Not Modified", ""), ("200 OK", &newer), ("500 Oh", "")]
            {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).await.unwrap();
                asked.push(String::from_utf8_lossy(&bytes[..count]).contains("if-none-match: \"1\""));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        let spec = serde_json::from_value(json!({"feed": feed})).unwrap();
        let mut source = FeedSource::new(spec, reqwest::Client::builder().no_proxy().build().unwrap());
        let begun = source.poll(None).await.unwrap();
        assert!(begun.events.is_empty());
        let same = source.poll(Some(&begun.cursor)).await.unwrap();
        assert_eq!((same.events.len(), &same.cursor), (0, &begun.cursor));
        let told = source.poll(Some(&same.cursor)).await.unwrap();
        let words: Vec<&str> = told.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(words, ["g2"]);
        let failed = source.poll(Some(&told.cursor)).await.unwrap_err();
        assert!(failed.message.contains("the server answers 500"), "{failed:?}");
        assert_eq!(serving.await.unwrap(), [false, true, true, true]);
    }
}
