//! Tests: queries for the rows that are wrong.

use serde_json::Value;

use super::document::{PlainTest, QueryTestDoc, TestDoc, TestLimits, TestRule};
use super::project::{ProjectFile, SqlModel};
use super::template::{Call, Template, quoted};
use crate::problem::{Place, Problem};

/// Something that has to hold.
#[derive(Debug, Clone)]
pub struct ModelTest {
    /// What it is called.
    pub name: String,
    /// The model whose rows are tested; `None` for a query in a file of its own.
    pub model: Option<String>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// How failing rows are found.
    pub query: TestQuery,
    /// How they count.
    pub limits: TestLimits,
    /// What is wrong with such rows.
    pub description: Option<String>,
    /// To select it by.
    pub tags: Vec<String>,
    /// Where it is written.
    pub place: Place,
    /// What is wrong with the test itself.
    pub problem: Option<Problem>,
}

/// How failing rows are found.
#[derive(Debug, Clone)]
pub enum TestQuery {
    /// SQL over the model's name and, where it names one, another model's.
    Rule {
        /// `$1`, `$2`, … stand for `params`.
        sql: String,
        /// Bound values.
        params: Vec<Value>,
        /// Another model that it reads.
        other: Option<String>,
    },
    /// A query that stands in a file.
    File {
        /// The query.
        template: Template,
        /// What it reads.
        calls: Vec<Call>,
    },
}

impl ModelTest {
    /// What a query in a file reads.
    pub fn calls(&self) -> &[Call] {
        match &self.query {
            TestQuery::File { calls, .. } => calls,
            TestQuery::Rule { .. } => &[],
        }
    }

    /// Another model that a rule names.
    pub(super) fn relations(&self) -> Option<&str> {
        match &self.query {
            TestQuery::Rule { other, .. } => other.as_deref(),
            TestQuery::File { .. } => None,
        }
    }

    /// The models that it reads, each once.
    pub fn parents(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.model.as_deref().into_iter().collect();
        found.extend(self.relations().filter(|other| self.model.as_deref() != Some(other)));
        for call in self.calls() {
            if let super::Target::Model(name) = &call.target
                && !found.contains(&name.as_str())
            {
                found.push(name);
            }
        }
        found
    }
}

/// The tests that stand beside a model.
pub(super) fn of_model(model: &SqlModel) -> Vec<ModelTest> {
    let of_columns = model.doc.columns.iter().flat_map(|(column, doc)| {
        let pointer = format!("/columns/{}/tests", column.replace('~', "~0").replace('/', "~1"));
        doc.tests
            .iter()
            .enumerate()
            .map(move |(at, test)| (Some(column.as_str()), test, format!("{pointer}/{at}")))
    });
    let of_rows = model.doc.tests.iter().enumerate().map(|(at, test)| (None, test, format!("/tests/{at}")));
    of_columns
        .chain(of_rows)
        .map(|(column, test, pointer)| rule_test(model, column, test, &pointer))
        .collect()
}

/// A test that is a query in a file.
pub(super) fn of_query(name: &str, query: &ProjectFile, doc: QueryTestDoc) -> ModelTest {
    let template = Template::new(&query.path, &query.text);
    ModelTest {
        name: name.to_owned(),
        model: None,
        column: None,
        limits: doc.limits(),
        description: doc.description,
        tags: doc.tags,
        place: template.place(0, 1),
        query: TestQuery::File { calls: template.calls(), template },
        problem: None,
    }
}

fn rule_test(model: &SqlModel, column: Option<&str>, test: &TestDoc, pointer: &str) -> ModelTest {
    let rule = match test {
        TestDoc::Plain(PlainTest::Unique) => TestRule { unique: Some(Vec::new()), ..TestRule::default() },
        TestDoc::Plain(PlainTest::NotNull) => TestRule { not_null: Some(Vec::new()), ..TestRule::default() },
        TestDoc::Rule(rule) => (**rule).clone(),
    };
    let place = model.place(pointer);
    let (word, query) = match sql(model, column, &rule) {
        Ok((word, query)) => (word, Ok(query)),
        Err(message) => ("test", Err(message)),
    };
    let name = rule.name.clone().unwrap_or_else(|| {
        let of: Vec<&str> = match column {
            Some(column) => vec![column],
            None => rule.unique.iter().chain(&rule.not_null).flatten().map(String::as_str).collect(),
        };
        let parts: Vec<&str> = [model.name.as_str()].into_iter().chain(of).chain([word]).collect();
        let plain = |sign: char| if sign.is_alphanumeric() { sign } else { '_' };
        parts.join("_").chars().map(plain).collect()
    });
    let problem = query.as_ref().err().map(|message| {
        let problem = Problem::error("model-test", format!("the test `{name}` {message}")).at(place.clone());
        problem.hint("write one of unique, not_null, accepted_values, relationships, holds")
    });
    let none = TestQuery::Rule { sql: String::new(), params: Vec::new(), other: None };
    ModelTest {
        name,
        model: Some(model.name.clone()),
        column: column.map(str::to_owned),
        query: query.unwrap_or(none),
        limits: rule.limits(),
        description: None,
        tags: Vec::new(),
        place,
        problem,
    }
}

/// The rule's word, and the query for rows that break it.
fn sql(model: &SqlModel, column: Option<&str>, rule: &TestRule) -> Result<(&'static str, TestQuery), String> {
    let count = [
        rule.unique.is_some(),
        rule.not_null.is_some(),
        rule.accepted_values.is_some(),
        rule.relationships.is_some(),
        rule.holds.is_some(),
    ];
    match count.iter().filter(|there| **there).count() {
        1 => {}
        0 => return Err("has no rule".to_owned()),
        _ => return Err("has more than one rule".to_owned()),
    }
    let table = quoted(&model.name);
    let rows = match &rule.only {
        Some(only) => format!("(select * from {table} where {only})"),
        None => table,
    };
    let columns = |named: &[String]| -> Result<Vec<String>, String> {
        match (named.is_empty(), column) {
            (false, _) => Ok(named.iter().map(|name| quoted(name)).collect()),
            (true, Some(column)) => Ok(vec![quoted(column)]),
            (true, None) => Err("names no column".to_owned()),
        }
    };
    let own = || column.map(quoted).ok_or_else(|| "stands below no column".to_owned());
    let plain = |word, sql| Ok((word, TestQuery::Rule { sql, params: Vec::new(), other: None }));
    if let Some(named) = &rule.unique {
        let columns = columns(named)?;
        let there: Vec<String> = columns.iter().map(|name| format!("{name} is not null")).collect();
        let (list, there) = (columns.join(", "), there.join(" and "));
        let sql = format!(
            "select {list}, count(*) as times from {rows} as tested where {there} group by {list} having count(*) > 1"
        );
        return plain("unique", sql);
    }
    if let Some(named) = &rule.not_null {
        let nulls: Vec<String> = columns(named)?.iter().map(|name| format!("{name} is null")).collect();
        return plain("not_null", format!("select * from {rows} as tested where {}", nulls.join(" or ")));
    }
    if let Some(values) = &rule.accepted_values {
        if values.is_empty() {
            return Err("accepts no value".to_owned());
        }
        let numbers: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!("select * from {rows} as tested where {} not in ({})", own()?, numbers.join(", "));
        return Ok(("accepted_values", TestQuery::Rule { sql, params: values.clone(), other: None }));
    }
    if let Some(relationship) = &rule.relationships {
        let (column, to, field) = (own()?, quoted(&relationship.to), quoted(&relationship.field));
        let sql = format!(
            "select tested.* from {rows} as tested where tested.{column} is not null and not exists \
             (select 1 from {to} as parent where parent.{field} = tested.{column})"
        );
        let other = Some(relationship.to.clone());
        return Ok(("relationships", TestQuery::Rule { sql, params: Vec::new(), other }));
    }
    let holds = rule.holds.as_deref().unwrap_or_default();
    plain("holds", format!("select * from {rows} as tested where ({holds}) is not true"))
}
