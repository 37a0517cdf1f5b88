//! Queues that start pipelines, each with its real server and its own client: one suite for all of them. Tests are named after the cells of
//! the orchestration table's row of events.

mod broker;
mod buckets;
mod copies;
mod imap;
mod kafka;
mod mqtt;
mod nats;
mod postgres;
mod proxy;
mod rabbitmq;
mod redis;
mod suite;

use crate::project::Project;

#[test]
fn a_connection_that_is_not_there_or_leads_elsewhere_is_told_where_it_stands() {
    let pipeline = "triggers:\n  a: {redis: orders, connection: queus}\n  b: {nats: orders, connection: queue}\n  \
                    c: {mqtt: orders, connection: broker}\nsteps: {note: {run: \"true\"}}\n";
    let connections = "queue: {redis: {url: \"redis://localhost\"}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("connections.yaml", connections)]);
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[unknown-connection]: there is no connection `queus`
     --> pipelines/p.yaml:2:34
      |
    2 |   a: {redis: orders, connection: queus}
      |                                  ^^^^^
    hint: did you mean `queue`?
    error[wrong-connection]: the connection `queue` is one to redis, not to nats
     --> pipelines/p.yaml:3:33
      |
    3 |   b: {nats: orders, connection: queue}
      |                                 ^^^^^
    hint: in connections.yaml: `queue: {nats: {…}}`; `millrace explain nats` shows its keys
    error[unknown-connection]: there is no connection `broker`
     --> pipelines/p.yaml:4:33
      |
    4 |   c: {mqtt: orders, connection: broker}
      |                                 ^^^^^^
    hint: in connections.yaml: `broker: {mqtt: {…}}`; `millrace explain mqtt` shows its keys
    1 of 2 files have errors
    "###);
}

#[test]
fn a_key_that_a_connection_has_not_is_told_where_it_stands() {
    let connections = "\
cache: {redis: {url: \"redis://localhost\", pasword: \"${{ secrets.queue }}\"}}
bus: {nats: {url: \"nats://localhost\", credential: x}}
broker: {mqtt: {url: \"mqtt://localhost\", username: reader}}
rabbit:
  rabbitmq:
    url: amqp://localhost
    cert: x
log: {kafka: {broker: [\"localhost:9092\"]}}
post: {imap: {url: \"imaps://localhost\", user: a, passwort: b}}
secure: {kafka: {brokers: [\"localhost:9092\"], sasl: scram, tls: \"${{ secrets.tls }}\"}}
sound: {kafka: {brokers: [\"localhost:9092\"], sasl: scram-sha-256, tls: true}}
";
    let project = Project::new(&[("connections.yaml", connections)]);
    insta::assert_snapshot!(project.millrace(&["check"]));
}

#[test]
fn what_says_nothing_to_a_queue_is_told_where_it_stands() {
    let pipeline = "steps:\n  a: {copy: {from: \"queue:orders\", limit: 10, to: \"data:a\"}}\n  \
                    b: {copy: {from: b.csv, messages: {max: 10}, to: \"data:b\"}}\n  \
                    c: {copy: {from: c.csv, state: state/c.json, to: \"data:c\"}}\n  \
                    d: {copy: {from: d.csv, to: \"queue:orders\"}}\n  \
                    e: {copy: {from: \"queue:orders\", messages: {most: 10}, to: \"data:e\"}}\n";
    let connections = "queue: {redis: {url: \"redis://localhost\"}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("connections.yaml", connections)]);
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[copy-config]: `limit` says nothing to a queue
     --> pipelines/p.yaml:2:43
      |
    2 |   a: {copy: {from: "queue:orders", limit: 10, to: "data:a"}}
      |                                           ^^
    hint: messages: {max: 1000}
    error[missing-file]: there is no file `b.csv` in the workspace
     --> pipelines/p.yaml:3:20
      |
    3 |   b: {copy: {from: b.csv, messages: {max: 10}, to: "data:b"}}
      |                    ^^^^^
    error[copy-config]: `messages` is for queues
     --> pipelines/p.yaml:3:37
      |
    3 |   b: {copy: {from: b.csv, messages: {max: 10}, to: "data:b"}}
      |                                     ^
    hint: from: "queue:orders", a connection of the kind `redis`, `nats`, `rabbitmq`, `mqtt` or `kafka`
    error[missing-file]: there is no file `c.csv` in the workspace
     --> pipelines/p.yaml:4:20
      |
    4 |   c: {copy: {from: c.csv, state: state/c.json, to: "data:c"}}
      |                    ^^^^^
    error[copy-config]: `state` is for programs, taps and `incremental: {changes: true}`
     --> pipelines/p.yaml:4:34
      |
    4 |   c: {copy: {from: c.csv, state: state/c.json, to: "data:c"}}
      |                                  ^^^^^^^^^^^^
    hint: of other sources: `incremental: {column: updated_at}`
    error[copy-config]: `queue:orders` cannot be written
     --> pipelines/p.yaml:5:13
      |
    5 |   d: {copy: {from: d.csv, to: "queue:orders"}}
      |             ^
    hint: copy to `data:name`, a path or a connection
    error[missing-file]: there is no file `d.csv` in the workspace
     --> pipelines/p.yaml:5:20
      |
    5 |   d: {copy: {from: d.csv, to: "queue:orders"}}
      |                    ^^^^^
    error[copy-config]: `copy`: unknown field `most`, expected one of `max`, `for`, `reader`, `body`, `field`, `list`
     --> pipelines/p.yaml:6:13
      |
    6 |   e: {copy: {from: "queue:orders", messages: {most: 10}, to: "data:e"}}
      |             ^
    hint: copy: {from: "raw/flights.csv.gz", to: "data:flights", on_error: reject, max_rejects: 100}
    error[unknown-key]: copy: there is no key `most`
     --> pipelines/p.yaml:6:47
      |
    6 |   e: {copy: {from: "queue:orders", messages: {most: 10}, to: "data:e"}}
      |                                               ^^^^
    hint: did you mean `list`?
    1 of 2 files have errors
    "###);
}
