use std::path::Path;
use std::process::Command;

use millrace_metastore::testing::TestPostgres;
use serde_json::json;

use super::broker::{Broker, Place, Running};
use super::{copies, suite};
use crate::events::{runs, wait_until_asked};
use crate::project::wait_until;
use crate::server::Up;

const MOSQUITTO: &str = "/usr/sbin/mosquitto";

fn mosquitto(folder: &Path, port: u16) -> Command {
    let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
    if !folder.join("users").exists() {
        let users = ["-c", "-b", &place("users"), Mqtt5::USER, Mqtt5::PASSWORD];
        assert!(Command::new("/usr/bin/mosquitto_passwd").args(users).status().unwrap().success());
    }
    let config = format!(
        "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\npersistence true\n\
         persistence_location {}/\nautosave_interval 1\nautosave_on_changes true\nuser root\n",
        place("users"),
        folder.display()
    );
    std::fs::write(folder.join("config"), config).unwrap();
    let mut command = Command::new(MOSQUITTO);
    command.args(["-c", &place("config")]);
    command
}

struct Mqtt5;

impl Broker for Mqtt5 {
    const WORD: &'static str = "mqtt";
    const TRIGGER: &'static str = "orders";
    const PACKAGE: &'static str = "mosquitto";
    const PROGRAM: &'static str = MOSQUITTO;

    fn command(at: &Place<'_>) -> Command {
        mosquitto(at.folder, at.port)
    }

    fn address(port: u16) -> String {
        format!("mqtt://127.0.0.1:{port}")
    }
}

struct Mqtt3;

impl Broker for Mqtt3 {
    const WORD: &'static str = "mqtt";
    const TRIGGER: &'static str = "orders, protocol: mqtt3";
    const PACKAGE: &'static str = "mosquitto";
    const PROGRAM: &'static str = MOSQUITTO;
    const HAS_HEADERS: bool = false;

    fn command(at: &Place<'_>) -> Command {
        mosquitto(at.folder, at.port)
    }

    fn address(port: u16) -> String {
        format!("mqtt://127.0.0.1:{port}")
    }
}

#[test]
fn event_mqtt_messages_start_runs() {
    suite::a_message_starts_a_run::<Mqtt5>();
}

#[test]
fn event_mqtt_3_messages_start_runs() {
    suite::a_message_starts_a_run::<Mqtt3>();
}

#[test]
fn event_mqtt_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Mqtt5>();
}

#[test]
fn event_mqtt_3_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Mqtt3>();
}

#[test]
fn event_mqtt_killed_before_the_acknowledgement() {
    suite::killed_between_delivery_and_acknowledgement_starts_one_run::<Mqtt5>();
}

#[test]
fn event_mqtt_3_killed_before_the_acknowledgement() {
    suite::killed_between_delivery_and_acknowledgement_starts_one_run::<Mqtt3>();
}

#[test]
fn event_mqtt_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Mqtt5>();
}

#[test]
fn event_mqtt_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Mqtt5>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: NotAuthorized; correct `queue` in connections.yaml"###);
}

#[test]
fn event_mqtt_what_is_retained_starts_nothing_and_the_same_twice_starts_two() {
    let Some(broker) = Running::<Mqtt5>::start() else { return };
    let mut sender = broker.sender();
    sender.send(&json!({"body": "the old state", "retain": true}));
    let project = suite::project::<Mqtt5>(&broker.address, "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    sender.send_body(&json!(21.5));
    sender.send_body(&json!(21.5));
    wait_until(|| runs(&server, "p").len() == 2);
    assert_eq!(server.get("/api/inbox")["events"].as_array().unwrap().len(), 2);
}

#[test]
fn event_mqtt_one_of_two_servers_listens_and_the_other_takes_over() {
    let (Some(postgres), Some(broker)) = (TestPostgres::start(), Running::<Mqtt5>::start()) else { return };
    let (here, there) =
        (suite::project::<Mqtt5>(&broker.address, ""), suite::project::<Mqtt5>(&broker.address, ""));
    let first = Up::start_on(&here, &postgres.url());
    wait_until_asked(&first, "t");
    let second = Up::start_on(&there, &postgres.url());
    let mut sender = broker.sender();
    sender.send(&json!({"burst": 20}));
    wait_until(|| runs(&second, "p").len() == 20);
    // Dropped is killed.
    drop(first);
    sender.send(&json!({"burst": 20}));
    wait_until(|| runs(&second, "p").len() == 40);
    let events = second.get("/api/inbox?limit=500")["events"].as_array().unwrap().len();
    assert_eq!(events, 40, "each message was heard once");
}

#[test]
fn copies_of_mqtt_topics() {
    copies::messages_wait_here_until_the_sink_has_them::<Mqtt5>("orders");
}

#[test]
fn a_connection_to_mqtt_is_tried() {
    suite::a_connection_is_tried::<Mqtt5>(None);
}
