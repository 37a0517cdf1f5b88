//! Where the files of runs, logged models and traces are.

use std::path::{Path, PathBuf};

use millrace_tracking::traces::TRACE_PREFIX;

use crate::folder::{MODELS, TRACES};

/// Where the files of one run, logged model or trace are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// Served, below this address.
    Served(String),
    /// Somewhere that is not read; they stay there.
    Elsewhere(String),
    /// Somewhere that cannot be found from here.
    Unknown(String),
}

/// How addresses of files are found on this machine.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A folder that has what the source's artifact root has, `<experiment>/<run>/artifacts`; it goes before everything else.
    pub artifacts: Option<PathBuf>,
    /// What relative paths begin at.
    pub base: PathBuf,
}

impl Places {
    /// Whether files at this address are read.
    pub(crate) fn reads(&self, uri: &str) -> bool {
        self.artifacts.is_some() || local_path(uri).is_some() || is_proxied(uri)
    }

    /// Where the files of `owner`, a run, a logged model or a trace, are. MLflow lays them into `…/<run>/artifacts` and `…/models/<model>/artifacts`;
    /// a store that names another place, perhaps one that is nobody's business, is not followed.
    pub(crate) fn find(&self, uri: &str, owner: &str) -> Files {
        let parts: Vec<&str> = path_of(uri).split('/').filter(|part| !part.is_empty()).collect();
        let Some(at) = parts.iter().rposition(|part| *part == owner) else {
            return if local_path(uri).is_some() || is_proxied(uri) {
                Files::Unknown(uri.to_owned())
            } else {
                Files::Elsewhere(uri.to_owned())
            };
        };
        if parts.contains(&"..") || parts.get(at + 1..) != Some(&["artifacts"]) {
            return Files::Unknown(uri.to_owned());
        }
        if let Some(root) = &self.artifacts {
            // `<experiment>/<run>/artifacts`, `<experiment>/models/<model>/artifacts`, the same of traces, or the whole path below a proxy's
            // root.
            let short = at.saturating_sub(if within_experiment(owner).is_some() { 2 } else { 1 });
            for from in [0, short] {
                let folder = parts
                    .get(from..)
                    .unwrap_or_default()
                    .iter()
                    .fold(root.clone(), |path, part| path.join(part));
                if folder.is_dir() {
                    return Files::Folder(folder);
                }
            }
        }
        match local_path(uri) {
            Some(path) => Files::Folder(self.base.join(path)),
            None if is_proxied(uri) && self.artifacts.is_none() => Files::Unknown(uri.to_owned()),
            // Nothing was logged, or the folder has only a part of the runs.
            None if self.artifacts.is_some() => Files::Folder(PathBuf::new()),
            None => Files::Elsewhere(uri.to_owned()),
        }
    }
}

/// The folder of an experiment that has this owner's; the experiment itself has those of runs.
pub(crate) fn within_experiment(owner: &str) -> Option<&'static str> {
    if owner.starts_with("m-") { Some(MODELS) } else { owner.starts_with(TRACE_PREFIX).then_some(TRACES) }
}

/// Whether the source's server keeps it in a place of its own.
pub(crate) fn is_proxied(uri: &str) -> bool {
    uri.starts_with("mlflow-artifacts:")
}

/// The path of an address of this machine.
pub(crate) fn local_path(uri: &str) -> Option<PathBuf> {
    if let Some(rest) = uri.strip_prefix("file:") {
        let url = url::Url::parse(&format!("file:{rest}")).ok();
        return url.and_then(|url| url.to_file_path().ok()).or_else(|| Some(PathBuf::from(rest)));
    }
    (!uri.is_empty() && !has_scheme(uri)).then(|| PathBuf::from(uri))
}

fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-' | '.'))
    })
}

/// An address without scheme and host.
fn path_of(uri: &str) -> &str {
    let rest = if has_scheme(uri) { uri.split_once(':').map_or(uri, |(_, rest)| rest) } else { uri };
    match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
        None => rest,
    }
}

/// The run or logged model whose files an address leads into, and the path there: `…/<run>/artifacts/model` and `…/models/<id>/artifacts`.
pub(crate) fn owner_of(uri: &str) -> Option<(&str, String)> {
    let parts: Vec<&str> = path_of(uri).split('/').filter(|part| !part.is_empty()).collect();
    let at = parts.iter().position(|part| *part == "artifacts").filter(|at| *at > 0)?;
    let owner = parts.get(at - 1)?;
    Some((owner, parts.get(at + 1..).unwrap_or_default().join("/")))
}

/// Files with their paths and sizes, and what is no plain file.
pub(crate) type Walked = (Vec<(String, u64)>, Vec<PathBuf>);

/// The files below a folder with their paths there and sizes, sorted; links are named apart, since they may lead anywhere.
pub(crate) fn walk(folder: &Path) -> std::io::Result<Walked> {
    let (mut files, mut odd) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_path_buf()];
    while let Some(here) = folders.pop() {
        let entries = match fs_err::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && here == folder => break,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
            match name {
                _ if kind.is_dir() => folders.push(path),
                Some(name) if kind.is_file() => files.push((name.to_owned(), entry.metadata()?.len())),
                _ => odd.push(path),
            }
        }
    }
    files.sort();
    odd.sort();
    Ok((files, odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_where_mlflow_lays_them_and_nowhere_else() {
        let places = Places { artifacts: None, base: PathBuf::from("/base") };
        let folder = |path: &str| Files::Folder(PathBuf::from(path));
        assert_eq!(places.find("/m/1/r/artifacts", "r"), folder("/m/1/r/artifacts"));
        assert_eq!(places.find("file:///m%20n/1/r/artifacts", "r"), folder("/m n/1/r/artifacts"));
        assert_eq!(
            places.find("./mlruns/1/models/m-1/artifacts", "m-1"),
            folder("/base/./mlruns/1/models/m-1/artifacts")
        );
        for uri in ["/etc", "file:///etc/r", "/m/1/r/artifacts/../../etc", "mlflow-artifacts:/1/r/artifacts"]
        {
            assert_eq!(places.find(uri, "r"), Files::Unknown(uri.to_owned()));
        }
        assert_eq!(
            places.find("s3://b/1/r/artifacts", "r"),
            Files::Elsewhere("s3://b/1/r/artifacts".to_owned())
        );
    }

    #[test]
    fn a_given_folder_stands_for_the_artifact_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("1/r/artifacts")).unwrap();
        std::fs::create_dir_all(root.path().join("1/models/m-1/artifacts")).unwrap();
        let places = Places { artifacts: Some(root.path().to_owned()), base: PathBuf::new() };
        for uri in
            ["s3://bucket/prefix/1/r/artifacts", "mlflow-artifacts:/1/r/artifacts", "/gone/1/r/artifacts"]
        {
            assert_eq!(places.find(uri, "r"), Files::Folder(root.path().join("1/r/artifacts")), "{uri}");
        }
        std::fs::create_dir_all(root.path().join("1/traces/tr-1/artifacts")).unwrap();
        let trace = Files::Folder(root.path().join("1/traces/tr-1/artifacts"));
        assert_eq!(places.find("s3://b/1/traces/tr-1/artifacts", "tr-1"), trace);
        let models = Files::Folder(root.path().join("1/models/m-1/artifacts"));
        assert_eq!(places.find("s3://b/1/models/m-1/artifacts", "m-1"), models);
    }

    #[test]
    fn an_address_says_whose_it_is() {
        assert_eq!(owner_of("mlflow-artifacts:/1/r/artifacts/a/b"), Some(("r", "a/b".to_owned())));
        assert_eq!(owner_of("/m/1/models/m-1/artifacts"), Some(("m-1", String::new())));
        assert_eq!(owner_of("s3://bucket/x"), None);
    }
}
