//! Searching experiments and logged models: filters, orders and pages, compiled to one statement with bound values. Runs are many more
//! and have a search of their own ([`super::index`]).
//!
//! A page begins after the sort keys of the last row of the page before ([`Cursor`]), so that rows which come and go meanwhile
//! neither repeat nor hide others. Every sort key is two columns, a rank (value, NaN, missing) and a value, neither of them NULL.

use crate::{Metastore, MetastoreError, Row, Value};

use super::condition::in_sql;
use super::experiment::{SELECT_EXPERIMENT, experiment_full, read_tags};
use super::models::{SELECT_MODEL, model_row};
use super::query::{
    Attribute, Clause, Compare, Condition, Cursor, Field, Filter, Key, MeasuredOn, ModelDataset, Order,
    Query, View,
};
use super::{ExperimentFull, LoggedModelRow, Refusal};

impl Metastore {
    /// Experiments, and where the next page begins if there is one.
    ///
    /// # Errors
    /// If the cursor is not of this query or the database fails.
    pub async fn search_experiments(
        &self,
        query: Query,
    ) -> Result<(Vec<ExperimentFull>, Option<Cursor>), MetastoreError> {
        let (rows, next) = self.search(&EXPERIMENTS, query, MeasuredOn::default()).await?;
        let mut found = rows.iter().map(experiment_full).collect::<Result<Vec<_>, _>>()?;
        found = self
            .read(move |session| {
                Box::pin(async move {
                    for experiment in &mut found {
                        read_tags(session, experiment).await?;
                    }
                    Ok(found)
                })
            })
            .await?;
        Ok((found, next))
    }

    /// Logged models, and where the next page begins if there is one.
    ///
    /// # Errors
    /// If the cursor is not of this query or the database fails.
    pub async fn search_logged_models(
        &self,
        query: Query,
        measured: MeasuredOn,
    ) -> Result<(Vec<LoggedModelRow>, Option<Cursor>), MetastoreError> {
        let (rows, next) = self.search(&MODELS, query, measured).await?;
        Ok((rows.iter().map(model_row).collect::<Result<_, _>>()?, next))
    }

    async fn search(
        &self,
        entity: &'static Entity,
        query: Query,
        measured: MeasuredOn,
    ) -> Result<(Vec<Row>, Option<Cursor>), MetastoreError> {
        let limit = usize::try_from(query.limit.max(1)).unwrap_or(1);
        let mut statement = Statement::new(entity, self.is_postgres(), measured);
        let sql = statement.compile(&query)?;
        let Statement { args, sorts, .. } = statement;
        let mut rows =
            self.read(move |session| Box::pin(async move { session.fetch_all(&sql, &args).await })).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some(row) if more => Some(cursor_at(row, &sorts)?),
            _ => None,
        };
        Ok((rows, next))
    }
}

struct Entity {
    select: &'static str,
    from: &'static str,
    /// Tables of values and their column with the entity's id.
    metrics: &'static str,
    texts: &'static str,
    owner: &'static str,
    in_experiments: bool,
    column: fn(Attribute) -> Option<(&'static str, Kind)>,
    /// What ties are decided by: columns, whether smallest first.
    ties: &'static [(&'static str, Kind, bool)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Real,
    Text,
}

const EXPERIMENTS: Entity = Entity {
    select: SELECT_EXPERIMENT,
    from: "experiment AS this",
    metrics: "",
    texts: "experiment_text",
    owner: "experiment_id",
    in_experiments: false,
    column: |attribute| {
        Some(match attribute {
            Attribute::Id | Attribute::ExperimentId => ("CAST(this.id AS TEXT)", Kind::Text),
            Attribute::Name => ("this.name", Kind::Text),
            Attribute::CreatedAt => ("this.created_at / 1000", Kind::Int),
            Attribute::UpdatedAt => ("this.updated_at / 1000", Kind::Int),
            _ => return None,
        })
    },
    ties: &[("this.created_at", Kind::Int, false), ("this.id", Kind::Int, false)],
};

const MODELS: Entity = Entity {
    select: SELECT_MODEL,
    from: "logged_model AS this JOIN experiment ON experiment.id = this.experiment_id",
    metrics: "logged_model_metric",
    texts: "logged_model_text",
    owner: "model_id",
    in_experiments: true,
    column: |attribute| {
        Some(match attribute {
            Attribute::Id => ("this.id", Kind::Text),
            Attribute::Name => ("this.name", Kind::Text),
            Attribute::Status => ("this.status", Kind::Text),
            Attribute::ModelType => ("this.model_type", Kind::Text),
            Attribute::SourceRunId => ("this.source_run_id", Kind::Text),
            Attribute::ExperimentId => ("CAST(this.experiment_id AS TEXT)", Kind::Text),
            Attribute::CreatedAt => ("this.created_at / 1000", Kind::Int),
            Attribute::UpdatedAt => ("this.updated_at / 1000", Kind::Int),
            _ => return None,
        })
    },
    ties: &[("this.created_at", Kind::Int, false), ("this.id", Kind::Text, true)],
};

/// A sort key: expression, type, smallest first.
type Sort = (String, Kind, bool);

struct Statement {
    entity: &'static Entity,
    postgres: bool,
    measured: MeasuredOn,
    args: Vec<Value<'static>>,
    joins: String,
    sorts: Vec<Sort>,
}

impl Statement {
    fn new(entity: &'static Entity, postgres: bool, measured: MeasuredOn) -> Self {
        Self { entity, postgres, measured, args: Vec::new(), joins: String::new(), sorts: Vec::new() }
    }

    /// Whether a metric was measured on a dataset.
    fn on(&mut self, table: &str, dataset: &ModelDataset) -> String {
        let mut conditions = Vec::new();
        for (column, wanted) in [("dataset_name", &dataset.name), ("dataset_digest", &dataset.digest)] {
            if let Some(wanted) = wanted {
                conditions.push(format!("{table}.{column} = {}", self.bind(wanted.clone())));
            }
        }
        if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") }
    }

    /// Whether a metric was measured on one of those that the search names.
    fn on_any(&mut self) -> String {
        let datasets = std::mem::take(&mut self.measured.filter);
        let each: Vec<String> = datasets.iter().map(|dataset| self.on("value", dataset)).collect();
        self.measured.filter = datasets;
        if each.is_empty() { "1 = 1".to_owned() } else { format!("({})", each.join(" OR ")) }
    }

    /// Binds a value and gives its placeholder.
    fn bind(&mut self, value: impl Into<Value<'static>>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    fn compile(&mut self, query: &Query) -> Result<String, MetastoreError> {
        let mut conditions = Vec::new();
        if self.entity.in_experiments && !query.everywhere {
            let ids: Vec<String> = query.experiments.iter().map(|id| self.bind(*id)).collect();
            if ids.is_empty() {
                conditions.push("1 = 0".to_owned());
            } else {
                conditions.push(format!("this.experiment_id IN ({})", ids.join(", ")));
            }
        }
        match query.view {
            View::Active => conditions.push("this.lifecycle = 'active'".to_owned()),
            View::Deleted => conditions.push("this.lifecycle = 'deleted'".to_owned()),
            View::All => {}
        }
        conditions.push(self.filter(&query.filter)?);
        if !(self.measured.filter.is_empty() || query.filter.has_metric()) {
            let (table, owner, on) = (self.entity.metrics, self.entity.owner, self.on_any());
            conditions.push(format!(
                "EXISTS (SELECT 1 FROM {table} AS value WHERE value.{owner} = this.id AND {on})"
            ));
        }
        for (number, order) in query.order.iter().enumerate() {
            self.order(number, order)?;
        }
        for (column, kind, ascending) in self.entity.ties {
            self.sorts.push(((*column).to_owned(), *kind, *ascending));
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
                format!("{}{} {direction}", expression, self.collation(*kind))
            })
            .collect();
        let (select, from, joins) = (self.entity.select, self.entity.from, &self.joins);
        let (filter, order) = (conditions.join(" AND "), order.join(", "));
        let limit = query.limit.max(1) + 1;
        Ok(format!("{select}{keys} FROM {from}{joins} WHERE {filter} ORDER BY {order} LIMIT {limit}"))
    }

    /// Texts are compared by their bytes on both databases.
    fn collation(&self, kind: Kind) -> &'static str {
        if self.postgres && kind == Kind::Text { " COLLATE \"C\"" } else { "" }
    }

    fn column(&self, attribute: Attribute) -> Result<(&'static str, Kind), MetastoreError> {
        (self.entity.column)(attribute)
            .ok_or_else(|| MetastoreError::stale(format!("{attribute:?} is no attribute here")))
    }

    fn filter(&mut self, filter: &Filter) -> Result<String, MetastoreError> {
        let (parts, word, nothing) = match filter {
            Filter::Clause(clause) => return self.clause(clause),
            Filter::All(parts) => (parts, " AND ", "1 = 1"),
            Filter::Any(parts) => (parts, " OR ", "1 = 0"),
        };
        let parts = parts.iter().map(|part| self.filter(part)).collect::<Result<Vec<_>, _>>()?;
        Ok(if parts.is_empty() { nothing.to_owned() } else { format!("({})", parts.join(word)) })
    }

    fn clause(&mut self, clause: &Clause) -> Result<String, MetastoreError> {
        let owner = self.entity.owner;
        let (table, expression, named) = match &clause.field {
            Field::Attribute(attribute) => return self.of_column(*attribute, &clause.condition),
            Field::Metric(name) => {
                let name = self.bind(name.clone());
                // "Not a number" is unlike every number and neither smaller nor greater.
                let nan = match clause.condition {
                    Condition::Number(Compare::NotEqual, _) | Condition::NumberIn { negated: true, .. } => {
                        "1 = 1"
                    }
                    Condition::Null | Condition::NotNull => "1 = 1",
                    _ => "value.is_nan = 0",
                };
                let on = self.on_any();
                (self.entity.metrics, "value.number", format!(" AND value.name = {name} AND {nan} AND {on}"))
            }
            Field::Param(name) | Field::Tag(name) => {
                let family = if matches!(clause.field, Field::Tag(_)) { "tag" } else { "param" };
                let name = self.bind(name.clone());
                let named = format!(" AND value.family = '{family}' AND value.name = {name}");
                (self.entity.texts, "value.content", named)
            }
            Field::Dataset(_) => return Err(MetastoreError::stale("only runs read datasets")),
        };
        let id = "this.id";
        let exists = format!("EXISTS (SELECT 1 FROM {table} AS value WHERE value.{owner} = {id}{named}");
        Ok(match &clause.condition {
            Condition::Null => format!("NOT {exists})"),
            Condition::NotNull => format!("{exists})"),
            // A NaN is stored as 0, which `!= 0` would leave out.
            Condition::Number(Compare::NotEqual, number) => {
                let number = self.bind(*number);
                format!("{exists} AND (value.is_nan = 1 OR {expression} <> {number}))")
            }
            condition => {
                format!("{exists} AND {})", in_sql(self.postgres, expression, condition, &mut self.args))
            }
        })
    }

    fn of_column(&mut self, attribute: Attribute, condition: &Condition) -> Result<String, MetastoreError> {
        let (expression, _) = self.column(attribute)?;
        Ok(match condition {
            Condition::Null => format!("{expression} IS NULL"),
            Condition::NotNull => format!("{expression} IS NOT NULL"),
            condition => in_sql(self.postgres, &format!("({expression})"), condition, &mut self.args),
        })
    }

    fn order(&mut self, number: usize, order: &Order) -> Result<(), MetastoreError> {
        let alias = format!("by_{number}");
        let owner = self.entity.owner;
        let (rank, value, kind) = match &order.field {
            Field::Metric(name) => {
                let name = self.bind(name.clone());
                let table = self.entity.metrics;
                let dataset = self.measured.orders.get(number).cloned().unwrap_or_default();
                let on = self.on("value", &dataset);
                // A model may have a metric on several datasets and of several runs; the one that was logged last counts, as in MLflow.
                self.joins += &format!(
                    " LEFT JOIN (SELECT value.{owner}, value.number, value.is_nan, ROW_NUMBER() OVER (PARTITION BY value.{owner} \
                     ORDER BY value.logged_at DESC, value.step DESC, value.run_id) AS place FROM {table} AS value \
                     WHERE value.name = {name} AND {on}) AS {alias} ON {alias}.{owner} = this.id AND {alias}.place = 1"
                );
                let missing = format!("{alias}.number IS NULL");
                let rank = format!("CASE WHEN {missing} THEN 2 WHEN {alias}.is_nan = 1 THEN 1 ELSE 0 END");
                (rank, format!("COALESCE({alias}.number, 0.0)"), Kind::Real)
            }
            Field::Param(name) | Field::Tag(name) => {
                let family = if matches!(order.field, Field::Tag(_)) { "tag" } else { "param" };
                let name = self.bind(name.clone());
                let table = self.entity.texts;
                self.joins += &format!(
                    " LEFT JOIN {table} AS {alias} ON {alias}.{owner} = this.id AND {alias}.family = '{family}' AND {alias}.name = {name}"
                );
                let rank = format!("CASE WHEN {alias}.content IS NULL THEN 2 ELSE 0 END");
                (rank, format!("COALESCE({alias}.content, '')"), Kind::Text)
            }
            Field::Dataset(_) => return Err(MetastoreError::stale("nothing is sorted by datasets")),
            Field::Attribute(attribute) => {
                let (column, kind) = self.column(*attribute)?;
                let empty = if kind == Kind::Text { "''" } else { "0" };
                let rank = format!("CASE WHEN {column} IS NULL THEN 2 ELSE 0 END");
                (rank, format!("COALESCE({column}, {empty})"), kind)
            }
        };
        self.sorts.push((format!("CAST({rank} AS BIGINT)"), Kind::Int, true));
        self.sorts.push((value, kind, order.ascending));
        Ok(())
    }

    /// Rows after the cursor: the first key is beyond, or it is the same and the second is beyond, and so on.
    fn beyond(&mut self, cursor: &[Key]) -> Result<String, MetastoreError> {
        let foreign = || MetastoreError::from(Refusal::ForeignToken);
        if cursor.len() != self.sorts.len() {
            return Err(foreign());
        }
        let (mut alternatives, mut same) = (Vec::new(), String::new());
        for (key, (expression, kind, ascending)) in cursor.iter().zip(self.sorts.clone()) {
            let value = match (key, kind) {
                (Key::Int(value), Kind::Int) => self.bind(*value),
                (Key::Real(value), Kind::Real) => self.bind(*value),
                (Key::Text(value), Kind::Text) => self.bind(value.clone()),
                _ => return Err(foreign()),
            };
            let side = if ascending { ">" } else { "<" };
            let collation = self.collation(kind);
            alternatives.push(format!("({same}{expression}{collation} {side} {value})"));
            same += &format!("{expression} = {value} AND ");
        }
        Ok(format!("({})", alternatives.join(" OR ")))
    }
}

fn cursor_at(row: &Row, sorts: &[Sort]) -> Result<Cursor, MetastoreError> {
    sorts
        .iter()
        .enumerate()
        .map(|(number, (_, kind, _))| {
            let column = format!("sort_{number}");
            Ok(match kind {
                Kind::Int => Key::Int(row.int(&column)?),
                Kind::Real => Key::Real(row.real(&column)?),
                Kind::Text => Key::Text(row.text(&column)?),
            })
        })
        .collect()
}
