//! The statements by which staged rows join those of a table.

use millrace_contract::RowChange;
use serde_json::Value;

use super::unfit::Unfit;
use super::{Dialect, TableColumn};
use crate::config::{Changes, Write};

/// One step of a merge.
pub(super) enum Statement<'a> {
    /// Runs with bound values.
    Run(String, Vec<Value>),
    /// A query that must count nothing, and what the rows are that it counts.
    None(Unfit, String, Vec<Value>),
    /// There must be a unique index on these columns.
    UniqueKey(&'a [String]),
}

/// A table, and the rows that are to join it.
pub(super) struct Merge<'a> {
    dialect: Dialect,
    target: &'a str,
    stage: &'a str,
    /// Quoted.
    names: Vec<String>,
    /// Those of the staged rows, in the types of the table.
    typed: String,
    /// The staged rows in the types of the table, with their number.
    source: String,
    now: &'a str,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        dialect: Dialect,
        target: &'a str,
        stage: &'a str,
        columns: &[TableColumn],
        now: &'a str,
    ) -> Self {
        let names: Vec<String> = columns.iter().map(|column| dialect.quoted(&column.name)).collect();
        let typed = |(column, name): (&TableColumn, &String)| match dialect {
            Dialect::Postgres => format!("{name}::{} as {name}", column.sql_type),
            Dialect::Mysql | Dialect::Sqlite => name.clone(),
        };
        let typed = columns.iter().zip(&names).map(typed).collect::<Vec<String>>().join(", ");
        let source = format!("(select {typed}, millrace_nr from {stage})");
        Self { dialect, target, stage, names, typed, source, now }
    }

    /// What a mode does, step by step. `partial`: rows that are not staged are not gone.
    pub(super) fn statements<'w>(&self, write: &'w Write, partial: bool) -> Vec<Statement<'w>> {
        let run = |sql: String| Statement::Run(sql, Vec::new());
        let target = self.target;
        match write {
            Write::Append => vec![run(self.insert())],
            Write::Overwrite => vec![run(format!("delete from {target}")), run(self.insert())],
            Write::Truncate if self.dialect == Dialect::Postgres => {
                vec![run(format!("truncate {target}")), run(self.insert())]
            }
            Write::Truncate => vec![run(format!("delete from {target}")), run(self.insert())],
            Write::Upsert(keys) => {
                let unique = (self.dialect == Dialect::Mysql).then_some(Statement::UniqueKey(keys));
                unique.into_iter().chain([run(self.upsert(keys))]).collect()
            }
            Write::DeleteInsert(keys) => {
                let same = self.same(keys);
                let gone = self.delete(&format!("exists (select 1 from {} s where {same})", self.source));
                vec![run(gone), run(self.insert())]
            }
            Write::InsertOnly(keys) => {
                let (list, same, newest) = (self.names.join(", "), self.same(keys), self.newest(keys));
                vec![run(format!(
                    "insert into {target} ({list}) select {list} from {newest} s \
                     where not exists (select 1 from {target} t where {same})"
                ))]
            }
            Write::ApplyChanges(changes) => self.apply(changes),
            Write::Scd2(keys) => self.scd2(keys, partial),
            Write::Snapshot => {
                let (list, at) = (self.names.join(", "), self.dialect.quoted("snapshot_at"));
                let now = self.instant();
                let sql = format!(
                    "insert into {target} ({list}, {at}) select {list}, {now} from {} s order by millrace_nr",
                    self.source
                );
                vec![Statement::Run(sql, vec![self.now.into()])]
            }
            Write::Backfill(range) => {
                let column = self.dialect.quoted(&range.column);
                let (from, to) = (self.dialect.placeholder(1), self.dialect.placeholder(2));
                let within = format!("{column} >= {from} and {column} < {to}");
                let bounds = vec![Value::from(range.from.as_text()), Value::from(range.to.as_text())];
                let outside = format!(
                    "select count(*) from {} s where case when {within} then 0 else 1 end = 1",
                    self.source
                );
                vec![
                    Statement::None(Unfit::OutsideRange, outside, bounds.clone()),
                    Statement::Run(format!("delete from {target} where {within}"), bounds),
                    run(self.insert()),
                ]
            }
        }
    }

    fn insert(&self) -> String {
        let list = self.names.join(", ");
        format!(
            "insert into {} ({list}) select {list} from {} s order by millrace_nr",
            self.target, self.source
        )
    }

    fn delete(&self, condition: &str) -> String {
        let target = self.target;
        match self.dialect {
            // MariaDB takes an alias in this form only.
            Dialect::Mysql => format!("delete t from {target} as t where {condition}"),
            Dialect::Postgres | Dialect::Sqlite => format!("delete from {target} as t where {condition}"),
        }
    }

    fn upsert(&self, keys: &[String]) -> String {
        let (list, newest, target) = (self.names.join(", "), self.newest(keys), self.target);
        let keys: Vec<String> = keys.iter().map(|key| self.dialect.quoted(key)).collect();
        let others = self.names.iter().filter(|name| !keys.contains(name));
        // `where true` tells SQLite's parser that `on` does not belong to a join.
        let insert = format!("insert into {target} ({list}) select {list} from {newest} s where true");
        if self.dialect == Dialect::Mysql {
            let mut sets: Vec<String> = others.map(|name| format!("{name} = values({name})")).collect();
            if sets.is_empty() {
                sets.extend(keys.iter().map(|key| format!("{key} = values({key})")));
            }
            return format!("{insert} on duplicate key update {}", sets.join(", "));
        }
        let sets: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
        let action =
            if sets.is_empty() { "nothing".to_owned() } else { format!("update set {}", sets.join(", ")) };
        format!("{insert} on conflict ({}) do {action}", keys.join(", "))
    }

    /// Each key once, by what its rows come to.
    fn apply(&self, changes: &Changes) -> Vec<Statement<'static>> {
        let (target, stage, list, same) =
            (self.target, self.stage, self.names.join(", "), self.same(&changes.keys));
        let keys: Vec<String> = changes.keys.iter().map(|key| self.dialect.quoted(key)).collect();
        let number = RowChange::number_sql(&self.dialect.quoted(&changes.op));
        let before = RowChange::before_sql("millrace_change", "millrace_nr");
        let does = RowChange::outcome_sql("millrace_change", "millrace_before", "millrace_rows");
        let by_key = format!("over (partition by {})", keys.join(", "));
        let last = format!(
            "(select y.*, {does} as millrace_does from (select x.*, \
             row_number() over (partition by {} order by millrace_nr desc) as millrace_turn, {before} {by_key} as millrace_before, \
             count(*) {by_key} as millrace_rows from (select {}, millrace_nr, {number} as millrace_change from {stage}) x) y \
             where millrace_turn = 1)",
            keys.join(", "),
            self.typed,
        );
        let run = |sql: String| Statement::Run(sql, Vec::new());
        let there = format!("exists (select 1 from {target} t where {same})");
        let mut statements = vec![
            Statement::None(
                Unfit::UnknownChange,
                format!("select count(*) from {stage} where ({number}) is null"),
                Vec::new(),
            ),
            Statement::None(
                Unfit::AlreadyThere,
                format!("select count(*) from {last} s where s.millrace_does = 0 and {there}"),
                Vec::new(),
            ),
            run(self.delete(&format!("exists (select 1 from {last} s where {same} and s.millrace_does = 3)"))),
        ];
        let others = self.names.iter().filter(|name| !keys.contains(name));
        let sets = |prefix: &str| {
            others.clone().map(|name| format!("{prefix}{name} = s.{name}")).collect::<Vec<_>>().join(", ")
        };
        if others.clone().next().is_some() {
            statements.push(run(match self.dialect {
                Dialect::Mysql => format!(
                    "update {target} as t join {last} s on {same} set {} where s.millrace_does in (1, 2)",
                    sets("t.")
                ),
                Dialect::Postgres | Dialect::Sqlite => format!(
                    "update {target} as t set {} from {last} s where {same} and s.millrace_does in (1, 2)",
                    sets("")
                ),
            }));
        }
        statements.push(run(format!(
            "insert into {target} ({list}) select {list} from {last} s where s.millrace_does in (0, 2) and not {there} \
             order by millrace_nr"
        )));
        statements
    }

    /// What is no longer so ends now, what is so begins now.
    fn scd2(&self, keys: &[String], partial: bool) -> Vec<Statement<'static>> {
        let (dialect, target, list) = (self.dialect, self.target, self.names.join(", "));
        let (same, newest) = (self.same(keys), self.newest(keys));
        let keys: Vec<String> = keys.iter().map(|key| dialect.quoted(key)).collect();
        let differences: Vec<String> = self
            .names
            .iter()
            .filter(|name| !keys.contains(name))
            .map(|name| dialect.differ(&format!("t.{name}"), &format!("s.{name}")))
            .collect();
        let differ = if differences.is_empty() {
            "1 = 0".to_owned()
        } else {
            format!("({})", differences.join(" or "))
        };
        let over = if partial {
            format!("exists (select 1 from {newest} s where {same} and {differ})")
        } else {
            format!("not exists (select 1 from {newest} s where {same} and not {differ})")
        };
        let now = self.instant();
        let close = format!("update {target} as t set valid_to = {now} where t.valid_to is null and {over}");
        let open = format!(
            "insert into {target} ({list}, valid_from, valid_to) select {list}, {now}, null from {newest} s \
             where not exists (select 1 from {target} t where {same} and t.valid_to is null)"
        );
        let at = vec![Value::from(self.now)];
        vec![Statement::Run(close, at.clone()), Statement::Run(open, at)]
    }

    /// The bound instant of this load.
    fn instant(&self) -> String {
        let place = self.dialect.placeholder(1);
        match self.dialect {
            Dialect::Postgres => format!("{place}::timestamptz"),
            Dialect::Mysql => format!("cast({place} as datetime(6))"),
            Dialect::Sqlite => place,
        }
    }

    fn same(&self, keys: &[String]) -> String {
        let same = |key: &String| {
            let key = self.dialect.quoted(key);
            format!("s.{key} = t.{key}")
        };
        keys.iter().map(same).collect::<Vec<_>>().join(" and ")
    }

    /// Of staged rows with equal keys the last one.
    fn newest(&self, keys: &[String]) -> String {
        let keys: Vec<String> = keys.iter().map(|key| self.dialect.quoted(key)).collect();
        format!(
            "(select * from (select x.*, row_number() over (partition by {} order by millrace_nr desc) as millrace_turn \
             from {} x) y where millrace_turn = 1)",
            keys.join(", "),
            self.source
        )
    }
}
