//! Files of git repositories, as they are at one commit. By the `git` program, which knows every transport and what opens it on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_contract::BatchStream;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;

use super::settings::{Hidden, Kind, Settings};
use super::{Asking, Found, Origin};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source;
use crate::source::files::SourceFile;
use crate::store::{glob, is_glob, masked, unless_cancelled};

/// The kind of connection `git`.
pub(super) const KIND: Kind =
    Kind::of::<GitConnection>("copy: {from: \"rules:reference/*.csv@v2\", to: \"data:reference\"}\n");

/// Longest time that one call of `git` may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// What a file begins with whose content Git LFS keeps elsewhere.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Reads files of a git repository.
///
/// In connections.yaml: `rules: {git: {url: "https://git.example/team/rules.git", ref: main, user: reader, password: "${{ secrets.rules }}"}}`. Then
/// `rules:reference/*.csv` are the files of that branch, and `rules:reference/*.csv@v2` those of another branch, tag or commit; they are read as files
/// of the workspace are, their format told by their ending. The commit stands in the step's log. One commit is fetched, with all its files; keys
/// and credential helpers of the machine open what no password is given for.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GitConnection {
    /// Where the repository is: an URL, `user@host:path`, or a folder that begins with `./` or `/`.
    url: String,
    /// Branch, tag or commit; the branch that is checked out by default if absent.
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    /// Who asks, of `https://` repositories.
    #[serde(default)]
    user: Option<String>,
    /// A password or token, usually `${{ secrets.… }}`.
    #[serde(default)]
    password: Option<Hidden>,
}

impl Settings for GitConnection {
    const WORD: &'static str = "git";
    const EXAMPLE: &'static str = "{url: \"https://git.example/team/rules.git\"}";

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        if self.url.trim().is_empty() || self.url.starts_with('-') {
            return Err(format!("`{}` is no repository", self.url));
        }
        if self.password.is_some() && !self.url.starts_with("https://") {
            return Err("`password` is sent to `https://` repositories alone".to_owned());
        }
        let reference = self.reference.unwrap_or_else(|| "HEAD".to_owned());
        sound(&reference)?;
        // A relative folder is one of the workspace.
        let address = match self.url.starts_with('.') {
            true => workspace.join(&self.url).display().to_string(),
            false => self.url,
        };
        let secrets = self.password.iter().map(|password| password.0.clone()).collect();
        let opens = self.password.map(|password| {
            let user = self.user.unwrap_or_else(|| "git".to_owned());
            STANDARD.encode(format!("{user}:{}", password.0))
        });
        Ok(Box::new(Git { address, reference, opens, secrets }))
    }
}

/// Whether that may name a commit.
fn sound(reference: &str) -> Result<(), String> {
    let strange = |sign: char| sign.is_whitespace() || sign.is_control() || "~^:?*[\\".contains(sign);
    match reference.is_empty() || reference.starts_with('-') || reference.contains(strange) {
        true => Err(format!("`{reference}` is no branch, tag or commit")),
        false => Ok(()),
    }
}

struct Git {
    address: String,
    reference: String,
    /// User and password as HTTP has them.
    opens: Option<String>,
    secrets: Vec<String>,
}

/// `reference/*.csv@v2`.
struct Wanted<'a> {
    pattern: &'a str,
    reference: &'a str,
    files: Regex,
}

impl Git {
    fn wanted<'a>(&'a self, stream: &'a str) -> Result<Wanted<'a>, CopyError> {
        let (pattern, reference) = stream.rsplit_once('@').unwrap_or((stream, &self.reference));
        let example = "from: \"rules:reference/*.csv@v2\"";
        sound(reference).map_err(|message| CopyError::config(message, example))?;
        let pattern = pattern.trim_matches('/');
        if pattern.is_empty() {
            return Err(CopyError::config(format!("`{stream}` names no file"), example));
        }
        Ok(Wanted { pattern, reference, files: glob(pattern)? })
    }

    async fn fetched(&self, asking: &Asking<'_>) -> Result<Vec<SourceFile>, CopyError> {
        let wanted = self.wanted(asking.stream)?;
        let folder = asking.own_folder()?;
        let repository = folder.join("repository");
        let place = repository.to_string_lossy().into_owned();
        self.git(asking, &["init", "--quiet", "--bare", &place], None).await?;
        let fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--", &self.address, wanted.reference];
        self.git(asking, &fetch, Some(&repository)).await?;
        let commit = self.git(asking, &["rev-parse", "FETCH_HEAD^{commit}"], Some(&repository)).await?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        asking.context.log.line(&format!("`{}` is the commit {commit}", wanted.reference));
        let listed =
            self.git(asking, &["ls-tree", "-r", "-z", "--full-tree", &commit], Some(&repository)).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let (connection, _) = asking.label.split_once(':').unwrap_or_default();
        let mut files = Vec::new();
        for (object, path) in listed.split('\0').filter_map(file) {
            if !wanted.files.is_match(path) {
                continue;
            }
            let content = self.git(asking, &["cat-file", "blob", object], Some(&repository)).await?;
            if content.starts_with(LFS) {
                let message = format!("the content of `{path}` is kept by Git LFS, which is not asked");
                return Err(asking.failed(message, false));
            }
            let here = folder.join(format!("{:08}", files.len()));
            let written = fs_err::tokio::write(&here, content).await;
            written.map_err(|error| CopyError::write("the attempt's folder", &error))?;
            files.push(SourceFile::local(format!("{connection}:{path}"), here));
        }
        if files.is_empty() {
            let what = if is_glob(wanted.pattern) { "no file matches" } else { "there is no such file" };
            return Err(asking.failed(format!("{what} in the commit {commit}"), false));
        }
        Ok(files)
    }

    /// What `git` prints. It never asks a person, and reaches repositories by known transports alone.
    async fn git(
        &self,
        asking: &Asking<'_>,
        arguments: &[&str],
        repository: Option<&PathBuf>,
    ) -> Result<Vec<u8>, CopyError> {
        let word = arguments.first().copied().unwrap_or_default();
        let failed = |message: String, transient: bool| {
            let message = masked(&format!("`git {word}` failed: {message}"), &self.secrets);
            asking.failed(message, transient)
        };
        let mut command = Command::new("git");
        if let Some(repository) = repository {
            command.arg("-C").arg(repository);
        }
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh");
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes").env("LC_ALL", "C");
        if let Some(opens) = &self.opens {
            // Not among the arguments, which others on this machine see; and for this repository alone.
            command.env("GIT_CONFIG_COUNT", "1");
            command.env("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", self.address));
            command.env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {opens}"));
        }
        let output = match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(failed(format!("{error}; is git installed?"), false)),
            Err(_) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()), true)),
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
        let said = said.join("; ");
        let passes = ["Could not resolve", "unable to access", "Connection", "early EOF", "timed out"];
        let refused = ["403", "401", "Authentication", "not found"];
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let transient = has(&passes) && !has(&refused);
        Err(failed(said, transient))
    }
}

/// The object and the path of a line of `git ls-tree`, if it is a file with content of its own: neither a link nor another repository.
fn file(line: &str) -> Option<(&str, &str)> {
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split(' ');
    let (mode, kind, object) = (facts.next()?, facts.next()?, facts.next()?);
    (kind == "blob" && mode != "120000").then_some((object, path))
}

#[async_trait]
impl Origin for Git {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        if config.request.is_some() {
            return Err(CopyError::config("a repository has files and takes no requests", "leave it out"));
        }
        self.wanted(stream).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let files = unless_cancelled(asking.context, self.fetched(&asking)).await?;
        source::open(files, asking.config, asking.outcome).await
    }

    /// Branches and tags.
    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let listed = self.git(&asking, &["ls-remote", "--quiet", "--", &self.address], None).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let names = listed.lines().filter_map(|line| line.split_once("\trefs/")?.1.split_once('/'));
        let names = names.map(|(_, name)| name).filter(|name| !name.ends_with("^{}"));
        let names = names.map(|name| format!("*@{name}")).collect();
        Ok(("the repository answers; its branches and tags are".to_owned(), names))
    }
}
