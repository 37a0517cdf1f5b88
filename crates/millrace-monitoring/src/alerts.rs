//! Evaluates alert rules on what was observed and delivers their notes.
//!
//! A rule's state, its changes and its notes are stored in one transaction, so a kill loses none; a note that was sent but not yet
//! marked is sent again with the same id.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_contract::{Clock, beat};
use millrace_metastore::monitoring::{AlertNoteRow, AlertStateRow, AlertTransitionRow};
use millrace_metastore::{Metastore, MetastoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::alert::{AlertChange, AlertMemory, AlertState};
use crate::channel::{deliver, pause_before};
use crate::latest::LatestSignals;
use crate::notifications::{Addressee, NamedChannels};
use crate::rule::{AlertRule, WatchedSignal};

/// Longest time between two rounds.
const ROUND: Duration = Duration::from_secs(15);
/// Results of a monitor that one round takes in.
const MOST_RESULTS: u32 = 64;
/// Tries before a note is given up.
const MOST_TRIES: i64 = 8;

/// The rules as they are in the workspace now.
pub type RuleSource = Arc<dyn Fn() -> Vec<AlertRule> + Send + Sync>;

/// What is stored of a rule between rounds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    memory: AlertMemory,
    value: Option<f64>,
}

/// A rule and where it stands, for pages.
#[derive(Debug, Clone)]
pub struct AlertStatus {
    /// The rule.
    pub rule: AlertRule,
    /// Its state.
    pub state: AlertState,
    /// In that state since; absent if it was never evaluated.
    pub since: Option<Timestamp>,
    /// Last value.
    pub value: Option<f64>,
    /// Changes, oldest first: when, to which state, the value that did it.
    pub history: Vec<(Timestamp, String, Option<f64>)>,
}

/// Evaluates rules and delivers notes.
#[derive(Clone)]
pub struct Alerts {
    store: Metastore,
    clock: Arc<dyn Clock>,
    signals: Arc<LatestSignals>,
    rules: RuleSource,
    channels: NamedChannels,
    client: reqwest::Client,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alerts")
    }
}

impl Alerts {
    /// Reads observations from `store` and `signals`; notes go to what `channels` names, webhooks with `client`, which needs timeouts.
    pub fn new(
        store: Metastore,
        clock: Arc<dyn Clock>,
        signals: Arc<LatestSignals>,
        rules: RuleSource,
        (channels, client): (NamedChannels, reqwest::Client),
    ) -> Self {
        Self { store, clock, signals, rules, channels, client }
    }

    /// Rounds until `stop`: whenever `wake` is notified, and every 15 seconds.
    pub async fn watch(self, wake: Arc<Notify>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "the alert rules could not be evaluated");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = wake.notified() => {}
                () = beat(ROUND) => {}
            }
        }
    }

    /// Evaluates every rule once and delivers what is due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn round(&self) -> Result<(), MetastoreError> {
        for rule in (self.rules)() {
            self.evaluate(&rule).await?;
        }
        self.deliver_due().await
    }

    /// Every rule with its state, in the order of the files.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self) -> Result<Vec<AlertStatus>, MetastoreError> {
        let mut all = Vec::new();
        for rule in (self.rules)() {
            let row = self.store.find_alert_state(rule.alert.clone()).await?;
            let document = row.as_ref().map(read_document).unwrap_or_default();
            let mut history: Vec<_> = self
                .store
                .list_alert_transitions(rule.alert.clone(), 100)
                .await?
                .into_iter()
                .map(|change| (instant(change.happened_at), change.to, change.value))
                .collect();
            history.reverse();
            all.push(AlertStatus {
                rule,
                state: document.memory.state,
                since: row.map(|row| instant(row.changed_at)),
                value: document.value,
                history,
            });
        }
        Ok(all)
    }

    async fn evaluate(&self, rule: &AlertRule) -> Result<(), MetastoreError> {
        // A rule with a wrong limit is reported by `check`; it watches nothing.
        let Ok(limits) = rule.limits() else { return Ok(()) };
        let row = self.store.find_alert_state(rule.alert.clone()).await?;
        let seen = row.as_ref().map(|row| row.document.clone());
        let mut document = row.as_ref().map(read_document).unwrap_or_default();
        let now = self.clock.now().as_microsecond();
        let mut changes: Vec<(AlertChange, Option<f64>)> = Vec::new();
        for (value, at) in self.observations(rule, document.memory.observed_at).await? {
            document.value = Some(value);
            let violated = rule.violated_by(value);
            let moved = document.memory.advance(limits, Some((violated, at)), now);
            changes.extend(moved.into_iter().map(|change| (change, Some(value))));
        }
        let moved = document.memory.advance(limits, None, now);
        changes.extend(moved.into_iter().map(|change| (change, document.value)));
        let text =
            serde_json::to_string(&document).map_err(|error| MetastoreError::stale(error.to_string()))?;
        if seen.as_deref() == Some(text.as_str()) {
            return Ok(());
        }
        let transitions: Vec<AlertTransitionRow> =
            changes.iter().map(|(change, value)| transition(rule, *change, *value, now)).collect();
        let notes = notes(rule, &transitions, now);
        let state = AlertStateRow {
            rule: rule.alert.clone(),
            state: word(document.memory.state).to_owned(),
            document: text,
            changed_at: document.memory.since,
        };
        self.store.advance_alert(seen, state, transitions, notes).await
    }

    /// Values newer than `after` with their times, oldest first.
    async fn observations(
        &self,
        rule: &AlertRule,
        after: Option<i64>,
    ) -> Result<Vec<(f64, i64)>, MetastoreError> {
        let mut found: Vec<(f64, i64)> = match &rule.signal {
            WatchedSignal::Drift(monitor) => {
                let results = self.store.list_monitor_results(monitor.clone(), MOST_RESULTS).await?;
                results
                    .into_iter()
                    .map(|result| (result.drifted_columns as f64, result.observed_at))
                    .collect()
            }
            WatchedSignal::Metric(name) => {
                let of_name = self.signals.signals().into_iter().filter(|signal| signal.name == *name);
                of_name
                    .max_by(|one, other| one.value.total_cmp(&other.value))
                    .map(|signal| (signal.value, signal.at.as_microsecond()))
                    .into_iter()
                    .collect()
            }
        };
        found.retain(|(_, at)| after.is_none_or(|after| *at > after));
        found.sort_by_key(|(_, at)| *at);
        Ok(found)
    }

    async fn deliver_due(&self) -> Result<(), MetastoreError> {
        // What names a channel becomes a note for each of its destinations, which the second round delivers.
        self.deliver_round().await?;
        self.deliver_round().await
    }

    async fn deliver_round(&self) -> Result<(), MetastoreError> {
        let now = self.clock.now().as_microsecond();
        for note in self.store.list_due_alert_notes(now, 100).await? {
            let delivered = match self.channels.addressee(&note.to) {
                Ok(Addressee::Channel(name, count)) => {
                    let one = |place: usize| AlertNoteRow {
                        id: format!("{}/{place}", note.id),
                        to: json!({"named": name, "place": place}).to_string(),
                        ..note.clone()
                    };
                    self.store.spread_note(note.id.clone(), (0..count).map(one).collect(), now).await?;
                    continue;
                }
                Ok(Addressee::Destination(channel)) => deliver(&self.client, &channel, &note).await,
                Err(problem) => Err(problem.message),
            };
            match delivered {
                Ok(()) => self.store.mark_alert_note_delivered(note.id, now).await?,
                Err(error) => {
                    let again = (note.attempts + 1 < MOST_TRIES).then(|| now + pause_before(note.attempts));
                    tracing::warn!(
                        note = note.id,
                        error,
                        given_up = again.is_none(),
                        "an alert was not delivered"
                    );
                    self.store.postpone_alert_note(note.id, again, error).await?;
                }
            }
        }
        Ok(())
    }
}

/// A state's word.
pub fn word(state: AlertState) -> &'static str {
    match state {
        AlertState::Normal => "normal",
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        AlertState::Recovering => "recovering",
    }
}

fn read_document(row: &AlertStateRow) -> Document {
    serde_json::from_str(&row.document).unwrap_or_default()
}

fn transition(rule: &AlertRule, change: AlertChange, value: Option<f64>, now: i64) -> AlertTransitionRow {
    AlertTransitionRow {
        id: uuid::Uuid::now_v7().simple().to_string(),
        rule: rule.alert.clone(),
        from: word(change.from).to_owned(),
        to: word(change.to).to_owned(),
        happened_at: now,
        value,
        threshold: rule.condition.threshold,
    }
}

/// One note a channel for each beginning and each end of firing, in Alertmanager's version 4 form.
fn notes(rule: &AlertRule, transitions: &[AlertTransitionRow], now: i64) -> Vec<AlertNoteRow> {
    let mut notes = Vec::new();
    for change in transitions {
        let status = match (change.from.as_str(), change.to.as_str()) {
            ("pending", "firing") => "firing",
            ("recovering", "normal") => "resolved",
            _ => continue,
        };
        let mut labels = rule.labels.clone();
        labels.insert("alertname".to_owned(), rule.alert.clone());
        labels.insert("severity".to_owned(), rule.severity.to_string());
        let value = change.value.map(|value| value.to_string()).unwrap_or_default();
        let at = instant(change.happened_at).to_string();
        let body = json!({
            "version": "4", "groupKey": rule.alert, "status": status, "receiver": "millrace", "groupLabels": {},
            "commonLabels": labels, "commonAnnotations": {},
            "alerts": [{
                "status": status, "labels": labels, "startsAt": at, "fingerprint": change.id,
                "annotations": {"value": value, "threshold": change.threshold.to_string()},
            }],
        });
        for (index, channel) in rule.notify.iter().enumerate() {
            notes.push(AlertNoteRow {
                id: format!("{}-{index}", change.id),
                to: serde_json::to_string(channel).unwrap_or_default(),
                body: body.to_string(),
                attempts: 0,
                next_at: now,
            });
        }
    }
    notes
}

fn instant(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use millrace_contract::FixedClock;
    use millrace_metastore::monitoring::MonitorResultRow;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Place {
        alerts: Alerts,
        clock: Arc<FixedClock>,
        _folder: tempfile::TempDir,
    }

    async fn place(rule: String) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Metastore::open(&format!("sqlite:{}", folder.path().join("m.db").display())).await.unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::from_second(1_000).unwrap()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        let rules: RuleSource = Arc::new(move || vec![AlertRule::parse("monitors/a.yaml", &rule).unwrap()]);
        let alerts =
            Alerts::new(store, clock.clone(), Arc::default(), rules, (NamedChannels::none(), client));
        Place { alerts, clock, _folder: folder }
    }

    impl Place {
        /// A result of the monitor `late`, and the round after it.
        async fn result(&self, second: i64, drifted_columns: i64) -> String {
            self.clock.set(Timestamp::from_second(second).unwrap());
            let row = MonitorResultRow {
                id: second.to_string(),
                monitor: "late".to_owned(),
                run_id: "r".to_owned(),
                step: "s".to_owned(),
                observed_at: second * 1_000_000,
                drifted: drifted_columns > 0,
                drifted_columns,
                columns: 5,
                reference: "a@1".to_owned(),
                current: "a@2".to_owned(),
                report: "{}".to_owned(),
            };
            self.alerts.store.upsert_monitor_result(row).await.unwrap();
            self.alerts.round().await.unwrap();
            self.history().await
        }

        async fn history(&self) -> String {
            let all = self.alerts.list().await.unwrap();
            all[0]
                .history
                .iter()
                .map(|(_, to, value)| format!("{to} {}", value.unwrap()))
                .collect::<Vec<_>>()
                .join(", ")
        }

        async fn due(&self) -> Vec<AlertNoteRow> {
            self.alerts.store.list_due_alert_notes(i64::MAX, 10).await.unwrap()
        }
    }

    const LOGGED: &str =
        "alert: late_drift\nsignal: {drift: late}\ncondition: {op: \">\", threshold: 0}\nnotify: [log]\n";

    #[tokio::test]
    async fn a_drifted_result_fires_once_and_a_clean_one_resolves() {
        let place = place(LOGGED.to_owned()).await;
        assert_eq!(place.result(1_001, 0).await, "");
        assert_eq!(place.result(1_002, 2).await, "pending 2, firing 2");
        place.alerts.round().await.unwrap();
        assert_eq!(place.history().await, "pending 2, firing 2");
        assert_eq!(place.result(1_003, 0).await, "pending 2, firing 2, recovering 0, normal 0");
        assert!(place.due().await.is_empty(), "the log takes every note at once");
    }

    #[tokio::test]
    async fn a_webhook_that_refuses_is_tried_again_with_the_same_id() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let place = place(LOGGED.replace("[log]", &format!("[webhook: {{url: \"{url}\"}}]"))).await;
        let serving = tokio::spawn(async move {
            let mut seen = Vec::new();
            for status in ["500 Internal Server Error", "200 OK"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                while !text.contains("\"version\"") {
                    let mut bytes = [0; 4096];
                    let count = stream.read(&mut bytes).await.unwrap();
                    text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                }
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                let id =
                    text.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap().to_owned();
                seen.push(id);
            }
            seen
        });
        place.result(1_002, 1).await;
        let waiting = place.due().await;
        assert_eq!((waiting.len(), waiting[0].attempts), (1, 1));
        place.clock.set(Timestamp::from_second(9_000).unwrap());
        place.alerts.round().await.unwrap();
        assert!(place.due().await.is_empty());
        let ids = serving.await.unwrap();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids[0], waiting[0].id);
    }

    #[tokio::test]
    async fn a_note_that_is_never_taken_is_given_up() {
        // Nobody listens on port 9 of loopback here.
        let place = place(LOGGED.replace("[log]", "[webhook: {url: \"http://127.0.0.1:9/\"}]")).await;
        place.result(1_002, 1).await;
        for hour in 1..20 {
            place.clock.set(Timestamp::from_second(1_002 + hour * 36_000).unwrap());
            place.alerts.round().await.unwrap();
        }
        assert!(place.due().await.is_empty(), "eight tries are enough");
    }
}
