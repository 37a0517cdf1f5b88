use std::path::Path;

use millrace_contract::{Progress, ProgressSink, StepLog};
use millrace_metastore::Metastore;
use serde_json::json;

use super::*;
use crate::catalog::tests::catalog_in;

struct Quiet;
impl StepLog for Quiet {
    fn line(&self, _: &str) {}
}
impl ProgressSink for Quiet {
    fn report(&self, _: Progress) {}
}

fn context(folder: &Path, config: Value) -> StepContext {
    let training =
        json!({"asset": "table", "name": "flights", "version": 4, "uri": "file:///t", "digest": "d"});
    StepContext {
        run_id: "0".repeat(32),
        pipeline: "flights".to_owned(),
        step: "register".to_owned(),
        attempt: 1,
        idempotency_key: String::new(),
        workspace: folder.to_owned(),
        folder: folder.to_owned(),
        config,
        inputs: IndexMap::from([("train".to_owned(), training)]),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        tracking_run_id: "1".repeat(32),
        cancel: tokio_util::sync::CancellationToken::new(),
        log: Arc::new(Quiet),
        progress: Arc::new(Quiet),
    }
}

fn model(folder: &Path, digest: &str) -> Value {
    json!({"asset": "model", "uri": format!("file://{}", folder.join("trained").display()), "digest": digest})
}

#[tokio::test]
async fn an_equal_model_keeps_its_version_and_the_alias_moves_with_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs_err::create_dir_all(path.join("trained")).unwrap();
    fs_err::write(path.join("trained/MLmodel"), "flavors: {}\n").unwrap();
    let store = Metastore::open(&format!("sqlite:{}", path.join("m.db").display())).await.unwrap();
    let catalog = Arc::new(catalog_in(store, path));
    let step = RegisterStep::new(catalog.clone());
    let register = async |digest: &str, alias: &str| {
        let config = json!({
            "model": model(path, digest), "name": "late", "alias": alias, "aliases": ["staging"],
            "metrics": {"auc": 0.75, "curve": [1]}, "description": "late?",
        });
        step.run(context(path, config)).await.unwrap().outputs
    };
    let first = register("blake3:1", "champion").await;
    assert_eq!((&first["name"], &first["number"]), (&json!("late"), &json!(1)));
    let version = Asset::from_value(&first["version"]).unwrap();
    assert_eq!((version.label().as_str(), version.kind), ("late@1", AssetType::Model));
    assert!(version.uri.ends_with("/storage/models/late/1"), "{}", version.uri);
    assert_eq!(register("blake3:1", "challenger").await["number"], json!(1));
    let one = ModelRegistry::resolve(catalog.as_ref(), "late@1").await.unwrap();
    assert_eq!(one.aliases, ["challenger", "champion", "staging"]);
    assert_eq!(one.metrics, IndexMap::from([("auc".to_owned(), 0.75)]));
    assert_eq!(one.inputs, [AssetKey { kind: "dataset".to_owned(), name: "flights".to_owned(), version: 4 }]);
    assert_eq!(one.producer.unwrap().step.as_deref(), Some("register"));
    assert_eq!(register("blake3:2", "champion").await["number"], json!(2));
    let champion = ModelRegistry::resolve(catalog.as_ref(), "late@champion").await.unwrap();
    assert_eq!(champion.asset.version, Some(2));
    let one = ModelRegistry::resolve(catalog.as_ref(), "late@1").await.unwrap();
    assert_eq!(one.aliases, ["challenger"]);
}

#[tokio::test]
async fn what_is_no_model_and_what_is_no_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Metastore::open(&format!("sqlite:{}", folder.path().join("m.db").display())).await.unwrap();
    let catalog = catalog_in(store, folder.path());
    let step = RegisterStep::new(Arc::new(catalog));
    let table = json!({"asset": "table", "uri": "file:///t", "digest": "d"});
    let refused = async |config: Value| {
        let error = step.run(context(folder.path(), config)).await.unwrap_err();
        assert!(!error.transient);
        error.problem.message
    };
    let message = refused(json!({"model": table, "name": "late"})).await;
    assert_eq!(message, "what `model` names is not a model folder");
    let message = refused(json!({"model": model(folder.path(), "d"), "name": "late", "alias": "3"})).await;
    assert_eq!(message, "`3` is not a name for an alias: it would be taken for a version");
    let message = refused(json!({"model": model(folder.path(), "d"), "name": "../up"})).await;
    assert_eq!(message, "`../up` is not a name for a model: it begins with a dot");
    let problems =
        step.check(&json!({"model": "${{ steps.a.model }}", "name": "a b", "aliases": ["latest", "ok"]}));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(step.check(&json!({"name": "${{ inputs.name }}", "alias": "${{ inputs.alias }}"})).is_empty());
}

#[test]
fn the_page_has_a_sentence_and_an_example_of_its_shape() {
    let doc = doc();
    assert!(doc.summary.ends_with('.'), "{}", doc.summary);
    let example = millrace_spec::yaml::parse("example", doc.example).unwrap().to_json();
    let found = millrace_spec::validate::violations(doc.schema.as_value(), &example["register"]);
    assert_eq!(found, []);
}
