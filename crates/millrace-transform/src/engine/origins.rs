//! Which columns of which tables the columns of a query come from, as its plan says before anything is optimised.
//!
//! What a plan has that nobody here can see through makes the whole unknown: half a lineage would be taken for all of it.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan, TableScan, UNNAMED_TABLE};
use indexmap::IndexMap;
use millrace_contract::{AssetKey, ColumnLineage, ColumnOrigin, ColumnUse};

use super::foreign::Name;
use super::shared::Shared;

/// More origins than these are not told: such a table is wider than anybody looks at.
const MOST: usize = 5_000;

/// A column of a table of the session, and what is done with it.
type Origin = (Table, String, ColumnUse);

/// A table: one of the session's by its name, or one of another system as `connection:table`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Own(String),
    Foreign(String),
}

/// Of each column of a plan what it is made of, and what says which rows there are.
struct Known {
    columns: Vec<BTreeSet<Origin>>,
    rows: BTreeSet<Origin>,
}

/// The lineage of a dataset that gets the rows of `plan`; `None` if it is not known. `tables` is what each table of the session is.
pub(crate) fn lineage(
    plan: &LogicalPlan,
    dataset: &str,
    tables: &dyn Fn(&str) -> Option<AssetKey>,
) -> Option<ColumnLineage> {
    let known = of(plan)?;
    let told = |origins: &BTreeSet<Origin>| -> Option<Vec<ColumnOrigin>> {
        let mut told = Vec::with_capacity(origins.len());
        for (table, column, use_as) in origins {
            let of = match table {
                Table::Own(name) => tables(name)?,
                Table::Foreign(name) => {
                    AssetKey { kind: "source".to_owned(), name: name.clone(), version: 0 }
                }
            };
            told.push(ColumnOrigin { of, column: column.clone(), use_as: *use_as });
        }
        Some(told)
    };
    let fields = plan.schema().fields();
    if fields.len() != known.columns.len() || known.columns.iter().map(BTreeSet::len).sum::<usize>() > MOST {
        return None;
    }
    let columns = fields.iter().zip(&known.columns);
    let columns: Option<IndexMap<String, Vec<ColumnOrigin>>> =
        columns.map(|(field, origins)| Some((field.name().clone(), told(origins)?))).collect();
    Some(ColumnLineage { dataset: dataset.to_owned(), columns: columns?, rows: told(&known.rows)? })
}

fn of(plan: &LogicalPlan) -> Option<Known> {
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan),
        LogicalPlan::Projection(projection) => {
            let input = of(&projection.input)?;
            made(&projection.expr, projection.input.schema(), input, ColumnUse::Transformation)
        }
        LogicalPlan::Window(window) => {
            let input = of(&window.input)?;
            let own = Known { columns: input.columns.clone(), rows: BTreeSet::new() };
            let own = made(&window.window_expr, window.input.schema(), own, ColumnUse::Aggregation)?;
            let mut known = input;
            known.columns.extend(own.columns);
            known.rows.extend(own.rows);
            Some(known)
        }
        LogicalPlan::Aggregate(aggregate) => aggregated(aggregate),
        LogicalPlan::Filter(filter) => {
            let input = of(&filter.input)?;
            chosen(input, std::slice::from_ref(&filter.predicate), filter.input.schema(), ColumnUse::Filter)
        }
        LogicalPlan::Sort(sort) => {
            let keys: Vec<Expr> = sort.expr.iter().map(|key| key.expr.clone()).collect();
            chosen(of(&sort.input)?, &keys, sort.input.schema(), ColumnUse::Sort)
        }
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Union(union) => {
            let mut inputs = union.inputs.iter().map(|input| of(input));
            let mut known = inputs.next()??;
            for input in inputs {
                let input = input?;
                if input.columns.len() != known.columns.len() {
                    return None;
                }
                for (column, more) in known.columns.iter_mut().zip(input.columns) {
                    column.extend(more);
                }
                known.rows.extend(input.rows);
            }
            Some(known)
        }
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let input = of(&on.input)?;
            let known = made(&on.select_expr, on.input.schema(), input.copy(), ColumnUse::Transformation)?;
            let by = chosen(input, &on.on_expr, on.input.schema(), ColumnUse::GroupBy)?;
            Some(Known { columns: known.columns, rows: known.rows.into_iter().chain(by.rows).collect() })
        }
        LogicalPlan::Distinct(Distinct::All(input)) => of(input),
        LogicalPlan::Unnest(unnest) => {
            let input = of(&unnest.input)?;
            let from = unnest.dependency_indices.iter();
            let columns = from.map(|from| Some(retold(input.columns.get(*from)?, ColumnUse::Transformation)));
            Some(Known { columns: columns.collect::<Option<_>>()?, rows: input.rows })
        }
        LogicalPlan::SubqueryAlias(alias) => Some(of(&alias.input)?.named(alias.alias.table())),
        LogicalPlan::Subquery(subquery) => of(&subquery.subquery),
        LogicalPlan::Limit(limit) => of(&limit.input),
        LogicalPlan::Repartition(repartition) => of(&repartition.input),
        // Marks of nodes pass their rows on.
        LogicalPlan::Extension(extension) => match extension.node.inputs().as_slice() {
            [input] if extension.node.name() == "Mark" => of(input),
            _ => None,
        },
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            let columns = vec![BTreeSet::new(); plan.schema().fields().len()];
            Some(Known { columns, rows: BTreeSet::new() })
        }
        _ => None,
    }
}

impl Known {
    fn copy(&self) -> Self {
        Self { columns: self.columns.clone(), rows: self.rows.clone() }
    }

    /// Tables that are read without a name of their own, files, have that of what stands around them.
    fn named(self, name: &str) -> Self {
        let told = |origins: BTreeSet<Origin>| -> BTreeSet<Origin> {
            let told = |(table, column, use_as): Origin| match table {
                Table::Own(own) if own == UNNAMED_TABLE => (Table::Own(name.to_owned()), column, use_as),
                table => (table, column, use_as),
            };
            origins.into_iter().map(told).collect()
        };
        Self { columns: self.columns.into_iter().map(&told).collect(), rows: told(self.rows) }
    }
}

/// A table, or what stands behind a view.
fn scanned(scan: &TableScan) -> Option<Known> {
    let columns = |columns: Vec<BTreeSet<Origin>>| match &scan.projection {
        Some(taken) => taken.iter().map(|at| columns.get(*at).cloned()).collect::<Option<Vec<_>>>(),
        None => Some(columns),
    };
    let shared = source_as_provider(&scan.source).ok();
    let shared =
        shared.as_ref().and_then(|provider| provider.downcast_ref::<Shared>()).map(Shared::whole_plan);
    let view = scan.source.get_logical_plan();
    let known = match (shared, view.as_deref()) {
        (Some(plan), _) | (None, Some(plan)) => of(plan)?,
        (None, None) => {
            let table = match Name::of(&scan.table_name) {
                Some(Name { connection, table }) => Table::Foreign(format!("{connection}:{table}")),
                None => Table::Own(scan.table_name.table().to_owned()),
            };
            let schema = scan.source.schema();
            let own = |name: &String| BTreeSet::from([(table.clone(), name.clone(), ColumnUse::Identity)]);
            let columns = schema.fields().iter().map(|field| own(field.name())).collect();
            Known { columns, rows: BTreeSet::new() }
        }
    };
    let known = Known { columns: columns(known.columns)?, rows: known.rows };
    chosen(known, &scan.filters, &scan.projected_schema, ColumnUse::Filter)
}

fn aggregated(aggregate: &Aggregate) -> Option<Known> {
    let schema = aggregate.input.schema();
    let input = of(&aggregate.input)?;
    let groups: Vec<Expr> =
        grouping_set_to_exprlist(&aggregate.group_expr).ok()?.into_iter().cloned().collect();
    let keys = made(&groups, schema, input.copy(), ColumnUse::Transformation)?;
    let values = made(&aggregate.aggr_expr, schema, input.copy(), ColumnUse::Aggregation)?;
    let by = chosen(input, &groups, schema, ColumnUse::GroupBy)?;
    // Several sets of groups have a column that says which one a row is of.
    let more = aggregate.schema.fields().len().checked_sub(keys.columns.len() + values.columns.len())?;
    let sets = std::iter::repeat_n(BTreeSet::new(), more);
    let columns = keys.columns.into_iter().chain(sets).chain(values.columns).collect();
    Some(Known { columns, rows: by.rows.into_iter().chain(keys.rows).chain(values.rows).collect() })
}

fn joined(join: &Join) -> Option<Known> {
    let (left, right) = (of(&join.left)?, of(&join.right)?);
    let mut rows: BTreeSet<Origin> = left.rows.iter().chain(&right.rows).cloned().collect();
    for (ours, theirs) in &join.on {
        rows.extend(named(ours, join.left.schema(), &left.columns, ColumnUse::Join)?);
        rows.extend(named(theirs, join.right.schema(), &right.columns, ColumnUse::Join)?);
    }
    if let Some(filter) = &join.filter {
        let both = join.left.schema().join(join.right.schema()).ok()?;
        let columns: Vec<_> = left.columns.iter().chain(&right.columns).cloned().collect();
        rows.extend(named(filter, &both, &columns, ColumnUse::Join)?);
    }
    let columns = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            left.columns.into_iter().chain(right.columns).collect()
        }
        JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
        JoinType::RightSemi | JoinType::RightAnti => right.columns,
        _ => return None,
    };
    Some(Known { columns, rows })
}

/// Columns that expressions make of an input.
fn made(expressions: &[Expr], schema: &DFSchema, input: Known, use_as: ColumnUse) -> Option<Known> {
    let mut rows = input.rows;
    let mut columns = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let plain = plain_column(expression).and_then(|column| schema.maybe_index_of_column(column));
        columns.push(match plain {
            Some(at) => input.columns.get(at)?.clone(),
            None => {
                let (values, decide): (BTreeSet<Origin>, BTreeSet<Origin>) =
                    named(expression, schema, &input.columns, use_as)?
                        .into_iter()
                        .partition(|(.., use_as)| use_as.is_direct());
                rows.extend(decide);
                values
            }
        });
    }
    Some(Known { columns, rows })
}

/// An input whose rows are chosen, or put into order, by expressions.
fn chosen(mut input: Known, by: &[Expr], schema: &DFSchema, use_as: ColumnUse) -> Option<Known> {
    for expression in by {
        let named = named(expression, schema, &input.columns, use_as)?;
        input.rows.extend(named);
    }
    Some(input)
}

/// A column under its own name or another.
fn plain_column(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => plain_column(&alias.expr),
        _ => None,
    }
}

/// The columns that an expression names, its queries included.
fn named(
    expression: &Expr,
    schema: &DFSchema,
    columns: &[BTreeSet<Origin>],
    use_as: ColumnUse,
) -> Option<BTreeSet<Origin>> {
    let mut found = BTreeSet::new();
    let mut unknown = false;
    let walked = expression.apply(|node| {
        let inner = match node {
            Expr::Column(column) => {
                let origins = schema.maybe_index_of_column(column).and_then(|at| columns.get(at));
                match origins {
                    Some(origins) => found.extend(retold(origins, use_as)),
                    // Of a query around this one.
                    None => unknown = true,
                }
                None
            }
            Expr::ScalarSubquery(query) => Some((&query.subquery, use_as)),
            Expr::InSubquery(query) => Some((&query.subquery.subquery, ColumnUse::Filter)),
            Expr::Exists(query) => Some((&query.subquery.subquery, ColumnUse::Filter)),
            _ => None,
        };
        if let Some((plan, use_as)) = inner {
            match of(plan) {
                Some(known) => {
                    found.extend(known.columns.iter().flat_map(|origins| retold(origins, use_as)));
                    found.extend(known.rows);
                }
                None => unknown = true,
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    (walked.is_ok() && !unknown).then_some(found)
}

/// The same columns in another use; who is one of several rows' stays so.
fn retold(origins: &BTreeSet<Origin>, use_as: ColumnUse) -> BTreeSet<Origin> {
    let told = |before: ColumnUse| match (before, use_as) {
        (ColumnUse::Aggregation, ColumnUse::Transformation) => ColumnUse::Aggregation,
        _ => use_as,
    };
    origins.iter().map(|(table, column, before)| (table.clone(), column.clone(), told(*before))).collect()
}
