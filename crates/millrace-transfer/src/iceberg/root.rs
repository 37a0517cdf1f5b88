//! Where a table lies, and where the files are that it names by their whole addresses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_contract::StepContext;

use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::store::{FileReader, FileStore, Stored};

/// Endings of metadata files.
const METADATA: [&str; 3] = [".gz.metadata.json", ".metadata.json.gz", ".metadata.json"];

/// The place of a table.
pub(crate) struct Root {
    /// As its user wrote it.
    name: String,
    place: Place,
    /// The metadata file that was named.
    metadata: Option<String>,
}

enum Place {
    Folder(PathBuf),
    /// The table's path below the root of a connection.
    Stored {
        reading: FileReader,
        path: String,
    },
}

impl Root {
    /// A folder of this machine, or a metadata file in one.
    pub(crate) fn local(workspace: &Path, place: &str) -> Self {
        let (folder, metadata) = table_of(place);
        let name = format!("iceberg:{place}");
        Self { name, place: Place::Folder(workspace.join(folder)), metadata }
    }

    /// A folder of a store, or a metadata file in one. `path` is that of `place` below the root of its connection.
    pub(crate) fn stored(
        (store, path): (Arc<dyn FileStore>, &str),
        place: &str,
        folder: PathBuf,
        context: &StepContext,
    ) -> Self {
        let (path, metadata) = table_of(path);
        let reading = FileReader::new(store, folder, context);
        let name = format!("iceberg:{place}");
        Self { name, place: Place::Stored { reading, path: path.to_owned() }, metadata }
    }

    /// What its user calls it.
    pub(crate) fn label(&self) -> &str {
        &self.name
    }

    /// A file by its path within the table, or by one that begins in the root of its store and with `/`.
    pub(super) fn file(&self, path: &str) -> Result<SourceFile, CopyError> {
        if path.split('/').any(|part| part == "..") {
            return Err(CopyError::read(&self.name, &format!("it names `{path}`, which leads out of it")));
        }
        match &self.place {
            Place::Folder(folder) => {
                let name = self.name.trim_start_matches("iceberg:");
                let (table, _) = table_of(name);
                Ok(SourceFile::local(format!("{}/{path}", table.trim_end_matches('/')), folder.join(path)))
            }
            Place::Stored { reading, path: table } => {
                let path = match path.strip_prefix('/') {
                    Some(path) => path.to_owned(),
                    None => format!("{}/{path}", table.trim_end_matches('/')),
                };
                Ok(SourceFile::stored(reading.store.label(&path), Stored::named(reading.clone(), &path)))
            }
        }
    }

    /// The path of what the table names by its address. `location` is where the table was when that was written.
    pub(super) fn path(&self, address: &str, location: &str) -> Result<String, CopyError> {
        let (address, location) = (plain(address), plain(location));
        if let Some(path) = below(&address, &location) {
            return Ok(path.to_owned());
        }
        match &self.place {
            Place::Stored { reading, .. } => {
                let root = reading.store.label("");
                let path = below(&address, &root);
                let elsewhere = || {
                    let message = format!("it names `{address}`, and its connection leads to `{root}`");
                    CopyError::read(&self.name, &message)
                };
                path.map(|path| format!("/{path}")).ok_or_else(elsewhere)
            }
            Place::Folder(_) => {
                let message = format!("it names `{address}`, which lies outside of the table's `{location}`");
                Err(CopyError::read(&self.name, &message))
            }
        }
    }

    /// The path of the metadata file that counts.
    pub(super) async fn newest_metadata(&self) -> Result<String, CopyError> {
        if let Some(named) = &self.metadata {
            return Ok(named.clone());
        }
        let names = self.metadata_files().await?;
        let numbered = names.iter().filter_map(|name| Some((number(name)?, name)));
        let Some(greatest) = numbered.clone().map(|(number, _)| number).max() else {
            let message = "there is no Iceberg table here: its folder `metadata` has no `….metadata.json`";
            return Err(CopyError::read(&self.name, &message));
        };
        let newest: Vec<&String> =
            numbered.filter(|(number, _)| *number == greatest).map(|(_, name)| name).collect();
        match newest.as_slice() {
            [one] => Ok(format!("metadata/{one}")),
            // Writers that lost against another one leave theirs behind; which of them counts, the table's catalog knows.
            several => Err(CopyError::config(
                format!("`{}` has {} metadata files with the number {greatest}", self.name, several.len()),
                format!("name the one that its catalog has: `{}/metadata/{}`", self.name, several[0]),
            )),
        }
    }

    async fn metadata_files(&self) -> Result<Vec<String>, CopyError> {
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.join("metadata");
                let failed = |error: std::io::Error| CopyError::read(&self.name, &error);
                let mut entries = match fs_err::read_dir(&folder) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                    entries => entries.map_err(failed)?,
                };
                let names =
                    entries.by_ref().map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
                let mut names = names.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
                names.sort();
                Ok(names)
            }
            Place::Stored { reading, path } => {
                let folder = format!("{}/metadata", path.trim_end_matches('/'));
                let found = reading.store.list(&folder, Some(1)).await?;
                let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
                let mut names: Vec<String> = found.iter().map(|file| name(&file.path)).collect();
                names.sort();
                Ok(names)
            }
        }
    }
}

/// The folder of the table that a place means, and the metadata file in it if it names one.
fn table_of(place: &str) -> (&str, Option<String>) {
    if !METADATA.iter().any(|ending| place.ends_with(ending)) {
        return (place, None);
    }
    match place.rsplit_once("/metadata/") {
        Some((table, name)) => (table, Some(format!("metadata/{name}"))),
        None => match place.strip_prefix("metadata/") {
            Some(name) => ("", Some(format!("metadata/{name}"))),
            None => {
                (place.rsplit_once('/').map_or("", |(folder, _)| folder), Some(name_of(place).to_owned()))
            }
        },
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The number of a metadata file: 3 of `v3.metadata.json` and `00003-….metadata.json`.
fn number(name: &str) -> Option<u64> {
    let stem = METADATA.iter().find_map(|ending| name.strip_suffix(ending))?;
    let digits = stem.strip_prefix('v').unwrap_or(stem);
    digits.split('-').next()?.parse().ok()
}

/// An address in the words of our connections, whoever wrote it.
fn plain(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once(':') else { return address.to_owned() };
    let place = rest.trim_start_matches('/');
    match scheme {
        "file" => format!("/{place}"),
        "s3a" | "s3n" => format!("s3://{place}"),
        "abfs" | "abfss" | "wasb" | "wasbs" => {
            // `container@account.dfs.core.windows.net/path`
            let (host, path) = place.split_once('/').unwrap_or((place, ""));
            format!("az://{}/{path}", host.split('@').next().unwrap_or(host))
        }
        _ => address.to_owned(),
    }
}

fn below<'a>(address: &'a str, folder: &str) -> Option<&'a str> {
    let path = address.strip_prefix(folder.trim_end_matches('/'))?.strip_prefix('/')?;
    Some(path).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_files() {
        assert_eq!(number("v12.metadata.json"), Some(12));
        assert_eq!(number("00003-0d1e.gz.metadata.json"), Some(3));
        assert_eq!(number("snap-3.avro"), None);
        assert_eq!(plain("abfss://lake@acc.dfs.core.windows.net/t/a.parquet"), "az://lake/t/a.parquet");
        assert_eq!((plain("file:/a/b"), plain("file:///a/b")), ("/a/b".to_owned(), "/a/b".to_owned()));
        assert_eq!(
            table_of("lake/t/metadata/v1.metadata.json"),
            ("lake/t", Some("metadata/v1.metadata.json".to_owned()))
        );
        assert_eq!(table_of("lake/t"), ("lake/t", None));
        let root = Root::local(Path::new("/w"), "lake/t");
        let check = |address: &str, expected: Result<&str, &str>| {
            let found =
                root.path(address, "s3a://old/t/").and_then(|path| root.file(&path).map(|file| file.name));
            let found = found.map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        check("s3://old/t/data/a.parquet", Ok("lake/t/data/a.parquet"));
        check("s3://old/t/../b", Err("cannot read `iceberg:lake/t`: it names `../b`, which leads out of it"));
        check(
            "/etc/passwd",
            Err(
                "cannot read `iceberg:lake/t`: it names `/etc/passwd`, which lies outside of the table's `s3://old/t/`",
            ),
        );
    }
}
