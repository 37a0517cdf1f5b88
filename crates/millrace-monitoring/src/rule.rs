//! Alert rules as users write them in `monitors/*.yaml`.

use millrace_spec::duration::parse_ms;
use millrace_spec::problem::Problem;
use millrace_spec::validate::violations;
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::alert::AlertLimits;

/// Tells somebody when a number passes a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Name of the rule, unique in the workspace.
    pub alert: String,
    /// The number that is watched.
    pub signal: WatchedSignal,
    /// When it is a violation.
    pub condition: Condition,
    /// Time in violation before it fires, for example `2m`.
    #[serde(default, rename = "for")]
    pub for_time: Option<String>,
    /// Clean observations in a row before it is resolved.
    #[serde(default = "default_resolve_after")]
    pub resolve_after: u32,
    /// 0 (critical) to 4 (verbose).
    #[serde(default = "default_severity")]
    #[schemars(range(min = 0, max = 4))]
    pub severity: u8,
    /// Labels that travel with the notes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Who is told.
    #[serde(default)]
    pub notify: Vec<Channel>,
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchedSignal {
    /// Number of drifted columns in each result of this monitor.
    Drift(String),
    /// Newest value of this metric; the largest, if it has several series.
    Metric(String),
}

/// When an observation is a violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// How the value is compared with the threshold.
    pub op: Comparison,
    /// The limit.
    pub threshold: f64,
    /// `2 of 3`: violations wanted among the newest observations.
    #[serde(default)]
    pub violations: Option<String>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// Above.
    #[serde(rename = ">")]
    Above,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// Below.
    #[serde(rename = "<")]
    Below,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
}

/// Where notes go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The server's log.
    Log,
    /// A web server that takes Alertmanager's version 4 body for alerts, and `{id, subject, text, link}` for other notes.
    Webhook(Webhook),
    /// Mail.
    Mail(Mail),
    /// An incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack(Webhook),
    /// A workflow of Microsoft Teams that posts what a webhook brings.
    Teams(Webhook),
    /// A channel of `channels.yaml`, by its name.
    Channel(String),
}

/// A mail, sent through a server that takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtp://host:587`, which must offer TLS unless it is this machine, or `smtps://host`.
    pub server: url::Url,
    /// Whose mail it is: `Millrace <millrace@example.com>`.
    pub from: String,
    /// To whom it goes.
    pub to: Vec<String>,
    /// Name at the server.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password: `${{ secrets.NAME }}`.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether servers in private networks are allowed. Loopback always is.
    #[serde(default)]
    pub allow_private: bool,
}

/// A web server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `http` or `https`.
    pub url: url::Url,
    /// Whether addresses of private networks are allowed. Loopback always is.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_resolve_after() -> u32 {
    1
}

fn default_severity() -> u8 {
    2
}

/// Number of the rule that every workspace has.
const TRIGGER_OVERDUE: &str = "millrace_trigger_overdue_seconds";

impl AlertRule {
    /// The rules of a workspace, and that of triggers that did not fire when they should unless one of them watches that: a dead trigger does
    /// not announce itself.
    pub fn with_overdue_triggers(mut rules: Vec<Self>) -> Vec<Self> {
        let watched = |rule: &Self| {
            rule.alert == "trigger_overdue"
                || matches!(&rule.signal, WatchedSignal::Metric(name) if name == TRIGGER_OVERDUE)
        };
        if !rules.iter().any(watched) {
            rules.push(Self {
                alert: "trigger_overdue".to_owned(),
                signal: WatchedSignal::Metric(TRIGGER_OVERDUE.to_owned()),
                condition: Condition { op: Comparison::Above, threshold: 0.0, violations: None },
                for_time: None,
                resolve_after: default_resolve_after(),
                severity: default_severity(),
                labels: BTreeMap::new(),
                notify: vec![Channel::Log],
            });
        }
        rules
    }

    /// Reads a rule; `file` is the path shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        let value = node.to_json();
        let schema = schemars::schema_for!(Self).to_value();
        let found = violations(&schema, &value);
        if !found.is_empty() {
            let problem = |violation: &millrace_spec::validate::Violation| {
                Problem::error("alert-rule", violation.message.clone()).at(violation.place_in(&node))
            };
            return Err(found.iter().map(problem).collect());
        }
        let rule: Self = serde_json::from_value(value)
            .map_err(|error| vec![Problem::error("alert-rule", error.to_string()).at(node.place.clone())])?;
        match rule.limits() {
            Ok(_) => Ok(rule),
            Err(problem) => Err(vec![problem.at(node.place)]),
        }
    }

    /// The limits of its states.
    ///
    /// # Errors
    /// If `for` is no duration or `violations` not like `2 of 3`.
    pub fn limits(&self) -> Result<AlertLimits, Problem> {
        let for_us = match &self.for_time {
            None => 0,
            Some(text) => {
                parse_ms(text).and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1000)).ok_or_else(|| {
                    Problem::error("alert-rule", format!("`{text}` is not a duration")).hint("for: 2m")
                })?
            }
        };
        let text = self.condition.violations.as_deref().unwrap_or("1 of 1");
        let numbers =
            text.split_once(" of ").and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        match numbers {
            Some((violations, of)) if 1 <= violations && violations <= of && of <= 64 => {
                Ok(AlertLimits { violations, of, for_us, resolve_after: self.resolve_after })
            }
            _ => Err(Problem::error(
                "alert-rule",
                format!("`{text}` is not a number of violations, at most 64 of 64"),
            )
            .hint("violations: 2 of 3")),
        }
    }

    /// Whether a value violates the condition. NaN never does.
    pub fn violated_by(&self, value: f64) -> bool {
        let limit = self.condition.threshold;
        match self.condition.op {
            Comparison::Above => value > limit,
            Comparison::AtLeast => value >= limit,
            Comparison::Below => value < limit,
            Comparison::AtMost => value <= limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_and_a_wrong_one_refused() {
        let text = "alert: late-drift\nsignal: {drift: late}\ncondition: {op: \">\", threshold: 0, violations: 2 of 3}\nfor: 2m\nnotify: [log, webhook: {url: \"https://example.com/hook\"}]\n";
        let rule = AlertRule::parse("monitors/late.yaml", text).unwrap();
        let limits = AlertLimits { violations: 2, of: 3, for_us: 120_000_000, resolve_after: 1 };
        assert_eq!(rule.limits().unwrap(), limits);
        assert!(rule.violated_by(1.0) && !rule.violated_by(0.0) && !rule.violated_by(f64::NAN));
        assert!(AlertRule::parse("m.yaml", &text.replace("2 of 3", "4 of 3")).is_err());
        assert!(AlertRule::parse("m.yaml", &text.replace("threshold", "treshold")).is_err());
    }

    #[test]
    fn an_overdue_trigger_has_a_rule_unless_somebody_wrote_one() {
        let names = |rules: Vec<AlertRule>| -> Vec<String> {
            AlertRule::with_overdue_triggers(rules).into_iter().map(|rule| rule.alert).collect()
        };
        assert_eq!(names(Vec::new()), ["trigger_overdue"]);
        let own = "alert: late\nsignal: {metric: millrace_trigger_overdue_seconds}\ncondition: {op: \">\", threshold: 900}\n";
        assert_eq!(names(vec![AlertRule::parse("m.yaml", own).unwrap()]), ["late"]);
    }
}
