//! Evaluation datasets and their records.

use millrace_metastore::Metastore;
use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow, Membership};

use crate::on_both;

fn row(id: &str) -> EvalDatasetRow {
    EvalDatasetRow {
        id: id.to_owned(),
        name: format!("name of {id}"),
        tags: vec![("a".to_owned(), "b".to_owned())],
        experiments: vec![1, 2],
        ..EvalDatasetRow::default()
    }
}

fn record(digest: &str, document: &str, created_at_ms: i64) -> EvalRecordRow {
    EvalRecordRow {
        id: format!("dr-{digest}"),
        inputs_digest: digest.to_owned(),
        document: document.to_owned(),
        created_at_ms,
        updated_at_ms: created_at_ms,
    }
}

async fn documents(store: &Metastore, after: Option<(i64, String)>) -> Vec<String> {
    let found = store.list_eval_records("d".to_owned(), after, 10).await.unwrap();
    found.into_iter().map(|record| record.document).collect()
}

#[tokio::test]
async fn records_with_the_same_inputs_are_one() {
    on_both(|store| {
        Box::pin(async move {
            store.create_eval_dataset(row("d")).await.unwrap();
            let digests = || vec!["x".to_owned(), "y".to_owned()];
            let change = |dataset: &mut EvalDatasetRow, known: std::collections::HashMap<_, _>| {
                assert!(known.is_empty());
                dataset.digest = "new".to_owned();
                vec![record("x", "1", 5), record("y", "2", 5)]
            };
            assert!(store.change_eval_records("d".to_owned(), digests(), change).await.unwrap());
            let change =
                |_: &mut EvalDatasetRow, mut known: std::collections::HashMap<String, EvalRecordRow>| {
                    let mut one = known.remove("x").unwrap();
                    one.document += "+";
                    vec![one, record("z", "3", 6)]
                };
            assert!(store.change_eval_records("d".to_owned(), digests(), change).await.unwrap());
            assert_eq!(documents(&store, None).await, ["1+", "2", "3"]);
            assert_eq!(documents(&store, Some((5, "dr-x".to_owned()))).await, ["2", "3"]);
            let found = store.find_eval_dataset("d".to_owned()).await.unwrap().unwrap();
            assert_eq!((found.digest.as_str(), found.records), ("new", 3));
            let ids = vec!["dr-x".to_owned(), "absent".to_owned()];
            assert_eq!(store.delete_eval_records("d".to_owned(), ids).await.unwrap(), Some(1));
            assert_eq!(store.delete_eval_records("absent".to_owned(), Vec::new()).await.unwrap(), None);
            store.delete_eval_dataset("d".to_owned()).await.unwrap();
            assert_eq!(documents(&store, None).await, Vec::<String>::new());
        })
    })
    .await;
}

#[tokio::test]
async fn datasets_belong_to_experiments() {
    on_both(|store| {
        Box::pin(async move {
            for id in ["d", "e"] {
                store.create_eval_dataset(row(id)).await.unwrap();
            }
            let leave = Membership::Leave(vec![2, 3]);
            assert!(store.move_eval_dataset("d".to_owned(), leave, 7).await.unwrap());
            let join = || Membership::Join(vec![4, 1]);
            assert!(store.move_eval_dataset("d".to_owned(), join(), 7).await.unwrap());
            assert!(!store.move_eval_dataset("absent".to_owned(), join(), 7).await.unwrap());
            let found = store.find_eval_dataset("d".to_owned()).await.unwrap().unwrap();
            assert_eq!((found.experiments, found.updated_at_ms), (vec![1, 4], 7));
            let within = |ids: Option<Vec<i64>>| {
                let store = store.clone();
                async move { store.list_eval_datasets(ids).await.unwrap().len() }
            };
            assert_eq!(within(None).await, 2);
            assert_eq!((within(Some(vec![2])).await, within(Some(vec![4, 1])).await), (1, 2));
            assert_eq!(within(Some(Vec::new())).await, 0);
            let tags = vec![("a".to_owned(), "c".to_owned()), ("k".to_owned(), "v".to_owned())];
            assert!(store.set_eval_dataset_tags("d".to_owned(), tags.clone()).await.unwrap());
            assert!(!store.set_eval_dataset_tags("absent".to_owned(), tags).await.unwrap());
            store.delete_eval_dataset_tag("d".to_owned(), "k".to_owned()).await.unwrap();
            let found = store.find_eval_dataset("d".to_owned()).await.unwrap().unwrap();
            assert_eq!(found.tags, [("a".to_owned(), "c".to_owned())]);
        })
    })
    .await;
}
