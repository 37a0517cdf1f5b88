//! Results of monitors, states of alerts and their changes, and notes that wait to be delivered.

pub use crate::outbox::NoteRow as AlertNoteRow;
use crate::outbox::Outbox;
use crate::{Metastore, MetastoreError, Row, Session};

/// Notes about alerts; `to` is a channel, JSON.
const OUTBOX: Outbox = Outbox { table: "alert_outbox", to: "channel" };

/// A row of `monitor_result`. `report` is a document of the monitoring room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorResultRow {
    /// Unique; the same result stored twice is kept once.
    pub id: String,
    /// Name of the monitor.
    pub monitor: String,
    /// Pipeline run.
    pub run_id: String,
    /// Its step.
    pub step: String,
    /// Microseconds since 1970.
    pub observed_at: i64,
    /// Whether any column drifted.
    pub drifted: bool,
    /// How many did.
    pub drifted_columns: i64,
    /// Of how many.
    pub columns: i64,
    /// The reference data, `name@version` or a URI.
    pub reference: String,
    /// The data watched.
    pub current: String,
    /// The whole report, JSON.
    pub report: String,
}

/// A row of `alert_state`. `document` is the evaluator's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertStateRow {
    /// Name of the rule.
    pub rule: String,
    /// `normal`, `pending`, `firing` or `recovering`.
    pub state: String,
    /// Counts and times, JSON.
    pub document: String,
    /// In this state since; microseconds since 1970.
    pub changed_at: i64,
}

/// A row of `alert_transition`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertTransitionRow {
    /// UUIDv7.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// The state that was left.
    pub from: String,
    /// The state that was entered.
    pub to: String,
    /// Microseconds since 1970.
    pub happened_at: i64,
    /// The value that did it.
    pub value: Option<f64>,
    /// The limit at that time.
    pub threshold: f64,
}

const RESULT_COLUMNS: &str = "id, monitor, run_id, step, observed_at, drifted, drifted_columns, columns_total, reference_data, current_data, report";

impl Metastore {
    /// Stores a result; a second one with the same id replaces it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn upsert_monitor_result(&self, row: MonitorResultRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                session.execute("DELETE FROM monitor_result WHERE id = $1", &[row.id.as_str().into()]).await?;
                let sql = format!(
                    "INSERT INTO monitor_result ({RESULT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
                );
                let args = [
                    row.id.as_str().into(),
                    row.monitor.as_str().into(),
                    row.run_id.as_str().into(),
                    row.step.as_str().into(),
                    row.observed_at.into(),
                    row.drifted.into(),
                    row.drifted_columns.into(),
                    row.columns.into(),
                    row.reference.as_str().into(),
                    row.current.as_str().into(),
                    row.report.as_str().into(),
                ];
                session.execute(&sql, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// The newest result of every monitor, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_monitors(&self) -> Result<Vec<MonitorResultRow>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {RESULT_COLUMNS} FROM monitor_result AS r WHERE NOT EXISTS (SELECT 1 FROM monitor_result AS n \
                     WHERE n.monitor = r.monitor AND (n.observed_at > r.observed_at OR (n.observed_at = r.observed_at AND n.id > r.id))) \
                     ORDER BY monitor"
                );
                session.fetch_all(&sql, &[]).await?.iter().map(result_row).collect()
            })
        })
        .await
    }

    /// Results of a monitor, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_monitor_results(
        &self,
        monitor: String,
        limit: u32,
    ) -> Result<Vec<MonitorResultRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {RESULT_COLUMNS} FROM monitor_result WHERE monitor = $1 ORDER BY observed_at DESC, id DESC LIMIT $2"
                );
                let args = [monitor.as_str().into(), limit.into()];
                session.fetch_all(&sql, &args).await?.iter().map(result_row).collect()
            })
        })
        .await
    }

    /// The state of a rule; `None` if it was never evaluated.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_alert_state(&self, rule: String) -> Result<Option<AlertStateRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT rule, state, document, changed_at FROM alert_state WHERE rule = $1";
                let row = session.fetch_optional(sql, &[rule.as_str().into()]).await?;
                row.as_ref().map(state_row).transpose()
            })
        })
        .await
    }

    /// Stores a rule's new state with its changes and the notes about them, all or nothing.
    ///
    /// # Errors
    /// If the database fails, or [`MetastoreError::Stale`] if the stored document is not `seen` any more.
    pub async fn advance_alert(
        &self,
        seen: Option<String>,
        state: AlertStateRow,
        transitions: Vec<AlertTransitionRow>,
        notes: Vec<AlertNoteRow>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                store_state(session, seen.as_deref(), &state).await?;
                for transition in &transitions {
                    insert_transition(session, transition).await?;
                }
                for note in &notes {
                    OUTBOX.insert(session, note).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Changes of a rule, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_alert_transitions(
        &self,
        rule: String,
        limit: u32,
    ) -> Result<Vec<AlertTransitionRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, rule, from_state, to_state, happened_at, number, threshold FROM alert_transition \
                           WHERE rule = $1 ORDER BY happened_at DESC, id DESC LIMIT $2";
                let rows = session.fetch_all(sql, &[rule.as_str().into(), limit.into()]).await?;
                rows.iter().map(transition_row).collect()
            })
        })
        .await
    }

    /// Stores notes; one with a known id is stored once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert_notes(&self, notes: Vec<AlertNoteRow>) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for note in &notes {
                    OUTBOX.insert_new(session, note).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Puts notes for single destinations in the place of one for all of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn spread_note(
        &self,
        id: String,
        notes: Vec<AlertNoteRow>,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                for note in &notes {
                    OUTBOX.insert_new(session, note).await?;
                }
                OUTBOX.delivered(session, &id, now).await
            })
        })
        .await
    }

    /// Notes that are due at `now`, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_due_alert_notes(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<AlertNoteRow>, MetastoreError> {
        self.read(move |session| Box::pin(OUTBOX.due(session, now, limit, limit))).await
    }

    /// Records that a note arrived.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mark_alert_note_delivered(&self, id: String, now: i64) -> Result<(), MetastoreError> {
        self.write(move |session| Box::pin(async move { OUTBOX.delivered(session, &id, now).await })).await
    }

    /// Records a failed try: the next one is at `next_at`, or never if `None`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn postpone_alert_note(
        &self,
        id: String,
        next_at: Option<i64>,
        error: String,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| Box::pin(async move { OUTBOX.failed(session, &id, next_at, &error).await }))
            .await
    }
}

async fn store_state(
    session: &mut Session,
    seen: Option<&str>,
    state: &AlertStateRow,
) -> Result<(), MetastoreError> {
    let values = [
        state.rule.as_str().into(),
        state.state.as_str().into(),
        state.document.as_str().into(),
        state.changed_at.into(),
    ];
    let changed = match seen {
        None => {
            let sql = "INSERT INTO alert_state (rule, state, document, changed_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
            session.execute(sql, &values).await?
        }
        Some(seen) => {
            let sql = "UPDATE alert_state SET state = $2, document = $3, changed_at = $4 WHERE rule = $1 AND document = $5";
            let [rule, name, document, changed_at] = values;
            session.execute(sql, &[rule, name, document, changed_at, seen.into()]).await?
        }
    };
    if changed == 1 {
        Ok(())
    } else {
        Err(MetastoreError::stale(format!("the alert `{}` changed meanwhile", state.rule)))
    }
}

async fn insert_transition(session: &mut Session, row: &AlertTransitionRow) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO alert_transition (id, rule, from_state, to_state, happened_at, number, threshold) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let args = [
        row.id.as_str().into(),
        row.rule.as_str().into(),
        row.from.as_str().into(),
        row.to.as_str().into(),
        row.happened_at.into(),
        row.value.into(),
        row.threshold.into(),
    ];
    session.execute(sql, &args).await?;
    Ok(())
}

fn result_row(row: &Row) -> Result<MonitorResultRow, MetastoreError> {
    Ok(MonitorResultRow {
        id: row.text("id")?,
        monitor: row.text("monitor")?,
        run_id: row.text("run_id")?,
        step: row.text("step")?,
        observed_at: row.int("observed_at")?,
        drifted: row.bool("drifted")?,
        drifted_columns: row.int("drifted_columns")?,
        columns: row.int("columns_total")?,
        reference: row.text("reference_data")?,
        current: row.text("current_data")?,
        report: row.text("report")?,
    })
}

fn state_row(row: &Row) -> Result<AlertStateRow, MetastoreError> {
    Ok(AlertStateRow {
        rule: row.text("rule")?,
        state: row.text("state")?,
        document: row.text("document")?,
        changed_at: row.int("changed_at")?,
    })
}

fn transition_row(row: &Row) -> Result<AlertTransitionRow, MetastoreError> {
    Ok(AlertTransitionRow {
        id: row.text("id")?,
        rule: row.text("rule")?,
        from: row.text("from_state")?,
        to: row.text("to_state")?,
        happened_at: row.int("happened_at")?,
        value: row.opt_real("number")?,
        threshold: row.real("threshold")?,
    })
}
