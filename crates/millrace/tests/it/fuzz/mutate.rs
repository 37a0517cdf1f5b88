//! Bodies, filters and addresses that are nearly what a client sends, from a seed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    pub(super) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Texts that break what was written for names.
const TEXTS: [&str; 24] = [
    "",
    " ",
    "\0",
    "a\0b",
    "'",
    "\"",
    "`",
    "'; DROP TABLE tracked_run; --",
    "' OR 1=1",
    "../../etc/passwd",
    "%2e%2e%2f",
    "%00",
    "..\\..\\x",
    "/",
    "a/b",
    "\u{202e}\u{feff}☃",
    "\u{10ffff}",
    "NaN",
    "-Infinity",
    "9223372036854775808",
    "1e400",
    "mlflow.runName",
    "models:/a/1",
    "file:///etc/passwd",
];

fn hostile(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MIN),
        5 => json!(u64::MAX),
        6 => json!(1e308),
        7 => json!([]),
        8 => json!({}),
        9 => json!("x".repeat([300, 9_000, 70_000][random.below(3)])),
        10 => json!([[[[null]]], {"a": {"b": "c"}}]),
        _ => json!(random.one(&TEXTS)),
    }
}

/// Words of every search language here.
const WORDS: [&str; 58] = [
    "metrics.auc",
    "metrics.`a b`",
    "params.depth",
    "params.\"x\"",
    "tags.a",
    "tags.`mlflow.prompt.is_prompt`",
    "attributes.status",
    "status",
    "run_id",
    "run_name",
    "start_time",
    "end_time",
    "name",
    "version_number",
    "creation_time",
    "last_update_time",
    "dataset.name",
    "datasets.digest",
    "model_id",
    "source_path",
    "timestamp_ms",
    "execution_time_ms",
    "trace.text",
    "span.name",
    "span.attributes.a",
    "feedback.good",
    "expectation.x",
    "metadata.c",
    "prompt",
    "issue.id",
    "created_time",
    "metrics.auc.max",
    "metrics",
    ".",
    "=",
    "!=",
    ">",
    "<=",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "IN",
    "NOT",
    "IS",
    "NULL",
    "BETWEEN",
    "(",
    ")",
    ",",
    "'a'",
    "'%_'",
    "'('",
    "\"b\"",
    "1",
    "-2.5e9",
    "AND",
    "OR",
    "''",
];

/// A text that is nearly a filter or an order.
pub(super) fn filter(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(14) {
        match random.below(30) {
            0 => text.push_str(random.one(&TEXTS)),
            1 => text.push_str(&"(".repeat([3, 5_000][random.below(2)])),
            _ => text.push_str(random.one(&WORDS)),
        }
        text.push(' ');
    }
    if random.below(8) == 0 {
        text.push_str(random.one(&["DESC", "ASC", "asc desc"]));
    }
    text
}

/// A body with one to three changes.
pub(super) fn body(random: &mut Random, mut body: Value) -> Value {
    for _ in 0..=random.below(3) {
        change(random, &mut body, 0);
    }
    body
}

fn change(random: &mut Random, at: &mut Value, depth: usize) {
    match at {
        Value::Object(fields) if !fields.is_empty() => change_field(random, fields, depth),
        Value::Array(items) if !items.is_empty() && random.below(4) > 0 => {
            let place = random.below(items.len());
            match random.below(6) {
                0 => {
                    items.remove(place);
                }
                1 => items.push(hostile(random)),
                2 => *items = vec![items[place].clone(); [2, 1_001][random.below(2)]],
                _ => change(random, &mut items[place], depth + 1),
            }
        }
        Value::String(text) if random.below(3) == 0 => text.push_str(random.one(&TEXTS)),
        at => *at = hostile(random),
    }
}

fn change_field(random: &mut Random, fields: &mut Map<String, Value>, depth: usize) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = names[random.below(names.len())].clone();
    match random.below(10) {
        0 => {
            fields.remove(&name);
        }
        1 => {
            let value = fields.remove(&name).unwrap_or_default();
            fields.insert(camel(&name), value);
        }
        2 => {
            fields.insert(camel(&name), hostile(random));
        }
        3 => {
            fields.insert(random.one(&TEXTS).to_owned(), hostile(random));
        }
        4 => {
            let value = fields.remove(&name).unwrap_or_default();
            fields.insert(name, json!([value]));
        }
        _ if name.starts_with("filter") => {
            fields.insert(name, json!(filter(random)));
        }
        _ if name == "order_by" => {
            fields.insert(name, json!([filter(random), "name"]));
        }
        5 => {
            let token = if random.below(4) == 0 { hostile(random) } else { json!(token(random)) };
            fields.insert("page_token".to_owned(), token);
        }
        _ => {
            if let Some(value) = fields.get_mut(&name) {
                change(random, value, depth + 1);
            }
        }
    }
}

/// A page token as the server makes them, of another search or of none.
fn token(random: &mut Random) -> String {
    let whole = |random: &mut Random| [0, -1, 7, i64::MAX, i64::MIN][random.below(5)];
    let keys: Value = if random.below(4) == 0 {
        json!([whole(random), whole(random), random.next()])
    } else {
        let key = |random: &mut Random| match random.below(3) {
            0 => json!({"i": whole(random)}),
            1 => json!({"r": random.next()}),
            _ => json!({"t": random.one(&TEXTS)}),
        };
        (0..random.below(5)).map(|_| key(random)).collect()
    };
    URL_SAFE_NO_PAD.encode(keys.to_string())
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (head, tail) = part.split_at(part.len().min(1));
        name + &head.to_uppercase() + tail
    })
}

/// The text of a body, sometimes not JSON any more.
pub(super) fn text(random: &mut Random, body: &Value) -> Vec<u8> {
    let mut bytes = match random.below(40) {
        0 => "[".repeat(100_000).into_bytes(),
        // A double-encoded one, as very old clients send.
        1 => json!(body.to_string()).to_string().into_bytes(),
        2 => b"{\"a\": \"\\ud800\"}".to_vec(),
        _ => body.to_string().into_bytes(),
    };
    if random.below(20) == 0 && !bytes.is_empty() {
        let place = random.below(bytes.len());
        if random.below(2) == 0 {
            bytes.truncate(place)
        } else {
            bytes[place] = random.next().to_le_bytes()[0]
        }
    }
    bytes
}

/// A part of an address, encoded so that it arrives as it is; sometimes encoded twice or not at all.
pub(super) fn part(random: &mut Random, text: &str) -> String {
    let text = match random.below(10) {
        0 => random.one(&TEXTS).to_owned(),
        1 => "x".repeat(5_000),
        2 => format!("{text}{}", random.one(&TEXTS)),
        _ => text.to_owned(),
    };
    match random.below(30) {
        0 => encoded(&encoded(&text)),
        1 => "%ff%fe%".to_owned(),
        _ => encoded(&text),
    }
}

pub(super) fn encoded(text: &str) -> String {
    let sign = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(sign).collect()
}
