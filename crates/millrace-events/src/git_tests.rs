use std::process::Command as Program;

use super::*;

/// A repository with a branch `main`, and a clone to push from.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.run(".", &["init", "--quiet", "--bare", "-b", "main", "shared.git"]);
        repository.run(".", &["init", "--quiet", "-b", "main", "own"]);
        repository.run("own", &["remote", "add", "origin", "../shared.git"]);
        repository.commit("readme", "first");
        repository.run("own", &["push", "--quiet", "origin", "main"]);
        repository
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = Program::new("git");
        command.arg("-C").arg(self.folder.path().join(folder)).args(arguments);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        }
        let output = command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, path: &str, content: &str) -> String {
        let file = self.folder.path().join("own").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self.run("own", &["add", "."]);
        self.run("own", &["commit", "--quiet", "-m", &format!("write {path}")]);
        self.run("own", &["rev-parse", "HEAD"])
    }

    async fn source(&self, events: &[&str]) -> GitSource {
        let spec = serde_json::from_value(json!({"git": "origin", "events": events})).unwrap();
        let own = self.folder.path().join("own");
        GitSource::open(spec, &own, &self.folder.path().join("copies")).await.unwrap()
    }
}

#[tokio::test]
async fn pushes_tags_and_pull_requests_are_told_once_with_their_files() {
    let repository = Repository::new();
    let mut source = repository.source(&["push", "tag", "pull_request"]).await;
    let begun = source.poll(None).await.unwrap();
    assert!(begun.events.is_empty());
    let quiet = source.poll(Some(&begun.cursor)).await.unwrap();
    assert!(quiet.events.is_empty());

    let sha = repository.commit("churn/train.py", "x");
    repository.run("own", &["tag", "-a", "v1", "-m", "one"]);
    repository.run("own", &["push", "--quiet", "origin", "main", "v1", "main:refs/pull/7/head", "main:new"]);
    let told = source.poll(Some(&begun.cursor)).await.unwrap();
    let words: Vec<String> = told
        .events
        .iter()
        .map(|event| {
            let git = &event.facts["git"];
            format!("{} {} {} {}", event.kind, event.subject.clone().unwrap(), git["message"], git["files"])
        })
        .collect();
    assert_eq!(
        words,
        [
            "git.push main \"write churn/train.py\" [\"churn/train.py\"]",
            "git.push new \"write churn/train.py\" [\"churn/train.py\"]",
            "git.pull_request #7 \"write churn/train.py\" [\"churn/train.py\"]",
            "git.tag v1 \"write churn/train.py\" [\"churn/train.py\"]",
        ]
    );
    assert_eq!(told.events[0].facts["git"]["sha"], sha);
    assert_eq!(told.events[0].facts["git"]["author"], "Ada");
    assert_eq!(told.events[2].facts["git"]["target"], "main");
    assert_eq!(told.events[3].id, format!("tag:refs/tags/v1:{sha}"), "an annotated tag is its commit");
    assert!(source.poll(Some(&told.cursor)).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn a_branch_that_was_pushed_by_force_is_told_without_the_lost_commit() {
    let repository = Repository::new();
    let mut source = repository.source(&["push"]).await;
    repository.commit("a", "1");
    repository.run("own", &["push", "--quiet", "origin", "main"]);
    let begun = source.poll(None).await.unwrap();
    repository.run("own", &["reset", "--quiet", "--hard", "HEAD~1"]);
    repository.commit("b", "1");
    repository.run("own", &["push", "--quiet", "--force", "origin", "main"]);
    let told = source.poll(Some(&begun.cursor)).await.unwrap();
    assert_eq!(told.events.len(), 1);
    assert_eq!(told.events[0].facts["git"]["message"], "write b");
}

#[tokio::test]
async fn what_is_no_repository_is_said_without_its_password() {
    let repository = Repository::new();
    let own = repository.folder.path().join("own");
    let spec = |git: &str| serde_json::from_value::<GitChange>(json!({"git": git})).unwrap();
    let Err(problem) = GitSource::open(spec("upstream"), &own, &own).await else { panic!("there is none") };
    assert!(problem.hints[0].contains("git remote add upstream URL"), "{problem:?}");
    let address = "http://ada:hunter22@127.0.0.1:9/x.git";
    let mut source = GitSource::open(spec(address), &own, &own).await.unwrap();
    let problem = source.poll(None).await.unwrap_err();
    assert!(!format!("{problem:?}").contains("hunter22"), "{problem:?}");
}
