//! Searching traces: filters, orders and pages, compiled to one statement with bound values.
//!
//! A page begins after the sort keys of the last trace of the page before, so that traces which come meanwhile neither repeat nor hide
//! others. What a statement cannot decide ([`Rest`]) is asked of the traces that it finds, a few at a time and in their order: work is
//! linear in the traces that are looked at, and ends when the page is full.

use crate::experiments::{Compare, Condition, Cursor, Key, Refusal, in_sql, operator};
use crate::{Metastore, MetastoreError, Row, Value};

use super::query::{Rest, SpanColumn, TraceClause, TraceColumn, TraceField, TraceOrder, TraceQuery};
use super::read::complete;
use super::{COLUMNS, NAME_TAG, Trace, trace_row};

/// Traces whose spans are looked into at once.
const LOOKED_INTO_AT_ONCE: usize = 64;

type Found = Vec<(Trace, Cursor)>;

impl Metastore {
    /// Traces without their spans, and where the next page begins if there is one.
    ///
    /// # Errors
    /// If the cursor is not of this query or the database fails.
    pub async fn search_traces(
        &self,
        mut query: TraceQuery,
    ) -> Result<(Vec<Trace>, Option<Cursor>), MetastoreError> {
        let limit = query.limit.max(1);
        let mut found = Vec::new();
        if let Some(rest) = query.rest.clone() {
            query.limit = LOOKED_INTO_AT_ONCE;
            loop {
                let looked_at = self.fetch_traces(&query).await?;
                let last_page = looked_at.len() < LOOKED_INTO_AT_ONCE;
                query.after = looked_at.last().map(|(_, cursor)| cursor.clone());
                found.extend(self.those_that_hold(looked_at, &rest).await?);
                if last_page || found.len() > limit {
                    break;
                }
            }
        } else {
            query.limit = limit + 1;
            found = self.fetch_traces(&query).await?;
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(_, cursor)| cursor.clone());
        Ok((found.into_iter().map(|(trace, _)| trace).collect(), next))
    }

    async fn fetch_traces(&self, query: &TraceQuery) -> Result<Found, MetastoreError> {
        let mut statement = Statement::new(self.is_postgres());
        let sql = statement.compile(query)?;
        let Statement { args, sorts, .. } = statement;
        self.read(move |session| {
            Box::pin(async move {
                let rows = session.fetch_all(&sql, &args).await?;
                let cursors = rows.iter().map(|row| cursor_at(row, &sorts)).collect::<Result<Vec<_>, _>>()?;
                let rows = rows.iter().map(trace_row).collect::<Result<Vec<_>, _>>()?;
                Ok(complete(session, rows).await?.into_iter().zip(cursors).collect())
            })
        })
        .await
    }

    async fn those_that_hold(&self, found: Found, rest: &Rest) -> Result<Found, MetastoreError> {
        let lines = if rest.needs_spans {
            self.read_span_lines(found.iter().map(|(trace, _)| trace.row.id.clone()).collect()).await?
        } else {
            std::collections::HashMap::new()
        };
        let holds = rest.holds.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let lines_of = |trace: &Trace| lines.get(&trace.row.id).map(Vec::as_slice).unwrap_or_default();
            found.into_iter().filter(|(trace, _)| holds(trace, lines_of(trace))).collect()
        });
        asked.await.map_err(|_| MetastoreError::WriterGone)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
}

/// A sort key: expression, type, smallest first.
type Sort = (String, Kind, bool);

struct Statement {
    postgres: bool,
    args: Vec<Value<'static>>,
    joins: String,
    sorts: Vec<Sort>,
}

/// The expression of a column, its type, and whether it may be absent.
fn column(column: TraceColumn) -> (&'static str, Kind, bool) {
    match column {
        TraceColumn::Id => ("this.id", Kind::Text, false),
        TraceColumn::ExperimentId => ("this.experiment_id", Kind::Int, false),
        TraceColumn::Name => ("this.name", Kind::Text, true),
        TraceColumn::State => ("this.state", Kind::Text, false),
        TraceColumn::RequestedAt => ("this.requested_at_ms", Kind::Int, false),
        TraceColumn::Duration => ("this.duration_ms", Kind::Int, true),
        TraceColumn::EndedAt => ("(this.requested_at_ms + COALESCE(this.duration_ms, 0))", Kind::Int, false),
        TraceColumn::ClientRequestId => ("this.client_request_id", Kind::Text, true),
    }
}

/// The family and the name of a text that is no column.
fn text_of(field: &TraceField) -> Option<(&'static str, &String)> {
    match field {
        TraceField::Tag(name) if name != NAME_TAG => Some(("tag", name)),
        TraceField::Metadata(name) => Some(("metadata", name)),
        _ => None,
    }
}

/// The column that a field is, if it is one.
fn column_of(field: &TraceField) -> TraceColumn {
    match field {
        TraceField::Column(column) => *column,
        _ => TraceColumn::Name,
    }
}

impl Statement {
    fn new(postgres: bool) -> Self {
        Self { postgres, args: Vec::new(), joins: String::new(), sorts: Vec::new() }
    }

    /// Binds a value and gives its placeholder.
    fn bind(&mut self, value: impl Into<Value<'static>>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    fn compile(&mut self, query: &TraceQuery) -> Result<String, MetastoreError> {
        let named = if query.everywhere { &[] } else { query.experiments.as_slice() };
        let ids: Vec<String> = named.iter().map(|id| self.bind(*id)).collect();
        let mut conditions = vec![match ids.as_slice() {
            [] if query.everywhere => {
                "this.experiment_id IN (SELECT id FROM experiment WHERE lifecycle = 'active')".to_owned()
            }
            [] => "1 = 0".to_owned(),
            [only] => format!("this.experiment_id = {only}"),
            several => format!("this.experiment_id IN ({})", several.join(", ")),
        }];
        for clause in &query.clauses {
            conditions.push(self.clause(clause));
        }
        for (number, order) in query.order.iter().enumerate() {
            self.order(number, order);
        }
        for (tie, ascending) in [(TraceColumn::RequestedAt, false), (TraceColumn::Id, true)] {
            let (expression, kind, _) = column(tie);
            if self.sorts.iter().all(|(sort, _, _)| sort != expression) {
                self.sorts.push((expression.to_owned(), kind, ascending));
            }
        }
        if let Some(cursor) = &query.after {
            conditions.push(self.beyond(cursor)?);
        }
        let keys: String = self
            .sorts
            .iter()
            .enumerate()
            .map(|(number, (expression, _, _))| format!(", {expression} AS sort_{number}"))
            .collect();
        let order: Vec<String> = self
            .sorts
            .iter()
            .map(|(expression, kind, ascending)| {
                let direction = if *ascending { "ASC" } else { "DESC" };
                format!("{expression}{} {direction}", self.collation(expression, *kind))
            })
            .collect();
        let (joins, filter, order) = (&self.joins, conditions.join(" AND "), order.join(", "));
        let limit = query.limit.max(1);
        Ok(format!(
            "SELECT {COLUMNS}{keys} FROM trace AS this{joins} WHERE {filter} ORDER BY {order} LIMIT {limit}"
        ))
    }

    /// Texts are compared by their bytes on both databases; the id is so by its column, whose index serves the order.
    fn collation(&self, expression: &str, kind: Kind) -> &'static str {
        if self.postgres && kind == Kind::Text && expression != "this.id" { " COLLATE \"C\"" } else { "" }
    }

    fn clause(&mut self, clause: &TraceClause) -> String {
        match clause {
            TraceClause::Of(field, condition) => match text_of(field) {
                None => self.condition(column(column_of(field)).0, condition),
                Some((family, name)) => {
                    let name = self.bind(name.clone());
                    let rows = format!(
                        "trace_text AS value WHERE value.trace_id = this.id AND value.family = '{family}' AND value.name = {name}"
                    );
                    self.exists(&rows, "value.content", condition)
                }
            },
            TraceClause::Linked { kind, target } => {
                let target = self.bind(target.clone());
                format!(
                    "this.id IN (SELECT trace_id FROM trace_link WHERE kind = '{kind}' AND target = {target})"
                )
            }
            TraceClause::Assessed { kind, name, condition } => self.assessed(kind, name, condition),
            TraceClause::Span(all) => {
                let mut sql =
                    "EXISTS (SELECT 1 FROM trace_span AS value WHERE value.trace_id = this.id".to_owned();
                for (field, condition) in all {
                    let expression = match field {
                        SpanColumn::Name => "value.name",
                        SpanColumn::Kind => "value.kind",
                        SpanColumn::Status => "value.status",
                    };
                    sql += &format!(" AND {}", self.condition(expression, condition));
                }
                sql + ")"
            }
        }
    }

    fn exists(&mut self, rows: &str, expression: &str, condition: &Condition) -> String {
        match condition {
            Condition::Null => format!("NOT EXISTS (SELECT 1 FROM {rows})"),
            Condition::NotNull => format!("EXISTS (SELECT 1 FROM {rows})"),
            condition => {
                format!("EXISTS (SELECT 1 FROM {rows} AND {})", self.condition(expression, condition))
            }
        }
    }

    /// Texts are compared with the value as it is written in JSON and, being a text, in its quotes.
    fn assessed(&mut self, kind: &str, name: &str, condition: &Condition) -> String {
        let name = self.bind(name.to_owned());
        let rows = format!(
            "trace_assessment AS value WHERE value.trace_id = this.id AND value.kind = '{kind}' AND value.name = {name} AND value.is_valid = 1"
        );
        match condition {
            Condition::Text(compare, text) => {
                let quoted = serde_json::Value::from(text.as_str()).to_string();
                let (plain, quoted) = (self.bind(text.clone()), self.bind(quoted));
                let not = if *compare == Compare::NotEqual { "NOT " } else { "" };
                format!("EXISTS (SELECT 1 FROM {rows} AND value.content {not}IN ({plain}, {quoted}))")
            }
            Condition::Number(..) => self.exists(&rows, "value.number", condition),
            condition => self.exists(&rows, "value.content", condition),
        }
    }

    fn condition(&mut self, expression: &str, condition: &Condition) -> String {
        match condition {
            // PostgreSQL does not compare a whole column with a real number by its index.
            Condition::Number(compare, number)
                if expression != "value.number" && whole(*number).is_some() =>
            {
                let number = self.bind(whole(*number).unwrap_or_default());
                format!("{expression} {} {number}", operator(*compare))
            }
            condition => in_sql(self.postgres, expression, condition, &mut self.args),
        }
    }

    /// Values first, then the traces without, whichever direction.
    fn order(&mut self, number: usize, order: &TraceOrder) {
        let (expression, kind, optional) = match text_of(&order.field) {
            None => {
                let (expression, kind, optional) = column(column_of(&order.field));
                (expression.to_owned(), kind, optional)
            }
            Some((family, name)) => {
                let name = self.bind(name.clone());
                self.joins += &format!(
                    " LEFT JOIN trace_text AS by_{number} ON by_{number}.trace_id = this.id \
                     AND by_{number}.family = '{family}' AND by_{number}.name = {name}"
                );
                (format!("by_{number}.content"), Kind::Text, true)
            }
        };
        if !optional {
            self.sorts.push((expression, kind, order.ascending));
            return;
        }
        let empty = if kind == Kind::Text { "''" } else { "0" };
        let rank = format!("CAST(CASE WHEN {expression} IS NULL THEN 1 ELSE 0 END AS BIGINT)");
        self.sorts.push((rank, Kind::Int, true));
        self.sorts.push((format!("COALESCE({expression}, {empty})"), kind, order.ascending));
    }

    /// Traces after the cursor: the first key is beyond, or it is the same and the second is beyond, and so on. That the first key
    /// is not before is said once more, for the index.
    fn beyond(&mut self, cursor: &[Key]) -> Result<String, MetastoreError> {
        let foreign = || MetastoreError::from(Refusal::ForeignToken);
        if cursor.len() != self.sorts.len() {
            return Err(foreign());
        }
        let (mut alternatives, mut same, mut bound) = (Vec::new(), String::new(), String::new());
        for (key, (expression, kind, ascending)) in cursor.iter().zip(self.sorts.clone()) {
            let value = match (key, kind) {
                (Key::Int(value), Kind::Int) => self.bind(*value),
                (Key::Text(value), Kind::Text) => self.bind(value.clone()),
                _ => return Err(foreign()),
            };
            let side = if ascending { ">" } else { "<" };
            let collation = self.collation(&expression, kind);
            if bound.is_empty() {
                bound = format!("{expression}{collation} {side}= {value}");
            }
            alternatives.push(format!("({same}{expression}{collation} {side} {value})"));
            same += &format!("{expression} = {value} AND ");
        }
        Ok(format!("{bound} AND ({})", alternatives.join(" OR ")))
    }
}

/// A number without fraction: compared with whole columns, it serves their index.
#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn cursor_at(row: &Row, sorts: &[Sort]) -> Result<Cursor, MetastoreError> {
    sorts
        .iter()
        .enumerate()
        .map(|(number, (_, kind, _))| {
            let column = format!("sort_{number}");
            Ok(match kind {
                Kind::Int => Key::Int(row.int(&column)?),
                Kind::Text => Key::Text(row.text(&column)?),
            })
        })
        .collect()
}
