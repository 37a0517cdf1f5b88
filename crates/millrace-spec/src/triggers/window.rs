use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::Boundary;
use super::{Trigger, TriggerKind, check_timezone, place_of};
use crate::duration::Elapsed;
use crate::ids::PipelineName;
use crate::period::Period;
use crate::problem::Problem;
use crate::schedule::WindowSeries;
use crate::yaml::{Node, NodeValue};

/// Shortest window, milliseconds.
const SHORTEST_MS: i64 = 1_000;
/// How long a window waits for others, unless `wait` says otherwise: a week, as Data Factory has it.
const WAIT: Elapsed = Elapsed::from_ms(7 * 86_400_000);

/// Runs once for each interval of time, until it has succeeded: tumbling windows with state, retries and backfill.
///
/// Window k begins at `from` and k sizes. It is due at its end plus `delay`; the oldest run first, at most `parallel` at once. A `from` in
/// the past is a backfill. Steps see `${{ window.start }}`, `${{ window.end }}` and `${{ window.attempt }}`. Another size begins a new
/// series where the windows so far end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Size: elapsed (`15m`, `6h`) or civil (`1d`, `1w`, `1mo`), whose days have 23 to 25 hours.
    pub window: Period,
    /// Where the first window begins.
    pub from: Boundary,
    /// No window begins after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Boundary>,
    /// Moves all boundaries, for example `6h` for days that begin at six.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Period>,
    /// IANA zone; the workspace's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Time after its end at which a window is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Elapsed>,
    /// Windows that run at once, at most; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub parallel: Option<u32>,
    /// Further runs of a window that failed, with the same parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<WindowRetry>,
    /// Windows that must have succeeded first: of other pipelines, or earlier ones of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Dependency>,
    /// How long after its end changed input makes a window stale; without it, input is not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Elapsed>,
    /// What becomes of a stale window; `ask` if absent.
    #[serde(default)]
    pub rerun: Rerun,
    /// Inputs of the runs it starts.
    #[serde(default)]
    pub inputs: IndexMap<String, Value>,
}

/// Further runs of a window: a number, or `{max, delay}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WindowRetry {
    /// So many, at once.
    Times(u32),
    /// So many, each after a pause.
    Rule(RetryRule),
}

/// `{max, delay}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// Further runs after the first.
    pub max: u32,
    /// Pause before each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Elapsed>,
}

/// What becomes of a window whose input has changed since it succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    /// It is marked as stale, and a person decides.
    #[default]
    Ask,
    /// It runs again.
    Auto,
    /// It stays as it is.
    Ignore,
}

/// Windows that must have succeeded before one of ours runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The pipeline whose windows are waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
    /// Which of its triggers; its first with windows if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// An earlier window of this trigger instead, for example `-1d`.
    #[serde(default, rename = "self", skip_serializing_if = "Option::is_none")]
    pub own: Option<Period>,
    /// Where the interval that is waited for begins, from the window's own beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Period>,
    /// How long that interval is; as long as the window itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Period>,
    /// How many of the windows in it must have succeeded; `all` if absent.
    #[serde(default)]
    pub require: Require,
    /// How long after it is due a window waits; `7d` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Elapsed>,
    /// What becomes of the window then; it fails if absent.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

/// How many windows must have succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// Every one.
    #[default]
    All,
    /// At least so many.
    AtLeast(u32),
    /// All but so many.
    MissingOk(u32),
}

impl Require {
    /// How many of `total` windows it takes.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::All => total,
            Self::AtLeast(count) => count as usize,
            Self::MissingOk(count) => total.saturating_sub(count as usize),
        }
    }
}

/// What becomes of a window that has waited too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It fails.
    #[default]
    Fail,
    /// It is cancelled.
    Skip,
    /// It runs all the same.
    Run,
}

impl Window {
    /// Further runs of a window that failed.
    pub fn retries(&self) -> u32 {
        match self.retry {
            None => 0,
            Some(WindowRetry::Times(max)) => max,
            Some(WindowRetry::Rule(rule)) => rule.max,
        }
    }

    /// Pause before each of them.
    pub fn retry_delay(&self) -> Elapsed {
        match self.retry {
            Some(WindowRetry::Rule(rule)) => rule.delay.unwrap_or_default(),
            _ => Elapsed::default(),
        }
    }

    /// Windows that run at once, at most.
    pub fn at_once(&self) -> u32 {
        self.parallel.unwrap_or(1).max(1)
    }
}

impl Dependency {
    /// How long a window waits.
    pub fn patience(&self) -> Elapsed {
        self.wait.unwrap_or(WAIT)
    }
}

impl From<Window> for Trigger {
    fn from(window: Window) -> Self {
        Self::Window(Box::new(window))
    }
}

impl TriggerKind for Window {
    const WORD: &'static str = "window";
    const EXAMPLE: &'static str = "{window: 1d, from: 2026-01-01, timezone: Europe/Berlin, delay: 2h, parallel: 4, after: [{pipeline: ingest_orders}, {self: -1d}]}";

    fn check(&self, node: &Node) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_timezone(self.timezone.as_deref(), node).into_iter().collect();
        if !(self.window.is_civil() || self.window.is_elapsed())
            || !self.window.is_positive()
            || self.window.nominal_ms() < SHORTEST_MS
        {
            let message = format!("`window: {}` is no size: elapsed or civil, a second or more", self.window);
            problems.push(
                Problem::error("bad-window", message)
                    .at(place_of(node, Self::WORD))
                    .hint("write `15m`, `6h`, `1d`, `1w` or `1mo`"),
            );
        }
        let items = match node.get("after").map(|node| &node.value) {
            Some(NodeValue::List(items)) => items.as_slice(),
            _ => &[],
        };
        for (dependency, item) in self.after.iter().zip(items) {
            problems.extend(self.check_dependency(dependency, item));
        }
        if problems.is_empty()
            && WindowSeries::new(self, jiff::tz::TimeZone::UTC).is_none_or(|series| series.at(0).is_none())
        {
            problems.push(
                Problem::error("no-windows", "no window fits between `from` and `until`")
                    .at(place_of(node, "from")),
            );
        }
        problems
    }
}

impl Window {
    fn check_dependency(&self, dependency: &Dependency, item: &Node) -> Vec<Problem> {
        let problem =
            |key: &str, message: String| Problem::error("bad-dependency", message).at(place_of(item, key));
        let mut problems = Vec::new();
        match (&dependency.pipeline, dependency.own) {
            (Some(_), None) => {}
            (None, Some(own)) if own.is_negative() => {}
            (None, Some(own)) => problems.push(
                problem(
                    "self",
                    format!("a window cannot wait for one at `{own}` from itself, which is not earlier"),
                )
                .hint(format!("write `self: -{}`", self.window)),
            ),
            _ => problems.push(
                problem(
                    "",
                    "a dependency names either a `pipeline` or an earlier window of its own".to_owned(),
                )
                .hint("write `{pipeline: NAME}` or `{self: -1d}`"),
            ),
        }
        if dependency.own.is_some() && (dependency.offset.is_some() || dependency.trigger.is_some()) {
            problems.push(problem(
                "self",
                "`self` says where the window is; `offset` and `trigger` do not go with it".to_owned(),
            ));
        }
        if dependency.size.is_some_and(|size| !size.is_positive()) {
            problems.push(problem("size", "`size` is longer than nothing".to_owned()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::problems;

    #[test]
    fn what_does_not_go_together_is_refused_where_it_stands() {
        assert_eq!(problems("{window: 1d}"), ["2:6: window: the key `from` is missing"]);
        assert_eq!(
            problems("{window: 1d12h, from: 2026-01-01}"),
            [
                "2:15: `window: 1d12h` is no size: elapsed or civil, a second or more (write `15m`, `6h`, `1d`, `1w` or `1mo`)"
            ]
        );
        assert_eq!(
            problems("{window: 1d, from: 2026-01-01, after: [{self: 1d}]}"),
            [
                "2:52: a window cannot wait for one at `1d` from itself, which is not earlier (write `self: -1d`)"
            ]
        );
        assert_eq!(problems("{window: 1d, from: 2026-01-01, after: [{}]}").len(), 1);
        assert_eq!(problems("{window: 1d, from: 2026-01-01, parallel: 0}").len(), 1);
        assert_eq!(problems("{window: 1d, from: 2026-01-01, rerun: never}").len(), 1);
        let all = "{window: 1mo, from: 2026-01-01T06:00, offset: 6h, delay: 2h, parallel: 4, retry: {max: 2, delay: 5m}, lateness: 3d, rerun: auto, \
                   after: [{pipeline: p, offset: -1d, size: 2d, require: {at_least: 1}, wait: 1h, on_timeout: skip}, {self: -1mo, require: {missing_ok: 1}}]}";
        assert_eq!(problems(all), [""; 0]);
    }
}
