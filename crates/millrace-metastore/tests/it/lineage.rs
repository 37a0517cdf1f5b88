//! Aliases, tags and times of dataset versions, and what runs read, on both databases.

use millrace_metastore::assets::{AssetVersionRow, VersionSelector};
use millrace_metastore::experiments::{DatasetInput, TrackedRunRow};
use millrace_metastore::lineage::{Direction, KnownInput, StepAsset};
use millrace_metastore::runs::StepChange;

use crate::{begin, end, on_both, run, step, transition};

fn version(digest: &str, at: i64) -> AssetVersionRow {
    AssetVersionRow {
        kind: "dataset".to_owned(),
        name: "rows".to_owned(),
        version: 0,
        digest: digest.to_owned(),
        asset: "{}".to_owned(),
        details: "{}".to_owned(),
        created_at: at,
    }
}

fn rows(version: i64) -> (String, i64) {
    ("rows".to_owned(), version)
}

#[tokio::test]
async fn a_version_is_found_by_alias_and_by_time() {
    on_both(|store| {
        Box::pin(async move {
            for (digest, at) in [("a", 10), ("b", 20)] {
                store.insert_asset_version(version(digest, at), Vec::new()).await.unwrap();
            }
            let find = |selector| {
                let found = store.find_asset_version("dataset", "rows".to_owned(), selector);
                async move { found.await.unwrap().map(|row| row.version) }
            };
            let at = [9, 10, 19, 20, 99].map(|time| find(VersionSelector::AsOf(time)));
            assert_eq!(futures::future::join_all(at).await, [None, Some(1), Some(1), Some(2), Some(2)]);
            assert!(store.set_dataset_alias(rows(1), "base".to_owned()).await.unwrap());
            assert!(!store.set_dataset_alias(rows(7), "base".to_owned()).await.unwrap());
            assert_eq!(find(VersionSelector::Alias("base".to_owned())).await, Some(1));
            let tag = |value: &str| ("checked".to_owned(), value.to_owned());
            for (of, value) in [(0, "all"), (2, "no"), (2, "yes")] {
                assert!(store.set_dataset_tag(rows(of), tag(value)).await.unwrap());
            }
            assert!(!store.set_dataset_tag(rows(7), tag("x")).await.unwrap());
            let labels = store.find_dataset_labels("rows".to_owned()).await.unwrap();
            assert_eq!(
                (labels.aliases_of(1), labels.tags_of(2), labels.tags_of(0)),
                (vec!["base".to_owned()], vec![tag("yes")], vec![tag("all")])
            );
            assert!(store.delete_dataset_alias("rows".to_owned(), "base".to_owned()).await.unwrap());
            assert!(!store.delete_dataset_alias("rows".to_owned(), "base".to_owned()).await.unwrap());
            assert!(store.delete_dataset_tag(rows(2), "checked".to_owned()).await.unwrap());
        })
    })
    .await;
}

#[tokio::test]
async fn what_a_step_read_is_stored_with_its_end() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = crate::begin_server(&store, "a").await;
            store.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
            store.store_transition(transition("a", epoch, vec![begin("one", 1, Vec::new())])).await.unwrap();
            let mut ended = end("one", 1);
            let used = |direction, kind: &str, name: &str, version, digest: &str| StepAsset {
                direction,
                kind: kind.to_owned(),
                name: name.to_owned(),
                version,
                digest: digest.to_owned(),
            };
            let read = used(Direction::Read, "dataset", "rows", 1, "d");
            let wrote = used(Direction::Wrote, "model", "", 0, "m");
            if let StepChange::EndAttempt { assets, .. } = &mut ended {
                *assets = vec![read.clone(), read.clone(), wrote.clone()];
            }
            store.store_transition(transition("a", epoch, vec![ended])).await.unwrap();
            let of_version = store.list_uses_of_version("dataset", "rows".to_owned(), 1).await.unwrap();
            assert_eq!(
                (of_version.len(), &of_version[0].asset, of_version[0].step.as_str()),
                (1, &read, "one")
            );
            assert_eq!(store.list_uses_of_digest("m".to_owned()).await.unwrap()[0].asset, wrote);
            assert_eq!(store.list_uses_of_run("a".to_owned()).await.unwrap().len(), 2);
            assert!(store.is_pipeline_run_or_child("a".to_owned()).await.unwrap());
        })
    })
    .await;
}

#[tokio::test]
async fn a_logged_input_is_the_version_it_is_known_as() {
    on_both(|store| {
        Box::pin(async move {
            let tracked = TrackedRunRow {
                id: "r".to_owned(),
                experiment: "e".to_owned(),
                name: "train".to_owned(),
                status: "RUNNING".to_owned(),
                started_at: 5,
                ..TrackedRunRow::default()
            };
            store.begin_tracked_run(tracked).await.unwrap();
            let input = DatasetInput {
                name: "frame".to_owned(),
                digest: "1234".to_owned(),
                source_type: "local".to_owned(),
                source: "{}".to_owned(),
                schema: None,
                profile: None,
                context: Some("training".to_owned()),
                tags: "{}".to_owned(),
            };
            store.link_to_run("r".to_owned(), vec![input], Vec::new()).await.unwrap();
            for version in [1, 2] {
                let known = KnownInput {
                    name: "frame".to_owned(),
                    digest: "1234".to_owned(),
                    asset_name: "rows".to_owned(),
                    asset_version: version,
                };
                store.keep_known_inputs("r".to_owned(), vec![known]).await.unwrap();
            }
            assert_eq!(store.list_tracked_reads_of("rows".to_owned(), 1).await.unwrap(), []);
            let read = store.list_tracked_reads_by("r".to_owned()).await.unwrap();
            assert_eq!(
                (read[0].asset_version, read[0].context.as_deref(), read[0].run_name.as_str()),
                (2, Some("training"), "train")
            );
            assert!(!store.is_pipeline_run_or_child("r".to_owned()).await.unwrap());
        })
    })
    .await;
}
