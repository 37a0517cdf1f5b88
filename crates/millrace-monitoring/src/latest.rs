//! The newest value of every signal, and the text that Prometheus scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use millrace_contract::{Signal, SignalSink};

/// Series that are kept; a further one is dropped and counted.
const MAX_SERIES: usize = 10_000;

type Key = (String, Vec<(String, String)>);

/// Keeps the newest value of each series in memory.
#[derive(Debug, Default)]
pub struct LatestSignals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    series: BTreeMap<Key, Signal>,
    dropped: u64,
}

impl SignalSink for LatestSignals {
    fn record(&self, signal: Signal) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (signal.name.clone(), signal.labels.clone());
        if kept.series.len() >= MAX_SERIES && !kept.series.contains_key(&key) {
            kept.dropped += 1;
            return;
        }
        kept.series.insert(key, signal);
    }
}

impl LatestSignals {
    /// The newest values, by name and labels.
    pub fn signals(&self) -> Vec<Signal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).series.values().cloned().collect()
    }

    /// Observations that were dropped because there were too many series.
    pub fn dropped(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

/// The Prometheus text exposition, version 0.0.4. `signals` are ordered by name, as [`LatestSignals::signals`] gives them.
pub fn exposition(signals: &[Signal]) -> String {
    let mut text = String::new();
    let mut last = None;
    for signal in signals {
        let name = metric_name(&signal.name);
        if last.as_ref() != Some(&name) {
            let _ = writeln!(text, "# TYPE {name} gauge");
        }
        let labels: Vec<String> = signal
            .labels
            .iter()
            .map(|(key, value)| format!("{}=\"{}\"", metric_name(key).replace(':', "_"), escape(value)))
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{name}{labels} {}", number(signal.value));
        last = Some(name);
    }
    text
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Letters, digits, `_` and `:`; anything else becomes `_`.
fn metric_name(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' };
    let name: String = name.chars().map(clean).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_exposed_and_labels_are_escaped() {
        let latest = LatestSignals::default();
        for (value, column) in [(0.25, "late\"st"), (0.5, "late\"st"), (f64::NAN, "x\ny")] {
            let labels = vec![("column".to_owned(), column.to_owned())];
            latest.record(Signal {
                name: "drift.js".to_owned(),
                labels,
                value,
                at: jiff::Timestamp::UNIX_EPOCH,
            });
        }
        insta::assert_snapshot!(exposition(&latest.signals()), @r#"
        # TYPE drift_js gauge
        drift_js{column="late\"st"} 0.5
        drift_js{column="x\ny"} NaN
        "#);
    }
}
