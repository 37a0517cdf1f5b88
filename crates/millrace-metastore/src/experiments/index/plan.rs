//! From a query's words to columns and tests on them.

use crate::{MetastoreError, Session, Value};

use super::super::condition::in_sql;
use super::super::document::Measure;
use super::super::query::{Attribute, Clause, Condition, Field, Filter, Query, View};
use super::super::{Keys, NAME_TAG, PARENT_TAG};
use super::ColumnId;
use super::rows::RowSet;

/// A query whose names were looked up.
#[derive(Debug)]
pub(super) struct Plan {
    /// `None` for all of them.
    pub(super) experiments: Option<Vec<i64>>,
    pub(super) view: View,
    pub(super) test: Test,
    pub(super) sorts: Vec<Sort>,
}

/// What must hold of a run.
#[derive(Debug)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Numbers(ColumnId, Condition),
    Texts(ColumnId, Condition),
    Time(Time, Condition),
    Experiment(Condition),
    /// It is one of these, which the database knew.
    OneOf(RowSet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    Started,
    Ended,
}

/// A sort key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    pub(super) by: By,
    pub(super) ascending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Numbers(ColumnId),
    Texts(ColumnId),
    Time(Time),
    Experiment,
    /// The run's id, as far as ties are decided by it.
    Id,
    /// A metric, parameter or tag that no run has.
    Nothing(Holds),
}

/// What a sort key's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Number,
    Text,
}

impl Plan {
    /// The columns that it looks at.
    pub(super) fn columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        self.test.columns(&mut columns);
        for sort in &self.sorts {
            if let By::Numbers(id) | By::Texts(id) = sort.by {
                columns.push(id);
            }
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

impl Test {
    fn columns(&self, columns: &mut Vec<ColumnId>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.columns(columns)),
            Self::Numbers(id, _) | Self::Texts(id, _) => columns.push(*id),
            Self::Time(..) | Self::Experiment(_) | Self::OneOf(_) => {}
        }
    }

    /// Holds of every run, or of none.
    fn constant(holds: bool) -> Self {
        if holds { Self::All(Vec::new()) } else { Self::Any(Vec::new()) }
    }
}

/// Looks up the names of a query.
///
/// # Errors
/// If the database fails.
pub(super) async fn plan(session: &mut Session, keys: &Keys, query: &Query) -> Result<Plan, MetastoreError> {
    let mut sorts = Vec::with_capacity(query.order.len());
    for order in &query.order {
        sorts.push(Sort { by: by(session, keys, &order.field).await?, ascending: order.ascending });
    }
    Ok(Plan {
        experiments: (!query.everywhere).then(|| query.experiments.clone()),
        view: query.view,
        test: test(session, keys, &query.filter).await?,
        sorts,
    })
}

fn test<'a>(
    session: &'a mut Session,
    keys: &'a Keys,
    filter: &'a Filter,
) -> futures::future::BoxFuture<'a, Result<Test, MetastoreError>> {
    Box::pin(async move {
        let (Filter::All(parts) | Filter::Any(parts)) = filter else {
            let Filter::Clause(clause) = filter else { return Ok(Test::constant(true)) };
            return test_of(session, keys, clause).await;
        };
        let mut tests = Vec::with_capacity(parts.len());
        for part in parts {
            tests.push(test(session, keys, part).await?);
        }
        Ok(if matches!(filter, Filter::All(_)) { Test::All(tests) } else { Test::Any(tests) })
    })
}

async fn test_of(session: &mut Session, keys: &Keys, clause: &Clause) -> Result<Test, MetastoreError> {
    let condition = clause.condition.clone();
    Ok(match &clause.field {
        Field::Attribute(Attribute::Id | Attribute::ArtifactUri) | Field::Dataset(_) => {
            Test::OneOf(asked(session, clause).await?)
        }
        Field::Attribute(Attribute::StartTime) => Test::Time(Time::Started, condition),
        Field::Attribute(Attribute::EndTime) => Test::Time(Time::Ended, condition),
        Field::Attribute(Attribute::ExperimentId) => Test::Experiment(condition),
        field => match by(session, keys, field).await? {
            By::Numbers(id) => Test::Numbers(id, condition),
            By::Texts(id) => Test::Texts(id, condition),
            _ => Test::constant(condition == Condition::Null),
        },
    })
}

async fn by(session: &mut Session, keys: &Keys, field: &Field) -> Result<By, MetastoreError> {
    Ok(match field {
        Field::Metric(name) => match metric(session, keys, name).await? {
            Some((key, measure)) => By::Numbers(ColumnId::Metric(key, measure)),
            None => By::Nothing(Holds::Number),
        },
        Field::Tag(name) if name == NAME_TAG => By::Texts(ColumnId::Name),
        Field::Tag(name) if name == PARENT_TAG => By::Texts(ColumnId::Parent),
        Field::Tag(name) => keys
            .id(session, name)
            .await?
            .map_or(By::Nothing(Holds::Text), |key| By::Texts(ColumnId::Tag(key))),
        Field::Param(name) => keys
            .id(session, name)
            .await?
            .map_or(By::Nothing(Holds::Text), |key| By::Texts(ColumnId::Param(key))),
        Field::Attribute(attribute) => match attribute {
            Attribute::Name => By::Texts(ColumnId::Name),
            Attribute::Status => By::Texts(ColumnId::Status),
            Attribute::UserId => By::Texts(ColumnId::User),
            Attribute::ParentId => By::Texts(ColumnId::Parent),
            Attribute::StartTime => By::Time(Time::Started),
            Attribute::EndTime => By::Time(Time::Ended),
            Attribute::ExperimentId => By::Experiment,
            // The address of a run's files ends with its id.
            Attribute::Id | Attribute::ArtifactUri => By::Id,
            other => return Err(MetastoreError::stale(format!("{other:?} is no attribute of a run"))),
        },
        Field::Dataset(_) => return Err(MetastoreError::stale("runs are not sorted by datasets")),
    })
}

/// A metric by its name or, where no metric has it, a measure of another one: `loss.min`.
async fn metric(
    session: &mut Session,
    keys: &Keys,
    name: &str,
) -> Result<Option<(u32, Measure)>, MetastoreError> {
    if let Some(key) = keys.id(session, name).await? {
        return Ok(Some((key, Measure::Latest)));
    }
    let Some((name, word)) = name.rsplit_once('.') else { return Ok(None) };
    let measure = match word {
        "last" => Measure::Latest,
        "min" => Measure::Min,
        "max" => Measure::Max,
        "first" => Measure::First,
        "mean" => Measure::Mean,
        _ => return Ok(None),
    };
    Ok(keys.id(session, name).await?.map(|key| (key, measure)))
}

/// Runs of a clause that only the database can decide; such clauses name few runs.
async fn asked(session: &mut Session, clause: &Clause) -> Result<RowSet, MetastoreError> {
    const URI: &str = "COALESCE(experiment.artifact_location || '/' || this.id || '/artifacts', 'mlflow-artifacts:/' || this.id)";
    let from =
        "SELECT this.number FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id";
    let (expression, within) = match &clause.field {
        Field::Dataset(column) => (
            match *column {
                "digest" => "value.digest",
                "context" => "value.context",
                _ => "value.name",
            },
            Some("EXISTS (SELECT 1 FROM tracked_input AS value WHERE value.run_id = this.id AND "),
        ),
        Field::Attribute(Attribute::Id) => ("this.id", None),
        _ => (URI, None),
    };
    let mut args: Vec<Value<'static>> = Vec::new();
    let condition = in_sql(session.is_postgres(), expression, &clause.condition, &mut args);
    let filter = match (&clause.condition, within) {
        (Condition::Null, Some(_)) => {
            "NOT EXISTS (SELECT 1 FROM tracked_input AS value WHERE value.run_id = this.id)".to_owned()
        }
        (_, Some(within)) => format!("{within}{condition})"),
        (_, None) => condition,
    };
    let mut found = RowSet::default();
    for row in session.fetch_all(&format!("{from} WHERE {filter}"), &args).await? {
        found.insert(usize::try_from(row.int("number")?).unwrap_or_default());
    }
    Ok(found)
}
