//! The `triggers:` of a pipeline file.

use std::str::FromStr as _;

use indexmap::IndexMap;

use crate::load::Reader;
use crate::pipeline::{Missed, Trigger};
use crate::yaml::Node;

impl Reader<'_> {
    pub(crate) fn triggers(&mut self, node: &Node) -> IndexMap<String, Trigger> {
        let mut triggers = IndexMap::new();
        let Some(fields) = node.as_map() else {
            self.complain(
                &node.place,
                "wrong-type",
                format!("`triggers` is a mapping, this is {}", node.type_word()),
            );
            return triggers;
        };
        for (key, node) in fields {
            if let Some(trigger) = self.trigger(&key.name, node) {
                triggers.insert(key.name.clone(), trigger);
            }
        }
        triggers
    }

    fn trigger(&mut self, name: &str, node: &Node) -> Option<Trigger> {
        let Some(fields) = node.as_map() else {
            let problem = self.complain(
                &node.place,
                "wrong-type",
                format!("the trigger `{name}` is a mapping, this is {}", node.type_word()),
            );
            problem.hints.push(format!("write `{name}: {{cron: \"0 6 * * *\"}}`"));
            return None;
        };
        if let Some(kind) = crate::load_events::kind_of(node) {
            return self.event_trigger(name, &kind, node).map(|event| Trigger::Event(Box::new(event)));
        }
        self.known_keys(fields, &["cron", "timezone", "missed", "inputs"], "a cron trigger");
        let Some(cron_node) = node.get("cron") else {
            self.complain(&node.place, "no-trigger-kind", format!("the trigger `{name}` has no `cron`"));
            return None;
        };
        let cron = self.text(cron_node, "`cron`")?;
        let timezone = node.get("timezone").and_then(|node| self.text(node, "`timezone`"));
        if let (Some(zone), Some(zone_node)) = (&timezone, node.get("timezone"))
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let problem = self.complain(
                &zone_node.place,
                "unknown-timezone",
                format!("there is no time zone `{zone}`"),
            );
            problem.hints.push("use an IANA name such as `Europe/Berlin`".to_owned());
        }
        match croner::Cron::from_str(&cron) {
            Ok(parsed) if !fires(&parsed) => {
                self.complain(&cron_node.place, "cron-never-fires", format!("`{cron}` never fires"));
            }
            Ok(_) => {}
            Err(error) => {
                let problem = self.complain(
                    &cron_node.place,
                    "bad-cron",
                    format!("`{cron}` is not a cron expression: {error}"),
                );
                problem.hints.push(
                    "five fields: minute hour day month weekday, for example `30 6 * * mon-fri`".to_owned(),
                );
            }
        }
        let missed = match node.get("missed").map(|node| (node, node.as_text())) {
            None => Missed::Last,
            Some((_, Some("last"))) => Missed::Last,
            Some((_, Some("all"))) => Missed::All,
            Some((_, Some("none"))) => Missed::None,
            Some((node, _)) => {
                self.complain(&node.place, "wrong-value", "`missed` is last, all or none");
                Missed::Last
            }
        };
        let inputs = node.get("inputs").and_then(Node::as_map).unwrap_or_default();
        let inputs = inputs.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect();
        Some(Trigger::Cron { cron, timezone, missed, inputs })
    }
}

/// Whether an expression has an instant at all: `0 0 31 2 *` has none. Looked for from a fixed instant, so the answer never changes.
fn fires(cron: &croner::Cron) -> bool {
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    cron.find_next_occurrence(&start, false).is_ok()
}
