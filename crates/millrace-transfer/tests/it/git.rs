//! Files of git repositories.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::Place;

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args([
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t.example",
        "-c",
        "init.defaultBranch=main",
    ]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn files_of_a_repository() {
    let mut place = Place::new();
    let repository = place.folder.path().join("repository");
    std::fs::create_dir_all(repository.join("reference/deep")).unwrap();
    git(&repository, &["init", "--quiet"]);
    let put = |name: &str, text: &str| std::fs::write(repository.join(name), text).unwrap();
    put("reference/a.csv", "id,n\n1,x\n");
    put("reference/ü b.csv", "id,n\n2,y\n");
    put("reference/deep/c.csv", "id,n\n3,z\n");
    put("large.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    std::os::unix::fs::symlink("/etc/passwd", repository.join("link.csv")).unwrap();
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "-m", "first"]);
    git(&repository, &["tag", "v1"]);
    put("reference/a.csv", "id,n\n1,changed\n");
    git(&repository, &["commit", "--quiet", "-a", "-m", "second"]);

    place.connections.insert("rules".to_owned(), json!({"git": {"url": "./repository"}}).into());
    let check = async |from: &str, expected: &str| {
        place.copy(json!({"from": from, "to": "out.csv"})).await.unwrap();
        assert_eq!(place.text("out.csv"), expected, "{from}");
    };
    check("rules:reference/*.csv", "id,n\n1,changed\n2,y\n").await;
    check("rules:reference/**/*.csv@v1", "id,n\n1,x\n3,z\n2,y\n").await;
    check("rules:reference/a.csv@main", "id,n\n1,changed\n").await;
    let named = json!({"from": "rules:reference/deep/c.csv", "to": "out.csv", "add": {"file": "$file"}});
    place.copy(named).await.unwrap();
    assert_eq!(place.text("out.csv"), "id,n,file\n3,z,rules:reference/deep/c.csv\n");
    assert!(!place.folder.path().join("attempt/staged").exists());

    let (said, names) = place.probed("rules").await.unwrap();
    assert_eq!(
        (said.as_str(), names),
        ("the repository answers; its branches and tags are", vec!["*@main".to_owned(), "*@v1".to_owned()])
    );
    let message = async |from: &str| place.message(json!({"from": from, "to": "out.csv"})).await;
    let absent = message("rules:absent.csv@v1").await;
    assert!(
        absent.starts_with("cannot read `rules:absent.csv@v1`: there is no such file in the commit "),
        "{absent}"
    );
    assert!(message("rules:link.csv").await.contains("there is no such file"), "a link is no file");
    assert!(message("rules:large.csv").await.ends_with("is kept by Git LFS, which is not asked"));
    let branch = message("rules:a.csv@no-such-branch").await;
    assert!(branch.contains("`git fetch` failed") && branch.contains("no-such-branch"), "{branch}");
    assert_eq!(message("rules:a.csv@--upload-pack=x").await, "`--upload-pack=x` is no branch, tag or commit");
    let secret = json!({"git": {"url": "git@host:a.git", "password": "hidden"}});
    place.connections.insert("odd".to_owned(), secret.into());
    let message = place.message(json!({"from": "odd:a.csv", "to": "out.csv"})).await;
    assert_eq!(message, "the connection `odd`: `password` is sent to `https://` repositories alone");
}
