//! Decoders that get anything: they never panic, and good records around bad ones survive.

use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Place;

async fn ids(file: &str, content: &[u8], config: Value) -> Vec<i64> {
    let place = Place::new();
    place.file(file, content);
    let mut config = config;
    (config["from"], config["to"], config["on_error"]) = (json!(file), json!("out.csv"), json!("reject"));
    config["columns"] = json!({"id": "integer"});
    match place.copy(config).await {
        Ok(_) => {}
        // What is no document at all is refused in words; a decoder that panicked says so.
        Err(error) => assert!(!error.problem.message.contains("broke off"), "{}", error.problem.message),
    }
    let text = std::fs::read_to_string(place.folder.path().join("out.csv")).unwrap_or_default();
    let mut lines = text.lines();
    let at = lines.next().and_then(|header| header.split(',').position(|name| name == "id"));
    lines.filter_map(|line| line.split(',').nth(at?)?.parse().ok()).collect()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever stands in lines between them, good lines survive.
    #[test]
    fn good_lines_survive(junk in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 4)) {
        let mut text = Vec::new();
        for (id, junk) in junk.iter().enumerate() {
            writeln!(text, "{{\"id\": {}}}", id + 100).unwrap();
            text.extend(junk.iter().copied().filter(|byte| *byte != b'\n'));
            text.push(b'\n');
        }
        let found = run(ids("a.jsonl", &text, json!({})));
        let good: Vec<i64> = found.into_iter().filter(|id| (100..104).contains(id)).collect();
        prop_assert_eq!(good, vec![100, 101, 102, 103]);
    }

    /// A record of a document that is cut or changed in one place costs no record before it, and no later one as long as its brackets match.
    #[test]
    fn records_of_documents_survive(place in 0usize..200, byte in any::<u8>()) {
        let rows: Vec<String> = (100..108).map(|id| format!("{{\"id\": {id}, \"name\": \"[x]\"}}")).collect();
        let mut json = format!("[{}]", rows.join(",\n")).into_bytes();
        let at = place % json.len();
        json[at] = byte;
        let found = run(ids("a.json", &json, json!({})));
        let hit = String::from_utf8_lossy(&json[..at]).matches('\n').count() as i64 + 100;
        for id in 100..hit.min(108) {
            prop_assert!(at == 0 || found.contains(&id), "{} is lost of {:?}", id, String::from_utf8_lossy(&json));
        }
        let xml: Vec<String> = (100..108).map(|id| format!("<row><id>{id}</id><name>a</name></row>")).collect();
        let mut xml = format!("<rows>\n{}</rows>", xml.join("\n")).into_bytes();
        let at = 7 + place % (xml.len() - 7);
        xml[at] = byte;
        let found = run(ids("a.xml", &xml, json!({})));
        let hit = String::from_utf8_lossy(&xml[..at]).matches('\n').count() as i64 + 99;
        for id in 100..hit.min(108) {
            prop_assert!(found.contains(&id), "{} is lost of {:?}", id, String::from_utf8_lossy(&xml));
        }
    }

    /// Nothing makes a decoder panic.
    #[test]
    fn anything_is_refused_in_words(bytes in prop::collection::vec(any::<u8>(), 0..200), tokens in "[\\[\\]{}\",:a1\\\\<>/!&;=' \n-]{0,200}") {
        for (file, content) in [("a.json", bytes.as_slice()), ("a.json", tokens.as_bytes()), ("a.jsonl", tokens.as_bytes()), ("a.xml", bytes.as_slice()), ("a.xml", tokens.as_bytes())] {
            run(ids(file, content, json!({})));
            let wrapped = [b"<r><row><id>1</id></row>".as_slice(), content].concat();
            run(ids("b.xml", &wrapped, json!({})));
        }
    }
}

/// A document of many megabytes in one line is read without holding it.
#[tokio::test]
async fn documents_are_streams() {
    let place = Place::new();
    let path = place.folder.path().join("a.json");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    write!(file, "{{\"skipped\": [\"{}\"], \"rows\": [", "x".repeat(3 << 20)).unwrap();
    for id in 0..200_000 {
        write!(file, "{}{{\"id\": {id}, \"text\": \"{}\"}}", if id == 0 { "" } else { "," }, "y".repeat(80))
            .unwrap();
    }
    file.write_all(b"]}").unwrap();
    file.into_inner().unwrap();
    let outcome =
        place.copy(json!({"from": "a.json", "to": "b.parquet", "records": "$.rows"})).await.unwrap();
    assert_eq!(outcome.rows, Some(200_000));
    let mut xml = std::io::BufWriter::new(std::fs::File::create(place.folder.path().join("a.xml")).unwrap());
    xml.write_all(b"<rows>").unwrap();
    for id in 0..50_000 {
        write!(xml, "<row><id>{id}</id><text>{}</text></row>", "y".repeat(80)).unwrap();
    }
    xml.write_all(b"</rows>").unwrap();
    xml.into_inner().unwrap();
    let outcome = place.copy(json!({"from": "a.xml", "to": "b.parquet"})).await.unwrap();
    assert_eq!(outcome.rows, Some(50_000));
}
