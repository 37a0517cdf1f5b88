use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_contract::{AssetKey, DatasetCatalog as _, NewDatasetVersion};
use millrace_spec::asset::{Asset, AssetType};
use millrace_tracking::folders;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::printer::Printer;

/// Keeps a folder as the next version of a dataset.
pub(super) async fn add(dataset: &str, folder: &Path, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let name = dataset.trim_start_matches("data:");
    let location = local(&rooms.catalog.location(name)?)?;
    let source = folder.to_path_buf();
    let (manifest, kept) = tokio::task::spawn_blocking(move || folders::keep(&source, &location)).await??;
    let uri = url::Url::from_directory_path(&kept)
        .map_err(|()| anyhow::anyhow!("`{}` is no absolute path", kept.display()))?;
    let recorded = rooms
        .catalog
        .commit(NewDatasetVersion {
            name: name.to_owned(),
            asset: Asset {
                kind: AssetType::Folder,
                name: None,
                version: None,
                uri: uri.to_string().trim_end_matches('/').to_owned(),
                delta_version: None,
                digest: manifest.digest(),
                rows: None,
                size_bytes: Some(manifest.size_bytes()),
            },
            schema: Value::Array(Vec::new()),
            profile: None,
            producer: None,
            inputs: vec![AssetKey {
                kind: "source".to_owned(),
                name: folder.to_string_lossy().into_owned(),
                version: 0,
            }],
        })
        .await?;
    let document = json!({
        "name": name, "version": recorded.asset.version, "digest": recorded.asset.digest, "files": manifest.files.len(),
        "size_bytes": manifest.size_bytes(), "uri": recorded.asset.uri,
    });
    printer.document(&document, || {
        format!(
            "kept {} files, {} bytes, as {}",
            manifest.files.len(),
            manifest.size_bytes(),
            recorded.asset.label()
        )
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(
    dataset: &str,
    to: Option<&str>,
    check: bool,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let folder = kept(&rooms, dataset).await?;
    let manifest = folders::read_manifest(&folder)?;
    if check {
        let wrong = tokio::task::spawn_blocking(move || folders::verify(&folder)).await??;
        printer.note(&format!(
            "{} files were read, {} differ from the manifest",
            manifest.files.len(),
            wrong.len()
        ));
        let good = wrong.is_empty();
        print_changes(&wrong, printer)?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(to) = to {
        let after = folders::read_manifest(&kept(&rooms, to).await?)?;
        print_changes(&manifest.diff(&after), printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let files: Vec<Value> = manifest.files.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    printer.list(&files, &["FILE", "BYTES", "DIGEST"], |file| {
        let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        vec![text("path"), file["size_bytes"].to_string(), text("digest")]
    });
    Ok(ExitCode::SUCCESS)
}

fn print_changes(changes: &[folders::FileChange], printer: &Printer) -> Result<()> {
    let rows: Vec<Value> = changes.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    if !rows.is_empty() {
        printer.list(&rows, &["FILE", "CHANGE", "BYTES"], |row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            vec![text("path"), text("change"), row["size_bytes"].to_string()]
        });
    }
    Ok(())
}

/// Where the files of a version lie.
async fn kept(rooms: &Rooms, dataset: &str) -> Result<PathBuf> {
    let version = rooms.catalog.resolve(dataset).await?;
    if version.asset.kind != AssetType::Folder {
        bail!("`{dataset}` is a table; `millrace data preview {dataset}` shows its rows");
    }
    local(&version.asset.uri)
}

fn local(uri: &str) -> Result<PathBuf> {
    let path = url::Url::parse(uri).ok().and_then(|url| url.to_file_path().ok());
    path.with_context(|| format!("`{uri}` is no folder of this machine"))
}
