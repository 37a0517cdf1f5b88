//! Traces, their spans, search, assessments.

use std::sync::Arc;

use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::traces::{
    Assessed, AssessmentRow, NAME_TAG, PROMPT_LINK, RUN_LINK, RUN_METADATA, Rest, RootSpan, SpanBatch,
    SpanColumn, SpanRow, Spent, TagRemoval, Trace, TraceClause, TraceColumn, TraceField, TraceOrder,
    TraceQuery, TraceRange, TraceRow,
};
use millrace_metastore::{Metastore, MetastoreError};

use crate::on_both;

fn pair(name: &str, content: &str) -> (String, String) {
    (name.to_owned(), content.to_owned())
}

/// Metadata with the number of spans that spent something.
fn totals(spans: &[Spent]) -> Vec<(String, String)> {
    vec![pair("spent", &spans.iter().filter(|span| span.spent.is_some()).count().to_string())]
}

fn span(id: &str, parent: Option<&str>, name: &str, status: &str) -> SpanRow {
    SpanRow {
        span_id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        name: name.to_owned(),
        kind: "LLM".to_owned(),
        status: status.to_owned(),
        spent: (name == "spender").then(|| "{}".to_owned()),
    }
}

fn batch(trace: &str, starts_at_ms: i64, spans: Vec<SpanRow>) -> SpanBatch {
    let root = spans.iter().any(|span| span.parent_id.is_none());
    let lines: String = spans.iter().map(|span| format!("{} {}\n", span.span_id, span.name)).collect();
    SpanBatch {
        trace_id: trace.to_owned(),
        lines: lines.into_bytes(),
        starts_at_ms,
        ends_at_ms: Some(starts_at_ms + 10),
        root: root.then(|| RootSpan { state: "OK".to_owned(), ..RootSpan::default() }),
        spans,
        ..SpanBatch::default()
    }
}

async fn one(store: &Metastore, id: &str) -> Trace {
    store.find_traces(vec![id.to_owned()]).await.unwrap().pop().unwrap()
}

async fn lines(store: &Metastore, id: &str) -> String {
    let mut found = store.read_span_lines(vec![id.to_owned()]).await.unwrap();
    String::from_utf8(found.remove(id).unwrap_or_default()).unwrap()
}

fn told(id: &str, requested_at_ms: i64) -> Trace {
    let row = TraceRow {
        id: id.to_owned(),
        state: "OK".to_owned(),
        requested_at_ms,
        duration_ms: Some(requested_at_ms % 7),
        ..TraceRow::default()
    };
    Trace { row, ..Trace::default() }
}

#[tokio::test]
async fn spans_make_a_trace_and_its_root_ends_it() {
    on_both(|store| {
        Box::pin(async move {
            let child = |id: &str| span(id, Some("root"), "spender", "OK");
            store.append_spans(0, vec![batch("t", 50, vec![child("a")])], totals).await.unwrap();
            let begun = one(&store, "t").await;
            assert_eq!((begun.row.state.as_str(), begun.row.duration_ms), ("IN_PROGRESS", Some(10)));
            let root = span("root", None, "all", "OK");
            let mut last = batch("t", 45, vec![child("b"), root]);
            last.tags = vec![pair("env", "prod")];
            last.metadata = vec![pair("session", "s")];
            store.append_spans(0, vec![last], totals).await.unwrap();
            let ended = one(&store, "t").await;
            assert_eq!((ended.row.requested_at_ms, ended.row.duration_ms), (45, Some(15)));
            assert_eq!(ended.row.state, "OK");
            assert_eq!(ended.tags, [pair("env", "prod")]);
            assert_eq!(ended.metadata, [pair("session", "s"), pair("spent", "2")]);
            // What the client tells is the last word; what it does not tell stays.
            let mut told = told("t", 1);
            told.row.name = Some("named".to_owned());
            told.metadata = vec![pair("spent", "9"), pair(RUN_METADATA, "r")];
            store.store_trace(told).await.unwrap();
            store.append_spans(0, vec![batch("t", 99, vec![child("c")])], totals).await.unwrap();
            let last = one(&store, "t").await;
            assert_eq!((last.row.requested_at_ms, last.row.duration_ms), (1, Some(1)));
            assert_eq!(last.row.name.as_deref(), Some("named"));
            assert_eq!(last.metadata, [pair(RUN_METADATA, "r"), pair("session", "s"), pair("spent", "9")]);
            assert_eq!(lines(&store, "t").await, "a spender\nb spender\nroot all\nc spender\n");
            let spans = store.summarise_spans(vec!["t".to_owned()]).await.unwrap().remove("t").unwrap();
            assert_eq!((spans.count, spans.root.as_deref()), (4, Some("all")));
        })
    })
    .await;
}

#[tokio::test]
async fn many_small_documents_are_joined() {
    on_both(|store| {
        Box::pin(async move {
            let mut expected = String::new();
            for number in 0..30 {
                let id = format!("{number:02}");
                let one = batch("t", number, vec![span(&id, Some("x"), "n", "OK")]);
                store.append_spans(0, vec![one], totals).await.unwrap();
                expected += &format!("{id} n\n");
            }
            store.pack_spans("t".to_owned()).await.unwrap();
            store.pack_spans("t".to_owned()).await.unwrap();
            store.pack_spans("absent".to_owned()).await.unwrap();
            assert_eq!(lines(&store, "t").await, expected);
            store
                .append_spans(0, vec![batch("t", 1, vec![span("z", None, "m", "OK")])], totals)
                .await
                .unwrap();
            assert_eq!(lines(&store, "t").await, expected + "z m\n");
        })
    })
    .await;
}

async fn pages(store: &Metastore, query: TraceQuery) -> Vec<String> {
    let mut found = Vec::new();
    let mut query = query;
    loop {
        let (traces, next) = store.search_traces(query.clone()).await.unwrap();
        assert!(traces.len() <= query.limit);
        found.extend(traces.into_iter().map(|trace| trace.row.id));
        match next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}

fn of(field: TraceField, condition: Condition) -> TraceClause {
    TraceClause::Of(field, condition)
}

fn like(pattern: &str, any_case: bool) -> Condition {
    Condition::Like { pattern: pattern.to_owned(), any_case, negated: false }
}

fn equal(text: &str) -> Condition {
    Condition::Text(Compare::Equal, text.to_owned())
}

#[tokio::test]
async fn traces_are_found_in_order_and_by_page() {
    on_both(|store| {
        Box::pin(async move {
            for (place, id) in ["a", "B", "c", "d", "e"].into_iter().enumerate() {
                let mut trace = told(id, 100 + i64::try_from(place / 2).unwrap());
                if place < 3 {
                    trace.tags = vec![pair("env", &format!("E{place}"))];
                    trace.row.name = Some(format!("name_{place}"));
                }
                store.store_trace(trace).await.unwrap();
                let status = if place == 1 { "ERROR" } else { "OK" };
                let name = if place == 2 { "tool" } else { "chat" };
                let spans = vec![span("1", None, "root", "OK"), span("2", Some("1"), name, status)];
                store.append_spans(0, vec![batch(id, 1, spans)], totals).await.unwrap();
            }
            let all = TraceQuery { experiments: vec![0], limit: 2, ..TraceQuery::default() };
            assert_eq!(pages(&store, all.clone()).await, ["e", "c", "d", "B", "a"]);
            let ordered =
                |field, ascending| TraceQuery { order: vec![TraceOrder { field, ascending }], ..all.clone() };
            let tag = |name: &str| TraceField::Tag(name.to_owned());
            assert_eq!(pages(&store, ordered(tag("env"), false)).await, ["c", "B", "a", "e", "d"]);
            assert_eq!(pages(&store, ordered(tag(NAME_TAG), true)).await, ["a", "B", "c", "e", "d"]);
            let by_id = ordered(TraceField::Column(TraceColumn::Id), true);
            assert_eq!(pages(&store, by_id).await, ["B", "a", "c", "d", "e"]);
            let by_time = ordered(TraceField::Column(TraceColumn::RequestedAt), true);
            assert_eq!(pages(&store, by_time).await, ["B", "a", "c", "d", "e"]);

            let filtered = |clause| TraceQuery { clauses: vec![clause], ..all.clone() };
            for (clause, expected) in [
                (of(tag("env"), equal("E1")), vec!["B"]),
                (of(tag("env"), like("e_", true)), vec!["c", "B", "a"]),
                (of(tag("env"), like("e_", false)), vec![]),
                (of(tag("env"), Condition::Null), vec!["e", "d"]),
                (of(tag(NAME_TAG), Condition::NotNull), vec!["c", "B", "a"]),
                (of(tag(NAME_TAG), like("name\\_%", false)), vec![]),
                (
                    of(
                        TraceField::Column(TraceColumn::RequestedAt),
                        Condition::Number(Compare::Greater, 100.5),
                    ),
                    vec!["e", "c", "d"],
                ),
                (
                    of(TraceField::Column(TraceColumn::EndedAt), Condition::Number(Compare::Equal, 102.0)),
                    vec!["B", "a"],
                ),
                (TraceClause::Span(vec![(SpanColumn::Name, equal("tool"))]), vec!["c"]),
                (
                    TraceClause::Span(vec![
                        (SpanColumn::Name, equal("root")),
                        (SpanColumn::Status, equal("ERROR")),
                    ]),
                    vec![],
                ),
                (TraceClause::Span(vec![(SpanColumn::Status, equal("ERROR"))]), vec!["B"]),
                (
                    of(
                        TraceField::Column(TraceColumn::Id),
                        Condition::In { values: vec!["a".to_owned(), "x".to_owned()], negated: false },
                    ),
                    vec!["a"],
                ),
            ] {
                assert_eq!(pages(&store, filtered(clause.clone())).await, expected, "{clause:?}");
            }
            // What no statement can say.
            let rest = Rest {
                needs_spans: true,
                holds: Arc::new(|trace, lines| trace.row.id != "d" && lines.ends_with(b"chat\n")),
            };
            let asked = TraceQuery { rest: Some(rest), limit: 1, ..all.clone() };
            assert_eq!(pages(&store, asked).await, ["e", "B", "a"]);
            let foreign = TraceQuery { after: Some(Vec::new()), ..all.clone() };
            assert!(matches!(store.search_traces(foreign).await, Err(MetastoreError::Refused(_))));
            let elsewhere = TraceQuery { experiments: vec![1, 2], ..all };
            assert_eq!(pages(&store, elsewhere).await, Vec::<String>::new());
        })
    })
    .await;
}

#[tokio::test]
async fn tags_links_and_deletes() {
    on_both(|store| {
        Box::pin(async move {
            for (place, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
                store.store_trace(told(id, i64::try_from(place).unwrap())).await.unwrap();
            }
            let set =
                |id: &str, name: &str| store.set_trace_tag(id.to_owned(), name.to_owned(), "v".to_owned());
            assert!(set("a", "k").await.unwrap() && set("a", NAME_TAG).await.unwrap());
            assert!(!set("absent", "k").await.unwrap());
            assert_eq!(one(&store, "a").await.row.name.as_deref(), Some("v"));
            let gone = |id: &str, name: &str| store.delete_trace_tag(id.to_owned(), name.to_owned());
            for name in ["k", NAME_TAG] {
                assert_eq!(gone("a", name).await.unwrap(), TagRemoval::Done);
                assert_eq!(gone("a", name).await.unwrap(), TagRemoval::NoTag);
            }
            assert_eq!(gone("absent", "k").await.unwrap(), TagRemoval::NoTrace);
            for _ in 0..2 {
                assert!(store.link_trace("b".to_owned(), RUN_LINK, vec!["r".to_owned()]).await.unwrap());
            }
            assert!(
                !store.link_trace("absent".to_owned(), PROMPT_LINK, vec!["p/1".to_owned()]).await.unwrap()
            );
            assert_eq!(
                store.list_trace_links(vec!["b".to_owned()]).await.unwrap().remove("b").unwrap_or_default(),
                [(RUN_LINK.to_owned(), "r".to_owned())]
            );
            let everywhere = TraceQuery { everywhere: true, limit: 10, ..TraceQuery::default() };
            assert_eq!(pages(&store, everywhere).await.len(), 4);
            let all = TraceQuery { experiments: vec![0], limit: 10, ..TraceQuery::default() };
            let linked = TraceClause::Linked { kind: RUN_LINK, target: "r".to_owned() };
            assert_eq!(pages(&store, TraceQuery { clauses: vec![linked], ..all.clone() }).await, ["b"]);
            let delete = |experiment, range| store.delete_traces(experiment, range);
            assert_eq!(delete(1, TraceRange::Ids(vec!["a".to_owned()])).await.unwrap(), 0);
            assert_eq!(delete(0, TraceRange::Ids(vec!["c".to_owned(), "x".to_owned()])).await.unwrap(), 1);
            let oldest = |until_ms, most| TraceRange::Until { until_ms, most };
            assert_eq!(delete(0, oldest(Some(5), Some(1))).await.unwrap(), 1);
            assert_eq!(pages(&store, all.clone()).await, ["d", "b"]);
            assert_eq!(delete(0, oldest(Some(1), None)).await.unwrap(), 1);
            assert_eq!(pages(&store, all).await, ["d"]);
        })
    })
    .await;
}

fn assessment(id: &str, content: &str, overrides: Option<&str>) -> AssessmentRow {
    AssessmentRow {
        trace_id: "t".to_owned(),
        id: id.to_owned(),
        kind: "feedback".to_owned(),
        name: "good".to_owned(),
        content: content.to_owned(),
        number: content.parse().ok(),
        is_valid: true,
        overrides: overrides.map(str::to_owned),
        document: "{}".to_owned(),
        created_at_ms: 1,
    }
}

#[tokio::test]
async fn an_assessment_overrides_another_until_it_is_deleted() {
    on_both(|store| {
        Box::pin(async move {
            store.store_trace(told("t", 1)).await.unwrap();
            let create = |id, content, overrides| store.create_assessment(assessment(id, content, overrides));
            assert_eq!(create("a", "0.5", None).await.unwrap(), Assessed::Done);
            assert_eq!(create("b", "\"yes\"", Some("a")).await.unwrap(), Assessed::Done);
            assert_eq!(create("c", "1", Some("absent")).await.unwrap(), Assessed::NothingToOverride);
            let elsewhere = AssessmentRow { trace_id: "absent".to_owned(), ..assessment("d", "1", None) };
            assert_eq!(store.create_assessment(elsewhere).await.unwrap(), Assessed::NoTrace);
            let valid = |trace: Trace| {
                trace.assessments.iter().map(|one| (one.id.clone(), one.is_valid)).collect::<Vec<_>>()
            };
            assert_eq!(valid(one(&store, "t").await), [("a".to_owned(), false), ("b".to_owned(), true)]);
            let found = |condition: Condition| {
                let clause = TraceClause::Assessed { kind: "feedback", name: "good".to_owned(), condition };
                let query = TraceQuery {
                    experiments: vec![0],
                    clauses: vec![clause],
                    limit: 5,
                    ..TraceQuery::default()
                };
                let store = store.clone();
                async move { pages(&store, query).await.len() }
            };
            assert_eq!(found(equal("yes")).await, 1);
            assert_eq!(found(Condition::Text(Compare::NotEqual, "yes".to_owned())).await, 0);
            assert_eq!(found(Condition::Number(Compare::Greater, 0.4)).await, 0);
            assert_eq!(found(Condition::NotNull).await, 1);
            let id = |id: &str| ("t".to_owned(), id.to_owned());
            store.delete_assessment(id("b").0, id("b").1).await.unwrap();
            store.delete_assessment(id("b").0, id("b").1).await.unwrap();
            assert_eq!(found(Condition::Number(Compare::Greater, 0.4)).await, 1);
            assert_eq!(found(Condition::Null).await, 0);
            let change = |row: AssessmentRow| Ok::<_, ()>(AssessmentRow { content: "2".to_owned(), ..row });
            let changed = store.change_assessment(id("a").0, id("a").1, change).await.unwrap();
            assert_eq!(changed.unwrap().unwrap().content, "2");
            assert!(store.change_assessment(id("b").0, id("b").1, change).await.unwrap().is_none());
            let refused = store.change_assessment(id("a").0, id("a").1, |_| Err("no")).await.unwrap();
            assert_eq!(refused.unwrap().unwrap_err(), "no");
            assert_eq!(store.find_assessment(id("a").0, id("a").1).await.unwrap().unwrap().content, "2");
        })
    })
    .await;
}
