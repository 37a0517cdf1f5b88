use std::process::Command;

use super::broker::{Broker, Place, Running, script};
use super::suite;
use crate::events::wait_until_asked;
use crate::server::Up;

/// Brokers that librdkafka brings along for tests: real sockets and the real protocol. They know no users, and lose everything when they end.
struct Kafka;

impl Broker for Kafka {
    const WORD: &'static str = "kafka";
    const TRIGGER: &'static str = "orders";
    const PACKAGE: &'static str = "python3-venv";
    const PROGRAM: &'static str = "/usr/bin/python3";
    const ANNOUNCES: bool = true;

    fn command(at: &Place<'_>) -> Command {
        let mut command = Command::new(at.python);
        command.arg(script()).arg("kafka-broker");
        command
    }

    fn address(_: u16) -> String {
        "kafka://".to_owned()
    }

    fn connection(address: &str, _: &str) -> String {
        format!("{{brokers: [\"{}\"]}}", address.trim_start_matches("kafka://"))
    }
}

#[test]
fn event_kafka_records_start_runs() {
    suite::a_message_starts_a_run::<Kafka>();
}

#[test]
fn event_kafka_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Kafka>();
}

#[test]
fn event_kafka_killed_again_and_again() {
    suite::killed_again_and_again_starts_one_run_each::<Kafka>();
}

#[test]
fn event_kafka_burst_of_10000() {
    suite::a_burst_of_10000_starts_the_exact_number_of_runs::<Kafka>();
}

#[test]
fn event_kafka_brokers_that_are_away_are_said() {
    let Some(mut broker) = Running::<Kafka>::start() else { return };
    let project = suite::project::<Kafka>(&broker.address, "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    broker.stop();
    let said = suite::error_once_there_is_one(&server);
    assert!(said.starts_with(&format!("`{}` cannot be reached: ", broker.address)), "{said}");
}
