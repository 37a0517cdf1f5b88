//! Secrets that have no value: no key, no such name, a damaged file. Only what needs one fails.

use insta::assert_snapshot;

use crate::project::Project;
use crate::secrets::{FILE, PRINTS, key, set, with_key, without_key};

#[test]
fn without_the_key_only_what_needs_a_secret_fails() {
    let steps = format!("{PRINTS}  rows: {{copy: {{from: raw.csv, to: \"data:rows\"}}}}\n");
    let project = Project::new(&[("pipelines/p.yaml", &steps), ("raw.csv", "n\n1\n")]);
    set(&project, &[("api", "hunter2hunter2"), ("shop", "another one")]);
    let key = key(&project);
    without_key(&project);
    assert_snapshot!(project.millrace(&["run", "p"]), @r#"
    exit 1
    run [id] failed in [duration]: 1 done, 0 reused, 1 failed, 0 skipped
    ----
      ✗ failed       s
      ✓ succeeded    rows
    error[secret-unreadable]: the step `s` uses `secrets.api`, which cannot be read
     --> pipelines/p.yaml:2:3
      |
    2 |   s: {run: "echo key=$KEY", env: {KEY: "${{ secrets.api }}"}}
      |   ^
      = `secrets.enc.yaml` is encrypted with the key [key], which is not here
    hint: `export MILLRACE_SECRETS_KEY=…` with the key [key], or put that key into `[folder]/config/millrace/keys/[key].key`
    hint: `export MILLRACE_SECRET_API=…` gives this one alone
    hint: millrace logs [id] s
    "#);
    assert_snapshot!(project.millrace(&["sql", "select n from rows"]), @r"
    exit 0
    n
    1
    ----
    ");
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 0
    ----
    1 pipeline with 2 steps: sound
    ");
    assert_snapshot!(project.millrace(&["secrets", "list"]), @r"
    exit 0
    NAME  FROM  READABLE
    api   file  no
    shop  file  no
    ----
    warning[secrets-no-key]: `secrets.enc.yaml` is encrypted with the key [key], which is not here
    hint: `export MILLRACE_SECRETS_KEY=…` with the key [key], or put that key into `[folder]/config/millrace/keys/[key].key`
    ");
    assert_snapshot!(project.fed(project.command(&["secrets", "set", "api"]), "hunter33"), @r"
    exit 1
    ----
    error[secrets-no-key]: `secrets.enc.yaml` is encrypted with the key [key], which is not here
    hint: `export MILLRACE_SECRETS_KEY=…` with the key [key], or put that key into `[folder]/config/millrace/keys/[key].key`
    ");
    let doctor = project.millrace(&["doctor"]);
    assert_snapshot!(doctor.lines().find(|line| line.starts_with("secrets")).unwrap(), @"secrets     no   `secrets.enc.yaml` is encrypted with the key [key], which is not here: `export MILLRACE_SECRETS_KEY=…` with the key [key], or put that key into `[folder]/config/millrace/keys/[key].key`");

    // A default is for secrets that are not set.
    project.write("pipelines/d.yaml", steps.replace("secrets.api", "secrets.api | default('x')"));
    let said = project.millrace(&["run", "d"]);
    assert!(said.starts_with("exit 1") && said.contains("error[secret-unreadable]"), "{said}");

    let wrong = project.fed(with_key(&project, &"0".repeat(64), &["run", "p"]), "");
    assert!(wrong.contains("`MILLRACE_SECRETS_KEY` is another key, [key]"), "{wrong}");
    let right = project.fed(with_key(&project, &key, &["run", "p"]), "");
    assert!(right.starts_with("exit 0"), "{right}");
    let doctor = project.fed(with_key(&project, &key, &["doctor"]), "");
    assert_snapshot!(doctor.lines().find(|line| line.starts_with("secrets")).unwrap(), @"secrets     yes  0 in the environment, 2 in `secrets.enc.yaml`");
}

#[test]
fn a_secret_that_is_set_nowhere_fails_its_step_and_is_a_warning_before() {
    let steps =
        "steps:\n  s: {run: echo hello, env: {KEY: \"${{ secrets.nothere }}\"}}\n  t: {run: echo fine}\n";
    let project = Project::new(&[("pipelines/p.yaml", steps)]);
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 0
    ----
    warning[secret-missing]: the step `s` uses `secrets.nothere`, which is not set here
     --> pipelines/p.yaml:2:35
      |
    2 |   s: {run: echo hello, env: {KEY: "${{ secrets.nothere }}"}}
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: `millrace secrets set nothere`, or `export MILLRACE_SECRET_NOTHERE=…`
    1 pipeline with 2 steps: sound
    "#);
    let said = project.millrace(&["run", "p"]);
    let (_, said) = said.split_once("error[").unwrap();
    assert_snapshot!(said, @r#"
    secret-missing]: the step `s` uses `secrets.nothere`, which is not set
     --> pipelines/p.yaml:2:3
      |
    2 |   s: {run: echo hello, env: {KEY: "${{ secrets.nothere }}"}}
      |   ^
    hint: `millrace secrets set nothere`, or `export MILLRACE_SECRET_NOTHERE=…`
    hint: millrace logs [id] s
    "#);
    assert!(project.millrace(&["logs", "latest", "t"]).contains("fine"));
}

#[test]
fn a_damaged_value_fails_its_step_and_a_damaged_file_all_that_name_one() {
    let project = Project::new(&[("pipelines/p.yaml", PRINTS)]);
    set(&project, &[("api", "hunter2hunter2"), ("shop", "another one")]);
    let sound = project.read(FILE);
    project.write(FILE, sound.replace("  api: ", "  api: edited-by-hand-"));
    let failure = |project: &Project| {
        let said = project.millrace(&["run", "p"]);
        said.split_once("error[").unwrap().1.to_owned()
    };
    assert_snapshot!(failure(&project), @r#"
    secret-unreadable]: the step `s` uses `secrets.api`, which cannot be read
     --> pipelines/p.yaml:2:3
      |
    2 |   s: {run: "echo key=$KEY", env: {KEY: "${{ secrets.api }}"}}
      |   ^
      = secrets.enc.yaml:5:8: the value of `api` cannot be decrypted: it is not base64
    hint: `millrace secrets set api`, or bring it back: `git checkout -- secrets.enc.yaml`
    hint: `export MILLRACE_SECRET_API=…` gives this one alone
    hint: millrace logs [id] s
    "#);
    assert_snapshot!(project.millrace(&["secrets", "list"]), @r"
    exit 0
    NAME  FROM  READABLE
    api   file  no
    shop  file  yes
    ----
    warning[secret-damaged]: the value of `api` cannot be decrypted: it is not base64
     --> secrets.enc.yaml:5:8
    hint: `millrace secrets set api`, or bring it back: `git checkout -- secrets.enc.yaml`
    ");
    set(&project, &[("api", "hunter2hunter2")]);
    assert!(project.millrace(&["run", "p"]).starts_with("exit 0"));

    project.write(FILE, sound.replace("version: 1", "version: 2"));
    assert_snapshot!(failure(&project), @r#"
    secret-unreadable]: the step `s` uses `secrets.api`, which cannot be read
     --> pipelines/p.yaml:2:3
      |
    2 |   s: {run: "echo key=$KEY", env: {KEY: "${{ secrets.api }}"}}
      |   ^
      = secrets.enc.yaml:2:10: `secrets.enc.yaml` is of version 2; this program reads version 1
    hint: use the newer Millrace that wrote it
    hint: `export MILLRACE_SECRET_API=…` gives this one alone
    hint: millrace logs [id] s
    "#);
    assert_snapshot!(project.millrace(&["secrets", "list"]), @r"
    exit 1
    ----
    error[secrets-version]: `secrets.enc.yaml` is of version 2; this program reads version 1
     --> secrets.enc.yaml:2:10
    hint: use the newer Millrace that wrote it
    ");
    assert_snapshot!(project.fed(project.command(&["secrets", "set", "api"]), "hunter33"), @r"
    exit 1
    ----
    error[secrets-version]: `secrets.enc.yaml` is of version 2; this program reads version 1
     --> secrets.enc.yaml:2:10
    hint: use the newer Millrace that wrote it
    ");
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 0
    ----
    warning[secrets-version]: `secrets.enc.yaml` is of version 2; this program reads version 1
     --> secrets.enc.yaml:2:10
      |
    2 | version: 2
      |          ^
    hint: use the newer Millrace that wrote it
    1 pipeline with 1 step: sound
    ");
    assert_eq!(project.read(FILE), sound.replace("version: 1", "version: 2"), "nothing is written over it");
}

#[test]
fn a_connection_without_its_secret_fails_only_what_is_copied_over_it() {
    let connections = "shop:\n  postgres: {url: \"postgres://reader@127.0.0.1:1/shop\", password: \"${{ secrets.shop }}\"}\nlake:\n  s3:\n    bucket: lake\n    access_key_id: id\n    secret_access_key: ${{ secrets.lake }}\n";
    let steps = "steps:\n  local: {copy: {from: raw.csv, to: \"data:rows\"}}\n  lake: {copy: {from: \"lake:a.csv\", to: \"data:lake\"}}\n  url: {copy: {from: \"s3://lake/a.csv\", to: \"data:lake\"}}\n";
    let project = Project::new(&[
        ("connections.yaml", connections),
        ("pipelines/p.yaml", steps),
        ("raw.csv", "n\n1\n"),
    ]);
    set(&project, &[("shop", "another one")]);
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 0
    ----
    warning[secret-missing]: the connection `lake` uses `secrets.lake`, which is not set
     --> connections.yaml:7:24
      |
    7 |     secret_access_key: ${{ secrets.lake }}
      |                        ^^^^^^^^^^^^^^^^^^^
    hint: `millrace secrets set lake`, or `export MILLRACE_SECRET_LAKE=…`
    1 pipeline with 3 steps, 2 connections: sound
    ");
    let said = project.millrace(&["run", "p"]);
    assert!(said.contains("1 done, 0 reused, 2 failed"), "{said}");
    let (_, said) = said.split_once("error[").unwrap();
    assert_snapshot!(said.split_once("error[").unwrap().0, @r"
    secret-missing]: the connection `lake` uses `secrets.lake`, which is not set
     --> connections.yaml:7:24
      |
    7 |     secret_access_key: ${{ secrets.lake }}
      |                        ^^^^^^^^^^^^^^^^^^^
    hint: `millrace secrets set lake`, or `export MILLRACE_SECRET_LAKE=…`
    hint: millrace logs [id] lake
    ");
    assert_snapshot!(project.millrace(&["copy", "lake:a.csv", "b.csv"]), @r"
    exit 1
    ----
    error[secret-missing]: the connection `lake` uses `secrets.lake`, which is not set
     --> connections.yaml:7:24
      |
    7 |     secret_access_key: ${{ secrets.lake }}
      |                        ^^^^^^^^^^^^^^^^^^^
    hint: `millrace secrets set lake`, or `export MILLRACE_SECRET_LAKE=…`
    ");

    // Its secret is there: what fails now is the database, which is not.
    let said = project.millrace(&["copy", "shop:orders", "b.csv"]);
    assert!(said.contains("cannot read `shop`") && !said.contains("another one"), "{said}");
    without_key(&project);
    let said = project.millrace(&["copy", "shop:orders", "b.csv"]);
    assert!(said.contains("error[secret-unreadable]") && said.contains("connections.yaml:2:67"), "{said}");
    assert!(project.millrace(&["copy", "raw.csv", "b.csv"]).starts_with("exit 0"));
}
