//! `millrace sync` and the step `sync`: files as they are, out of a terminal and out of a pipeline.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::Path;
use std::process::Command;

use crate::project::{Project, wait_until};

/// The files below a folder with their sizes, without those on their way.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().ends_with(".staged") {
                let size = path.metadata().unwrap().len();
                files.push((path.strip_prefix(folder).unwrap().to_string_lossy().into_owned(), size));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn folders_are_the_same_afterwards() {
    let project = Project::new(&[("raw/a.bin", "aaa"), ("raw/deep/b.bin", "bb"), ("out/old.bin", "o")]);
    let arguments = ["sync", "raw", "out", "--delete"];
    insta::assert_snapshot!(project.millrace(&[&arguments[..], &["--dry-run"]].concat()), @r###"
    exit 0
    ACTION  BYTES  FILE
    copy    3      a.bin
    copy    2      deep/b.bin
    delete  1      old.bin
    ----
    0 files would be left as they are
    "###);
    assert_eq!(files(&project.path().join("out")), [("old.bin".to_owned(), 1)]);
    insta::assert_snapshot!(project.millrace(&arguments), @r###"
    exit 0
    copied 2 files (5 B) in [duration], left 0 that are the same, deleted 1; not verified: 2 of 2 files: a folder has no digests
    ----
    files: 2 copied, 0 the same, 1 deleted
    "###);
    assert_eq!(files(&project.path().join("out")), files(&project.path().join("raw")));
    insta::assert_snapshot!(project.millrace(&arguments), @r###"
    exit 0
    copied 0 files (0 B) in [duration], left 2 that are the same; verified: nothing was copied
    ----
    files: 0 copied, 2 the same
    "###);
    project.write("raw/a.bin", "aab");
    let told = project.json(&["sync", "raw", "out", "--verify", "read", "--json"]);
    assert_eq!((&told["outputs"]["files"], &told["outputs"]["same"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(told["outputs"]["verification"]["result"], "Verified", "{told}");
    assert_eq!(project.read("out/a.bin"), "aab");
    insta::assert_snapshot!(project.millrace(&["sync", "absent", "out", "--delete"]), @r###"
    exit 1
    ----
    error[copy-read]: cannot read `absent`: no file is there; the sink was left as it is
    "###);
    insta::assert_snapshot!(project.millrace(&["sync", "raw", "raw/deep"]), @r###"
    exit 1
    ----
    error[copy-config]: `raw` and `raw/deep` lie in one another
    hint: copy into a folder beside it
    "###);
    assert_eq!(files(&project.path().join("out")), files(&project.path().join("raw")));
}

#[test]
fn a_step_says_what_it_copied_and_its_mistakes_have_a_place() {
    let steps = "steps:
  mirror: {sync: {from: raw, to: out, include: [\"*.bin\"], hierarchy: flatten}}
  told: {set: {files: \"${{ steps.mirror.files }}\", where: \"${{ steps.mirror.data }}\"}}
";
    let wrong = "steps:
  one: {sync: {from: raw, to: \"nowhere:out\"}}
  two: {sync: {from: raw, to: out, hierarchy: merge, delete: true}}
  three: {sync: {from: raw, to: out, modified_since: lately}}
  four: {sync: {from: raw, to: out, includes: [a]}}
";
    let project = Project::new(&[
        ("pipelines/p.yaml", steps),
        ("raw/a.bin", "a"),
        ("raw/deep/b.bin", "b"),
        ("raw/c.txt", "c"),
    ]);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(files(&project.path().join("out")), [("a.bin".to_owned(), 1), ("b.bin".to_owned(), 1)]);
    // What is in the folders is looked at again each time.
    std::fs::remove_file(project.path().join("out/a.bin")).unwrap();
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(project.read("out/a.bin"), "a");
    project.write("pipelines/wrong.yaml", wrong);
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[copy-config]: there is no connection `nowhere`
     --> pipelines/wrong.yaml:2:15
      |
    2 |   one: {sync: {from: raw, to: "nowhere:out"}}
      |               ^
    hint: in connections.yaml: `nowhere: {postgres: {url: postgres://user@host/database}}` or `nowhere: {s3: {bucket: …}}`
    error[copy-config]: `delete` has nothing to remove where all files become one
     --> pipelines/wrong.yaml:3:15
      |
    3 |   two: {sync: {from: raw, to: out, hierarchy: merge, delete: true}}
      |               ^
    hint: hierarchy: keep
    error[copy-config]: `sync`: `lately` is neither an instant such as `[time]Z`, a day, nor a duration such as `7d`
     --> pipelines/wrong.yaml:4:17
      |
    4 |   three: {sync: {from: raw, to: out, modified_since: lately}}
      |                 ^
    hint: sync: {from: "lake:raw/**/*.jpg", to: "pictures:new/", delete: true}
    error[copy-config]: `sync`: unknown field `includes`, expected one of `from`, `to`, `include`, `exclude`, `modified_since`, `modified_before`, `hierarchy`, `compare`, `delete`, `allow_empty`, `verify`, `dry_run`, `parallelism`, `retries`, `max_bytes_per_s`
     --> pipelines/wrong.yaml:5:16
      |
    5 |   four: {sync: {from: raw, to: out, includes: [a]}}
      |                ^
    hint: sync: {from: "lake:raw/**/*.jpg", to: "pictures:new/", delete: true}
    error[unknown-key]: sync: there is no key `includes`
     --> pipelines/wrong.yaml:5:37
      |
    5 |   four: {sync: {from: raw, to: out, includes: [a]}}
      |                                     ^^^^^^^^
    hint: did you mean `include`?
    1 of 2 files have errors
    "###);
}

#[test]
fn a_copy_that_is_killed_goes_on_where_it_was() {
    let project = Project::new(&[]);
    for file in 0..6_u8 {
        project.write(&format!("raw/{file}.bin"), vec![file; 2 << 20]);
    }
    let (raw, out) = (project.path().join("raw"), project.path().join("out"));
    let mut killed = project.spawn(&[
        "sync",
        "raw",
        "out",
        "--with",
        "max_bytes_per_s=4000000",
        "--with",
        "parallelism=2",
    ]);
    wait_until(|| files(&out).len() >= 2 || killed.try_wait().unwrap().is_some());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let there = files(&out);
    assert!((2..6).contains(&there.len()), "{there:?}");
    for (name, size) in &there {
        assert_eq!(*size, 2 << 20, "{name} is seen before it is whole");
    }
    let told = project.json(&["sync", "raw", "out", "--json"]);
    assert_eq!(told["outputs"]["same"], there.len(), "{told}");
    assert_eq!(told["outputs"]["files"], 6 - there.len(), "{told}");
    for file in 0..6_u8 {
        assert!(std::fs::read(out.join(format!("{file}.bin"))).unwrap() == vec![file; 2 << 20]);
    }
    assert_eq!(files(&out), files(&raw));
}

#[test]
fn what_finds_no_room_is_told_and_the_rest_is_copied() {
    let project = Project::new(&[("raw/a.bin", "a"), ("raw/z.bin", "z")]);
    project.write("raw/big.bin", vec![1; 3 << 20]);
    let out = project.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "millrace-test"]).arg(&out);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: a small disk for the test cannot be mounted; that takes root");
        return;
    }
    let said = project.millrace(&["sync", "raw", "out"]);
    let left = std::fs::read_dir(&out).unwrap().count();
    let copied = files(&out);
    Command::new("umount").arg("--lazy").arg(&out).status().unwrap();
    assert!(said.starts_with("exit 1") && said.contains("1 file could not be copied"), "{said}");
    assert!(said.contains("No space left on device") && said.contains("big.bin"), "{said}");
    assert_eq!(copied, [("a.bin".to_owned(), 1), ("z.bin".to_owned(), 1)]);
    assert_eq!(left, 2, "what was begun is still there");
}
