//! Lists of runs: what a search finds, page by page, and what went on when.

use millrace_metastore::Metastore;
use millrace_metastore::runs::{PipelineRunRow, RunEnd};
use millrace_metastore::runs_search::{RunSearch, StepCount};

use crate::{begin, end, on_both, run, step, transition};

/// Stores a run that was made at an instant and never begins.
async fn made(store: &Metastore, id: &str, pipeline: &str, at: i64, cause: &str, inputs: &str) {
    let row = PipelineRunRow {
        pipeline: pipeline.to_owned(),
        created_at: at,
        cause: cause.to_owned(),
        inputs: inputs.to_owned(),
        concurrency_key: None,
        concurrency_limit: None,
        ..run(id, None)
    };
    store.insert_pipeline_run(row, vec![step("one"), step("two")], None).await.unwrap();
}

async fn found(store: &Metastore, search: RunSearch) -> String {
    let search = RunSearch { limit: if search.limit == 0 { 10 } else { search.limit }, ..search };
    let rows = store.search_pipeline_runs(search).await.unwrap();
    rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn runs_are_found_by_what_they_are_and_page_by_page() {
    on_both(|store| {
        Box::pin(async move {
            made(&store, "a1", "daily", 10, r#"{"by": "cron"}"#, r#"{"region": "EU_west"}"#).await;
            made(&store, "b2", "daily", 20, "{}", r#"{"region": "EUxwest"}"#).await;
            made(&store, "c3", "hourly", 20, r#"{"by": "rerun"}"#, "{}").await;
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let all = RunSearch::default;
            assert_eq!(found(&store, all()).await, "c3 b2 a1");
            assert_eq!(found(&store, RunSearch { limit: 2, ..all() }).await, "c3 b2");
            let before = Some((20, "b2".to_owned()));
            assert_eq!(found(&store, RunSearch { before, ..all() }).await, "a1");
            assert_eq!(found(&store, RunSearch { pipelines: words(&["daily"]), ..all() }).await, "b2 a1");
            assert_eq!(
                found(&store, RunSearch { causes: words(&["cron", "rerun"]), ..all() }).await,
                "c3 a1"
            );
            assert_eq!(found(&store, RunSearch { causes: words(&["manual"]), ..all() }).await, "b2");
            assert_eq!(found(&store, RunSearch { states: words(&["running"]), ..all() }).await, "");
            assert_eq!(found(&store, RunSearch { since: Some(20), ..all() }).await, "c3 b2");
            assert_eq!(found(&store, RunSearch { until: Some(20), ..all() }).await, "a1");
            let text = |text: &str| RunSearch { text: Some(text.to_owned()), ..RunSearch::default() };
            assert_eq!(found(&store, text("eu_WEST")).await, "a1");
            assert_eq!(found(&store, text("OUR")).await, "c3");
            assert_eq!(found(&store, text("b")).await, "b2");
            assert_eq!(found(&store, text("%")).await, "");
            let counts = store.count_steps(words(&["a1", "absent"])).await.unwrap();
            assert_eq!(counts["a1"], [StepCount { state: "pending".to_owned(), steps: 2 }]);
            assert_eq!(counts.len(), 1);
        })
    })
    .await;
}

#[tokio::test]
async fn what_went_on_between_two_instants() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = crate::begin_server(&store, "a").await;
            for (id, at) in [("early", 1), ("long", 2), ("within", 30), ("open", 3), ("late", 90)] {
                made(&store, id, "daily", at, "{}", "{}").await;
            }
            for (id, at) in [("early", 9), ("long", 50), ("within", 40)] {
                store.admit_pipeline_run(id.to_owned(), 5).await.unwrap();
                store.store_transition(transition(id, epoch, vec![begin("one", 1, vec![])])).await.unwrap();
                let mut over = transition(id, epoch, vec![end("one", 1)]);
                over.now = at;
                over.run = Some(RunEnd { state: "succeeded".to_owned(), ..RunEnd::default() });
                store.store_transition(over).await.unwrap();
            }
            let between = async |limit| {
                let rows = store.pipeline_runs_between(20, 60, limit).await.unwrap();
                rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(between(10).await, "within open long");
            assert_eq!(between(2).await, "within open");
        })
    })
    .await;
}
