//! Other orchestrators run a pipeline of a server: by REST, by the command line, as a step of a build.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::{TOKEN, Up};

const NIGHTLY: &str = r#"
inputs:
  day: {type: date}
  rows: 3
steps:
  hold: {run: "for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done"}
  count: {set: {rows: "${{ inputs.rows }}", day: "${{ inputs.day }}"}, needs: hold}
"#;

/// A program with the server's address; its exit code, and what it printed.
fn run(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// Status, headers and body of a request by curl.
fn curl(arguments: &[&str]) -> (String, Value) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "-w", "\n%{http_code} %header{location}"]).args(arguments);
    let (code, text) = run(command);
    assert_eq!(code, 0, "{text}");
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.trim().to_owned(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn called_by_rest_with_idempotency_key_and_wait() {
    let project = Project::new(&[("pipelines/nightly.yaml", NIGHTLY)]);
    let server = Up::start(&project);
    let runs = format!("{}/api/pipelines/nightly/runs", server.url);
    let start = |query: &str, key: &str, body: &str| {
        let (url, key) = (format!("{runs}{query}"), format!("Idempotency-Key: {key}"));
        curl(&["-X", "POST", &url, "-H", &key, "-H", "Content-Type: application/json", "-d", body])
    };
    let body = r#"{"inputs": {"day": "2026-03-01", "rows": 5}, "caller": {"system": "jenkins"}}"#;
    let (status, begun) = start("?wait=50ms", "k1", body);
    let id = begun["id"].as_str().unwrap();
    assert_eq!(status, format!("202 /api/runs/{id}"), "it goes on: {begun}");
    assert_eq!(begun["trigger"], "jenkins");
    project.write("go", "");
    let (status, ended) = start("?wait=60s", "k1", body);
    assert_eq!((status.as_str(), &ended["id"]), (format!("200 /api/runs/{id}").as_str(), &begun["id"]));
    assert_eq!(ended["status"], "succeeded");
    let view = server.get(&format!("/api/runs/{id}?wait=1s"));
    assert_eq!(view["steps"][1]["outputs"], json!({"rows": 5, "day": "2026-03-01"}));

    let (status, refused) = start("", "k1", r#"{"inputs": {"day": "2026-03-02"}}"#);
    assert!(status.starts_with("422"), "{status}");
    assert_eq!(refused["code"], "idempotency-key-reused");
    let (status, refused) = start("", "k2", r#"{"inputs": {"day": "tomorrow"}}"#);
    assert!(status.starts_with("422"), "{status} {refused}");
    let (status, refused) = start("?wait=soon", "k2", body);
    assert_eq!((status.trim(), &refused["code"]), ("400", &json!("invalid-query")));
    assert_eq!(server.get("/api/runs?pipeline=nightly")["total"], 1);
    let (_, other) = start("?wait=60s", "k3", body);
    assert_ne!(other["id"], begun["id"]);
}

/// Killed between the request and the end: the same key finds the same run in the server that was started anew.
#[test]
fn called_again_after_a_kill_it_is_the_same_run() {
    let project = Project::new(&[("pipelines/nightly.yaml", NIGHTLY)]);
    let call = |server: &Up, query: &str| {
        let url = format!("{}/api/pipelines/nightly/runs{query}", server.url);
        let body = r#"{"inputs": {"day": "2026-03-01"}}"#;
        curl(&[
            "-X",
            "POST",
            &url,
            "-H",
            "Idempotency-Key: k",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ])
    };
    let server = Up::start(&project);
    let (_, begun) = call(&server, "");
    drop(server);
    project.write("go", "");
    let server = Up::start(&project);
    let (status, ended) = call(&server, "?wait=60s");
    assert!(status.starts_with("200"), "{status}");
    assert_eq!((&ended["id"], &ended["status"]), (&begun["id"], &json!("succeeded")));
}

#[test]
fn called_by_the_command_line_that_waits() {
    let project = Project::new(&[
        ("pipelines/nightly.yaml", NIGHTLY),
        ("pipelines/bad.yaml", "steps: {a: {run: exit 3}}"),
    ]);
    let server = Up::start_with_login(&project, None);
    let elsewhere = Project::new(&[]).with_variables(vec![("MILLRACE_TOKEN".to_owned(), TOKEN.to_owned())]);
    let said = |arguments: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--server", &server.url]).collect();
        elsewhere.millrace(&arguments).replace(&server.url, "[server]")
    };
    let started = said(&["run", "nightly", "-i", "day=2026-03-01", "--idempotency-key", "k"]);
    // It may have begun before the answer was written.
    let said_so =
        ["queued", "running"].map(|state| format!("exit 0\nrun [id] {state}: [server]/runs/[id]\n"));
    assert!(said_so.iter().any(|said| started.starts_with(said)), "{started}");
    project.write("go", "");
    let ended = said(&["run", "nightly", "-i", "day=2026-03-01", "--idempotency-key", "k", "--wait"]);
    assert!(ended.contains("run [id] succeeded in [duration]") && ended.starts_with("exit 0"), "{ended}");
    insta::assert_snapshot!(said(&["run", "nightly", "--wait", "-i", "day=tomorrow"]), @r#"
    exit 2
    ----
    error[input-type]: the input `day` is date, not "tomorrow"
    hint: write it as `2026-03-01`
    "#);
    insta::assert_snapshot!(said(&["run", "nightli", "--wait"]), @r"
    exit 2
    ----
    error[unknown-pipeline]: there is no pipeline `nightli`
    ");
    let failed = said(&["run", "bad", "--wait"]);
    assert!(failed.starts_with("exit 1\nrun [id] failed in [duration]"), "{failed}");
    assert!(failed.contains("program-failed"), "{failed}");
}

#[test]
fn ctrl_c_of_the_caller_cancels_the_run() {
    let project = Project::new(&[("pipelines/nightly.yaml", NIGHTLY)]);
    let server = Up::start(&project);
    let mut child = project
        .command(&["run", "nightly", "-i", "day=2026-03-01", "--server", &server.url, "--wait"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let newest = || server.get("/api/runs")["runs"][0].clone();
    wait_until(|| newest()["status"] == "running");
    // Once is enough, though the caller may not have heard yet that its run began.
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    wait_until(|| newest()["status"] == "cancelled");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// The script of the first block of that language in the guide that has `mark`.
fn script(mark: &str) -> String {
    let guide = include_str!("../../../../docs/guides/called-by-others.md");
    let block = guide.split("```yaml\n").skip(1).find(|block| block.contains(mark)).unwrap();
    let block = block.split("\n```").next().unwrap();
    let (before, rest) = block.split_once(mark).unwrap();
    let indent = |line: &str| line.chars().take_while(|c| *c == ' ').count();
    let lines = rest.lines().skip(1);
    let least = rest.lines().nth(1).map_or(0, indent);
    let script: Vec<&str> = lines.take_while(|line| indent(line) >= least).collect();
    assert!(script.len() > 2, "{before}");
    script.join("\n")
}

/// A shell as build servers start it: `bash` with the script, and the program on its path.
fn build_step(project: &Project, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_millrace"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(project.path()).env_clear().env("PATH", path);
    command.envs(variables.iter().copied()).env("HOME", project.path());
    run(command)
}

#[test]
fn called_by_a_github_actions_step() {
    let project = Project::new(&[("pipelines/nightly.yaml", NIGHTLY), ("go", "")]);
    let server = Up::start_with_login(&project, None);
    let step = script("run: |");
    let variables = |day: &'static str| {
        [
            ("MILLRACE_URL", server.url.as_str()),
            ("MILLRACE_TOKEN", TOKEN),
            ("PIPELINE", "nightly"),
            ("INPUTS", day),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "shop/churn"),
            ("GITHUB_RUN_ID", "1658821493"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_JOB", "train"),
            ("GITHUB_OUTPUT", "github_output"),
        ]
    };
    let (code, said) = build_step(&project, &step, &variables(r#"{"day": "2026-03-01"}"#));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("succeeded  count"), "{said}");
    assert_eq!(project.read("github_output"), "state=succeeded\n");
    // The same attempt of the same job again: the same run.
    let (code, again) = build_step(&project, &step, &variables(r#"{"day": "2026-03-01"}"#));
    assert_eq!(code, 0, "{again}");
    assert_eq!(said.lines().next(), again.lines().next());
    let (code, said) = build_step(&project, &step, &variables(r#"{"day": 7}"#));
    assert_eq!(
        (code, said.lines().next()),
        (1, Some("::error::the input `day` is date, not 7 write it as `2026-03-01`"))
    );
}

#[test]
fn called_by_an_azure_devops_step() {
    let project = Project::new(&[("pipelines/nightly.yaml", NIGHTLY), ("go", "")]);
    let server = Up::start_with_login(&project, None);
    let variables = [
        ("MILLRACE_URL", server.url.as_str()),
        ("MILLRACE_TOKEN", TOKEN),
        ("SYSTEM_TEAMPROJECT", "churn"),
        ("BUILD_BUILDID", "17"),
        ("SYSTEM_JOBATTEMPT", "1"),
        ("SYSTEM_JOBNAME", "train"),
    ];
    let (code, said) = build_step(&project, &script("- bash: |"), &variables);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("##vso[task.setvariable variable=rows;isOutput=true]3"), "{said}");
}
