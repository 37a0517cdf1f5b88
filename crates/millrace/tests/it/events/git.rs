use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::client::{Sender, secret_variable};
use super::{counted, outputs, runs, settled, wait_until_asked};
use crate::project::{Project, wait_until};
use crate::server::Up;

const PIPELINE: &str = r#"
triggers:
  code: {git: origin, branches: [main, "release/*"], paths: ["churn/**", "!churn/docs/**"], every: 300ms, webhook: github, secret: hook_key}
  tag: {git: origin, events: [tag], tags: ["v*"], every: 300ms}
  pull: {git: origin, events: [pull_request], every: 300ms}
steps:
  note: {set: {ref: "${{ event.git.ref }}", sha: "${{ event.git.sha }}", files: "${{ event.git.files }}", message: "${{ event.git.message }}"}}
"#;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A workspace in a git repository whose remote `origin` is a bare one.
struct Repository {
    project: Project,
    _remote: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let remote = tempfile::tempdir().unwrap();
        git(remote.path(), &["init", "--quiet", "--bare", "-b", "main"]);
        let project = Project::new(&[("pipelines/p.yaml", PIPELINE), (".gitignore", ".millrace\nconfig\n")]);
        let project = project.with_variables(secret_variable());
        git(project.path(), &["init", "--quiet", "-b", "main"]);
        git(project.path(), &["remote", "add", "origin", &remote.path().to_string_lossy()]);
        let repository = Self { project, _remote: remote };
        repository.commit("readme", "first");
        repository.push("main");
        repository
    }

    fn commit(&self, path: &str, content: &str) -> String {
        self.project.write(path, content);
        git(self.project.path(), &["add", "."]);
        git(self.project.path(), &["commit", "--quiet", "-m", &format!("write {path}")]);
        git(self.project.path(), &["rev-parse", "HEAD"])
    }

    fn push(&self, what: &str) {
        git(self.project.path(), &["push", "--quiet", "--force", "origin", what]);
    }

    fn started(&self) -> Up {
        let server = Up::start(&self.project);
        for trigger in ["code", "tag", "pull"] {
            wait_until_asked(&server, trigger);
        }
        server
    }
}

#[test]
fn event_git_push_with_branch_and_path_filter() {
    let repository = Repository::new();
    let server = repository.started();
    repository.commit("other.py", "x");
    repository.push("main");
    let left_out = settled(&server, "code");
    assert_eq!(left_out["why"], "none of its 1 changed files is in churn/**, !churn/docs/**");
    let sha = repository.commit("churn/train.py", "x");
    repository.push("main");
    wait_until(|| runs(&server, "p").len() == 1);
    let given = outputs(&server, &settled(&server, "code")["run_id"]);
    assert_eq!(
        given,
        json!({"ref": "refs/heads/main", "sha": sha, "files": ["churn/train.py"], "message": "write churn/train.py"})
    );
    repository.commit("churn/docs/a.md", "x");
    repository.push("main:dev");
    wait_until(|| counted(&server, "filtered") == 2);
    assert_eq!(settled(&server, "code")["why"], "its branch `dev` is none of main, release/*");
    assert_eq!(runs(&server, "p").len(), 1);
}

#[test]
fn event_git_push_that_a_webhook_tells_and_the_repository_shows_starts_one_run() {
    let repository = Repository::new();
    let server = repository.started();
    let sha = repository.commit("churn/train.py", "x");
    let told = json!({"ref": "refs/heads/main", "after": sha, "before": "0".repeat(40), "commits": [{"added": ["churn/train.py"]}],
        "head_commit": {"message": "told", "author": {"name": "Ada"}}});
    let mut sender = Sender::to(&server);
    assert_eq!(sender.github("/hooks/p/code", "push", "d1", &told.to_string()).0, 202);
    assert_eq!(outputs(&server, &settled(&server, "code")["run_id"])["message"], "told");
    repository.push("main");
    // The repository tells the same change, which is counted.
    wait_until(|| server.get("/api/inbox?trigger=code")["events"][0]["repeats"] == 1);
    assert_eq!(runs(&server, "p").len(), 1);
}

#[test]
fn event_git_tag_and_pull_request() {
    let repository = Repository::new();
    let server = repository.started();
    let sha = repository.commit("churn/train.py", "x");
    git(repository.project.path(), &["tag", "-a", "v1", "-m", "one"]);
    repository.push("v1");
    let given = outputs(&server, &settled(&server, "tag")["run_id"]);
    assert_eq!((given["ref"].clone(), given["sha"].clone()), (Value::from("refs/tags/v1"), Value::from(sha)));
    repository.push("HEAD:refs/pull/7/head");
    let event = settled(&server, "pull");
    assert_eq!(event["subject"], "#7");
    assert_eq!(outputs(&server, &event["run_id"])["ref"], "refs/pull/7/head");
}
