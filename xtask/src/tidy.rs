//! The rules of the house that no compiler checks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A dependency and the crates that may name it.
const ONE_ADDRESS: &[(&str, &[&str])] = &[
    ("datafusion", &["millrace-transform"]),
    ("deltalake", &["millrace-transform"]),
    ("ballista-core", &["millrace-transform"]),
    ("ballista-executor", &["millrace-transform"]),
    ("ballista-scheduler", &["millrace-transform"]),
    ("datafusion-proto", &["millrace-transform"]),
    ("sqlx", &["millrace-metastore", "millrace-transfer"]),
    ("object_store", &["millrace-storage", "millrace-transform", "millrace-transfer"]),
    ("axum", &["millrace-api"]),
    ("utoipa", &["millrace-api"]),
    ("clap", &["millrace"]),
    ("indicatif", &["millrace"]),
    ("hessboost", &["millrace-training"]),
    ("minijinja", &["millrace-spec"]),
    ("saphyr-parser", &["millrace-spec"]),
    ("tokio-postgres", &["millrace-transfer", "millrace-events"]),
    ("anyhow", &["millrace", "xtask"]),
    ("apache-spark-connect-core", &["millrace-spark"]),
    ("apache-spark-connect-proto", &["millrace-spark"]),
];

/// Siblings that never name each other.
const ROOMS: &[&str] = &[
    "millrace-orchestration",
    "millrace-transfer",
    "millrace-transform",
    "millrace-compute",
    "millrace-tracking",
    "millrace-training",
    "millrace-deployment",
    "millrace-monitoring",
    "millrace-call",
    "millrace-events",
];

/// Lines of a file without its inline tests.
const LONGEST_FILE: usize = 500;

/// Fails with every broken rule.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    let architecture = read(&root.join("ARCHITECTURE.md"))?;
    for manifest in manifests(root)? {
        let name = manifest
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if name.starts_with("millrace") && !architecture.contains(&format!("`{name}`")) {
            broken.push(format!("ARCHITECTURE.md does not mention `{name}`"));
        }
        check_manifest(&name, &read(&manifest)?, &mut broken);
    }
    for folder in ["crates", "xtask"] {
        check_files(&root.join(folder), root, &mut broken)?;
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("the house is untidy:\n  {}", broken.join("\n  "))
}

fn check_manifest(name: &str, manifest: &str, broken: &mut Vec<String>) {
    let section = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    let dependencies = section.split("[dependencies]").nth(1).unwrap_or_default();
    let named = |word: &str| {
        dependencies
            .lines()
            .any(|line| line.split(['.', ' ', '=']).next().is_some_and(|key| key.trim() == word))
    };
    for (dependency, allowed) in ONE_ADDRESS {
        if named(dependency) && !allowed.contains(&name) {
            broken.push(format!("`{name}` names `{dependency}`; only {} may", allowed.join(", ")));
        }
    }
    if ROOMS.contains(&name) {
        for room in ROOMS.iter().filter(|room| **room != name && named(room)) {
            broken.push(format!("`{name}` names `{room}`; rooms meet in millrace-contract"));
        }
    }
}

fn check_files(folder: &Path, root: &Path, broken: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target" && name != "node_modules") {
                check_files(&path, root, broken)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            check_length(&path, root, broken)?;
        }
    }
    Ok(())
}

fn check_length(path: &Path, root: &Path, broken: &mut Vec<String>) -> Result<()> {
    let text = read(path)?;
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    let shown = path.strip_prefix(root).unwrap_or(path).display();
    if lines > LONGEST_FILE && !path.to_string_lossy().contains("test") {
        broken.push(format!("{shown} has {lines} lines; split it at {LONGEST_FILE}"));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if ["utils", "util", "common", "helpers", "misc"].contains(&stem) {
        broken.push(format!("{shown}: a function lives with its noun, not in `{stem}`"));
    }
    Ok(())
}

fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![root.join("xtask/Cargo.toml")];
    for entry in std::fs::read_dir(root.join("crates"))? {
        found.push(entry?.path().join("Cargo.toml"));
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_may_not_name_a_room_nor_somebody_elses_engine() {
        let mut broken = Vec::new();
        check_manifest(
            "millrace-training",
            "[dependencies]\nserde.workspace = true\nmillrace-tracking.workspace = true\ndatafusion = \"55\"\n[dev-dependencies]\nsqlx = \"0.9\"",
            &mut broken,
        );
        assert_eq!(
            broken,
            [
                "`millrace-training` names `datafusion`; only millrace-transform may",
                "`millrace-training` names `millrace-tracking`; rooms meet in millrace-contract"
            ]
        );
    }
}
