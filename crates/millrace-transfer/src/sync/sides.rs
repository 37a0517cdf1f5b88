//! Where files come from and where they go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;

use super::config::{Hierarchy, SyncConfig};
use super::plan::Listed;
use crate::address::Address;
use crate::connections::{self, Connections};
use crate::copy::{CopyServices, file_name};
use crate::error::CopyError;
use crate::store::{self, FileStore, LocalFolder, is_glob, matching, opened};

/// A place in a store.
pub(super) struct Side {
    pub(super) store: Arc<dyn FileStore>,
    /// Path or glob in the store.
    pub(super) path: String,
    /// What one file is called whose path has no name.
    name: Option<String>,
    /// Which store it is: two sides of one can copy without the bytes passing here.
    pub(super) connection: Option<String>,
    /// The store's root, if it is a folder here.
    local: Option<PathBuf>,
    /// What its user calls it.
    pub(super) label: String,
}

/// Reads addresses with the connections that they name.
pub(super) struct Sides<'a> {
    pub(super) services: &'a CopyServices,
    pub(super) connections: Connections,
}

const FROM: &str = "from: \"lake:raw/\"";
const TO: &str = "to: \"lake:raw/\"";

impl Sides<'_> {
    /// Where a step copies from.
    pub(super) fn from(&self, config: &SyncConfig) -> Result<Side, CopyError> {
        let asset = Asset::from_value(&config.from);
        match self.address(&config.from)? {
            // A folder that a step has made is all of it.
            Address::Files(path) if asset.is_some_and(|asset| asset.kind == AssetType::Folder) => {
                Ok(self.local(path.trim_end_matches('*')))
            }
            Address::Files(path) => Ok(self.local(&path)),
            Address::Http(url) => {
                let web = store::http::alone(&self.services.http, &url);
                let name = Some(file_name(&url));
                let label = store::http::shown(&url);
                Ok(Side { store: web, path: String::new(), name, connection: None, local: None, label })
            }
            other => self.stored(other, FROM),
        }
    }

    /// Where a step copies to.
    pub(super) fn to(&self, config: &SyncConfig) -> Result<Side, CopyError> {
        let refused = |why: &str| Err(CopyError::config(format!("`{}` {why}", config.to), TO));
        if is_glob(&config.to) {
            return refused("names no folder");
        }
        let side = match self.address(&Value::from(config.to.as_str()))? {
            Address::Files(path) if config.hierarchy == Hierarchy::Merge => {
                let at = self.services.workspace.join(&path);
                match (at.parent(), at.file_name().and_then(|name| name.to_str())) {
                    (Some(folder), Some(name)) => self.folder(folder, name, &path),
                    _ => return refused("names no file"),
                }
            }
            Address::Files(path) => self.folder(&self.services.workspace.join(&path), "", &path),
            Address::Http(_) => return refused("cannot be written"),
            other => self.stored(other, TO)?,
        };
        if !side.store.lists() {
            return refused("cannot be written");
        }
        if config.hierarchy == Hierarchy::Merge && (side.path.is_empty() || config.to.ends_with('/')) {
            return refused("names no file, which all files would become");
        }
        Ok(Side { path: side.path.trim_matches('/').to_owned(), ..side })
    }

    fn address(&self, value: &Value) -> Result<Address, CopyError> {
        connections::located(Address::read(value)?, &self.connections)
    }

    /// A folder, a file or a glob here.
    fn local(&self, path: &str) -> Side {
        let at = self.services.workspace.join(path);
        if is_glob(path) {
            let is_fixed = |part: &std::path::Component<'_>| !is_glob(&part.as_os_str().to_string_lossy());
            let fixed: PathBuf = at.components().take_while(is_fixed).collect();
            let rest = at.strip_prefix(&fixed).unwrap_or(&at).to_string_lossy().into_owned();
            return self.folder(&fixed, &rest, path);
        }
        match (at.is_file(), at.parent(), at.file_name().and_then(|name| name.to_str())) {
            (true, Some(folder), Some(name)) => self.folder(folder, name, path),
            _ => self.folder(&at, "", path),
        }
    }

    /// A place in a folder here.
    fn folder(&self, root: &Path, path: &str, label: &str) -> Side {
        let shown = root.strip_prefix(&self.services.workspace).unwrap_or(root).to_string_lossy();
        Side {
            store: Arc::new(LocalFolder::new(root.to_owned(), &shown)),
            path: path.to_owned(),
            name: None,
            connection: None,
            local: Some(root.to_owned()),
            label: label.to_owned(),
        }
    }

    fn stored(&self, address: Address, hint: &str) -> Result<Side, CopyError> {
        let not_files = |what: &str| {
            Err(CopyError::config(format!("`{what}` leads to no files; `copy` copies tables"), hint))
        };
        match address {
            Address::Stored { connection, path, label } => {
                let settings = connections::find(&self.connections, &connection)?;
                let Some(leads) = store::leading(&connection, settings) else {
                    return not_files(&connection);
                };
                let (store, connection) = (leads?.open()?, Some(connection));
                Ok(Side { store, path, name: None, connection, local: None, label })
            }
            Address::Database { connection, .. } => {
                connections::find(&self.connections, &connection)?;
                not_files(&connection)
            }
            Address::Origin { connection, .. }
            | Address::Queue { connection, .. }
            | Address::Mailbox { connection, .. } => not_files(&connection),
            Address::Dataset(name) => not_files(&format!("data:{name}")),
            Address::Delta { place, .. } => not_files(&format!("delta:{place}")),
            Address::Iceberg { place, .. } => not_files(&format!("iceberg:{place}")),
            Address::Table(asset) => not_files(&asset.label()),
            Address::StoreUrl(text) | Address::Files(text) => not_files(&text),
            Address::Http(url) => not_files(&store::http::shown(&url)),
        }
    }
}

impl Side {
    /// The part of the path that is no glob.
    fn fixed(&self) -> String {
        let parts: Vec<&str> = self.path.split('/').take_while(|part| !is_glob(part)).collect();
        parts.join("/").trim_matches('/').to_owned()
    }

    /// The files that are there.
    pub(super) async fn files(&self) -> Result<Vec<Listed>, CopyError> {
        if is_glob(&self.path) && self.store.lists() {
            return Ok(below(&self.fixed(), matching(&*self.store, &self.path).await?));
        }
        let folder = self.path.trim_matches('/');
        if self.store.lists() {
            let found = self.store.list(folder, None).await?;
            if !found.is_empty() || self.path.is_empty() || self.path.ends_with('/') {
                return Ok(below(folder, found));
            }
        }
        // A file. What the store says of it comes with its first bytes.
        let facts = opened(self.store.clone(), &self.path, None).await?.facts;
        let name = self.path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
        let relative = name.or_else(|| self.name.clone()).unwrap_or_else(|| "download".to_owned());
        Ok(vec![Listed { facts, relative }])
    }

    /// Whether a step would copy what it has copied, or remove what it copies.
    pub(super) fn overlaps(&self, to: &Self, config: &SyncConfig) -> bool {
        // One file, or those of one folder, leave what is in others alone.
        let is_folder = self.path.is_empty() || self.local.is_none();
        let deep = self.path.contains("**") || is_folder && !is_glob(&self.path);
        let nested = |from: &Path, to: &Path| {
            let within = to.starts_with(from) && (deep || to == from && is_glob(&self.path));
            within || config.delete && from.starts_with(to)
        };
        match (&self.local, &to.local) {
            (Some(from), Some(to)) => {
                let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                nested(&real(from), &real(to))
            }
            (None, None) if self.connection.is_some() && self.connection == to.connection => {
                nested(Path::new(&self.fixed()), Path::new(&to.path))
            }
            _ => false,
        }
    }
}

/// Files with their paths from a folder on.
fn below(folder: &str, files: Vec<crate::store::FileFacts>) -> Vec<Listed> {
    let relative = |path: &str| path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/').to_owned();
    files.into_iter().map(|facts| Listed { relative: relative(&facts.path), facts }).collect()
}
