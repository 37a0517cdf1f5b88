//! What a search of runs, experiments and logged models says: clauses, orders, where a page begins.

/// A column that can be searched; not every entity has each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the columns")]
pub enum Attribute {
    Id,
    Name,
    Status,
    UserId,
    ArtifactUri,
    StartTime,
    EndTime,
    ExperimentId,
    CreatedAt,
    UpdatedAt,
    ModelType,
    SourceRunId,
    ParentId,
}

/// What a clause compares or an order sorts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A column.
    Attribute(Attribute),
    /// Latest value of a metric.
    Metric(String),
    /// A parameter.
    Param(String),
    /// A tag.
    Tag(String),
    /// Column of a dataset that was read: `name`, `digest` or `context`.
    Dataset(&'static str),
}

/// A comparison of ordered values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the operators")]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What must hold of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Of a number.
    Number(Compare, f64),
    /// Of a text.
    Text(Compare, String),
    /// `%` and `_` stand for anything.
    Like {
        /// The pattern.
        pattern: String,
        /// Whether upper and lower case are the same.
        any_case: bool,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// One of these numbers, or none.
    NumberIn {
        /// The values.
        values: Vec<f64>,
        /// `NOT IN`.
        negated: bool,
    },
    /// One of these, or none.
    In {
        /// The values.
        values: Vec<String>,
        /// `NOT IN`.
        negated: bool,
    },
    /// Absent.
    Null,
    /// There.
    NotNull,
}

/// What must hold of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these; without any, everything.
    All(Vec<Filter>),
    /// One of these at least.
    Any(Vec<Filter>),
    /// This.
    Clause(Clause),
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// Whether it leaves nothing out.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(parts) if parts.iter().all(Self::is_empty))
    }

    /// Whether a clause is about a metric.
    pub fn has_metric(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_metric),
            Self::Clause(clause) => matches!(clause.field, Field::Metric(_)),
        }
    }

    /// Shows every clause, to be changed.
    pub fn for_each_mut(&mut self, change: &mut impl FnMut(&mut Clause)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter_mut().for_each(|part| part.for_each_mut(change))
            }
            Self::Clause(clause) => change(clause),
        }
    }
}

impl From<Clause> for Filter {
    fn from(clause: Clause) -> Self {
        Self::Clause(clause)
    }
}

/// A part of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What is compared.
    pub field: Field,
    /// With what.
    pub condition: Condition,
}

/// A sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub field: Field,
    /// Smallest first.
    pub ascending: bool,
}

/// Which of the deleted and the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// Not deleted.
    #[default]
    Active,
    /// Deleted.
    Deleted,
    /// Both.
    All,
}

/// A value of a sort key.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the words are the types")]
pub enum Key {
    Int(i64),
    Real(f64),
    Text(String),
}

/// The sort keys of the last row that was given.
pub type Cursor = Vec<Key>;

/// A dataset that models are measured on; a part that is absent may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelDataset {
    /// Its name.
    pub name: Option<String>,
    /// Its digest.
    pub digest: Option<String>,
}

/// On which datasets the metrics of a search of logged models were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeasuredOn {
    /// Clauses of the filter look at these only, and a model must have been measured on one of them; none is all.
    pub filter: Vec<ModelDataset>,
    /// For each order in turn; an order without one looks at all.
    pub orders: Vec<ModelDataset>,
}

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only in these experiments; ignored for experiments themselves.
    pub experiments: Vec<i64>,
    /// In all experiments, whichever are named.
    pub everywhere: bool,
    /// What must hold.
    pub filter: Filter,
    /// The first decides first.
    pub order: Vec<Order>,
    /// Deleted or not.
    pub view: View,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Rows at most.
    pub limit: i64,
}
