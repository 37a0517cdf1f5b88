//! The text of one SELECT.

use datafusion::common::DFSchema;

use super::quoted;

/// A SELECT that is still open: more may be added to it before it gets a name.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// What stands after `from`; empty for a SELECT of constants.
    pub(super) from: String,
    pub(super) reads: Vec<String>,
    /// How each column of the plan's schema is called here.
    pub(super) columns: Vec<String>,
    pub(super) conditions: Vec<String>,
    pub(super) order: Vec<String>,
    pub(super) limit: Option<(usize, Option<usize>)>,
}

impl Open {
    pub(super) fn over(name: &str, columns: Vec<String>) -> Self {
        Self {
            from: name.to_owned(),
            reads: vec![name.to_owned()],
            columns,
            conditions: Vec::new(),
            order: Vec::new(),
            limit: None,
        }
    }

    pub(super) fn is_ordered(&self) -> bool {
        !self.order.is_empty() || self.limit.is_some()
    }

    /// Whether it is a whole table under its own name.
    pub(super) fn is_table(&self) -> bool {
        self.reads.len() == 1
            && self.reads.first() == Some(&self.from)
            && self.conditions.is_empty()
            && !self.is_ordered()
    }

    pub(super) fn has_names_of(&self, schema: &DFSchema) -> bool {
        self.columns.iter().zip(schema.fields()).all(|(column, field)| *column == quoted(field.name()))
    }
}

/// What a SELECT gives.
pub(super) struct Items {
    pub(super) sql: Vec<String>,
    pub(super) distinct: bool,
}

/// Columns with the names that the schema gives them.
pub(super) fn named(columns: &[String], schema: &DFSchema) -> Items {
    let names = unique(schema);
    let item = |(column, name): (&String, &String)| {
        let name = quoted(name);
        if *column == name { name } else { format!("{column} as {name}") }
    };
    Items { sql: columns.iter().zip(&names).map(item).collect(), distinct: false }
}

/// Names of a schema's columns, each once: two sides of a join may have the same one.
pub(super) fn unique(schema: &DFSchema) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 1;
        while names.contains(&name) {
            number += 1;
            name = format!("{}#{number}", field.name());
        }
        names.push(name);
    }
    names
}

pub(super) fn select(open: &Open, items: &Items, tail: &str) -> String {
    let distinct = if items.distinct { "distinct " } else { "" };
    // A table without columns still has its rows.
    let list = if items.sql.is_empty() { "1 as `#`".to_owned() } else { items.sql.join(", ") };
    let mut sql = format!("select {distinct}{list}");
    let mut line = |word: &str, text: &str| {
        if !text.is_empty() {
            sql += &format!("\n{word}{text}");
        }
    };
    line("from ", &open.from);
    line("where ", &open.conditions.join(" and "));
    line("", tail);
    line("order by ", &open.order.join(", "));
    if let Some((skip, fetch)) = open.limit {
        line("limit ", &fetch.map_or_else(String::new, |fetch| fetch.to_string()));
        line("offset ", &if skip == 0 { String::new() } else { skip.to_string() });
    }
    sql
}

pub(super) fn indented(sql: &str) -> String {
    sql.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
