//! The functions that are documented: an example each, which a test evaluates.

use serde::Serialize;

/// A function for expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What kind of function it is: `math`, `string`, `aggregate` …
    pub family: &'static str,
    /// How it is called, and the type of what it gives.
    pub signature: &'static str,
    /// What it gives, a sentence.
    pub summary: &'static str,
    /// An expression with it. Those of aggregates and windows are over the rows `('a', 1), ('a', 2), ('b', 2), ('b', 5)` of `k` and `v`.
    pub example: &'static str,
    /// What that gives; of a window, for one row after the other.
    pub result: &'static str,
}

const LIBRARY: &str = include_str!("library.txt");

/// Every documented function, by family.
pub fn functions() -> Vec<Function> {
    LIBRARY.lines().filter_map(function).collect()
}

fn function(line: &'static str) -> Option<Function> {
    let mut parts = line.split(" | ").map(str::trim);
    let (family, signature) = (parts.next()?, parts.next()?);
    let (summary, example, result) = (parts.next()?, parts.next()?, parts.next()?);
    let name = signature.split(['(', ' ']).next()?;
    // What is an operator is found under what it is about.
    let name = if name == "time" { "interval" } else { name };
    Some(Function { name, family, signature, summary, example, result })
}

/// The page of the reference.
pub fn page() -> String {
    let mut page = String::from(
        "# Functions\n\nWhat expressions in flows and SQL may use. Made by `cargo xtask schema` from what `millrace functions` lists; every example is run \
by a test. Those of aggregates and windows are over the rows `('a', 1), ('a', 2), ('b', 2), ('b', 5)` of `k` and `v`. In a `window` node the \
`over (…)` is left out.\n",
    );
    let mut family = "";
    for function in functions() {
        if function.family != family {
            family = function.family;
            page += &format!("\n## {family}\n\n| Function | Gives | Example | Result |\n|---|---|---|---|\n");
        }
        let cell = |text: &str| text.replace('|', "\\|");
        page += &format!(
            "| `{}` | {} | `{}` | `{}` |\n",
            cell(function.signature),
            cell(function.summary),
            cell(function.example),
            cell(function.result)
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;
    use crate::{DataFusionEngine, EngineConfig};
    use millrace_contract::{QueryEngine as _, QueryRequest};
    use serde_json::Value;

    #[tokio::test]
    async fn every_example_gives_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let engine = DataFusionEngine::new(EngineConfig::new(folder.path().join("spill")));
        let mut wrong = String::new();
        let all = functions();
        assert_eq!(all.len(), LIBRARY.lines().count(), "a line of the library cannot be read");
        for function in &all {
            let over = match function.family {
                "aggregate" | "window" => " from (values ('a', 1), ('a', 2), ('b', 2), ('b', 5)) as t(k, v)",
                _ => "",
            };
            let order = if function.family == "window" { " order by v, k" } else { "" };
            let sql = format!("select {} as x{over}{order}", function.example);
            let found = match engine.query(QueryRequest { sql, ..QueryRequest::default() }).await {
                Ok(stream) => match stream.collect().await {
                    Ok(batches) => rows::to_json(&batches)
                        .iter()
                        .map(|row| match &row["x"] {
                            Value::String(text) => text.clone(),
                            other => other.to_string(),
                        })
                        .collect::<Vec<_>>()
                        .join(", "),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if found != function.result {
                wrong += &format!("{}: expected {}, found {found}\n", function.example, function.result);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn the_reference_in_git_is_this_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/functions.md");
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(kept, page(), "`cargo xtask schema` writes it anew");
    }

    #[test]
    fn a_line_names_its_function_once_and_the_page_has_them_all() {
        let all = functions();
        let mut signatures: Vec<_> = all.iter().map(|function| function.signature).collect();
        signatures.sort_unstable();
        signatures.dedup();
        assert_eq!(signatures.len(), all.len());
        let page = page();
        assert!(all.iter().all(|function| function.example.contains('|') || page.contains(function.example)));
        assert!(all.iter().all(|function| function.summary.ends_with('.')));
    }
}
