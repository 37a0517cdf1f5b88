//! Secrets in the encrypted file: kept, used, masked, removed.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use nix::pty::openpty;

use crate::project::{Project, wait_until};
use crate::server::Up;

/// A step that prints a secret.
pub(crate) const PRINTS: &str = "steps:\n  s: {run: \"echo key=$KEY\", env: {KEY: \"${{ secrets.api }}\"}}\n";
pub(crate) const FILE: &str = "secrets.enc.yaml";

/// Sets secrets in a project's file.
pub(crate) fn set(project: &Project, secrets: &[(&str, &str)]) {
    for (name, value) in secrets {
        let said = project.fed(project.command(&["secrets", "set", name]), value);
        assert!(said.starts_with("exit 0"), "{said}");
    }
}

/// The project as on a machine that has the repository and no key.
pub(crate) fn without_key(project: &Project) {
    std::fs::remove_dir_all(project.path().join("config")).unwrap();
}

/// The file's key as it is kept.
pub(crate) fn key(project: &Project) -> String {
    let text = project.read(FILE);
    let id = text.lines().find_map(|line| line.strip_prefix("key: ")).unwrap().trim_matches('"');
    project.read(&format!("config/millrace/keys/{id}.key")).trim().to_owned()
}

pub(crate) fn with_key(project: &Project, key: &str, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command.env("MILLRACE_SECRETS_KEY", key);
    command
}

#[test]
fn a_secret_is_kept_used_masked_and_removed() {
    let project = Project::new(&[("pipelines/p.yaml", PRINTS)]);
    assert_snapshot!(project.millrace(&["secrets", "list"]), @r"
    exit 0
    ----
    no secrets yet; `millrace secrets set NAME` keeps one
    ");
    assert_snapshot!(project.fed(project.command(&["secrets", "set", "api"]), "hunter2hunter2\n"), @r"
    exit 0
    `api` is set in `secrets.enc.yaml`
    ----
    made the key [key] of `secrets.enc.yaml`
    the key is in `[folder]/config/millrace/keys/[key].key`: keep a copy, without it nobody can read the secrets
    hand it to people and servers: `export MILLRACE_SECRETS_KEY=$(cat '[folder]/config/millrace/keys/[key].key')`
    ");
    assert_snapshot!(project.fed(project.command(&["secrets", "set", "shop"]), "another one"), @r"
    exit 0
    `shop` is set in `secrets.enc.yaml`
    ----
    ");
    assert_snapshot!(project.millrace(&["secrets", "list"]), @r"
    exit 0
    NAME  FROM  READABLE
    api   file  yes
    shop  file  yes
    ----
    ");
    assert_snapshot!(project.millrace(&["secrets", "list", "--json"]), @r#"
    exit 0
    {"name":"api","from":"file","readable":true,"reason":null}
    {"name":"shop","from":"file","readable":true,"reason":null}
    ----
    "#);
    assert!(!project.path().join(".millrace").exists(), "no database is made for that");
    assert!(project.millrace(&["run", "p"]).starts_with("exit 0"));
    assert_snapshot!(project.millrace(&["logs", "latest", "s"]), @r"
    exit 0
    key=***
    ----
    ");

    let text = project.read(FILE);
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(project.millrace(&["secrets", "remove", "api"]), @r"
    exit 0
    `api` is no longer in `secrets.enc.yaml`
    ----
    ");
    let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("  api: ")).collect();
    assert_eq!(project.read(FILE).lines().collect::<Vec<_>>(), rest, "the diff is one line");
    assert_snapshot!(project.millrace(&["secrets", "remove", "shp"]), @r"
    exit 1
    ----
    error[secret-unknown]: there is no secret `shp` in `secrets.enc.yaml`
    hint: did you mean `shop`?
    hint: list them with `millrace secrets list`
    ");
}

#[test]
fn what_is_no_value_is_refused_and_what_cannot_be_masked_is_warned_of() {
    let project = Project::new(&[]);
    let said = |name: &str, value: &[u8]| project.fed(project.command(&["secrets", "set", name]), value);
    assert_snapshot!(said("api", b" \n"), @r"
    exit 1
    ----
    error[failed]: the value of `api` is empty; nothing was changed
    ");
    assert_snapshot!(said("api", b"\xff\n"), @r"
    exit 1
    ----
    error[failed]: the value of `api` is not text in UTF-8; encode it, for example with `base64 -w0 FILE`
    ");
    assert_snapshot!(said("Api", b"hunter22\n"), @r"
    exit 2
    ----
    error: invalid value 'Api' for '<NAME>': `Api` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters

    For more information, try '--help'.
    ");
    assert!(!project.path().join(FILE).exists() && !project.path().join("config").exists());
    set(&project, &[("api", "hunter22")]);
    assert_snapshot!(said("api", b"abc\n"), @r"
    exit 0
    `api` is set in `secrets.enc.yaml`
    ----
    warning[secret-short]: the value of `api` is so short that logs cannot mask it
    hint: use one of 4 characters or more
    ");
}

#[test]
fn secrets_that_are_set_at_once_are_all_kept() {
    let project = Project::new(&[]);
    let names = ["a", "b", "c", "d"];
    std::thread::scope(|scope| {
        for name in names {
            scope.spawn(|| set(&project, &[(name, "hunter22")]));
        }
    });
    let listed = project.millrace(&["secrets", "list"]);
    assert!(names.iter().all(|name| listed.contains(&format!("\n{name}     file  yes"))), "{listed}");
}

#[test]
fn a_key_from_the_environment_is_used_and_not_kept() {
    let project = Project::new(&[]);
    let key = "0".repeat(64);
    assert_snapshot!(project.fed(with_key(&project, &key, &["secrets", "set", "api"]), "hunter22"), @r"
    exit 0
    `api` is set in `secrets.enc.yaml`
    ----
    ");
    assert!(!project.path().join("config").exists());
    assert!(project.fed(with_key(&project, &key, &["secrets", "list"]), "").contains("yes"));
    let other = Project::new(&[]);
    assert_snapshot!(other.fed(with_key(&other, "00", &["secrets", "set", "api"]), "hunter22"), @r"
    exit 1
    ----
    error[secrets-not-a-key]: `MILLRACE_SECRETS_KEY` is not a key: 64 hex digits are expected
    hint: `unset MILLRACE_SECRETS_KEY`, or correct it
    ");
}

#[test]
fn the_environment_goes_before_the_file() {
    let project = Project::new(&[("pipelines/p.yaml", PRINTS)]);
    let environment = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("MILLRACE_SECRET_API", "from the environment").env("MILLRACE_SECRET_OTHER", "other");
        command
    };
    assert_snapshot!(project.fed(environment(&["secrets", "set", "api"]), "from the file"), @r"
    exit 0
    `api` is set in `secrets.enc.yaml`
    ----
    made the key [key] of `secrets.enc.yaml`
    the key is in `[folder]/config/millrace/keys/[key].key`: keep a copy, without it nobody can read the secrets
    hand it to people and servers: `export MILLRACE_SECRETS_KEY=$(cat '[folder]/config/millrace/keys/[key].key')`
    warning[secret-hidden]: `MILLRACE_SECRET_API` is set and goes before the value in `secrets.enc.yaml`
    hint: `unset MILLRACE_SECRET_API`
    ");
    assert_snapshot!(project.fed(environment(&["secrets", "list"]), ""), @r"
    exit 0
    NAME   FROM         READABLE
    api    environment  yes
    other  environment  yes
    ----
    ");
    assert_snapshot!(project.fed(environment(&["secrets", "remove", "other"]), ""), @r"
    exit 1
    ----
    error[secret-unknown]: there is no secret `other` in `secrets.enc.yaml`
    hint: `unset MILLRACE_SECRET_OTHER`
    hint: list them with `millrace secrets list`
    ");
    project.write(
        "pipelines/p.yaml",
        PRINTS.replace("echo key=$KEY", "test \\\"$KEY\\\" = 'from the environment'"),
    );
    assert!(project.fed(environment(&["run", "p"]), "").starts_with("exit 0"));
    assert!(project.millrace(&["run", "p"]).starts_with("exit 1"));
}

#[test]
fn each_line_of_a_long_secret_is_masked() {
    let steps = "steps:\n  s: {run: \"echo \\\"$KEY\\\" | sed 's/^/> /'; echo $KEY\", env: {KEY: \"${{ secrets.pem }}\"}}\n";
    let project = Project::new(&[("pipelines/p.yaml", steps)]);
    set(&project, &[("pem", "-----BEGIN KEY-----\n  MIIBVgIB\n}\n-----END KEY-----\n")]);
    assert!(project.millrace(&["run", "p"]).starts_with("exit 0"));
    assert_snapshot!(project.millrace(&["logs", "latest", "s"]), @r"
    exit 0
    > ***
    >   ***
    > }
    > ***
    *** *** } ***
    ----
    ");
}

#[test]
fn a_new_key_opens_everything_and_the_old_one_nothing() {
    let project = Project::new(&[("pipelines/p.yaml", PRINTS)]);
    assert_snapshot!(project.millrace(&["secrets", "rekey"]), @r"
    exit 1
    ----
    error[secrets-no-file]: there is no `secrets.enc.yaml` here, so it has no key to change
    hint: `millrace secrets set NAME` makes one
    ");
    set(&project, &[("api", "hunter2hunter2"), ("shop", "another one")]);
    let (old, before) = (key(&project), project.read(FILE));
    assert_snapshot!(project.millrace(&["secrets", "rekey"]), @r"
    exit 0
    `secrets.enc.yaml` is encrypted with the new key [key]
    ----
    the key is in `[folder]/config/millrace/keys/[key].key`: keep a copy, without it nobody can read the secrets
    hand it to people and servers: `export MILLRACE_SECRETS_KEY=$(cat '[folder]/config/millrace/keys/[key].key')`
    earlier commits still open with the key [key]: if others have it, change the values as well
    ");
    let (new, after) = (key(&project), project.read(FILE));
    let shared = before.lines().filter(|line| line.starts_with("  ") && after.contains(*line)).count();
    assert!(old != new && shared == 0, "every value is encrypted anew: {after}");
    assert!(project.millrace(&["run", "p"]).starts_with("exit 0"));
    assert!(
        project.fed(with_key(&project, &old, &["run", "p"]), "").starts_with("exit 0"),
        "its file is there"
    );
    without_key(&project);
    assert!(project.fed(with_key(&project, &old, &["run", "p"]), "").starts_with("exit 1"));
    assert!(project.fed(with_key(&project, &new, &["run", "p"]), "").starts_with("exit 0"));
    let said = project.fed(with_key(&project, &old, &["secrets", "rekey"]), "");
    assert!(said.contains("error[secrets-no-key]") && project.read(FILE) == after, "{said}");
}

#[test]
fn a_server_uses_what_is_set_while_it_is_up() {
    let project = Project::new(&[("pipelines/p.yaml", PRINTS)]);
    let server = Up::start(&project);
    for (set_before, ends) in [(false, "failed"), (true, "succeeded")] {
        if set_before {
            set(&project, &[("api", "hunter2hunter2")]);
        }
        let started = server.post("/api/pipelines/p/runs", "{}");
        let run = format!("/api/runs/{}", started["id"].as_str().unwrap());
        let state = || server.get(&run)["run"]["status"].clone();
        wait_until(|| ["failed", "succeeded"].iter().any(|end| state() == *end));
        assert_eq!(state(), ends);
    }
}

#[test]
fn a_terminal_does_not_show_what_is_typed() {
    let project = Project::new(&[]);
    let terminal = openpty(None, None).unwrap();
    let mut command = project.command(&["secrets", "set", "api"]);
    command.stdin(terminal.slave.as_fd().try_clone_to_owned().unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What it asks comes after the terminal was told to show nothing.
    let prompt = "the value of `api` (it is not shown): ";
    let mut asked = vec![0; prompt.len()];
    child.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
    assert_eq!(String::from_utf8_lossy(&asked), prompt);
    let mut keyboard = std::fs::File::from(terminal.master);
    keyboard.write_all(b"hunter2hunter2\n").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    // All that the terminal has shown by now, which is one piece.
    let mut shown = [0; 256];
    let length = keyboard.read(&mut shown).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown[..length]), "\r\n");
    let listed = project.json(&["secrets", "list", "--json"]);
    assert_eq!((&listed["name"], &listed["readable"]), (&"api".into(), &true.into()));
}
