use std::path::{Path, PathBuf};

use millrace_contract::SystemClock;
use millrace_spec::asset::AssetType;

use super::*;

pub(crate) fn catalog_in(store: Metastore, folder: &Path) -> Catalog {
    let storage = Storage::folder(&folder.join("storage"));
    let models = Storage::folder(&folder.join("storage/models"));
    let copies = LocalCopies::new(storage.clone(), folder.join("copies"));
    Catalog::new(store, storage, models, copies, Arc::new(SystemClock))
}

async fn catalog(folder: &Path) -> Catalog {
    let store = Metastore::open(&format!("sqlite:{}", folder.join("millrace.db").display())).await.unwrap();
    catalog_in(store, folder)
}

fn asset(kind: AssetType, uri: String, digest: &str) -> Asset {
    Asset {
        kind,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest: digest.to_owned(),
        rows: None,
        size_bytes: None,
    }
}

fn dataset(name: &str, digest: &str, inputs: Vec<AssetKey>) -> NewDatasetVersion {
    NewDatasetVersion {
        name: name.to_owned(),
        asset: asset(AssetType::Table, "file:///t".to_owned(), digest),
        schema: Value::Null,
        profile: None,
        producer: None,
        inputs,
    }
}

#[tokio::test]
async fn equal_content_makes_no_new_version_and_a_slip_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path()).await;
    let versions = |digest: &'static str| {
        let catalog = catalog.clone();
        async move { catalog.commit(dataset("flights", digest, Vec::new())).await.unwrap().asset.version }
    };
    assert_eq!(versions("a").await, Some(1));
    assert_eq!(versions("a").await, Some(1));
    assert_eq!(versions("b").await, Some(2));
    assert_eq!(DatasetCatalog::resolve(&catalog, "data:flights@1").await.unwrap().asset.digest, "a");
    assert_eq!(DatasetCatalog::resolve(&catalog, "flights").await.unwrap().asset.digest, "b");
    let missing = DatasetCatalog::resolve(&catalog, "data:fligths").await.unwrap_err();
    assert!(matches!(missing, CatalogError::NotFound { suggestion: Some(name), .. } if name == "flights"));
    assert!(catalog.location("../up").is_err());
}

#[tokio::test]
async fn a_model_is_copied_and_its_alias_moves() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path()).await;
    let source = folder.path().join("trained");
    fs_err::create_dir_all(source.join("inner")).unwrap();
    fs_err::write(source.join("inner/model.onnx"), b"bytes").unwrap();
    let new = |digest: &str| NewModelVersion {
        name: "late".to_owned(),
        asset: asset(AssetType::Model, format!("file://{}", source.display()), digest),
        producer: None,
        tracking_run_id: None,
        metrics: IndexMap::from([("auc".to_owned(), 0.8)]),
        inputs: Vec::new(),
        description: None,
        aliases: vec!["champion".to_owned()],
    };
    catalog.register(new("blake3:1")).await.unwrap();
    let second = catalog.register(new("blake3:2")).await.unwrap();
    assert_eq!((second.asset.version, second.aliases), (Some(2), vec!["champion".to_owned()]));
    let champion = ModelRegistry::resolve(&catalog, "models:/late@champion").await.unwrap();
    assert_eq!(champion.asset.version, Some(2));
    let copied = PathBuf::from(champion.asset.uri.trim_start_matches("file://"));
    assert_eq!(fs_err::read(copied.join("inner/model.onnx")).unwrap(), b"bytes");
    assert_eq!(ModelRegistry::versions(&catalog, "late").await.unwrap()[1].aliases, Vec::<String>::new());
}
