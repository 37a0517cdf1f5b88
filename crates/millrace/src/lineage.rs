//! What lineage asks of the workspace: who is told, where sources are, and where the definitions are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_spec::problem::Problem;
use millrace_storage::{FilePath, Storage};
use millrace_tracking::openlineage::{
    CodePlace, Identity, LineageFile, LineageSource, SourceIdentity, plain_identity,
};
use serde_json::Value;

use crate::declared::lineage;
use crate::workspace::Workspace;

/// The workspace, as the sender of events sees it.
pub(crate) struct WorkspaceLineage(pub(crate) Workspace);

impl LineageSource for WorkspaceLineage {
    fn file(&self) -> Result<LineageFile, Box<Problem>> {
        lineage(&self.0.root).usable()
    }

    fn own_namespace(&self) -> String {
        own_namespace(&self.0)
    }

    fn sources(&self) -> SourceIdentity {
        sources(&self.0)
    }

    fn code(&self) -> Option<CodePlace> {
        code_place(&self.0.root)
    }

    fn root(&self) -> PathBuf {
        self.0.root.clone()
    }

    fn base_url(&self) -> String {
        match &self.0.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => fs_err::read_to_string(self.0.server_file())
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
        }
    }
}

/// `millrace://NAME`: datasets of others have namespaces like that, and catalogs take the scheme for the kind of system.
fn own_namespace(workspace: &Workspace) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    format!("millrace://{}", workspace.name.replace(|c| !plain(c), "-"))
}

/// The workspace's name among systems: what `lineage.yaml` says, else its own.
pub(crate) fn namespace(workspace: &Workspace) -> String {
    let file = lineage(&workspace.root).content.unwrap_or_default();
    file.namespace.unwrap_or_else(|| own_namespace(workspace))
}

/// Where the datasets lie, a folder each.
pub(crate) fn datasets(storage: &Storage) -> Option<Identity> {
    plain_identity(&storage.url(&FilePath::new("datasets").ok()?))
}

/// Where the sources are that `copy` steps name. Connections are read once, here.
pub(crate) fn sources(workspace: &Workspace) -> SourceIdentity {
    let connections = workspace.connections().usable().unwrap_or_default();
    let settings: Vec<(String, Value)> =
        connections.into_iter().map(|(name, connection)| (name, connection.settings)).collect();
    let root = workspace.root.clone();
    Arc::new(move |address| {
        if address.contains("://") {
            return plain_identity(address);
        }
        match address.split_once(':') {
            Some((name, rest)) => {
                let (_, settings) = settings.iter().find(|(known, _)| known == name)?;
                of_connection(settings, rest)
            }
            None => {
                let path = root.join(address.trim_start_matches("./"));
                Some(Identity { namespace: "file".to_owned(), name: path.to_string_lossy().into_owned() })
            }
        }
    })
}

/// A table of a database, or an object of a bucket. A query has no name.
fn of_connection(settings: &Value, rest: &str) -> Option<Identity> {
    if let Some(postgres) = settings.get("postgres") {
        let url = url::Url::parse(postgres.get("url")?.as_str()?).ok()?;
        let database = url.path().trim_start_matches('/');
        if rest.starts_with('(') || database.is_empty() {
            return None;
        }
        let table = if rest.contains('.') { rest.to_owned() } else { format!("public.{rest}") };
        let namespace = format!("postgres://{}:{}", url.host_str()?, url.port().unwrap_or(5432));
        return Some(Identity { namespace, name: format!("{database}.{table}") });
    }
    let bucket = settings.get("s3")?.get("bucket")?.as_str()?;
    Some(Identity { namespace: format!("s3://{bucket}"), name: rest.trim_start_matches('/').to_owned() })
}

/// The repository around a folder: its `origin`, and the commit that is checked out. Git's own files say so.
fn code_place(folder: &Path) -> Option<CodePlace> {
    let (top, git) =
        folder.ancestors().map(|above| (above, above.join(".git"))).find(|(_, git)| git.exists())?;
    let git = match git.is_dir() {
        true => git,
        // A worktree: the file names its folder, and that one the repository's.
        false => top.join(fs_err::read_to_string(&git).ok()?.trim().strip_prefix("gitdir: ")?),
    };
    let shared = fs_err::read_to_string(git.join("commondir")).ok();
    let shared = shared.map_or_else(|| git.clone(), |path| git.join(path.trim()));
    let config = fs_err::read_to_string(shared.join("config")).ok()?;
    let repository = without_login(origin(&config)?);
    let head = fs_err::read_to_string(git.join("HEAD")).ok()?;
    let reference = head.trim().strip_prefix("ref: ").map(str::to_owned);
    let version = match &reference {
        None => Some(head.trim().to_owned()),
        Some(reference) => commit(&shared, reference),
    };
    let prefix = folder.strip_prefix(top).ok()?.to_string_lossy().into_owned();
    Some(CodePlace {
        repository,
        folder: if prefix.is_empty() { prefix } else { format!("{prefix}/") },
        version,
        branch: reference.and_then(|reference| reference.strip_prefix("refs/heads/").map(str::to_owned)),
    })
}

/// The address of the remote `origin`.
fn origin(config: &str) -> Option<&str> {
    let mut lines = config.lines().map(str::trim).skip_while(|line| *line != "[remote \"origin\"]").skip(1);
    let mut section = lines.by_ref().take_while(|line| !line.starts_with('['));
    section.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('=').map(str::trim))
}

fn commit(git: &Path, reference: &str) -> Option<String> {
    if let Ok(loose) = fs_err::read_to_string(git.join(reference)) {
        return Some(loose.trim().to_owned());
    }
    let packed = fs_err::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))
}

/// Names and passwords in an address are nobody's business.
fn without_login(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) if url.has_host() => {
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.to_string()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sources_have_names_among_systems() {
        let named =
            |settings: Value, rest: &str| of_connection(&settings, rest).map(|identity| identity.key());
        let shop = json!({"postgres": {"url": "postgres://reader:pass@db/shop"}});
        assert_eq!(
            named(shop.clone(), "public.orders").as_deref(),
            Some("postgres://db:5432/shop.public.orders")
        );
        assert_eq!(named(shop.clone(), "orders").as_deref(), Some("postgres://db:5432/shop.public.orders"));
        assert_eq!(named(shop, "(select 1)"), None);
        let lake = json!({"s3": {"bucket": "lake", "secret_access_key": "x"}});
        assert_eq!(named(lake, "raw/a.csv").as_deref(), Some("s3://lake/raw/a.csv"));
        assert_eq!(named(json!({"airflow": {}}), "x"), None);
    }

    #[test]
    fn the_repository_is_read_from_gits_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            ".git/config",
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://me:token@git.example/team/shop.git\n\tfetch = +x\n",
        );
        write(".git/HEAD", "ref: refs/heads/main\n");
        write(".git/packed-refs", "# pack-refs\n0123abc refs/heads/main\n");
        write("jobs/millrace.yaml", "");
        let place = code_place(&folder.path().join("jobs")).unwrap();
        let expected = CodePlace {
            repository: "https://git.example/team/shop.git".to_owned(),
            folder: "jobs/".to_owned(),
            version: Some("0123abc".to_owned()),
            branch: Some("main".to_owned()),
        };
        assert_eq!(place, expected);
    }
}
