use std::process::Command;

use super::broker::{Broker, Place, Running, certificate, script};
use super::{copies, suite};
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

/// The same brokers behind TLS and a login (`python/tests/kafka_secure.py`): librdkafka's client sends to them as it would to Kafka.
struct Secure<const MECHANISM: usize>;

const PLAIN: usize = 0;
const SCRAM_256: usize = 1;
const SCRAM_512: usize = 2;

impl<const MECHANISM: usize> Broker for Secure<MECHANISM> {
    const WORD: &'static str = "kafka";
    const TRIGGER: &'static str = "orders";
    const PACKAGE: &'static str = "python3-venv";
    const PROGRAM: &'static str = "/usr/bin/python3";
    const SENDER: &'static str = "kafka-secure";
    const ANNOUNCES: bool = true;

    fn command(at: &Place<'_>) -> Command {
        let (certificate, key) = certificate();
        for (name, text) in [("certificate", certificate), ("key", key)] {
            std::fs::write(at.folder.join(name), text).unwrap();
        }
        let mut command = Command::new(at.python);
        command.arg(script()).args(["kafka-broker", Self::USER, Self::PASSWORD]).current_dir(at.folder);
        command
    }

    fn address(_: u16) -> String {
        "kafka://".to_owned()
    }

    fn connection(address: &str, password: &str) -> String {
        let sasl = ["plain", "scram-sha-256", "scram-sha-512"][MECHANISM];
        let (brokers, user, ca) = (address.trim_start_matches("kafka://"), Self::USER, &certificate().0);
        format!(
            "{{brokers: [\"{brokers}\"], user: {user}, password: \"{password}\", sasl: {sasl}, tls: true, ca: {ca:?}}}"
        )
    }
}

#[test]
fn event_kafka_with_tls_and_a_login_by_scram_records_start_runs() {
    suite::a_message_starts_a_run::<Secure<SCRAM_512>>();
}

#[test]
fn event_kafka_with_tls_and_a_login_by_plain_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Secure<PLAIN>>();
}

#[test]
fn event_kafka_wrong_credentials() {
    let refused = "`[address]` refuses the credentials: ";
    let Some(said) = suite::what_wrong_credentials_say::<Secure<SCRAM_256>>() else { return };
    assert!(said.starts_with(refused) && said.contains("SaslAuthenticationFailed"), "{said}");
    let Some(said) = suite::what_wrong_credentials_say::<Secure<PLAIN>>() else { return };
    assert!(said.starts_with(refused) && said.ends_with("; correct `queue` in connections.yaml"), "{said}");
}

#[test]
fn event_kafka_a_certificate_that_is_not_trusted_is_said() {
    let Some(broker) = Running::<Secure<PLAIN>>::start() else { return };
    let project = suite::project::<Secure<PLAIN>>(&broker.address, "");
    let brokers = broker.address.trim_start_matches("kafka://");
    let connection =
        format!("queue: {{kafka: {{brokers: [\"{brokers}\"], user: reader, password: x, tls: true}}}}\n");
    project.write("connections.yaml", connection);
    let server = Up::start(&project);
    let said = suite::error_once_there_is_one(&server);
    let expected = format!("`{}` cannot be reached: ", broker.address);
    assert!(said.starts_with(&expected) && said.contains("invalid peer certificate"), "{said}");
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

#[test]
fn copy_kafka_positions_are_moved_on_once_the_sink_has_the_records() {
    copies::messages_are_acknowledged_once_the_sink_has_them::<Kafka>("orders", "");
}

#[test]
fn copy_kafka_bodies_are_read_as_json_and_waited_for() {
    copies::bodies_are_read_as_json_and_waited_for::<Kafka>("orders", "");
}

#[test]
fn copy_kafka_killed_again_and_again_adds_each_record_once() {
    copies::a_copy_that_is_killed_adds_each_message_once::<Kafka>("orders");
}

#[test]
fn copy_kafka_keys_are_a_column() {
    copies::keys_are_a_column::<Kafka>("orders");
}

#[test]
fn copy_kafka_with_tls_and_a_login() {
    copies::messages_are_acknowledged_once_the_sink_has_them::<Secure<SCRAM_512>>("orders", "");
}

#[test]
fn a_connection_to_kafka_is_tried() {
    suite::a_connection_is_tried::<Secure<SCRAM_256>>(Some("orders"));
}
