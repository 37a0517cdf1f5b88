use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::traces::{
    PROMPT_LINK, RUN_LINK, SpanColumn, Trace, TraceClause, TraceColumn, TraceField, TraceOrder,
};
use proptest::prelude::*;

use super::{parse_trace_filter, parse_trace_order};

fn check(filter: &str, clause: TraceClause) {
    let found = parse_trace_filter(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    assert_eq!((found.clauses, found.rest.is_some()), (vec![clause], false), "{filter}");
}

fn equal(text: &str) -> Condition {
    Condition::Text(Compare::Equal, text.to_owned())
}

#[test]
fn clauses_are_read_as_mlflow_reads_them() {
    use TraceColumn::{Duration, EndedAt, Id, Name, RequestedAt, State};
    let of = |column, condition| TraceClause::Of(TraceField::Column(column), condition);
    let number = |compare, number| Condition::Number(compare, number);
    check("status = 'OK'", of(State, equal("OK")));
    check("trace.status = 'OK'", of(State, equal("OK")));
    check("attributes.timestamp_ms > 5", of(RequestedAt, number(Compare::Greater, 5.0)));
    check("timestamp<=5", of(RequestedAt, number(Compare::LessOrEqual, 5.0)));
    check("trace.execution_time_ms >= 1.5", of(Duration, number(Compare::GreaterOrEqual, 1.5)));
    check("end_time < 9", of(EndedAt, number(Compare::Less, 9.0)));
    check(
        "name LIKE 'a%'",
        of(Name, Condition::Like { pattern: "a%".to_owned(), any_case: false, negated: false }),
    );
    let ids = vec!["a".to_owned(), "b".to_owned()];
    check("request_id NOT IN ('a', 'b')", of(Id, Condition::In { values: ids, negated: true }));
    let tag = TraceField::Tag("mlflow.x y".to_owned());
    check("tags.`mlflow.x y` = 'v'", TraceClause::Of(tag, equal("v")));
    let metadata = TraceField::Metadata("mlflow.trace.session".to_owned());
    check("request_metadata.`mlflow.trace.session` = 's'", TraceClause::Of(metadata.clone(), equal("s")));
    check("metadata.mlflow.trace.session IS NOT NULL", TraceClause::Of(metadata, Condition::NotNull));
    let run = TraceClause::Linked { kind: RUN_LINK, target: "r".to_owned() };
    check("attribute.run_id = 'r'", run.clone());
    check("request_metadata.mlflow.sourceRun = 'r'", run);
    check("prompt = 'p/1'", TraceClause::Linked { kind: PROMPT_LINK, target: "p/1".to_owned() });
    let assessed = |kind, condition| TraceClause::Assessed { kind, name: "a b".to_owned(), condition };
    check("feedback.`a b` = 'yes'", assessed("feedback", equal("yes")));
    check("expectation.`a b` >= 0.5", assessed("expectation", number(Compare::GreaterOrEqual, 0.5)));
    check("feedback.`a b` IS NULL", assessed("feedback", Condition::Null));
    let issue = TraceClause::Assessed { kind: "issue", name: "i".to_owned(), condition: Condition::NotNull };
    check("issue.id = 'i'", issue);
    let columns = vec![(SpanColumn::Name, equal("n")), (SpanColumn::Kind, equal("LLM"))];
    check("span.name = 'n' AND span.type = 'LLM'", TraceClause::Span(columns));
    assert!(parse_trace_filter(" ").is_ok_and(|filter| filter.clauses.is_empty() && filter.rest.is_none()));
}

#[test]
fn what_lies_in_spans_is_asked_of_one_span() {
    let lines = br#"{"id":"1","name":"root","start_ns":1,"end_ns":2,"attributes":{"q":"say \"hi\"\nthere","n":{"k":0.7}}}
{"id":"2","parent_id":"1","name":"tool","start_ns":1,"end_ns":2,"status":"ERROR","attributes":{"mlflow.spanType":"TOOL"}}
"#;
    let mut trace = Trace::default();
    trace.row.id = "tr-12".to_owned();
    trace.row.name = Some("flow".to_owned());
    trace.tags = vec![("env".to_owned(), "prod".to_owned())];
    let holds = |filter: &str| (parse_trace_filter(filter).unwrap().rest.unwrap().holds)(&trace, lines);
    for filter in [
        "trace.text LIKE '%say \"hi\"%'",
        "span.content ILIKE '%SAY%there%'",
        "trace.text LIKE '%\"k\": 0.7%'",
        "span.attributes.q LIKE 'say%' AND span.name = 'root'",
        "span.attributes.n LIKE '%0.7%'",
        "span.name RLIKE '^to+l$' AND span.status = 'ERROR'",
        "span.type RLIKE 'TO' AND span.name IN ('tool', 'x')",
        "tags.env RLIKE '^pr' AND name RLIKE 'l.w' AND request_id RLIKE '12'",
    ] {
        assert!(holds(filter), "{filter}");
    }
    for filter in [
        "trace.text LIKE 'say%'",
        "trace.text LIKE '%SAY%'",
        "span.attributes.q LIKE '%say%' AND span.name = 'tool'",
        "span.attributes.absent LIKE '%'",
        "span.name RLIKE '^ool'",
        "tags.absent RLIKE '.'",
    ] {
        assert!(!holds(filter), "{filter}");
    }
}

#[test]
fn what_mlflow_refuses_is_refused() {
    for filter in [
        "status",
        "status =",
        "status = OK",
        "status > 'OK'",
        "timestamp_ms = '1'",
        "timestamp_ms LIKE '1'",
        "timestamp_ms IN ('1')",
        "status = 'OK' OR status = 'ERROR'",
        "status = 'OK' AND",
        "status = 'OK' status = 'OK'",
        "nothing = 'a'",
        "metrics.a > 1",
        "span.size = 'a'",
        "span.attributes. = 'a'",
        "span.content = 'a'",
        "trace.text RLIKE 'a'",
        "prompt = 'p'",
        "prompt LIKE 'p/1'",
        "issue.id != 'i'",
        "issue.name = 'i'",
        "feedback.a > 'b'",
        "status IS NULL",
        "tags.a RLIKE '('",
        "tags.a RLIKE '(x{999}){999}'",
        "tags.a = 'b'; DROP TABLE trace",
        "name IN ()",
    ] {
        assert!(parse_trace_filter(filter).is_err(), "{filter}");
    }
    assert!(parse_trace_filter(&format!("trace.text LIKE '{}'", "a".repeat(10_001))).is_err());
    assert!(parse_trace_filter(&vec!["name = 'a'"; 51].join(" AND ")).is_err());
    assert!(parse_trace_filter(&format!("name IN ('a'{})", ", 'a'".repeat(5_000))).is_err());
}

#[test]
fn orders_are_read() {
    let order = |field, ascending| Ok(TraceOrder { field, ascending });
    assert_eq!(
        parse_trace_order("timestamp_ms DESC"),
        order(TraceField::Column(TraceColumn::RequestedAt), false)
    );
    assert_eq!(
        parse_trace_order("experiment_id"),
        order(TraceField::Column(TraceColumn::ExperimentId), true)
    );
    assert_eq!(parse_trace_order("tag.a asc"), order(TraceField::Tag("a".to_owned()), true));
    for wrong in ["", "timestamp_ms UP", "span.name", "feedback.a", "prompt", "status DESC x"] {
        assert!(parse_trace_order(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(filter in "\\PC{0,60}") {
        parse_trace_filter(&filter).ok();
        parse_trace_order(&filter).ok();
    }

    #[test]
    fn nearly_a_filter_is_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "status", "span", ".", "name", "attributes", "tags", "`a b`", "=", "!=", ">", "LIKE", "ILIKE", "RLIKE", "IN",
            "NOT", "IS", "NULL", "(", ")", ",", "'x%_'", "'('", "\"y\"", "1", "-2.5", "AND", "OR", "trace", "text", "feedback",
        ]), 0..12),
    ) {
        if let Ok(filter) = parse_trace_filter(&words.join(" "))
            && let Some(rest) = filter.rest
        {
            (rest.holds)(&Trace::default(), b"{}\n");
        }
    }

    #[test]
    fn any_pattern_matches_or_not(pattern in "[^'\0]{0,30}", text in "[a-z]{0,20}") {
        let filter = parse_trace_filter(&format!("span.attributes.a ILIKE '{pattern}'")).unwrap();
        let line = format!("{{\"id\":\"1\",\"name\":\"n\",\"start_ns\":1,\"end_ns\":2,\"attributes\":{{\"a\":\"{text}\"}}}}\n");
        (filter.rest.unwrap().holds)(&Trace::default(), line.as_bytes());
    }
}
