use serde_json::json;

use super::*;
use crate::load;
use crate::pipeline::Trigger;

fn said(trigger: &str) -> String {
    let text = format!("triggers:\n  t: {trigger}\nsteps: {{a: {{run: \"true\"}}}}\n");
    match load::pipeline("pipelines/p.yaml", &text, &["run"]) {
        Ok(_) => "sound".to_owned(),
        Err(problems) => problems
            .iter()
            .map(|problem| {
                let place = problem.place.as_ref().unwrap();
                format!("{}:{} {}: {} {:?}", place.line, place.column, problem.code, problem.message, problem.hints)
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn every_kind_has_an_example_that_loads_and_comes_back_from_the_store() {
    for kind in all() {
        let example = kind.example.replace('\n', "\n  ");
        let text = format!("triggers:\n  {example}\nsteps: {{a: {{run: \"true\"}}}}\n");
        let loaded = load::pipeline("pipelines/p.yaml", &text, &["run"]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let trigger = loaded.pipeline.triggers.values().next().unwrap();
        let Trigger::Event(event) = trigger else { panic!("{trigger:?}") };
        assert_eq!(event.source.word(), kind.name);
        let stored = serde_json::to_string(&loaded.pipeline).unwrap();
        let again: crate::pipeline::Pipeline = serde_json::from_str(&stored).unwrap();
        assert_eq!(again.triggers, loaded.pipeline.triggers);
        let description = (kind.schema)().to_value()["description"].as_str().unwrap_or_default().to_owned();
        assert!(description.contains('.'), "{} says nothing of itself", kind.name);
    }
}

#[test]
fn mistakes_are_named_where_they_stand() {
    assert_eq!(said("{webhook: github, secret: key}"), "sound");
    insta::assert_snapshot!(said("{webhook: githup}"), @r#"2:16 not-allowed: the trigger `t` (webhook): `githup` is not allowed here ["did you mean `github`?"]"#);
    insta::assert_snapshot!(said("{file: \"in/*.csv\", setle: 3s}"), @r#"2:25 unknown-key: the trigger `t` (file): there is no key `setle` ["did you mean `settle`?"]"#);
    insta::assert_snapshot!(said("{file: \"in/*.csv\", settle: 3 s}"), @r#"2:33 not-a-duration: the trigger `t` (file): `3 s` is not a duration ["write a number and a unit: `90s`, `15m`, `1h30m`, `7d`"]"#);
    insta::assert_snapshot!(said("{blob: in/*.csv}"), @r#"2:13 not-a-url: `in/*.csv` is no URL of a bucket ["for a file of this machine write `file: in/*.csv`"]"#);
    insta::assert_snapshot!(said("{webhook: hmac, if: inputs.a == 1}"), @r#"2:23 only-event: `inputs` has no value in a trigger, where only `event` is known ["use it in a step, or give the step an input"]"#);
    insta::assert_snapshot!(said("{webhook: hmac, if: \"event.a ==\"}"), @"");
    insta::assert_snapshot!(said("{alert: a, debounce: 1s, batch: {size: 2}}"), @r#"2:24 two-gatherings: `debounce` and `batch` exclude each other ["take one of them away"]"#);
    insta::assert_snapshot!(said("{alert: a, batch: {size: 0}}"), @r#"2:28 out-of-range: the trigger `t` (alert): `0` is out of range: at least 1 []"#);
}

#[test]
fn the_schema_of_a_trigger_has_its_own_keys_and_the_shared_ones() {
    let kinds = all();
    let webhook = kinds.iter().find(|kind| kind.name == "webhook").unwrap();
    let schema = schema(webhook);
    for key in ["webhook", "secret", "if", "inputs", "order_by", "debounce", "batch"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
    assert_eq!(schema["required"], json!(["webhook"]));
}
