use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::broker::{Broker, Place, Process, Running, free_port};
use super::proxy::Proxy;
use super::{copies, suite};
use crate::events::{counted, outputs, runs, wait_until_asked};
use crate::project::wait_until;
use crate::server::Up;

struct Rabbit;

impl Broker for Rabbit {
    const WORD: &'static str = "rabbitmq";
    const TRIGGER: &'static str = "orders";
    const PACKAGE: &'static str = "rabbitmq-server";
    const PROGRAM: &'static str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    // Whom the server knows from the beginning, on loopback.
    const USER: &'static str = "guest";
    const PASSWORD: &'static str = "guest";

    fn beside(folder: &Path) -> Option<Process> {
        // Erlang would start a daemon of its own, which stays.
        let port = free_port();
        std::fs::write(folder.join("epmd.port"), port.to_string()).unwrap();
        let mut epmd = Command::new("/usr/bin/epmd");
        let epmd = epmd.args(["-port", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        Some(Process::spawn(epmd.stderr(Stdio::null())))
    }

    fn command(at: &Place<'_>) -> Command {
        let (folder, port) = (at.folder, at.port);
        let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
        std::fs::write(folder.join("plugins"), "[].").unwrap();
        let mut command = Command::new(Self::PROGRAM);
        command
            .env("HOME", folder)
            .env("ERL_EPMD_PORT", std::fs::read_to_string(folder.join("epmd.port")).unwrap());
        command.env("RABBITMQ_NODENAME", format!("millrace{port}@localhost"));
        command.env("RABBITMQ_NODE_PORT", port.to_string()).env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_DIST_PORT", free_port().to_string());
        command.env("RABBITMQ_BASE", folder).env("RABBITMQ_MNESIA_BASE", place("mnesia"));
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_ENABLED_PLUGINS_FILE", place("plugins"));
        command.env("RABBITMQ_CONF_ENV_FILE", place("none.conf")).env("RABBITMQ_CONFIG_FILE", place("none"));
        command.env("RABBITMQ_PID_FILE", place("pid"));
        command
    }

    fn address(port: u16) -> String {
        format!("amqp://127.0.0.1:{port}")
    }
}

#[test]
fn event_rabbitmq_messages_start_runs() {
    suite::a_message_starts_a_run::<Rabbit>();
}

#[test]
fn event_rabbitmq_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Rabbit>();
}

#[test]
fn event_rabbitmq_killed_before_the_acknowledgement() {
    suite::killed_between_delivery_and_acknowledgement_starts_one_run::<Rabbit>();
}

#[test]
fn event_rabbitmq_killed_before_the_acknowledgement_of_messages_without_ids() {
    let Some(broker) = Running::<Rabbit>::start() else { return };
    let proxy = Proxy::to(broker.port);
    let project = suite::project::<Rabbit>(&Rabbit::address(proxy.port), "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    let mut sender = broker.sender();
    let mut send = |body: &str| sender.send(&json!({"body": json!(body).to_string()}));
    send("first");
    wait_until(|| counted(&server, "started") == 1);
    proxy.wait_until_quiet();
    proxy.mute(true);
    send("same");
    wait_until(|| counted(&server, "started") == 2);
    // Another one that says the same is not stored any more. Both come again, and one of them is known.
    send("same");
    // Dropped is killed.
    drop(server);
    proxy.mute(false);
    let server = Up::start(&project);
    wait_until(|| counted(&server, "started") == 3);
    send("last");
    wait_until(|| counted(&server, "started") == 4);
    let given: Vec<Value> =
        runs(&server, "p").iter().map(|run| outputs(&server, &run["id"])["data"].clone()).collect();
    assert_eq!(given, ["first", "same", "same", "last"]);
    // What was acknowledged is known no more: who sends the same later, sends another one.
    send("same");
    wait_until(|| counted(&server, "started") == 5);
}

#[test]
fn event_rabbitmq_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Rabbit>();
}

#[test]
fn event_rabbitmq_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Rabbit>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.; correct `queue` in connections.yaml"###);
}

#[test]
fn copy_rabbitmq_messages_are_acknowledged_once_the_sink_has_them() {
    copies::messages_are_acknowledged_once_the_sink_has_them::<Rabbit>("orders", "");
}

#[test]
fn copy_rabbitmq_bodies_are_read_as_json_and_waited_for() {
    copies::bodies_are_read_as_json_and_waited_for::<Rabbit>("orders", "");
}

#[test]
fn a_connection_to_rabbitmq_is_tried() {
    suite::a_connection_is_tried::<Rabbit>(None);
}
