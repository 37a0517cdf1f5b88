//! The model registry, on both databases.

use millrace_metastore::assets::{AssetNode, AssetVersionRow, VersionSelector};
use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::registry::{
    APPROVALS_TAG, APPROVERS_TAG, NewModelAsset, NewPromotion, NewVersion, PROMPT_TAG, PROTECTED_TAG,
    RegistryClause, RegistryField, RegistryOrder, RegistryQuery, RegistryRefusal, VoteRow, WebhookChange,
    WebhookRow,
};
use millrace_metastore::testing::TestPostgres;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::access::{Access, Person};

use crate::on_both;

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn version(name: &str) -> NewVersion {
    NewVersion {
        name: name.to_owned(),
        source: "s3://b/m".to_owned(),
        run_id: Some("r1".to_owned()),
        ..NewVersion::default()
    }
}

fn content(digest: &str) -> AssetVersionRow {
    AssetVersionRow {
        kind: String::new(),
        name: String::new(),
        version: 0,
        digest: digest.to_owned(),
        asset: "{}".to_owned(),
        details: "{}".to_owned(),
        created_at: 0,
    }
}

async fn model(store: &Metastore, name: &str) {
    store.create_registered_model(name.to_owned(), None, Vec::new(), 1).await.unwrap();
}

fn refused<T>(outcome: Result<T, MetastoreError>) -> Option<RegistryRefusal> {
    match outcome {
        Err(MetastoreError::Registry(refusal)) => Some(refusal),
        Err(error) => panic!("{error:?}"),
        Ok(_) => None,
    }
}

fn of(name: &str, version: i64) -> (String, i64) {
    (name.to_owned(), version)
}

#[tokio::test]
async fn numbers_are_given_once_even_to_those_who_come_at_once() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            let together = (0..12).map(|_| store.create_model_version(version("m"), 2));
            let made = futures::future::join_all(together).await;
            let mut numbers: Vec<i64> = made.into_iter().map(|row| row.unwrap().version).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
            store.delete_model_version(of("m", 12), 3).await.unwrap();
            assert_eq!(store.create_model_version(version("m"), 4).await.unwrap().version, 13);
            assert_eq!(
                refused(store.find_model_version("m".to_owned(), 12).await),
                Some(RegistryRefusal::NoVersion { name: "m".to_owned(), version: 12 })
            );
            assert_eq!(
                refused(store.create_model_version(version("x"), 4).await),
                Some(RegistryRefusal::NoModel { name: "x".to_owned() })
            );
        })
    })
    .await;
}

#[tokio::test]
async fn a_name_is_taken_moved_and_deleted_with_everything() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "a").await;
            let prompt = vec![pair(PROMPT_TAG, "true")];
            let taken = store.create_registered_model("a".to_owned(), None, prompt.clone(), 1).await;
            let message = refused(taken).unwrap().to_string();
            assert!(message.starts_with("Tried to create a prompt with name 'a'"), "{message}");
            store.create_registered_model("p".to_owned(), None, prompt, 1).await.unwrap();
            let made = NewVersion { tags: vec![pair("k", "v")], content: Some(content("d")), ..version("a") };
            store.create_model_version(made, 2).await.unwrap();
            store.set_model_alias(of("a", 1), "best".to_owned(), 3).await.unwrap();
            store.set_registered_model_tag("a".to_owned(), pair("t", "1"), 3).await.unwrap();
            let taken = store.rename_registered_model("a".to_owned(), "p".to_owned(), 4).await;
            assert!(matches!(refused(taken), Some(RegistryRefusal::NameTaken { by_prompt: true, .. })));
            let renamed = store.rename_registered_model("a".to_owned(), "b".to_owned(), 5).await.unwrap();
            assert_eq!((renamed.tags, renamed.aliases), (vec![pair("t", "1")], vec![of("best", 1)]));
            assert_eq!((renamed.latest[0].updated_at, &renamed.latest[0].tags), (5, &vec![pair("k", "v")]));
            let best = VersionSelector::Alias("best".to_owned());
            let (found, row) = store.find_model_asset("b".to_owned(), best.clone()).await.unwrap().unwrap();
            assert_eq!((found.digest.as_str(), row.aliases), ("d", vec!["best".to_owned()]));
            assert_eq!(store.find_model_asset("a".to_owned(), best).await.unwrap(), None);
            store.delete_registered_model("b".to_owned()).await.unwrap();
            assert!(refused(store.delete_registered_model("b".to_owned()).await).is_some());
            assert!(store.list_model_assets("b".to_owned()).await.unwrap().is_empty());
            model(&store, "b").await;
            let again = store.create_model_version(version("b"), 6).await.unwrap();
            assert_eq!((again.version, again.aliases, again.tags), (1, Vec::new(), Vec::new()));
        })
    })
    .await;
}

#[tokio::test]
async fn a_deleted_version_leaves_its_number_only() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            for digest in ["one", "two"] {
                let new = NewVersion { content: Some(content(digest)), ..version("m") };
                store.create_model_version(new, 2).await.unwrap();
            }
            store.set_model_alias(of("m", 2), "best".to_owned(), 3).await.unwrap();
            store.delete_model_version(of("m", 2), 4).await.unwrap();
            let alias = store.find_model_version_by_alias("m".to_owned(), "best".to_owned()).await;
            assert_eq!(refused(alias), Some(RegistryRefusal::NoAlias { alias: "best".to_owned() }));
            let left = store.list_model_assets("m".to_owned()).await.unwrap();
            assert_eq!(left.iter().map(|(row, _)| row.digest.as_str()).collect::<Vec<_>>(), ["one"]);
            let query = RegistryQuery {
                clauses: vec![RegistryClause {
                    field: RegistryField::RunId,
                    condition: Condition::Text(Compare::Equal, "r1".to_owned()),
                }],
                limit: 10,
                ..RegistryQuery::default()
            };
            assert_eq!(store.search_model_versions(query).await.unwrap().0.len(), 1);
        })
    })
    .await;
}

#[tokio::test]
async fn stages_hold_one_version_if_the_others_are_archived() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            for _ in 0..3 {
                store.create_model_version(version("m"), 2).await.unwrap();
            }
            for number in [1, 2] {
                store.move_model_version(of("m", number), "Production", false, 3).await.unwrap();
            }
            let stages = |store: Metastore| async move {
                let found = store.find_registered_model("m".to_owned()).await.unwrap();
                let one =
                    |row: &millrace_metastore::registry::ModelVersionRow| (row.version, row.stage.clone());
                found.latest.iter().map(one).collect::<Vec<_>>()
            };
            let expected = vec![(2, "Production".to_owned()), (3, "None".to_owned())];
            assert_eq!(stages(store.clone()).await, expected);
            store.move_model_version(of("m", 3), "Production", true, 4).await.unwrap();
            let expected = vec![(2, "Archived".to_owned()), (3, "Production".to_owned())];
            assert_eq!(stages(store.clone()).await, expected);
        })
    })
    .await;
}

#[tokio::test]
async fn searches_hide_prompts_and_pages_join() {
    on_both(|store| {
        Box::pin(async move {
            for number in 0..7 {
                let tags = vec![pair("parity", if number % 2 == 0 { "even" } else { "odd" })];
                let name = format!("Model-{number}");
                store.create_registered_model(name.clone(), None, tags.clone(), number).await.unwrap();
                let new = NewVersion { tags, ..version(&name) };
                store.create_model_version(new, 100 - number).await.unwrap();
            }
            let prompt = vec![pair(PROMPT_TAG, "true")];
            store.create_registered_model("prompt".to_owned(), None, prompt.clone(), 1).await.unwrap();
            store.create_model_version(NewVersion { tags: prompt, ..version("prompt") }, 1).await.unwrap();
            let all = |prompts| RegistryQuery { prompts, limit: 100, ..RegistryQuery::default() };
            assert_eq!(store.search_registered_models(all(false)).await.unwrap().0.len(), 7);
            assert_eq!(store.search_registered_models(all(true)).await.unwrap().0.len(), 8);
            assert_eq!(store.search_model_versions(all(false)).await.unwrap().0.len(), 7);
            let like = |field, pattern: &str, any_case| RegistryClause {
                field,
                condition: Condition::Like { pattern: pattern.to_owned(), any_case, negated: false },
            };
            for (clause, count) in [
                (like(RegistryField::Name, "Model-_", false), 7),
                (like(RegistryField::Name, "model-%", false), 0),
                (like(RegistryField::Name, "mODEL-3%", true), 1),
                (like(RegistryField::Tag("parity".to_owned()), "e%", false), 4),
            ] {
                let query = RegistryQuery { clauses: vec![clause.clone()], ..all(false) };
                assert_eq!(store.search_registered_models(query).await.unwrap().0.len(), count, "{clause:?}");
            }
            for (field, ascending) in [
                (RegistryField::UpdatedAt, false),
                (RegistryField::Name, true),
                (RegistryField::Version, true),
            ] {
                let order = vec![RegistryOrder { field, ascending }];
                let whole = RegistryQuery { order: order.clone(), ..all(false) };
                let names = |rows: Vec<millrace_metastore::registry::ModelVersionRow>| {
                    rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
                };
                let expected = names(store.search_model_versions(whole).await.unwrap().0);
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let page = RegistryQuery { order: order.clone(), after, limit: 3, ..all(false) };
                    let (rows, next) = store.search_model_versions(page).await.unwrap();
                    found.extend(names(rows));
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected);
            }
        })
    })
    .await;
}

#[tokio::test]
async fn steps_and_clients_register_in_one_place() {
    on_both(|store| {
        Box::pin(async move {
            let new = |digest: &str| NewModelAsset {
                version: NewVersion { content: Some(content(digest)), ..version("m") },
                inputs: vec![AssetNode { kind: "dataset".to_owned(), name: "d".to_owned(), version: 1 }],
                aliases: vec!["best".to_owned()],
            };
            let events = ["registered_model.created", "model_version.created", "model_version_alias.created"];
            let webhook = WebhookRow {
                id: "w".to_owned(),
                active: true,
                events: events.map(str::to_owned).into(),
                ..WebhookRow::default()
            };
            store.create_webhook(webhook).await.unwrap();
            assert_eq!(store.register_model_asset(new("one"), 1).await.unwrap().1.version, 1);
            let told = store.list_due_webhook_notes(1, 10, 10).await.unwrap();
            assert_eq!(told.len(), 3, "{told:?}");
            assert_eq!(store.register_model_asset(new("one"), 2).await.unwrap().1.version, 1);
            let by_client = NewVersion { content: Some(content("two")), ..version("m") };
            assert_eq!(store.create_model_version(by_client, 3).await.unwrap().version, 2);
            let (row, registered) = store.register_model_asset(new("one"), 4).await.unwrap();
            assert_eq!((row.version, registered.aliases), (3, vec!["best".to_owned()]));
            let newest = store.list_newest_model_assets().await.unwrap();
            assert_eq!(newest.iter().map(|(row, _)| row.version).collect::<Vec<_>>(), [3]);
            let prompt = vec![pair(PROMPT_TAG, "true")];
            store.create_registered_model("p".to_owned(), None, prompt, 1).await.unwrap();
            let mut into_prompt = new("one");
            into_prompt.version.name = "p".to_owned();
            assert!(matches!(
                refused(store.register_model_asset(into_prompt, 5).await),
                Some(RegistryRefusal::IsPrompt { .. })
            ));
        })
    })
    .await;
}

#[tokio::test]
async fn webhooks_are_told_with_the_change_or_not_at_all() {
    on_both(|store| {
        Box::pin(async move {
            let webhook = |id: &str, events: &[&str]| WebhookRow {
                id: id.to_owned(),
                name: "hook".to_owned(),
                url: "http://h/".to_owned(),
                active: true,
                events: events.iter().map(|event| (*event).to_owned()).collect(),
                ..WebhookRow::default()
            };
            let every = ["registered_model.created", "model_version.created", "model_version_alias.created"];
            store.create_webhook(webhook("a", &every)).await.unwrap();
            store.create_webhook(webhook("b", &["prompt.created"])).await.unwrap();
            model(&store, "m").await;
            assert!(store.create_registered_model("m".to_owned(), None, Vec::new(), 1).await.is_err());
            store.create_model_version(version("m"), 2).await.unwrap();
            for _ in 0..2 {
                store.set_model_alias(of("m", 1), "best".to_owned(), 3).await.unwrap();
            }
            let due = store.list_due_webhook_notes(10, 100, 100).await.unwrap();
            let told: Vec<serde_json::Value> =
                due.iter().map(|note| serde_json::from_str(&note.body).unwrap()).collect();
            let events: Vec<String> = told
                .iter()
                .map(|body| format!("{}.{}", body["entity"], body["action"]).replace('"', ""))
                .collect();
            assert_eq!(events, every);
            assert_eq!(told[1]["data"]["version"], "1");
            assert_eq!(told[1]["timestamp"], "1970-01-01T00:00:00.000002+00:00");
            assert!(due.iter().all(|note| note.to == "a"));
            assert_eq!(store.list_due_webhook_notes(10, 100, 2).await.unwrap().len(), 2);
            store.postpone_webhook_note(due[0].id.clone(), Some(50), "no".to_owned()).await.unwrap();
            store.postpone_webhook_note(due[1].id.clone(), None, "no".to_owned()).await.unwrap();
            store.mark_webhook_note_delivered(due[2].id.clone(), 11, 0).await.unwrap();
            assert!(store.list_due_webhook_notes(49, 100, 100).await.unwrap().is_empty());
            assert_eq!(store.next_webhook_note_at().await.unwrap(), Some(50));
            let deliveries = store.list_webhook_deliveries("a".to_owned(), 10).await.unwrap();
            let states: Vec<_> = deliveries
                .iter()
                .rev()
                .map(|one| (one.attempts, one.dead, one.delivered_at, one.error.as_deref()))
                .collect();
            let no = Some("no");
            assert_eq!(states, [(1, false, None, no), (1, true, None, no), (1, false, Some(11), None)]);
            let revive = |id: &str, at| store.revive_webhook_note("a".to_owned(), id.to_owned(), at);
            assert!(!revive(&due[0].id, 20).await.unwrap() && revive(&due[1].id, 20).await.unwrap());
            assert_eq!(store.list_due_webhook_notes(20, 100, 100).await.unwrap()[0].id, due[1].id);
            store.postpone_webhook_note(due[1].id.clone(), None, "no".to_owned()).await.unwrap();
            let off = WebhookChange { active: Some(false), ..WebhookChange::default() };
            assert!(!store.update_webhook("a".to_owned(), off, 12).await.unwrap().active);
            store.create_model_version(version("m"), 13).await.unwrap();
            assert_eq!(store.next_webhook_note_at().await.unwrap(), None);
            let first = store.list_webhooks(None, 1).await.unwrap();
            let rest =
                store.list_webhooks(Some((first[0].created_at, first[0].id.clone())), 5).await.unwrap();
            assert_eq!((first[0].id.as_str(), rest.len()), ("a", 1));
            store.delete_webhook("a".to_owned()).await.unwrap();
            assert!(refused(store.find_webhook("a".to_owned()).await).is_some());
        })
    })
    .await;
}

#[tokio::test]
async fn models_that_were_registered_before_are_in_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = TestPostgres::start();
    let sqlite = format!("sqlite:{}", folder.path().join("millrace.db").display());
    for url in std::iter::once(sqlite).chain(postgres.as_ref().map(TestPostgres::url)) {
        let store = Metastore::open(&url).await.unwrap();
        store
            .write(|session| {
                Box::pin(async move {
                    for table in ["model_card", "promotion_vote", "promotion", "webhook_outbox", "webhook_event", "webhook", "model_tag", "model_version", "registered_model"] {
                        session.execute(&format!("DROP TABLE {table}"), &[]).await?;
                    }
                    let sql = "DELETE FROM schema_migration WHERE name IN ('0020_model_registry', '0052_model_cards')";
                    session.execute(sql, &[]).await?;
                    for (version, details) in [(1, r#"{"description": "old", "tracking_run_id": "r"}"#), (2, "{}")] {
                        let sql = "INSERT INTO asset_version (kind, name, version, digest, asset, details, created_at) \
                                   VALUES ('model', 'm', $1, 'blake3:0123456789abcdef0123456789abcdef01234567', '{}', $2, $1)";
                        session.execute(sql, &[version.into(), details.into()]).await?;
                    }
                    session.execute("INSERT INTO asset_alias (kind, name, alias, version) VALUES ('model', 'm', 'best', 1)", &[]).await
                })
            })
            .await
            .unwrap();
        let store = Metastore::open(&url).await.unwrap();
        let best = store.find_model_version_by_alias("m".to_owned(), "best".to_owned()).await.unwrap();
        assert_eq!(
            (best.description.as_deref(), best.run_id.as_deref(), best.version),
            (Some("old"), Some("r"), 1)
        );
        assert_eq!(best.source, "mlflow-artifacts:/.registry/m/0123456789abcdef0123456789abcdef");
        assert_eq!(store.create_model_version(version("m"), 5).await.unwrap().version, 3);
        assert_eq!(store.list_model_assets("m".to_owned()).await.unwrap().len(), 2);
    }
}

fn vote(voter: &str, approves: bool, at: i64) -> VoteRow {
    VoteRow { voter: voter.to_owned(), approves, comment: "because".to_owned(), voted_at: at }
}

fn promotion(id: &str, version: i64) -> NewPromotion {
    NewPromotion {
        id: id.to_owned(),
        name: "m".to_owned(),
        version,
        alias: "champion".to_owned(),
        quorum: 1,
        comment: "better".to_owned(),
        requested_by: "ann".to_owned(),
    }
}

fn admin(name: &str) -> (Person, Access) {
    (Person { name: name.to_owned(), is_admin: true }, Access::default())
}

#[tokio::test]
async fn a_request_is_decided_by_those_that_the_model_names() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            let new = NewVersion { content: Some(content("a")), ..version("m") };
            store.create_model_version(new, 2).await.unwrap();
            let asked = store.request_promotion(promotion("one", 1), 3).await.unwrap();
            assert_eq!(asked.approvers, ["role:admin"]);
            let access =
                Access::parse("access.yaml", "groups: {risk: [cid]}\nroles: {owner: [user:bob]}\n").unwrap();
            let person = |name: &str, is_admin| (Person { name: name.to_owned(), is_admin }, access.clone());
            let votes = |name: &'static str, is_admin| {
                store.vote_on_promotion("one".to_owned(), person(name, is_admin), vote(name, true, 4))
            };
            let not_asked = |voter: &str, asked: &str| {
                Some(RegistryRefusal::NotAsked { voter: voter.to_owned(), asked: asked.to_owned() })
            };
            assert_eq!(refused(votes("bob", false).await), not_asked("bob", "role:admin"));
            for (key, value) in [(APPROVERS_TAG, "role:owner, group:risk,"), (APPROVALS_TAG, "2")] {
                store.set_registered_model_tag("m".to_owned(), pair(key, value), 4).await.unwrap();
            }
            let named = "role:owner or group:risk";
            assert_eq!(refused(votes("dan", true).await), not_asked("dan", named));
            assert_eq!(votes("bob", false).await.unwrap().state, "approved");
            // What names nobody lets nobody decide.
            store.request_promotion(promotion("two", 1), 5).await.unwrap();
            store.set_registered_model_tag("m".to_owned(), pair(APPROVERS_TAG, "owner"), 5).await.unwrap();
            let none = store.vote_on_promotion("two".to_owned(), person("bob", true), vote("bob", true, 6));
            assert_eq!(refused(none.await), not_asked("bob", "owner"));
        })
    })
    .await;
}

#[tokio::test]
async fn an_alias_moves_with_the_last_approval_of_others_and_with_nothing_else() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            for digest in ["a", "b"] {
                let new = NewVersion { content: Some(content(digest)), ..version("m") };
                store.create_model_version(new, 2).await.unwrap();
            }
            for (key, value) in [(APPROVALS_TAG, "2"), (PROTECTED_TAG, "champion, best")] {
                store.set_registered_model_tag("m".to_owned(), pair(key, value), 2).await.unwrap();
            }
            let protected = RegistryRefusal::Protected { name: "m".to_owned(), alias: "champion".to_owned() };
            let by_hand = store.set_model_alias(of("m", 1), "champion".to_owned(), 3).await;
            assert_eq!(refused(by_hand), Some(protected.clone()));
            let first = store.request_promotion(promotion("one", 1), 3).await.unwrap();
            assert_eq!((first.quorum, first.digest.as_str(), first.state.as_str()), (2, "a", "pending"));
            let again = store.request_promotion(promotion("two", 1), 3).await;
            assert_eq!(refused(again), Some(RegistryRefusal::AlreadyRequested { id: "one".to_owned() }));
            let own = store.vote_on_promotion("one".to_owned(), admin("ann"), vote("ann", true, 4)).await;
            assert_eq!(refused(own), Some(RegistryRefusal::OwnRequest { voter: "ann".to_owned() }));
            // The same person twice is one approval.
            for at in [4, 5] {
                let waiting = store
                    .vote_on_promotion("one".to_owned(), admin("bob"), vote("bob", true, at))
                    .await
                    .unwrap();
                assert_eq!(waiting.state, "pending");
            }
            let done =
                store.vote_on_promotion("one".to_owned(), admin("cid"), vote("cid", true, 6)).await.unwrap();
            assert_eq!((done.state.as_str(), done.replaced_version, done.votes.len()), ("approved", None, 2));
            let champion = || store.find_model_version_by_alias("m".to_owned(), "champion".to_owned());
            assert_eq!(champion().await.unwrap().version, 1);
            let late = store.vote_on_promotion("one".to_owned(), admin("dan"), vote("dan", false, 7)).await;
            let decided = RegistryRefusal::Decided { id: "one".to_owned(), state: "approved".to_owned() };
            assert_eq!(refused(late), Some(decided));
            assert_eq!(
                refused(store.delete_model_alias("m".to_owned(), "champion".to_owned(), 7).await),
                Some(protected)
            );
            store.request_promotion(promotion("two", 2), 8).await.unwrap();
            let no =
                store.vote_on_promotion("two".to_owned(), admin("bob"), vote("bob", false, 9)).await.unwrap();
            assert_eq!((no.state.as_str(), champion().await.unwrap().version), ("rejected", 1));
            store.request_promotion(promotion("three", 2), 10).await.unwrap();
            let foreign = store.withdraw_promotion("three".to_owned(), "bob".to_owned(), 11).await;
            assert_eq!(refused(foreign), Some(RegistryRefusal::ForeignRequest { owner: "ann".to_owned() }));
            // Another content under the number, as a database that was put back has it, is not what was asked about.
            let other =
                "UPDATE asset_version SET digest = 'c' WHERE kind = 'model' AND name = 'm' AND version = 2";
            store
                .write(move |session| Box::pin(async move { session.execute(other, &[]).await }))
                .await
                .unwrap();
            let outdated = store
                .vote_on_promotion("three".to_owned(), admin("bob"), vote("bob", true, 12))
                .await
                .unwrap();
            assert_eq!((outdated.state.as_str(), champion().await.unwrap().version), ("outdated", 1));
            assert_eq!(store.list_promotions(Some("m".to_owned())).await.unwrap().len(), 3);
        })
    })
    .await;
}

#[tokio::test]
async fn cards_are_kept_by_revision_and_go_with_their_version() {
    on_both(|store| {
        Box::pin(async move {
            model(&store, "m").await;
            let new = NewVersion { content: Some(content("a")), ..version("m") };
            store.create_model_version(new, 2).await.unwrap();
            let write = |text: &str, at: i64| {
                store.write_model_card(of("m", 1), text.to_owned(), "ann".to_owned(), at)
            };
            assert_eq!(write("one", 3).await.unwrap().revision, 1);
            assert_eq!(write("two", 4).await.unwrap().revision, 2);
            assert_eq!(write("two", 5).await.unwrap().written_at, 4, "the same text is no revision");
            let kept: Vec<_> = store
                .list_model_cards(of("m", 1))
                .await
                .unwrap()
                .into_iter()
                .map(|card| card.content)
                .collect();
            assert_eq!(kept, ["two", "one"]);
            store.request_promotion(promotion("one", 1), 6).await.unwrap();
            store.delete_model_version(of("m", 1), 7).await.unwrap();
            assert_eq!(store.list_model_cards(of("m", 1)).await.unwrap(), []);
            assert_eq!(store.find_promotion("one".to_owned()).await.unwrap().state, "withdrawn");
            assert!(
                refused(store.write_model_card(of("m", 1), "x".to_owned(), "ann".to_owned(), 8).await)
                    .is_some()
            );
        })
    })
    .await;
}
