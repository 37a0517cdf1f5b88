use super::super::tests::problems;
use super::*;
use crate::load;

#[test]
fn every_example_comes_back_from_the_store() {
    let mut kinds = 0;
    for entry in super::super::ALL {
        let text = format!("triggers: {{t: {}}}\nsteps: {{a: {{run: \"true\"}}}}\n", entry.example);
        let pipeline = load::pipeline("pipelines/p.yaml", &text, &["run"]).unwrap().pipeline;
        kinds += usize::from(matches!(pipeline.triggers["t"], Trigger::Event(_)));
        let stored = serde_json::to_string(&pipeline).unwrap();
        assert_eq!(serde_json::from_str::<crate::pipeline::Pipeline>(&stored).unwrap(), pipeline);
    }
    assert_eq!(kinds, 16);
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let said = |trigger: &str| problems(trigger).join("\n");
    assert_eq!(said("{webhook: github, secret: key, events: [push]}"), "");
    assert_eq!(said("{git: origin, webhook: github, secret: key}"), "", "`webhook` is a key of `git`, too");
    insta::assert_snapshot!(said("{webhook: githup}"), @"2:16: webhook: `githup` is not allowed here (did you mean `github`?)");
    insta::assert_snapshot!(said("{file: \"in/*.csv\", setle: 3s}"), @"2:25: file: there is no key `setle` (did you mean `settle`?)");
    insta::assert_snapshot!(said("{file: \"in/*.csv\", settle: 3 s}"), @"2:33: file: `3 s` cannot be read here (write it as `90s`, `15m`, `1h30m`, `7d`)");
    insta::assert_snapshot!(said("{blob: in/*.csv}"), @"2:13: `in/*.csv` is no URL of a bucket (for files of this machine write `file: in/*.csv`)");
    insta::assert_snapshot!(said("{file: \"in/[a.csv\"}"), @"2:13: `in/[a.csv` is not a glob (close every `[` and `{`)");
    insta::assert_snapshot!(said("{webhook: hmac, if: inputs.a == 1}"), @"2:26: `inputs` has no value in a trigger, where only `event` is known (use it in a step, or give the step an input)");
    insta::assert_snapshot!(said("{webhook: hmac, inputs: {a: \"${{ steps.b.c }}\"}}"), @"2:34: `steps` has no value in a trigger, where only `event` is known (use it in a step, or give the step an input)");
    insta::assert_snapshot!(said("{alert: a, debounce: 1s, batch: {size: 2}}"), @"2:27: `debounce` and `batch` exclude each other (take one of them away)");
    insta::assert_snapshot!(said("{alert: a, batch: {size: 0}}"), @"2:31: alert: `0` is out of range: at least 1");
    insta::assert_snapshot!(said("{redis: orders}"), @r###"2:6: redis: the key `connection` is missing"###);
    insta::assert_snapshot!(said("{webhook: {}}"), @"2:16: webhook: expected text, found a mapping (allowed are github, gitlab, azure_devops, hmac, cloudevents)");
    insta::assert_snapshot!(said("{redis: orders, connection: q, from: start}"), @r###"2:43: redis: `start` is not allowed here (allowed are new, beginning)"###);
    insta::assert_snapshot!(said("{postgres: c, connection: shop, table: outbox}"), @r###"2:45: `table` without `cursor`: new rows cannot be told (name the column that grows with each row: `cursor: id`)"###);
    insta::assert_snapshot!(said("{nats: \"orders.>.paid\", connection: bus}"), @r###"2:13: `orders.>.paid` is no subject of NATS (write parts with dots between them: `orders.*.paid`, `orders.>`)"###);
    insta::assert_snapshot!(said("{nats: orders, connection: bus, from: beginning}"), @r###"2:44: `from` needs `stream`: core NATS keeps no messages (name the stream: `stream: NAME`)"###);
    insta::assert_snapshot!(said("{mqtt: \"plant/a+/x\", connection: broker}"), @r###"2:13: `plant/a+/x` is no topic filter of MQTT (`+` stands for a whole level, `#` for all below at the end: `plant/+/temperature`, `plant/#`)"###);
    insta::assert_snapshot!(said("{rabbitmq: jobs, connection: rabbit, prefetch: 0}"), @r###"2:53: rabbitmq: `0` is out of range: at least 1"###);
    assert!(said("{webhook: hmac, if: \"event.a ==\"}").contains("`if`: `event.a ==` is not an expression"));
}
