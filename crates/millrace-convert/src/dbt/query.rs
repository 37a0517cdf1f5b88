//! The SQL of a model or test, over tables by their names here.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use super::{Importer, list, text};

/// Why a model of another language is not here.
pub(super) const NOT_SQL: &str = "is not written in SQL";

/// `ref('a')`, `ref('package', 'a')`, `source('s', 't')`.
#[allow(clippy::unwrap_used, reason = "the patterns are constants, and a test reads with them")]
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\b(ref|source)\s*\(\s*['"]([^'"]+)['"]\s*(?:,\s*['"]([^'"]+)['"]\s*)?\)"#).unwrap()
});
/// `{{ config(…) }}`, `{% snapshot name %}`, comments: what the manifest has already, or nobody reads.
#[allow(clippy::unwrap_used, reason = "as above")]
static NOTHING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?s)\{\{-?\s*config\s*\(.*?\)\s*-?\}\}|\{%-?\s*(?:snapshot\b.*?|endsnapshot\s*)-?%\}|\{#.*?#\}",
    )
    .unwrap()
});
/// What means the same here. A variable does not: its value is put into the text there, and bound here.
#[allow(clippy::unwrap_used, reason = "as above")]
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)\{\{-?\s*(?: ref\s*\([^()]*\) | source\s*\([^()]*\) | this )\s*-?\}\}
        | \{%-?\s*(?: if\s+(?:not\s+)?is_incremental\s*\(\s*\) | else | endif )\s*-?%\}",
    )
    .unwrap()
});

/// A query as it stands in a file.
pub(super) struct Query {
    pub(super) sql: String,
    /// Whether it is what dbt made of the text, which knows one of its branches alone.
    pub(super) is_compiled: bool,
}

impl Importer<'_> {
    /// What was written if it needs nothing but tables, else what dbt compiled; or why there is neither.
    pub(super) fn query(&self, node: &Value) -> Result<Query, String> {
        let written = text(node, "/raw_code").or_else(|| text(node, "/raw_sql")).unwrap_or_default();
        let (sql, unknown) = self.written(node, written);
        if !sql.trim().is_empty() && unknown.is_none() {
            return Ok(Query { sql: ended(&sql), is_compiled: false });
        }
        match self.compiled(node) {
            Some(sql) => Ok(Query { sql: ended(&sql), is_compiled: true }),
            None => Err(match unknown {
                Some(found) => format!("uses `{found}`, which is a macro or a variable of dbt"),
                None => "has no query that can be read".to_owned(),
            }),
        }
    }

    /// The text with its calls as they are here, and the first thing in it that is not known here.
    fn written(&self, node: &Value, text: &str) -> (String, Option<String>) {
        let keys = list(node, "/depends_on/nodes");
        let without = NOTHING.replace_all(text, "");
        let mut unknown = None;
        let sql = CALL.replace_all(&without, |found: &Captures<'_>| {
            let last = found.get(3).or_else(|| found.get(2)).map_or("", |part| part.as_str());
            let key = keys.iter().find(|key| key.rsplit('.').next() == Some(last));
            let call = key.and_then(|key| self.read(key)).map(|(read, _)| read.call());
            match call {
                Some(call) => call.trim_matches(['{', '}', ' ']).to_owned(),
                None => {
                    unknown.get_or_insert_with(|| found[0].to_owned());
                    found[0].to_owned()
                }
            }
        });
        let rest = KNOWN.replace_all(&sql, "");
        let tag = ["{{", "{%"].iter().find_map(|opening| {
            let (_, rest) = rest.split_once(opening)?;
            let closing = if *opening == "{{" { "}}" } else { "%}" };
            let inner = rest.split_once(closing).map_or(rest, |(inner, _)| inner);
            Some(format!("{opening}{} {closing}", inner.lines().next().unwrap_or_default().trim_end()))
        });
        (sql.into_owned(), unknown.or(tag))
    }

    /// What dbt compiled, with tables by their names here.
    fn compiled(&self, node: &Value) -> Option<String> {
        let compiled = text(node, "/compiled_code").or_else(|| text(node, "/compiled_sql"))?;
        let mut tables: Vec<_> =
            list(node, "/depends_on/nodes").into_iter().filter_map(|key| self.read(key)).collect();
        // One name may begin like another. What has none is an ephemeral model, which stands in the query.
        tables.retain(|(_, relation)| !relation.is_empty());
        tables.sort_by_key(|(_, relation)| std::cmp::Reverse(relation.len()));
        // Braces of the SQL itself are none of ours.
        let sql = compiled.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #");
        let sql = tables.iter().fold(sql, |sql, (read, relation)| sql.replace(relation, &read.call()));
        Some(sql).filter(|sql| !sql.trim().is_empty())
    }
}

/// A query that fails when it is run, in the place of one that cannot be said here: what reads it is not built.
pub(super) fn stand_in(reason: &str) -> String {
    let said = reason.replace('\'', "’").replace("{{ ", "").replace(" }}", "").replace(['\n', '{', '}'], " ");
    format!("select assert_none('not converted: {said}', named_struct('row', 1)) as not_converted\n")
}

fn ended(sql: &str) -> String {
    let lines = sql.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    lines.trim_end_matches(';').trim_end().to_owned() + "\n"
}
