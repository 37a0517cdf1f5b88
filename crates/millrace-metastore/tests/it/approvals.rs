//! Approvals: asked once an attempt, decided once, whoever decides at the same moment.

use millrace_metastore::approvals::{
    ApprovalChange, ApprovalDecisionRow, ApprovalFilter, ApprovalRefusal, ApprovalRow, approval_state,
};
use millrace_metastore::runs::{RunEnd, RunTransition};
use millrace_metastore::{Metastore, MetastoreError};

use crate::{on_both, run, step};

fn asked(id: &str, run_id: &str, attempt: i64) -> ApprovalRow {
    ApprovalRow {
        id: id.to_owned(),
        run_id: run_id.to_owned(),
        step: "gate".to_owned(),
        attempt,
        pipeline: "daily".to_owned(),
        subject: "{}".to_owned(),
        digest: "blake3:1".to_owned(),
        asked_by: Some("anna".to_owned()),
        rule: "{}".to_owned(),
        asked_at: attempt,
        deadline: Some(100),
        ..ApprovalRow::default()
    }
}

fn says(who: &str, approves: bool) -> ApprovalDecisionRow {
    ApprovalDecisionRow {
        decided_by: who.to_owned(),
        approves,
        standing: "[]".to_owned(),
        comment: String::new(),
        via: "api".to_owned(),
        decided_at: 7,
    }
}

async fn run_of(store: &Metastore, id: &str) {
    store.insert_pipeline_run(run(id, None), vec![step("gate")], None).await.unwrap();
}

/// Says yes, and ends the approval with the second one.
async fn approve(store: &Metastore, id: &str, who: &str) -> Result<ApprovalRow, MetastoreError> {
    let decision = says(who, true);
    store
        .change_approval(id.to_owned(), move |row| {
            let enough = row.decisions.iter().filter(|decision| decision.approves).count() + 1 >= 2;
            Ok(ApprovalChange {
                decision: Some(decision),
                end: enough.then_some((approval_state::APPROVED, None, 9)),
                ..ApprovalChange::default()
            })
        })
        .await
}

#[tokio::test]
async fn an_attempt_asks_once() {
    on_both(|store| {
        Box::pin(async move {
            run_of(&store, "r").await;
            let first = store.insert_approval(asked("a", "r", 1)).await.unwrap();
            assert_eq!((first.state.as_str(), first.revision, first.seen), ("waiting", 0, 0));
            assert_eq!(store.insert_approval(asked("b", "r", 1)).await.unwrap(), first);
            store.insert_approval(asked("c", "r", 2)).await.unwrap();
            assert_eq!(store.count_waiting_approvals().await.unwrap(), 2);
            let ids = |filter: ApprovalFilter| {
                let store = store.clone();
                async move {
                    let found = store.list_approvals(filter).await.unwrap();
                    found.into_iter().map(|row| row.id).collect::<Vec<_>>()
                }
            };
            let all = ApprovalFilter { limit: 10, ..ApprovalFilter::default() };
            assert_eq!(ids(all.clone()).await, ["c", "a"]);
            assert_eq!(ids(ApprovalFilter { limit: 1, ..all.clone() }).await, ["c"]);
            assert_eq!(ids(ApprovalFilter { before: Some((2, "c".to_owned())), ..all.clone() }).await, ["a"]);
            assert_eq!(
                ids(ApprovalFilter { run_id: Some("other".to_owned()), ..all.clone() }).await,
                [""; 0]
            );
            assert_eq!(ids(ApprovalFilter { state: Some("approved".to_owned()), ..all }).await, [""; 0]);
        })
    })
    .await;
}

#[tokio::test]
async fn what_another_process_changed_is_unseen_until_the_step_has_looked() {
    on_both(|store| {
        Box::pin(async move {
            run_of(&store, "r").await;
            store.insert_approval(asked("a", "r", 1)).await.unwrap();
            let unseen = || store.list_unseen_approvals(10);
            assert_eq!(unseen().await.unwrap(), []);
            let changed = approve(&store, "a", "bert").await.unwrap();
            assert_eq!(unseen().await.unwrap(), [("r".to_owned(), "gate".to_owned())]);
            // Changed again before the step has noted what it saw.
            approve(&store, "a", "cleo").await.unwrap();
            store.mark_approval_seen("a".to_owned(), changed.revision).await.unwrap();
            assert_eq!(unseen().await.unwrap().len(), 1);
            let now = store.find_approval("a".to_owned()).await.unwrap();
            store.mark_approval_seen("a".to_owned(), now.revision).await.unwrap();
            assert_eq!(unseen().await.unwrap(), []);
        })
    })
    .await;
}

#[tokio::test]
async fn approval_decided_by_many_at_once_has_one_outcome() {
    on_both(|store| {
        Box::pin(async move {
            run_of(&store, "r").await;
            for round in 0..10_i64 {
                let id = format!("a{round}");
                store.insert_approval(asked(&id, "r", round)).await.unwrap();
                let decisions = (0..8).map(|person| {
                    let (store, id) = (store.clone(), id.clone());
                    tokio::spawn(async move {
                        if person % 4 == 3 {
                            let no = says(&format!("p{person}"), false);
                            let end = Some((approval_state::REJECTED, None, 9));
                            let change =
                                ApprovalChange { decision: Some(no), end, ..ApprovalChange::default() };
                            return store.change_approval(id, move |_| Ok(change)).await;
                        }
                        approve(&store, &id, &format!("p{person}")).await
                    })
                });
                let mut ends = Vec::new();
                for decided in futures::future::join_all(decisions).await {
                    match decided.unwrap() {
                        Ok(row) if row.state != approval_state::WAITING => ends.push(row),
                        Ok(_) => {}
                        Err(MetastoreError::Approval(ApprovalRefusal::Decided { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!(ends.len(), 1, "exactly one decision ended it");
                let kept = store.find_approval(id).await.unwrap();
                assert_eq!(kept.state, ends[0].state);
                let yes = kept.decisions.iter().filter(|decision| decision.approves).count();
                match kept.state.as_str() {
                    "approved" => assert_eq!((yes, kept.decisions.len()), (2, 2), "none after the end"),
                    _ => assert!(yes < 2 && kept.decisions.len() == yes + 1, "{kept:?}"),
                }
            }
        })
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    on_both(|store| {
        Box::pin(async move {
            run_of(&store, "r").await;
            store.insert_approval(asked("a", "r", 1)).await.unwrap();
            let refused = store.change_approval("a".to_owned(), |_| Err(ApprovalRefusal::NoReason)).await;
            assert!(matches!(refused, Err(MetastoreError::Approval(ApprovalRefusal::NoReason))));
            let kept = store.find_approval("a".to_owned()).await.unwrap();
            assert_eq!((kept.revision, kept.decisions.len()), (0, 0));
            let unknown = store.find_approval("b".to_owned()).await;
            assert!(matches!(unknown, Err(MetastoreError::Approval(ApprovalRefusal::NoApproval { .. }))));
            assert_eq!(store.list_overdue_approvals(99, 10).await.unwrap(), [""; 0]);
            assert_eq!(store.list_overdue_approvals(100, 10).await.unwrap(), ["a"]);
            let escalation = Some((100, Some(200)));
            let later = ApprovalChange { escalation, ..ApprovalChange::default() };
            let row = store.change_approval("a".to_owned(), move |_| Ok(later)).await.unwrap();
            assert_eq!((row.escalated_at, row.deadline), (Some(100), Some(200)));
            assert_eq!(store.list_overdue_approvals(100, 10).await.unwrap(), [""; 0]);
        })
    })
    .await;
}

#[tokio::test]
async fn environment_belongs_to_one_open_run() {
    on_both(|store| {
        Box::pin(async move {
            for id in ["a", "b", "c"] {
                run_of(&store, id).await;
            }
            let take = |run: &str| {
                store.take_environment("production".to_owned(), run.to_owned(), "deploy".to_owned(), 3)
            };
            assert_eq!(take("a").await.unwrap(), None);
            assert_eq!(take("a").await.unwrap(), None, "it has it already");
            assert_eq!(take("b").await.unwrap().map(|hold| hold.run_id), Some("a".to_owned()));
            assert_eq!(store.list_environment_holds().await.unwrap().len(), 1);
            // However the run ends, nothing has to be given back.
            let over = RunTransition {
                run: Some(RunEnd { state: "failed".to_owned(), ..RunEnd::default() }),
                ..crate::transition("a", 1, Vec::new())
            };
            store.store_transition(over).await.unwrap();
            assert_eq!(store.list_environment_holds().await.unwrap(), []);
            let both = futures::future::join(take("b"), take("c")).await;
            let got = [both.0.unwrap().is_none(), both.1.unwrap().is_none()];
            assert_eq!(got.iter().filter(|got| **got).count(), 1, "one of two gets it");
        })
    })
    .await;
}
