use std::io::Write as _;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::body::{self, Encoding, Packing};
use super::messages::{Any, AnyValue, ExportRequest, KeyValue, ResourceSpans, ScopeSpans, Span, Status};
use super::proto_json;

fn status(body: impl Into<Bytes>, packing: Packing, encoding: Encoding) -> u16 {
    match body::spans(body.into(), packing, encoding) {
        Ok(_) => 200,
        Err(error) => error.into_response().status().as_u16(),
    }
}

fn span() -> Span {
    let text = |text: &str| Some(AnyValue { value: Some(Any::Text(text.to_owned())) });
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![0; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 2_000_000_000,
        attributes: vec![KeyValue { key: "a".to_owned(), value: text("b") }],
        status: Some(Status { message: "late".to_owned(), code: 2 }),
        ..Span::default()
    }
}

fn request(span: &Span) -> Vec<u8> {
    let scope = ScopeSpans { spans: vec![span.encode_to_vec().into()] };
    let scope_spans = vec![scope.encode_to_vec().into()];
    ExportRequest { resource_spans: vec![ResourceSpans { resource: None, scope_spans }] }.encode_to_vec()
}

fn json_request(span: &Value) -> String {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string()
}

#[test]
fn both_encodings_say_the_same() {
    let json = json_request(&json!({
        "traceId": "01".repeat(16), "spanId": "02".repeat(8), "parentSpanId": "", "name": "chat", "kind": 3,
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": 2_000_000_000_u64,
        "attributes": [{"key": "a", "value": {"stringValue": "b"}}],
        "status": {"code": "STATUS_CODE_ERROR", "message": "late"}, "unknown": {"x": []},
    }));
    let from_json = body::spans(json.into(), Packing::None, Encoding::Json).unwrap();
    let from_protobuf = body::spans(request(&span()).into(), Packing::None, Encoding::Protobuf).unwrap();
    assert_eq!(from_json, from_protobuf);
    let [one] = from_json.as_slice() else { panic!("one span") };
    assert_eq!(
        (one.trace_id.as_str(), one.span.id.as_str()),
        ("tr-01010101010101010101010101010101", "0202020202020202")
    );
    let shown = proto_json(&one.trace_id, &one.span);
    assert_eq!(shown["trace_id"], "AQEBAQEBAQEBAQEBAQEBAQ==");
    assert_eq!(shown["attributes"], json!([{"key": "a", "value": {"string_value": "b"}}]));
}

#[test]
fn packed_bodies_are_unpacked_up_to_a_limit() {
    let plain = request(&span());
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&plain).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(&plain).unwrap();
    assert_eq!(status(gzip(&plain), Packing::Gzip, Encoding::Protobuf), 200);
    assert_eq!(status(zlib.finish().unwrap(), Packing::Deflate, Encoding::Protobuf), 200);
    assert_eq!(status(raw.finish().unwrap(), Packing::Deflate, Encoding::Protobuf), 200);
    assert_eq!(status(plain, Packing::Gzip, Encoding::Protobuf), 400);
    let bomb = gzip(&vec![0; body::LARGEST + 1]);
    assert_eq!(status(bomb, Packing::Gzip, Encoding::Protobuf), StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_mistake_is_told_as_one() {
    let protobuf = |span: Span| status(request(&span), Packing::None, Encoding::Protobuf);
    assert_eq!(protobuf(Span { trace_id: Vec::new(), ..span() }), 422);
    assert_eq!(protobuf(Span { trace_id: vec![1; 17], ..span() }), 422);
    assert_eq!(protobuf(Span { span_id: vec![0; 8], ..span() }), 422);
    assert_eq!(protobuf(Span { parent_span_id: vec![1; 9], ..span() }), 422);
    assert_eq!(protobuf(Span { trace_id: vec![1; 8], start_time_unix_nano: u64::MAX, ..span() }), 200);
    assert_eq!(status("", Packing::None, Encoding::Protobuf), 400);
    assert_eq!(status("garbage", Packing::None, Encoding::Protobuf), 400);
    for document in
        ["", "{", "[]", "{}", "{\"resourceSpans\": 1}", "{\"resourceSpans\": [{\"scopeSpans\": [{}]}]}"]
    {
        assert_eq!(status(document, Packing::None, Encoding::Json), 400, "{document}");
    }
    for wrong in [
        json!({"traceId": "xy"}),
        json!({"traceId": 1}),
        json!({"name": []}),
        json!({"startTimeUnixNano": "-1"}),
        json!({"attributes": [{"key": "a", "value": {"intValue": "x"}}]}),
        json!({"status": {"code": "GREAT"}}),
    ] {
        assert_eq!(status(json_request(&wrong), Packing::None, Encoding::Json), 400, "{wrong}");
    }
    assert_eq!(status(json_request(&json!({})), Packing::None, Encoding::Json), 422);
    let deep = format!("{}{}", "{\"arrayValue\":{\"values\":[".repeat(5_000), "]}}".repeat(5_000));
    let deep = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":[{{\"value\":{deep}}}]}}]}}]}}]}}"
    );
    assert_eq!(status(deep, Packing::None, Encoding::Json), 400);
}

/// JSON that is nearly OTLP.
fn nearly_otlp() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "resourceSpans",
        "scopeSpans",
        "spans",
        "resource",
        "attributes",
        "key",
        "value",
        "traceId",
        "spanId",
        "parentSpanId",
        "startTimeUnixNano",
        "events",
        "links",
        "status",
        "code",
        "stringValue",
        "intValue",
        "doubleValue",
        "arrayValue",
        "kvlistValue",
        "values",
        "bytesValue",
        "boolValue",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        "[0-9a-f]{0,33}".prop_map(|text| json!(text)),
        any::<bool>().prop_map(|truth| json!(truth)),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..5).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for packing in [Packing::None, Packing::Gzip, Packing::Deflate] {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                prop_assert!(matches!(status(bytes.clone(), packing, encoding), 200 | 400 | 413 | 422));
            }
        }
    }

    #[test]
    fn a_damaged_body_is_read_or_refused(place in 0_usize..90, byte in any::<u8>(), end in 0_usize..90) {
        let mut body = request(&span());
        let length = body.len();
        body[place % length] = byte;
        body.truncate(length - end % length);
        prop_assert!(matches!(status(body, Packing::None, Encoding::Protobuf), 200 | 400 | 422));
    }

    #[test]
    fn nearly_otlp_is_read_or_refused(document in nearly_otlp()) {
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [document]}]}]}).to_string();
        prop_assert!(matches!(status(body, Packing::None, Encoding::Json), 200 | 400 | 422));
        prop_assert!(matches!(status(document.to_string(), Packing::None, Encoding::Json), 200 | 400 | 422));
    }
}
