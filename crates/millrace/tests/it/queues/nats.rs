use std::process::Command;

use serde_json::json;

use super::broker::{Broker, Place, Running};
use super::{copies, suite};
use crate::events::{outputs, runs, settled, wait_until_asked};
use crate::project::{Project, wait_until};
use crate::server::Up;

struct Nats;

impl Broker for Nats {
    const WORD: &'static str = "nats";
    const TRIGGER: &'static str = "orders, stream: ORDERS";
    const PACKAGE: &'static str = "nats-server";
    const PROGRAM: &'static str = "/usr/sbin/nats-server";

    fn command(at: &Place<'_>) -> Command {
        let (folder, port) = (at.folder, at.port);
        let mut command = Command::new(Self::PROGRAM);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd", &folder.to_string_lossy()]);
        command.args(["--user", Self::USER, "--pass", Self::PASSWORD]);
        command
    }

    fn address(port: u16) -> String {
        format!("nats://127.0.0.1:{port}")
    }
}

#[test]
fn event_nats_messages_start_runs() {
    suite::a_message_starts_a_run::<Nats>();
}

#[test]
fn event_nats_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Nats>();
}

#[test]
fn event_nats_killed_before_the_acknowledgement() {
    suite::killed_between_delivery_and_acknowledgement_starts_one_run::<Nats>();
}

#[test]
fn event_nats_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Nats>();
}

#[test]
fn event_nats_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Nats>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: authorization violation: nats: authorization violation; correct `queue` in connections.yaml"###);
}

#[test]
fn event_nats_a_subject_without_a_stream_is_listened_to() {
    let Some(broker) = Running::<Nats>::start() else { return };
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "triggers: {t: {nats: passing, connection: queue}}\nsteps: {note: {set: {data: \"${{ event.data }}\"}}}\n",
    )]);
    suite::connect::<Nats>(&project, &broker.address, Nats::PASSWORD);
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    let mut sender = broker.sender();
    // The same twice is two messages.
    sender.send(&json!({"body": "21.5", "core": true}));
    sender.send(&json!({"body": "21.5", "core": true}));
    wait_until(|| runs(&server, "p").len() == 2);
    assert_eq!(outputs(&server, &settled(&server, "t")["run_id"])["data"], 21.5);
}

#[test]
fn copy_nats_messages_are_acknowledged_once_the_sink_has_them() {
    copies::messages_are_acknowledged_once_the_sink_has_them::<Nats>("ORDERS", "");
}

#[test]
fn copy_nats_bodies_are_read_as_json_and_waited_for() {
    copies::bodies_are_read_as_json_and_waited_for::<Nats>("ORDERS", "");
}

#[test]
fn a_connection_to_nats_is_tried() {
    suite::a_connection_is_tried::<Nats>(Some("ORDERS/>"));
}
