//! Every test runs on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod accounts;
mod approvals;
mod eval_datasets;
mod experiments;
mod imports;
mod inbox;
mod lineage;
mod lookout;
mod openlineage;
mod purge;
mod registry;
mod run_lists;
mod run_search;
mod traces;
mod windows;

use futures::future::{BoxFuture, LocalBoxFuture};
use millrace_metastore::deployments::DeploymentRow;
use millrace_metastore::runs::{
    AttemptCostRow, InsertedRun, ItemRow, PipelineRunRow, PoolClaim, RunEnd, RunTransition, StepChange,
    StepRunRow, TransitionResult,
};
use millrace_metastore::runs_items::ItemFilter;
use millrace_metastore::servers::{NewServer, RunWish, TakeOver};
use millrace_metastore::testing::TestPostgres;
use millrace_metastore::{Metastore, MetastoreError};

/// Runs a check on a new SQLite file and, where it is installed, on a new PostgreSQL.
async fn on_both(check: impl Fn(Metastore) -> BoxFuture<'static, ()>) {
    on_both_urls(|url| {
        let check = &check;
        Box::pin(async move { check(Metastore::open(&url).await.unwrap()).await })
    })
    .await;
}

/// As [`on_both`], for a check that opens the database itself, perhaps more than once.
async fn on_both_urls<'a>(check: impl Fn(String) -> LocalBoxFuture<'a, ()>) {
    let folder = tempfile::tempdir().unwrap();
    check(format!("sqlite:{}", folder.path().join("millrace.db").display())).await;
    if let Some(postgres) = TestPostgres::start() {
        check(postgres.url()).await;
    }
}

fn run(id: &str, key: Option<&str>) -> PipelineRunRow {
    PipelineRunRow {
        id: id.to_owned(),
        number: 0,
        pipeline: "daily".to_owned(),
        definition: "{}".to_owned(),
        inputs: "{}".to_owned(),
        options: "{}".to_owned(),
        cause: "{}".to_owned(),
        state: "queued".to_owned(),
        idempotency_key: key.map(str::to_owned),
        concurrency_key: Some("daily".to_owned()),
        concurrency_limit: Some(1),
        created_at: 1,
        owner: 1,
        ..PipelineRunRow::default()
    }
}

/// Enters a server whose lease lasts a minute; the first gets 1.
async fn begin_server(store: &Metastore, state_id: &str) -> i64 {
    let server = NewServer {
        host: "here".to_owned(),
        pid: 7,
        started_ticks: 8,
        state_id: state_id.to_owned(),
        state_folder: "/state".to_owned(),
        now: 5,
        lease: 60_000_000,
    };
    store.begin_server(server).await.unwrap()
}

fn step(name: &str) -> StepRunRow {
    StepRunRow {
        step: name.to_owned(),
        kind: "set".to_owned(),
        state: "pending".to_owned(),
        ..StepRunRow::default()
    }
}

fn transition(run_id: &str, epoch: i64, steps: Vec<StepChange>) -> RunTransition {
    RunTransition { run_id: run_id.to_owned(), epoch, now: 5, max_running: 8, steps, run: None }
}

fn begin(step: &str, attempt: i64, pools: Vec<(String, i64, i64)>) -> StepChange {
    let claim = |(pool, slots, size)| PoolClaim { pool, slots, size, rate: None };
    let pools = pools.into_iter().map(claim).collect();
    StepChange::Begin { step: step.to_owned(), attempt, ready_at: 5, waits: false, pools, item: None }
}

fn end(step: &str, attempt: i64) -> StepChange {
    StepChange::EndAttempt {
        step: step.to_owned(),
        attempt,
        attempt_state: "succeeded".to_owned(),
        step_state: "succeeded".to_owned(),
        retry_at: None,
        lost: false,
        outcome: Some("{}".to_owned()),
        error: None,
        reuse: None,
        exit: None,
        cost: AttemptCostRow {
            cpu_user_ms: Some(12),
            peak_memory_bytes: Some(1 << 40),
            ..AttemptCostRow::default()
        },
        cache: None,
        assets: Vec::new(),
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_finds_its_run() {
    on_both(|store| {
        Box::pin(async move {
            let first =
                store.insert_pipeline_run(run("a", Some("k")), vec![step("one")], None).await.unwrap();
            assert_eq!(first, InsertedRun::New { number: 1 });
            let again =
                store.insert_pipeline_run(run("b", Some("k")), vec![step("one")], None).await.unwrap();
            assert_eq!(again, InsertedRun::Existing { id: "a".to_owned() });
            assert_eq!(store.list_step_runs("a".to_owned()).await.unwrap().len(), 1);
        })
    })
    .await;
}

#[tokio::test]
async fn a_concurrency_key_admits_one_run_after_the_other() {
    on_both(|store| {
        Box::pin(async move {
            for id in ["a", "b"] {
                store.insert_pipeline_run(run(id, None), Vec::new(), None).await.unwrap();
            }
            assert!(store.admit_pipeline_run("a".to_owned(), 2).await.unwrap());
            assert!(!store.admit_pipeline_run("b".to_owned(), 2).await.unwrap());
            let epoch = begin_server(&store, "a").await;
            let mut over = transition("a", epoch, Vec::new());
            over.run = Some(RunEnd { state: "succeeded".to_owned(), ..RunEnd::default() });
            store.store_transition(over).await.unwrap();
            assert!(store.admit_pipeline_run("b".to_owned(), 3).await.unwrap());
        })
    })
    .await;
}

#[tokio::test]
async fn slots_are_counted_and_come_free_with_the_attempt() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store.insert_pipeline_run(run("a", None), vec![step("one"), step("two")], None).await.unwrap();
            let gpu = || vec![("gpu".to_owned(), 1, 1)];
            let both = vec![begin("one", 1, gpu()), begin("two", 1, gpu())];
            let stored = store.store_transition(transition("a", epoch, both)).await.unwrap();
            assert_eq!(stored, TransitionResult::Stored { waiting: vec!["two".to_owned()], again_at: None });
            let next = vec![end("one", 1), begin("two", 1, gpu())];
            let stored = store.store_transition(transition("a", epoch, next)).await.unwrap();
            assert_eq!(stored, TransitionResult::Stored { waiting: Vec::new(), again_at: None });
            let steps = store.list_step_runs("a".to_owned()).await.unwrap();
            let states: Vec<&str> = steps.iter().map(|step| step.state.as_str()).collect();
            assert_eq!(states, ["succeeded", "running"]);
        })
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_only_waits_takes_no_room_and_says_on_what() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store.insert_pipeline_run(run("a", None), vec![step("gate"), step("work")], None).await.unwrap();
            let waits = StepChange::Begin {
                step: "gate".to_owned(),
                attempt: 1,
                ready_at: 5,
                waits: true,
                pools: Vec::new(),
                item: None,
            };
            let mut both = transition("a", epoch, vec![waits, begin("work", 1, Vec::new())]);
            both.max_running = 1;
            let stored = store.store_transition(both).await.unwrap();
            assert_eq!(stored, TransitionResult::Stored { waiting: Vec::new(), again_at: None });
            let say = |attempt, text: &str| {
                store.store_waiting_reason("a".to_owned(), "gate".to_owned(), attempt, text.to_owned())
            };
            say(1, "for anna").await.unwrap();
            say(2, "for an attempt that is not there").await.unwrap();
            let gate = store.list_step_runs("a".to_owned()).await.unwrap().swap_remove(0);
            assert_eq!((gate.state.as_str(), gate.reason.as_deref()), ("waiting", Some("for anna")));
            store.store_transition(transition("a", epoch, vec![end("gate", 1)])).await.unwrap();
            say(1, "too late").await.unwrap();
            let gate = store.list_step_runs("a".to_owned()).await.unwrap().swap_remove(0);
            assert_eq!((gate.state.as_str(), gate.reason), ("succeeded", None));
        })
    })
    .await;
}

#[tokio::test]
async fn an_older_engine_and_an_ended_attempt_are_refused_whole() {
    on_both(|store| {
        Box::pin(async move {
            let old = begin_server(&store, "a").await;
            let new = begin_server(&store, "a").await;
            let row = PipelineRunRow { owner: new, ..run("a", None) };
            store.insert_pipeline_run(row, vec![step("one"), step("two")], None).await.unwrap();
            let started = |epoch| transition("a", epoch, vec![begin("one", 1, Vec::new())]);
            assert_eq!(store.store_transition(started(old)).await.unwrap(), TransitionResult::StaleEpoch);
            store.store_transition(started(new)).await.unwrap();
            let twice = transition("a", new, vec![begin("two", 1, Vec::new()), end("one", 2)]);
            assert!(matches!(store.store_transition(twice).await, Err(MetastoreError::Stale { .. })));
            let steps = store.list_step_runs("a".to_owned()).await.unwrap();
            assert_eq!(steps[1].state, "pending", "the half of a refused transition was undone");
        })
    })
    .await;
}

#[tokio::test]
async fn runs_of_a_server_that_is_gone_go_to_one_other_server() {
    on_both(|store| {
        Box::pin(async move {
            let (dead, one, other) = (
                begin_server(&store, "a").await,
                begin_server(&store, "b").await,
                begin_server(&store, "c").await,
            );
            for id in ["r", "s"] {
                let row = PipelineRunRow { owner: dead, concurrency_key: None, ..run(id, None) };
                store.insert_pipeline_run(row, vec![step("one")], None).await.unwrap();
            }
            store.store_transition(transition("r", dead, vec![begin("one", 1, Vec::new())])).await.unwrap();
            assert_eq!(store.other_owners(one).await.unwrap(), [dead]);
            let take = |to, when| store.take_over_runs(dead, to, when);
            assert_eq!(take(one, TakeOver::IfExpired).await.unwrap(), Vec::<String>::new());
            assert!(store.renew_server(dead, -1).await.unwrap());
            let servers = store.list_servers().await.unwrap();
            assert!(!servers.iter().any(|server| server.epoch == dead && server.alive));
            let both = tokio::join!(take(one, TakeOver::IfExpired), take(other, TakeOver::IfExpired));
            let (by_one, by_other) = (both.0.unwrap(), both.1.unwrap());
            assert_eq!(by_one.len() + by_other.len(), 2, "each is taken once");
            assert!(by_one.is_empty() || by_other.is_empty());
            // The one that was thought dead is told so, and nothing of it is stored any more.
            assert!(!store.renew_server(dead, 60_000_000).await.unwrap());
            let late = store.store_transition(transition("r", dead, vec![end("one", 1)])).await.unwrap();
            assert_eq!(late, TransitionResult::StaleEpoch);
            let new = if by_one.is_empty() { other } else { one };
            assert_eq!(store.owner_of_run("r".to_owned()).await.unwrap(), Some(new));
            assert_eq!(store.list_step_attempts("r".to_owned()).await.unwrap()[0].epoch, new);
            let ended = store.store_transition(transition("r", new, vec![end("one", 1)])).await.unwrap();
            assert!(matches!(ended, TransitionResult::Stored { .. }));
            // What is asked of any server reaches the one that has the run.
            assert!(store.request_run_cancel("s".to_owned()).await.unwrap());
            let wish = RunWish { run: "s".to_owned(), cancel: true, pause: false };
            assert_eq!(store.wishes_for_runs(new).await.unwrap(), [wish]);
            assert_eq!(store.open_runs_of_others(dead, 9).await.unwrap().len(), 2);
            // A process that is seen to be gone is not waited for.
            store.end_server(new).await.unwrap();
            assert_eq!(store.take_over_runs(new, dead, TakeOver::ProcessIsGone).await.unwrap().len(), 2);
        })
    })
    .await;
}

/// Each transaction counts before it inserts: two at once must not both find room.
#[tokio::test]
async fn attempts_that_begin_at_once_keep_within_a_pool() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            for number in 0..8 {
                let id = format!("r{number}");
                let row = PipelineRunRow { owner: epoch, concurrency_key: None, ..run(&id, None) };
                store.insert_pipeline_run(row, vec![step("one")], None).await.unwrap();
            }
            let begins = (0..8).map(|number| {
                let claim = ("gpu".to_owned(), 1, 2);
                let change = transition(&format!("r{number}"), epoch, vec![begin("one", 1, vec![claim])]);
                let store = store.clone();
                async move { store.store_transition(change).await.unwrap() }
            });
            let begun = futures::future::join_all(begins).await;
            let waits = |result: &&TransitionResult| {
                matches!(result, TransitionResult::Stored { waiting, .. } if !waiting.is_empty())
            };
            assert_eq!(begun.iter().filter(waits).count(), 6);
        })
    })
    .await;
}

#[tokio::test]
async fn an_error_or_a_panic_undoes_only_its_own_write() {
    on_both(|store| {
        Box::pin(async move {
            let insert = |id: &'static str, ending: u8| {
                store.write(move |session| {
                    Box::pin(async move {
                        let sql = "INSERT INTO trigger_state (pipeline, trigger_name, rule, checked_until) VALUES ($1, 't', '', 0)";
                        session.execute(sql, &[id.into()]).await?;
                        assert_ne!(ending, 2, "a panic on purpose");
                        if ending == 1 { Err(MetastoreError::stale("on purpose")) } else { Ok(()) }
                    })
                })
            };
            let (good, bad, broken, last) = tokio::join!(insert("good", 0), insert("bad", 1), insert("broken", 2), insert("last", 0));
            assert!(good.is_ok() && last.is_ok());
            assert!(matches!(bad, Err(MetastoreError::Stale { .. })));
            assert!(matches!(broken, Err(MetastoreError::WriterGone)));
            let kept: Vec<String> = store.list_trigger_states().await.unwrap().into_iter().map(|state| state.pipeline).collect();
            assert_eq!(kept, ["good", "last"]);
        })
    })
    .await;
}

#[tokio::test]
async fn a_reopened_database_keeps_its_tables_and_a_newer_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("millrace.db").display());
    let store = Metastore::open(&url).await.unwrap();
    let epoch = begin_server(&store, "a").await;
    drop(store);
    let store = Metastore::open(&url).await.unwrap();
    assert_eq!(begin_server(&store, "a").await, epoch + 1);
    store
        .write(|session| {
            Box::pin(async move {
                session
                    .execute("INSERT INTO schema_migration (name, digest) VALUES ('9999_later', '')", &[])
                    .await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    drop(store);
    let refused = Metastore::open(&url).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the database has the migration `9999_later`, which this program does not know: use a newer one"
    );
}

#[tokio::test]
async fn a_deployment_is_replaced_together_with_the_shares_of_the_others() {
    on_both(|store| {
        Box::pin(async move {
            let row = |name: &str, version: i64, traffic: i64, now: i64| DeploymentRow {
                endpoint: "late".to_owned(),
                name: name.to_owned(),
                model: "flights".to_owned(),
                version,
                uri: "file:///m".to_owned(),
                digest: "blake3:1".to_owned(),
                traffic,
                sample: 0.5,
                run_id: Some("r".to_owned()),
                step: None,
                created_at: now,
                updated_at: now,
            };
            store.upsert_deployment(row("blue", 1, 100, 1), Vec::new()).await.unwrap();
            store.upsert_deployment(row("green", 2, 10, 2), vec![("blue".to_owned(), 90)]).await.unwrap();
            store.upsert_deployment(row("green", 3, 20, 3), vec![("blue".to_owned(), 80)]).await.unwrap();
            let blue = DeploymentRow { traffic: 80, updated_at: 3, ..row("blue", 1, 100, 1) };
            let green = DeploymentRow { created_at: 2, ..row("green", 3, 20, 3) };
            assert_eq!(store.list_deployments().await.unwrap(), [blue.clone(), green]);
            let gone = |name: &str| store.delete_deployment("late".to_owned(), name.to_owned());
            assert!(gone("green").await.unwrap() && !gone("green").await.unwrap());
            assert_eq!(store.list_deployments().await.unwrap(), [blue]);
        })
    })
    .await;
}

fn begin_item(of: &str, number: i64) -> StepChange {
    let item = ItemRow {
        of: of.to_owned(),
        number,
        label: format!("item {number}"),
        kind: "set".to_owned(),
        position: 0,
    };
    StepChange::Begin {
        step: format!("{of}[{number}]"),
        attempt: 1,
        ready_at: 5,
        waits: false,
        pools: Vec::new(),
        item: Some(item),
    }
}

#[tokio::test]
async fn items_have_rows_once_they_begin_and_are_listed_apart() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store
                .insert_pipeline_run(
                    run("a", None),
                    vec![step("each"), StepRunRow { position: 1, ..step("after") }],
                    None,
                )
                .await
                .unwrap();
            let expand = StepChange::Expand {
                step: "each".to_owned(),
                items: serde_json::to_string(&vec![0; 500]).unwrap(),
                total: 500,
                ready_at: 4,
            };
            let mut changes = vec![expand];
            changes.extend((0..450).map(|number| begin_item("each", number)));
            let mut many = transition("a", epoch, changes);
            many.max_running = 420;
            let stored = store.store_transition(many).await.unwrap();
            let TransitionResult::Stored { waiting, .. } = stored else { panic!("{stored:?}") };
            assert_eq!((waiting.len(), waiting[0].as_str()), (30, "each[420]"));
            let steps = store.list_step_runs("a".to_owned()).await.unwrap();
            assert_eq!(steps.len(), 2);
            assert_eq!((steps[0].state.as_str(), steps[0].items_total), ("running", Some(500)));
            assert_eq!(steps[0].waits_for.as_deref(), Some("slots"));
            let ended = (0..300).map(|number| end(&format!("each[{number}]"), 1)).collect();
            store.store_transition(transition("a", epoch, ended)).await.unwrap();
            let counts = store.count_step_items("a".to_owned()).await.unwrap();
            assert_eq!(counts["each"], [("running".to_owned(), 120), ("succeeded".to_owned(), 300)].into());
            let filter = ItemFilter { states: vec!["running".to_owned()], after: Some(310), limit: 3 };
            let items = store.list_step_items("a".to_owned(), "each".to_owned(), filter).await.unwrap();
            let names: Vec<&str> = items.iter().map(|item| item.step.as_str()).collect();
            assert_eq!(names, ["each[311]", "each[312]", "each[313]"]);
            assert_eq!(items[0].label.as_deref(), Some("item 311"));
            assert!(store.list_step_attempts("a".to_owned()).await.unwrap().is_empty());
            assert_eq!(store.list_attempts_of("a".to_owned(), "each[7]".to_owned()).await.unwrap().len(), 1);
            let twice = transition("a", epoch, vec![end("each[310]", 1), end("each[7]", 1)]);
            assert!(matches!(store.store_transition(twice).await, Err(MetastoreError::Stale { .. })));
            let kept = store.find_step_run("a".to_owned(), "each[310]".to_owned()).await.unwrap().unwrap();
            assert_eq!(kept.state, "running");
        })
    })
    .await;
}

#[tokio::test]
async fn who_waits_longer_goes_first_unless_another_matters_more() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            for (id, priority) in [("a", 0), ("b", 0), ("c", 0), ("d", 5)] {
                let row = PipelineRunRow { concurrency_key: None, priority, ..run(id, None) };
                store.insert_pipeline_run(row, vec![step("one")], None).await.unwrap();
                assert!(store.admit_pipeline_run(id.to_owned(), 1).await.unwrap());
            }
            let ask = |id: &'static str, now: i64| {
                let store = store.clone();
                async move {
                    let mut wanted = transition(id, epoch, vec![begin("one", 1, Vec::new())]);
                    (wanted.max_running, wanted.now) = (1, now);
                    let stored = store.store_transition(wanted).await.unwrap();
                    stored == TransitionResult::Stored { waiting: Vec::new(), again_at: None }
                }
            };
            assert!(ask("a", 10).await);
            assert!(!ask("b", 11).await && !ask("c", 12).await && !ask("d", 13).await);
            let queued: Vec<String> =
                store.list_queued_steps(14).await.unwrap().into_iter().map(|queued| queued.run_id).collect();
            assert_eq!(queued, ["d", "b", "c"]);
            assert_eq!(store.list_holders(None).await.unwrap()[0].run_id, "a");
            store.store_transition(transition("a", epoch, vec![end("one", 1)])).await.unwrap();
            assert!(!ask("c", 14).await, "c came after b, and d matters more");
            assert!(!ask("b", 15).await, "d matters more");
            store.set_run_paused("d".to_owned(), true).await.unwrap();
            assert!(!ask("c", 16).await, "c came after b");
            assert!(ask("b", 17).await, "d is held");
        })
    })
    .await;
}

#[tokio::test]
async fn a_rate_lets_so_many_begin_in_its_time() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store
                .insert_pipeline_run(run("a", None), vec![step("one"), step("two"), step("three")], None)
                .await
                .unwrap();
            let begin_at = |name: &str, now: i64| {
                let claim = PoolClaim { pool: "api".to_owned(), slots: 1, size: 9, rate: Some((2, 100)) };
                let begin = StepChange::Begin {
                    step: name.to_owned(),
                    attempt: 1,
                    ready_at: 5,
                    waits: false,
                    pools: vec![claim],
                    item: None,
                };
                let wanted = RunTransition { now, ..transition("a", epoch, vec![begin]) };
                store.store_transition(wanted)
            };
            let stored = TransitionResult::Stored { waiting: Vec::new(), again_at: None };
            assert_eq!(begin_at("one", 10).await.unwrap(), stored);
            assert_eq!(begin_at("two", 20).await.unwrap(), stored);
            let waiting = TransitionResult::Stored { waiting: vec!["three".to_owned()], again_at: Some(110) };
            assert_eq!(begin_at("three", 30).await.unwrap(), waiting);
            assert_eq!(begin_at("three", 111).await.unwrap(), stored);
        })
    })
    .await;
}
