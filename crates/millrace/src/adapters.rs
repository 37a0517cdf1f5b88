//! What the API asks of rooms it does not know: endpoints and monitors.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use millrace_api::views::endpoints::{DeploymentView, EndpointSummary, EndpointView, TrafficPoint};
use millrace_api::views::json::{JsonMap, NumberMap, TextMap};
use millrace_api::views::models::{ModelColumn, ModelSignature};
use millrace_api::views::monitors::{
    AlertChange, AlertView, DriftColumn, MonitorPoint, MonitorReport, MonitorSummary, MonitorView,
};
use millrace_api::{Dialect, Endpoints, Monitors, ScoreRequest};
use millrace_deployment::{EndpointServer, EndpointStatus, ScoreOptions};
use millrace_metastore::monitoring::MonitorResultRow;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_monitoring::alert::AlertState;
use millrace_monitoring::alerts::{AlertStatus, Alerts};
use millrace_monitoring::rule::{Channel, Comparison, WatchedSignal};
use millrace_spec::problem::Problem;
use serde_json::Value;

/// The endpoints of this process.
pub(crate) struct LiveEndpoints {
    pub(crate) server: Arc<EndpointServer>,
    /// Where this server answers, without a slash at its end.
    pub(crate) url: String,
}

#[async_trait]
impl Endpoints for LiveEndpoints {
    async fn list_endpoints(&self) -> Result<Vec<EndpointSummary>, Problem> {
        Ok(self.server.list_endpoints().into_iter().map(|status| self.summary(status)).collect())
    }

    async fn find_endpoint(&self, name: &str) -> Result<Option<EndpointView>, Problem> {
        let Some(detail) = self.server.find_endpoint(name, &self.url) else { return Ok(None) };
        let points = detail.history.into_iter().map(|point| TrafficPoint {
            at: point.at.to_string(),
            requests: point.requests,
            errors: point.errors,
            p50_ms: point.p50_ms,
            p99_ms: point.p99_ms,
        });
        Ok(Some(EndpointView {
            endpoint: self.summary(detail.endpoint),
            signature: detail.signature.map(signature),
            example: detail.example.map(|row| JsonMap(row.into_iter().collect())),
            history: points.collect(),
            yaml: detail.yaml,
            command: detail.command,
        }))
    }

    async fn score(&self, request: ScoreRequest) -> Result<Bytes, Problem> {
        let dialect = match request.dialect {
            Dialect::Rows => millrace_deployment::Dialect::Rows,
            Dialect::Invocations => millrace_deployment::Dialect::Invocations,
            Dialect::OpenInference => millrace_deployment::Dialect::OpenInference,
        };
        let options =
            ScoreOptions { deployment: request.deployment.as_deref(), request_id: Some(&request.request_id) };
        self.server.score(&request.endpoint, dialect, request.body, options).await
    }

    fn mlflow_error_code(&self, problem: &Problem) -> &'static str {
        millrace_deployment::mlflow_error_code(problem)
    }

    async fn metadata(&self, endpoint: &str) -> Result<Option<Value>, Problem> {
        Ok(self.server.metadata(endpoint))
    }
}

impl LiveEndpoints {
    fn summary(&self, status: EndpointStatus) -> EndpointSummary {
        let deployments = status.deployments.into_iter().map(|deployment| DeploymentView {
            name: deployment.name,
            model: deployment.model,
            version: deployment.version,
            traffic: deployment.traffic,
            status: deployment.status.to_owned(),
            requests: deployment.counts.requests,
            errors: deployment.counts.errors,
            p50_ms: deployment.counts.p50_ms,
            p95_ms: deployment.counts.p95_ms,
            p99_ms: deployment.counts.p99_ms,
        });
        EndpointSummary {
            deployments: deployments.collect(),
            url: format!("{}{}", self.url, status.url),
            name: status.name,
            status: status.status.to_owned(),
            requests: status.counts.requests,
            errors: status.counts.errors,
            p50_ms: status.counts.p50_ms,
            p99_ms: status.counts.p99_ms,
            updated_at: status.updated_at.map(|at| at.to_string()),
        }
    }
}

fn signature(signature: millrace_contract::ModelSignature) -> ModelSignature {
    let column = |column: millrace_contract::ModelColumn| ModelColumn {
        name: column.name,
        data_type: column.data_type,
        required: column.required,
    };
    ModelSignature {
        inputs: signature.inputs.into_iter().map(column).collect(),
        outputs: signature.outputs.into_iter().map(column).collect(),
    }
}

/// Results of monitors and states of alerts.
pub(crate) struct KeptMonitors {
    pub(crate) store: Metastore,
    pub(crate) alerts: Alerts,
}

/// A result's scores are kept for so many runs on a page.
const HISTORY: u32 = 100;

#[async_trait]
impl Monitors for KeptMonitors {
    async fn list_monitors(&self) -> Result<Vec<MonitorSummary>, Problem> {
        let rows = self.store.list_monitors().await.map_err(|error| store_failed(&error))?;
        Ok(rows.iter().map(monitor_summary).collect())
    }

    async fn find_monitor(&self, name: &str) -> Result<Option<MonitorView>, Problem> {
        let rows = self.store.list_monitor_results(name.to_owned(), HISTORY).await;
        let rows = rows.map_err(|error| store_failed(&error))?;
        let Some(newest) = rows.first() else { return Ok(None) };
        let run = self
            .store
            .find_pipeline_run(newest.run_id.clone())
            .await
            .map_err(|error| store_failed(&error))?;
        let point = |row: &MonitorResultRow| MonitorPoint {
            at: instant(row.observed_at),
            scores: NumberMap(
                drift_columns(row).into_iter().map(|column| (column.column, column.score)).collect(),
            ),
            drifted: row.drifted,
        };
        Ok(Some(MonitorView {
            monitor: monitor_summary(newest),
            latest: Some(MonitorReport {
                at: instant(newest.observed_at),
                run_id: Some(newest.run_id.clone()),
                step: Some(newest.step.clone()),
                reference: newest.reference.clone(),
                current: newest.current.clone(),
                columns: drift_columns(newest),
                drifted: newest.drifted,
            }),
            history: rows.iter().rev().map(point).collect(),
            yaml: None,
            command: run
                .map_or_else(|| "millrace runs".to_owned(), |run| format!("millrace run {}", run.pipeline)),
        }))
    }

    async fn list_alerts(&self) -> Result<Vec<AlertView>, Problem> {
        let all = self.alerts.list().await.map_err(|error| store_failed(&error))?;
        Ok(all.into_iter().map(alert_view).collect())
    }
}

fn store_failed(error: &MetastoreError) -> Problem {
    tracing::error!(%error, "a page could not be read");
    Problem::error("store-failed", "the database failed")
}

fn instant(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn monitor_summary(row: &MonitorResultRow) -> MonitorSummary {
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    MonitorSummary {
        name: row.monitor.clone(),
        kind: "drift".to_owned(),
        drifted: row.drifted,
        drifted_columns: count(row.drifted_columns),
        columns: count(row.columns),
        last_run_at: Some(instant(row.observed_at)),
        reference: row.reference.clone(),
        current: row.current.clone(),
    }
}

/// The columns of a stored report; one without a score, because a side was empty, counts as 0 in pictures.
fn drift_columns(row: &MonitorResultRow) -> Vec<DriftColumn> {
    let report: Value = serde_json::from_str(&row.report).unwrap_or_default();
    let columns = report.get("columns").and_then(Value::as_array).cloned().unwrap_or_default();
    let read = |column: &Value| {
        let text = |name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| column.get(name).and_then(Value::as_f64);
        let numbers = |name: &str| {
            let all = column.get(name).and_then(Value::as_array);
            all.map(|all| all.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
        };
        let bins = column.get("bins").and_then(Value::as_array);
        DriftColumn {
            column: text("column"),
            kind: text("kind"),
            metric: text("metric"),
            score: number("score").unwrap_or(0.0),
            threshold: number("threshold").unwrap_or(0.0),
            p_value: number("p_value"),
            adjusted_p: number("adjusted_p"),
            drifted: column.get("drifted").and_then(Value::as_bool).unwrap_or(false),
            bins: bins
                .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
            reference: numbers("reference"),
            current: numbers("current"),
            reason: column.get("reason").and_then(Value::as_str).map(str::to_owned),
        }
    };
    columns.iter().map(read).collect()
}

fn alert_view(status: AlertStatus) -> AlertView {
    let ended = status.history.last().is_some_and(|(_, to, _)| to == "normal")
        && status.history.iter().any(|(_, to, _)| to == "firing");
    let state = match status.state {
        AlertState::Normal if ended => "resolved",
        AlertState::Normal => "ok",
        AlertState::Pending => "pending",
        AlertState::Firing | AlertState::Recovering => "firing",
    };
    let rule = status.rule;
    let watched = match &rule.signal {
        WatchedSignal::Drift(monitor) => format!("drifted columns of {monitor}"),
        WatchedSignal::Metric(name) => name.clone(),
    };
    let sign = match rule.condition.op {
        Comparison::Above => ">",
        Comparison::AtLeast => ">=",
        Comparison::Below => "<",
        Comparison::AtMost => "<=",
    };
    let channel = |channel: &Channel| match channel {
        Channel::Log => "log".to_owned(),
        Channel::Mail(mail) => format!("mail to {}", mail.to.join(", ")),
        Channel::Slack(webhook) => format!("slack {}", webhook.url.host_str().unwrap_or_default()),
        Channel::Teams(webhook) => format!("teams {}", webhook.url.host_str().unwrap_or_default()),
        Channel::Channel(name) => name.clone(),
        Channel::Webhook(webhook) => format!("webhook {}", webhook.url.host_str().unwrap_or_default()),
    };
    AlertView {
        name: rule.alert,
        state: state.to_owned(),
        expression: format!("{watched} {sign} {}", rule.condition.threshold),
        severity: Some(rule.severity.to_string()),
        since: status.since.map(|at| at.to_string()),
        value: status.value,
        threshold: Some(rule.condition.threshold),
        channels: rule.notify.iter().map(channel).collect(),
        labels: TextMap(rule.labels.into_iter().collect()),
        history: status
            .history
            .into_iter()
            .map(|(at, state, value)| AlertChange { at: at.to_string(), state, value })
            .collect(),
    }
}
