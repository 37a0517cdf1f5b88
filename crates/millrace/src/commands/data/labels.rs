use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_contract::{DatasetCatalog as _, DatasetVersion};
use millrace_tracking::{check_dataset_alias, check_tag};
use serde_json::json;

use crate::boot;
use crate::printer::Printer;

fn of(version: &DatasetVersion) -> (String, i64) {
    let number = version.asset.version.and_then(|version| i64::try_from(version).ok());
    (version.asset.name.clone().unwrap_or_default(), number.unwrap_or_default())
}

pub(super) async fn alias(dataset: &str, alias: &str, printer: &Printer) -> Result<ExitCode> {
    if let Err(error) = check_dataset_alias(alias) {
        bail!("`{alias}` is not a name for an alias: {error}");
    }
    let rooms = boot::open_here().await?;
    let (name, version) = of(&rooms.catalog.resolve(dataset).await?);
    if !rooms.store.set_dataset_alias((name.clone(), version), alias.to_owned()).await? {
        bail!("`{name}@{version}` is gone");
    }
    let done = json!({"name": name, "alias": alias, "version": version});
    printer.document(&done, || format!("{name}@{alias} is version {version}"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unalias(dataset: &str, alias: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let (name, _) = of(&rooms.catalog.resolve(dataset).await?);
    if !rooms.store.delete_dataset_alias(name.clone(), alias.to_owned()).await? {
        bail!("`{name}` has no alias `{alias}`; `millrace data versions {name}` lists them");
    }
    printer.document(&json!({"name": name, "alias": alias}), || format!("{name}@{alias} is gone"));
    Ok(ExitCode::SUCCESS)
}

/// The version whose tags are meant: 0 for a dataset's own, which a name without a version names.
async fn tagged(rooms: &boot::Rooms, dataset: &str) -> Result<(String, i64)> {
    let (name, version) = of(&rooms.catalog.resolve(dataset).await?);
    let bare = dataset.trim_start_matches("data:") == name;
    Ok((name, if bare { 0 } else { version }))
}

pub(super) async fn tag(dataset: &str, tags: &[String], printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let of = tagged(&rooms, dataset).await?;
    let mut pairs = Vec::with_capacity(tags.len());
    for tag in tags {
        let Some((key, value)) = tag.split_once('=') else {
            bail!("`{tag}` is not a tag: write `KEY=VALUE`")
        };
        if let Err(error) = check_tag(key, value) {
            bail!("`{tag}` cannot be kept: {error}");
        }
        pairs.push((key.to_owned(), value.to_owned()));
    }
    for pair in pairs {
        rooms.store.set_dataset_tag(of.clone(), pair).await?;
    }
    print_tags(&rooms, of, printer).await
}

pub(super) async fn untag(dataset: &str, keys: &[String], printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let of = tagged(&rooms, dataset).await?;
    for key in keys {
        if !rooms.store.delete_dataset_tag(of.clone(), key.clone()).await? {
            bail!("`{dataset}` has no tag `{key}`");
        }
    }
    print_tags(&rooms, of, printer).await
}

async fn print_tags(
    rooms: &boot::Rooms,
    (name, version): (String, i64),
    printer: &Printer,
) -> Result<ExitCode> {
    let tags = rooms.store.find_dataset_labels(name).await?.tags_of(version);
    let tags: Vec<_> = tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    printer.list(&tags, &["KEY", "VALUE"], |tag| {
        ["key", "value"].map(|field| tag[field].as_str().unwrap_or_default().to_owned()).into()
    });
    Ok(ExitCode::SUCCESS)
}
