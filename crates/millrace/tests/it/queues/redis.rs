use std::process::Command;

use super::broker::{Broker, Place};
use super::{copies, suite};

struct Redis;

impl Broker for Redis {
    const WORD: &'static str = "redis";
    const TRIGGER: &'static str = "orders, field: body";
    const PACKAGE: &'static str = "redis-server";
    const PROGRAM: &'static str = "/usr/bin/redis-server";

    fn command(at: &Place<'_>) -> Command {
        let (folder, port) = (at.folder, at.port);
        let mut command = Command::new(Self::PROGRAM);
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--save",
            "",
        ]);
        command.args(["--requirepass", Self::PASSWORD, "--dir", &folder.to_string_lossy()]);
        command
    }

    fn address(port: u16) -> String {
        format!("redis://127.0.0.1:{port}")
    }

    fn connection(address: &str, password: &str) -> String {
        format!("{{url: \"{address}\", password: \"{password}\"}}")
    }
}

#[test]
fn event_redis_streams_start_runs() {
    suite::a_message_starts_a_run::<Redis>();
}

#[test]
fn event_redis_streams_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Redis>();
}

#[test]
fn event_redis_streams_killed_before_the_acknowledgement() {
    suite::killed_between_delivery_and_acknowledgement_starts_one_run::<Redis>();
}

#[test]
fn event_redis_streams_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Redis>();
}

#[test]
fn event_redis_streams_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Redis>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: Password authentication failed - AuthenticationFailed; correct `queue` in connections.yaml"###);
}

#[test]
fn event_redis_streams_burst_of_10000() {
    suite::a_burst_of_10000_starts_the_exact_number_of_runs::<Redis>();
}

#[test]
fn copy_redis_messages_are_acknowledged_once_the_sink_has_them() {
    copies::messages_are_acknowledged_once_the_sink_has_them::<Redis>("orders", ", field: body");
}

#[test]
fn copy_redis_bodies_are_read_as_json_and_waited_for() {
    copies::bodies_are_read_as_json_and_waited_for::<Redis>("orders", ", field: body");
}

#[test]
fn copies_of_redis_lists() {
    copies::elements_are_removed_once_the_sink_has_them::<Redis>("orders-list");
}

#[test]
fn copies_of_redis_lists_into_databases() {
    copies::elements_go_into_databases::<Redis>("orders-list");
}

#[test]
fn a_connection_to_redis_is_tried() {
    suite::a_connection_is_tried::<Redis>(Some("orders"));
}
