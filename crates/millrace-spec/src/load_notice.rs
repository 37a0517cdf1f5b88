//! `deadline:` and `notify:` of a pipeline file.

use jiff::tz::TimeZone;

use crate::load::Reader;
use crate::notice::{Deadline, RunNotices, time_of_day};
use crate::yaml::{Node, NodeValue};

impl Reader<'_> {
    /// A duration, or `{within, by, timezone, notify, cancel}`.
    pub(crate) fn deadline(&mut self, node: &Node) -> Option<Deadline> {
        let Some(fields) = node.as_map() else {
            let within_ms = Some(self.duration(node, "`deadline`")?);
            return Some(Deadline { within_ms, ..Deadline::default() });
        };
        self.known_keys(fields, &["within", "by", "timezone", "notify", "cancel"], "`deadline`");
        let (within, by) = (node.get("within"), node.get("by"));
        if within.is_some() == by.is_some() {
            let problem = self.complain(
                &node.place,
                if by.is_some() { "two-deadlines" } else { "missing-key" },
                "`deadline` has one of `within` and `by`",
            );
            problem.hints.push("write `{within: 2h}` or `{by: \"06:00\"}`".to_owned());
            return None;
        }
        let deadline = Deadline {
            within_ms: within.and_then(|node| self.duration(node, "`within`")),
            by: by.and_then(|node| self.time_of_day(node, "`by`")),
            timezone: node.get("timezone").and_then(|node| self.timezone(node)),
            notify: node.get("notify").map(|node| self.channels(node, "`notify`")).unwrap_or_default(),
            cancel: node.get("cancel").is_some_and(|node| self.truth(node, "`cancel`")),
        };
        if let (Some(node), Some(_)) = (node.get("timezone"), within) {
            self.complain(&node.place, "unused-key", "`timezone` is of use beside `by` only");
        }
        Some(deadline)
    }

    /// Channels that are told of failures, or `{on_failure, on_success, on_cancel, message}`.
    pub(crate) fn notices(&mut self, node: &Node) -> RunNotices {
        let Some(fields) = node.as_map() else {
            return RunNotices { on_failure: self.channels(node, "`notify`"), ..RunNotices::default() };
        };
        self.known_keys(fields, &["on_failure", "on_success", "on_cancel", "message"], "`notify`");
        let mut list = |name: &str| {
            node.get(name).map(|node| self.channels(node, &format!("`{name}`"))).unwrap_or_default()
        };
        let notices = RunNotices {
            on_failure: list("on_failure"),
            on_success: list("on_success"),
            on_cancel: list("on_cancel"),
            message: node.get("message").map(Node::to_json),
        };
        if notices.lists().iter().all(|(_, channels)| channels.is_empty()) {
            let problem = self.complain(&node.place, "nobody-told", "`notify` names no channel");
            problem.hints.push("notify: {on_failure: team_ml}".to_owned());
        }
        notices
    }

    fn channels(&mut self, node: &Node, what: &str) -> Vec<String> {
        match &node.value {
            NodeValue::List(items) => items.iter().filter_map(|item| self.text(item, what)).collect(),
            _ => self.text(node, what).into_iter().collect(),
        }
    }

    fn time_of_day(&mut self, node: &Node, what: &str) -> Option<String> {
        // Unquoted, `06:00` is text here, but a number of seconds for readers of YAML 1.1: both are told the same way.
        let text = self.text(node, what)?;
        if time_of_day(&text).is_none() {
            let problem = self.complain(&node.place, "not-a-time", format!("`{text}` is not a time of day"));
            problem.hints.push("write hours and minutes: `by: \"06:00\"`".to_owned());
        }
        Some(text)
    }

    fn timezone(&mut self, node: &Node) -> Option<String> {
        let zone = self.text(node, "`timezone`")?;
        if TimeZone::get(&zone).is_err() {
            let problem =
                self.complain(&node.place, "unknown-timezone", format!("there is no time zone `{zone}`"));
            problem.hints.push("use a name of the IANA database, such as `Europe/Berlin`".to_owned());
        }
        Some(zone)
    }
}
