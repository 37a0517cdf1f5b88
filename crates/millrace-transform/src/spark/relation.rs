//! Relations: each node's plan as common table expressions, one after the other.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, JoinType, NullEquality, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Join, Limit, Projection, Sort, Union, Values, Window,
};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use indexmap::IndexMap;

use super::expression::Scope;
use super::select::{Items, Open, indented, named, select, unique};
use super::{Translated, Untranslated, quoted};
use crate::engine::failure::words;
use crate::engine::types;

/// Common table expressions as they were written so far.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    expressions: Vec<Named>,
    /// What tables of the session are called in the SQL.
    tables: IndexMap<String, String>,
    /// The name of what is being written.
    current: String,
}

/// One of them.
#[derive(Debug)]
struct Named {
    name: String,
    sql: String,
    reads: Vec<String>,
}

impl Writer {
    /// Makes a view of the engine known under the name that a table has in the session. `select` is what is read of it, `None` if all is.
    pub(crate) fn input(&mut self, table: &str, view: &str, select: Option<String>) {
        match select {
            None => {
                self.tables.insert(table.to_owned(), view.to_owned());
            }
            Some(sql) => {
                let name = self.free(&format!("{view}_rows"));
                self.expressions.push(Named { name: name.clone(), sql, reads: Vec::new() });
                self.tables.insert(table.to_owned(), name);
            }
        }
    }

    /// A name for a view over there that nothing has yet.
    pub(crate) fn free(&self, wanted: &str) -> String {
        let plain: String = wanted
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
            .collect();
        let plain = match plain.trim_matches('_') {
            "" => "rows_of".to_owned(),
            named if named.starts_with(|first: char| first.is_ascii_digit()) => format!("n{named}"),
            named => named.to_owned(),
        };
        let is_free = |name: &String| {
            !self.expressions.iter().any(|known| known.name == *name)
                && !self.tables.values().any(|known| known == name)
        };
        if is_free(&plain) && !RESERVED.contains(&plain.as_str()) {
            return plain;
        }
        let mut numbered = (1..).map(|number| format!("{plain}_{number}"));
        numbered.find(is_free).unwrap_or(plain)
    }

    /// Writes the query of a table of the session, which other queries may read by its name from now on.
    pub(crate) fn table(
        &mut self,
        name: &str,
        plan: LogicalPlan,
        state: &SessionState,
    ) -> Result<SchemaRef, Untranslated> {
        let (last, schema) = self.write(name, plan, state)?;
        self.tables.insert(name.to_owned(), last);
        Ok(schema)
    }

    /// A whole statement that gives the rows of a table of the session.
    pub(crate) fn statement(&self, table: &str, schema: &SchemaRef) -> Translated {
        let name = self
            .tables
            .get(table)
            .ok_or_else(|| Untranslated::new(format!("there is no table `{table}`")))?;
        Ok(self.whole(name, schema))
    }

    /// A whole statement that answers a question about tables of the session.
    pub(crate) fn question(
        &mut self,
        of: &str,
        plan: LogicalPlan,
        state: &SessionState,
    ) -> Result<(String, SchemaRef), Untranslated> {
        let (name, schema) = self.write(&format!("{of}_asks"), plan, state)?;
        Ok((self.whole(&name, &schema), schema))
    }

    fn whole(&self, name: &str, schema: &SchemaRef) -> String {
        let mut wanted = vec![name.to_owned()];
        for known in self.expressions.iter().rev() {
            if wanted.contains(&known.name) {
                wanted.extend(known.reads.iter().cloned());
            }
        }
        let used = self.expressions.iter().filter(|known| wanted.contains(&known.name));
        let chain: Vec<String> =
            used.map(|known| format!("{} as (\n{}\n)", known.name, indented(&known.sql))).collect();
        let columns: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        let with = if chain.is_empty() { String::new() } else { format!("with {}\n", chain.join(",\n")) };
        format!("{with}select {} from {name}", columns.join(", "))
    }

    /// Writes a plan and gives back the name of its last expression, and its columns.
    fn write(
        &mut self,
        name: &str,
        plan: LogicalPlan,
        state: &SessionState,
    ) -> Result<(String, SchemaRef), Untranslated> {
        self.current = self.free(name);
        let first = self.expressions.len();
        let plan = resolved(plan, state)?;
        let open = self.relation(&plan)?;
        let schema = plan.schema();
        let columns = types::plain_schema(schema.as_arrow());
        let mut names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            let message =
                format!("two columns are called `{}`", pair.first().map_or("", |name| name.as_str()));
            return Err(Untranslated::new(message).hinted("give one of them another name with `as`"));
        }
        // What was just written gets the name itself, if nothing is left to do.
        let fresh = self.expressions.len() > first;
        if let Some(last) = self.expressions.last_mut()
            && fresh
            && open.is_table()
            && open.from == last.name
            && open.has_names_of(schema)
        {
            last.name.clone_from(&self.current);
            return Ok((self.current.clone(), columns));
        }
        let items = named(&open.columns, schema);
        Ok((self.close(&open, &items, "", true), columns))
    }

    fn relation(&mut self, plan: &LogicalPlan) -> Result<Open, Untranslated> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(&scan.table_name, &scan.projected_schema),
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input),
            LogicalPlan::Subquery(subquery) => self.relation(&subquery.subquery),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => {
                let mut open = self.unordered(&filter.input)?;
                let condition =
                    Scope::of(filter.input.schema(), &open.columns).expression(&filter.predicate)?;
                open.conditions.push(condition);
                Ok(open)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let open = self.unordered(input)?;
                let items = named(&open.columns, input.schema());
                let select = Items { distinct: true, ..items };
                Ok(self.closed(&open, &select, "", plan.schema()))
            }
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
                Ok(Open { reads: Vec::new(), ..Open::over("", Vec::new()) })
            }
            LogicalPlan::Values(values) => values_of(values),
            LogicalPlan::Unnest(_) => Err(Untranslated::new("lists that are unrolled into rows (`unnest`)")
                .hinted("run that part with the local engine")),
            other => {
                let word = other.display().to_string();
                let word = word.split([':', ' ']).next().unwrap_or_default().to_lowercase();
                Err(Untranslated::new(format!("`{word}` is not translated")))
            }
        }
    }

    fn scan(&self, table: &TableReference, schema: &DFSchema) -> Result<Open, Untranslated> {
        let TableReference::Bare { table } = table else {
            let message =
                format!("`{table}` is a table of another system, which Spark does not see from here");
            return Err(Untranslated::new(message).hinted("copy it into a dataset first"));
        };
        let name = self.tables.get(table.as_ref());
        let name = name.ok_or_else(|| Untranslated::new(format!("there is no table `{table}`")))?;
        Ok(Open::over(name, schema.fields().iter().map(|field| quoted(field.name())).collect()))
    }

    /// The relation, with a name of its own if it is ordered: what comes after would do away with the order, or take other rows.
    fn unordered(&mut self, plan: &LogicalPlan) -> Result<Open, Untranslated> {
        let open = self.relation(plan)?;
        Ok(if open.is_ordered() { self.kept(&open, plan.schema()) } else { open })
    }

    /// The relation as a table under a name.
    fn named_table(&mut self, plan: &LogicalPlan) -> Result<Open, Untranslated> {
        let open = self.relation(plan)?;
        Ok(if open.is_table() { open } else { self.kept(&open, plan.schema()) })
    }

    fn kept(&mut self, open: &Open, schema: &DFSchema) -> Open {
        let items = named(&open.columns, schema);
        self.closed(open, &items, "", schema)
    }

    fn projection(&mut self, projection: &Projection) -> Result<Open, Untranslated> {
        let input = &projection.input;
        let mut open = self.unordered(input)?;
        let scope = Scope::of(input.schema(), &open.columns);
        let mut sql = Vec::new();
        let mut are_columns = true;
        for (expression, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let plain = expression.clone().unalias();
            are_columns &= matches!(plain, Expr::Column(_));
            sql.push(scope.expression(&plain).map_err(|error| error.of_column(field.name()))?);
        }
        if are_columns {
            open.columns = sql;
            return Ok(open);
        }
        let items = named(&sql, &projection.schema);
        Ok(self.closed(&open, &items, "", &projection.schema))
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Open, Untranslated> {
        let open = self.unordered(&aggregate.input)?;
        let scope = Scope::of(aggregate.input.schema(), &open.columns);
        let mut sql = Vec::new();
        for expression in &aggregate.group_expr {
            if matches!(expression, Expr::GroupingSet(_)) {
                return Err(Untranslated::new("grouping sets are not translated")
                    .hinted("write one query a grouping"));
            }
            sql.push(scope.expression(expression)?);
        }
        let groups = sql.join(", ");
        for (expression, field) in
            aggregate.aggr_expr.iter().zip(aggregate.schema.fields().iter().skip(sql.len()))
        {
            sql.push(scope.aggregate(expression).map_err(|error| error.of_column(field.name()))?);
        }
        let tail = if groups.is_empty() { String::new() } else { format!("group by {groups}") };
        let items = named(&sql, &aggregate.schema);
        Ok(self.closed(&open, &items, &tail, &aggregate.schema))
    }

    fn window(&mut self, window: &Window) -> Result<Open, Untranslated> {
        let open = self.unordered(&window.input)?;
        let scope = Scope::of(window.input.schema(), &open.columns);
        let mut sql = open.columns.clone();
        for (expression, field) in
            window.window_expr.iter().zip(window.schema.fields().iter().skip(sql.len()))
        {
            sql.push(scope.window(expression).map_err(|error| error.of_column(field.name()))?);
        }
        let items = named(&sql, &window.schema);
        Ok(self.closed(&open, &items, "", &window.schema))
    }

    fn join(&mut self, join: &Join) -> Result<Open, Untranslated> {
        let left = self.named_table(&join.left)?;
        let right = self.named_table(&join.right)?;
        let under = |alias: &str, open: &Open| -> Vec<String> {
            open.columns.iter().map(|column| format!("{alias}.{column}")).collect()
        };
        let (on_left, on_right) = (under("l", &left), under("r", &right));
        let both: Vec<String> = on_left.iter().chain(&on_right).cloned().collect();
        let (of_left, of_right) = (join.left.schema(), join.right.schema());
        let equal = if join.null_equality == NullEquality::NullEqualsNull { "<=>" } else { "=" };
        if join.null_aware {
            return Err(
                Untranslated::new("`not in` over a query that may give nulls").hinted("use `not exists`")
            );
        }
        let mut conditions = Vec::new();
        for (l, r) in &join.on {
            let l = Scope::of(of_left, &on_left).expression(l)?;
            let r = Scope::of(of_right, &on_right).expression(r)?;
            conditions.push(format!("{l} {equal} {r}"));
        }
        if let Some(filter) = &join.filter {
            let schema = of_left.join(of_right).map_err(|error| Untranslated::new(words(&error)))?;
            conditions.push(Scope::of(&schema, &both).expression(filter)?);
        }
        let (word, columns) = match join.join_type {
            JoinType::Inner if conditions.is_empty() => ("cross join", both),
            JoinType::Inner => ("join", both),
            JoinType::Left => ("left join", both),
            JoinType::Right => ("right join", both),
            JoinType::Full => ("full join", both),
            JoinType::LeftSemi => ("left semi join", on_left),
            JoinType::LeftAnti => ("left anti join", on_left),
            other => {
                let message =
                    format!("a condition that becomes a join of the kind {other} is not translated");
                return Err(Untranslated::new(message).hinted("write the condition as a join of its own"));
            }
        };
        let on = match conditions.is_empty() {
            true if word == "cross join" => String::new(),
            true => " on true".to_owned(),
            false => format!(" on {}", conditions.join(" and ")),
        };
        let from = format!("{} l {word} {} r{on}", left.from, right.from);
        let reads = left.reads.into_iter().chain(right.reads).collect();
        Ok(Open { from, reads, ..Open::over("", columns) })
    }

    fn union(&mut self, union: &Union) -> Result<Open, Untranslated> {
        let mut selects = Vec::new();
        let mut reads = Vec::new();
        for input in &union.inputs {
            let open = self.unordered(input)?;
            selects.push(select(&open, &named(&open.columns, &union.schema), ""));
            reads.extend(open.reads);
        }
        let sql = selects.join("\nunion all\n");
        let name = self.next_name();
        self.expressions.push(Named { name: name.clone(), sql, reads });
        Ok(Open::over(&name, unique(&union.schema).iter().map(|name| quoted(name)).collect()))
    }

    fn sort(&mut self, sort: &Sort) -> Result<Open, Untranslated> {
        let mut open = self.unordered(&sort.input)?;
        if !open.has_names_of(sort.input.schema()) {
            // `order by` looks among the new names first.
            open = self.kept(&open, sort.input.schema());
        }
        let scope = Scope::of(sort.input.schema(), &open.columns);
        open.order = scope.order(&sort.expr)?;
        open.limit = sort.fetch.map(|fetch| (0, Some(fetch)));
        Ok(open)
    }

    fn limit(&mut self, limit: &Limit) -> Result<Open, Untranslated> {
        let mut open = self.relation(&limit.input)?;
        if open.limit.is_some() {
            open = self.kept(&open, limit.input.schema());
        }
        let plain =
            |error| Untranslated::new(words(&error)).hinted("give `limit` and `offset` plain numbers");
        let skip = match limit.get_skip_type().map_err(plain)? {
            datafusion::logical_expr::SkipType::Literal(skip) => skip,
            datafusion::logical_expr::SkipType::UnsupportedExpr => {
                return Err(
                    Untranslated::new("an `offset` that is computed").hinted("give it a plain number")
                );
            }
        };
        let fetch = match limit.get_fetch_type().map_err(plain)? {
            datafusion::logical_expr::FetchType::Literal(fetch) => fetch,
            datafusion::logical_expr::FetchType::UnsupportedExpr => {
                return Err(Untranslated::new("a `limit` that is computed").hinted("give it a plain number"));
            }
        };
        open.limit = Some((skip, fetch));
        Ok(open)
    }

    /// Ends a SELECT: it becomes a table under the next name.
    fn closed(&mut self, open: &Open, items: &Items, tail: &str, schema: &DFSchema) -> Open {
        let name = self.close(open, items, tail, false);
        Open::over(&name, unique(schema).iter().map(|name| quoted(name)).collect())
    }

    fn close(&mut self, open: &Open, items: &Items, tail: &str, is_last: bool) -> String {
        let name = if is_last { self.current.clone() } else { self.next_name() };
        let sql = select(open, items, tail);
        self.expressions.push(Named { name: name.clone(), sql, reads: open.reads.clone() });
        name
    }

    fn next_name(&self) -> String {
        self.free(&format!("{}_1", self.current))
    }
}

/// Words that a table cannot be called without quotes, among those that are likely names of nodes.
const RESERVED: [&str; 16] = [
    "all", "cross", "filter", "from", "group", "having", "join", "l", "left", "on", "order", "r", "right",
    "select", "union", "where",
];

fn values_of(values: &Values) -> Result<Open, Untranslated> {
    let empty = DFSchema::empty();
    let scope = Scope::of(&empty, &[]);
    let rows = values
        .values
        .iter()
        .map(|row| {
            let cells = row.iter().map(|cell| scope.expression(cell)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("({})", cells.join(", ")))
        })
        .collect::<Result<Vec<_>, Untranslated>>()?;
    let columns: Vec<String> = values.schema.fields().iter().map(|field| quoted(field.name())).collect();
    let from = format!("values {} as v({})", rows.join(", "), columns.join(", "));
    Ok(Open { from, reads: Vec::new(), ..Open::over("", columns) })
}

/// The plan with every type resolved, and with joins in the place of conditions over queries.
fn resolved(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan, Untranslated> {
    let told = |error: datafusion::error::DataFusionError| Untranslated::new(words(&error));
    let options = state.config_options();
    let plan = state.analyzer().execute_and_check(plan, options, |_, _| {}).map_err(told)?;
    let mut has_queries = false;
    let _ = plan.apply_with_subqueries(|part| {
        has_queries |= matches!(part, LogicalPlan::Subquery(_));
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    if !has_queries {
        return Ok(plan);
    }
    let rules = Optimizer::with_rules(vec![
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
    ]);
    rules.optimize(plan, &OptimizerContext::new(), |_, _| {}).map_err(told)
}
