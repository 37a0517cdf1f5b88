//! Git repositories that are asked: which branches, tags and pull requests moved since the last time.
//!
//! By the `git` program, which knows every transport and whatever opens it on this machine (keys, credential helpers). A bare copy without
//! the files' contents tells which files changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{EventSource, GitFacts, Polled};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::event::{GitChange, GitEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

/// Longest time that one call of `git` may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Changes that one look tells of; the others come with the next.
const AT_ONCE: usize = 200;
/// Files of one change that are named.
const MOST_FILES: usize = 3_000;

pub(crate) struct GitSource {
    spec: GitChange,
    /// What `git` takes: a URL or a folder.
    address: String,
    copy: PathBuf,
}

/// References with their commits, and the branch that is checked out by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Refs {
    refs: BTreeMap<String, String>,
    default: String,
}

impl GitSource {
    /// Finds the address: a remote of the workspace's repository by its name, else a URL or a folder.
    pub(crate) async fn open(spec: GitChange, workspace: &Path, copies: &Path) -> Result<Self, Problem> {
        let named = spec.git.clone();
        if named.starts_with('-') {
            return Err(Problem::error("event-source", format!("`{named}` is no git repository")));
        }
        let address = if named.contains(['/', ':']) {
            named.clone()
        } else {
            let found = git(Some(workspace), &["remote", "get-url", &named]).await.map_err(|problem| {
                problem.hint(format!(
                    "`git remote add {named} URL` in the workspace, or write the repository's URL"
                ))
            })?;
            found.trim().to_owned()
        };
        // A relative folder is one of the workspace.
        let address = match address.starts_with('.') {
            true => workspace.join(&address).display().to_string(),
            false => address,
        };
        // One copy a trigger: two that fetch into the same at once would lock each other out.
        let rule = serde_json::to_string(&spec).unwrap_or_default();
        let digest = blake3::hash(format!("{address} {rule}").as_bytes()).to_hex();
        let copy = copies.join(digest.as_str().get(..32).unwrap_or_default());
        Ok(Self { spec, address, copy })
    }

    async fn refs(&self) -> Result<Refs, Problem> {
        let listed = git(None, &["ls-remote", "--symref", "--", &self.address]).await?;
        Ok(read_refs(&listed))
    }

    /// What is known of a reference that moved: message, author, files.
    async fn facts(
        &self,
        refs: &Refs,
        name: &str,
        sha: &str,
        before: Option<&String>,
    ) -> Result<GitFacts, Problem> {
        let pull_request =
            name.strip_prefix("refs/pull/").or_else(|| name.strip_prefix("refs/merge-requests/"));
        let mut facts = match pull_request.and_then(|rest| rest.split('/').next()?.parse().ok()) {
            Some(number) => {
                // The list of references does not say where it is to go: mostly to the default branch.
                let into = refs.default.clone();
                GitFacts {
                    reference: name.to_owned(),
                    ..GitFacts::of_pull_request(number, (String::new(), into), sha.to_owned())
                }
            }
            None => GitFacts::of_ref(name.to_owned(), sha.to_owned(), before.cloned()),
        };
        let copy = Some(self.copy.as_path());
        let told = git(copy, &["log", "-1", "--format=%an%x00%s", sha, "--"]).await?;
        let (author, message) = told.trim_end().split_once('\0').unwrap_or_default();
        (facts.author, facts.message) = (author.to_owned(), message.to_owned());
        let base = match (facts.kind, before) {
            (GitEvent::Push, Some(before)) => Some(before.clone()),
            // What is new is compared with where it left the default branch.
            _ => match refs.refs.get(&format!("refs/heads/{}", refs.default)).filter(|tip| *tip != sha) {
                Some(tip) => {
                    git(copy, &["merge-base", tip, sha]).await.ok().map(|base| base.trim().to_owned())
                }
                None => None,
            },
        };
        let changed = match base {
            Some(base) => git(copy, &["diff", "--name-only", "-z", &base, sha, "--"]).await,
            None => git(copy, &["show", "--format=", "--name-only", "-z", sha, "--"]).await,
        };
        // A commit that was taken away by force is not in the copy any more.
        facts.files = changed.ok().map(|names| {
            names.split('\0').filter(|name| !name.is_empty()).take(MOST_FILES).map(str::to_owned).collect()
        });
        Ok(facts)
    }

    /// Brings what the references name into the copy.
    async fn fetch(&self, refs: &Refs, moved: &[(String, String)]) -> Result<(), Problem> {
        if !self.copy.join("HEAD").exists() {
            tokio::fs::create_dir_all(&self.copy).await.map_err(|error| {
                Problem::error("event-source", format!("the copy of the repository: {error}"))
            })?;
            git(Some(&self.copy), &["init", "--quiet", "--bare", "."]).await?;
        }
        let default = format!("refs/heads/{}", refs.default);
        let mut specs: Vec<String> = moved.iter().map(|(name, _)| format!("+{name}:{name}")).collect();
        if refs.refs.contains_key(&default) {
            specs.push(format!("+{default}:{default}"));
        }
        specs.dedup();
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--filter=blob:none", "--", &self.address];
        arguments.extend(specs.iter().map(String::as_str));
        git(Some(&self.copy), &arguments).await.map(drop)
    }

    fn watches(&self, name: &str) -> bool {
        let wants = |event: GitEvent| self.spec.events.contains(&event);
        name.starts_with("refs/heads/") && wants(GitEvent::Push)
            || name.starts_with("refs/tags/") && wants(GitEvent::Tag)
            || is_pull_request(name) && wants(GitEvent::PullRequest)
    }
}

#[async_trait]
impl EventSource for GitSource {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let look_again = Duration::from_millis(self.spec.every().ms).max(Duration::from_millis(200));
        let mut now = self.refs().await?;
        now.refs.retain(|name, _| self.watches(name) || *name == format!("refs/heads/{}", now.default));
        let before = cursor.and_then(|cursor| serde_json::from_value::<Refs>(cursor.clone()).ok());
        let Some(before) = before else {
            return Ok(Polled { events: Vec::new(), cursor: json!(now), look_again });
        };
        let moved: Vec<(String, String)> = now
            .refs
            .iter()
            .filter(|(name, sha)| self.watches(name) && before.refs.get(*name) != Some(sha))
            .take(AT_ONCE)
            .map(|(name, sha)| (name.clone(), sha.clone()))
            .collect();
        if moved.is_empty() {
            return Ok(Polled { events: Vec::new(), cursor: json!(now), look_again });
        }
        self.fetch(&now, &moved).await?;
        let mut events = Vec::with_capacity(moved.len());
        // What was not told yet stays as it was, so that the next look tells it.
        let mut seen = Refs { refs: before.refs.clone(), default: now.default.clone() };
        seen.refs.retain(|name, _| now.refs.contains_key(name));
        for (name, sha) in moved {
            let facts = self.facts(&now, &name, &sha, before.refs.get(&name)).await?;
            events.push(facts.into_event(&self.spec.git, Value::Null));
            seen.refs.insert(name, sha);
        }
        Ok(Polled { events, cursor: json!(seen), look_again })
    }
}

fn is_pull_request(name: &str) -> bool {
    (name.starts_with("refs/pull/") || name.starts_with("refs/merge-requests/")) && name.ends_with("/head")
}

/// Reads what `git ls-remote --symref` prints.
fn read_refs(listed: &str) -> Refs {
    let mut found = Refs::default();
    for line in listed.lines() {
        let Some((what, name)) = line.split_once('\t') else { continue };
        match what.strip_prefix("ref: ") {
            Some(target) if name == "HEAD" => {
                found.default = target.strip_prefix("refs/heads/").unwrap_or(target).to_owned();
            }
            Some(_) => {}
            // `^{}` is the commit of an annotated tag, which is what the tag means.
            None => match name.strip_suffix("^{}") {
                Some(tag) => drop(found.refs.insert(tag.to_owned(), what.to_owned())),
                None if name == "HEAD" => {}
                None => drop(found.refs.insert(name.to_owned(), what.to_owned())),
            },
        }
    }
    found
}

/// Runs `git` and returns what it prints. It never asks a person, and reaches repositories by known transports alone.
async fn git(folder: Option<&Path>, arguments: &[&str]) -> Result<String, Problem> {
    let shown = arguments.iter().copied().find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let failed = |message: String| Problem::error("event-source", format!("`git {shown}` failed: {message}"));
    let mut command = Command::new("git");
    if let Some(folder) = folder {
        command.arg("-C").arg(folder);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh");
    command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes").env("LC_ALL", "C");
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(error.to_string()).hint("install git")),
        Err(_) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
    Err(failed(without_password(&said.join("; "))))
}

/// What `git` says of a URL may have its password.
fn without_password(said: &str) -> String {
    let hide = |word: &str| match (word.find("://"), word.find('@')) {
        (Some(scheme), Some(at)) if scheme + 3 < at => {
            let (before, after) =
                (word.get(..scheme + 3).unwrap_or_default(), word.get(at..).unwrap_or_default());
            format!("{before}***{after}")
        }
        _ => word.to_owned(),
    };
    said.split(' ').map(hide).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
