//! A case: a heading, `csv <name>` blocks as inputs, one `sql` or `yaml` block, and what comes out as an `expected` block: CSV, or
//! `error: …`.

use indexmap::IndexMap;
use millrace_contract::{FlowPreview as _, QueryEngine as _, QueryRequest, TableRef};
use millrace_transform::{DataFusionEngine, EngineConfig, rows};
use serde_json::Value;

pub(crate) struct Case {
    pub(crate) title: String,
    /// What stands behind the fence, and the block.
    pub(crate) blocks: Vec<(String, String)>,
}

/// The cases of a file.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (None, line) if line.starts_with("## ") => {
                cases.push(Case { title: line[3..].to_owned(), blocks: Vec::new() });
            }
            (None, line) if line.starts_with("```") => {
                open = Some((line[3..].trim().to_owned(), String::new()))
            }
            (Some(_), "```") => {
                let block = open.take().unwrap();
                cases.last_mut().unwrap().blocks.push(block);
            }
            (Some((_, body)), line) => {
                body.push_str(line);
                body.push('\n');
            }
            _ => {}
        }
    }
    cases
}

fn csv(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return "(no rows)\n".to_owned() };
    let mut text = first.keys().cloned().collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let cells: Vec<String> = row
            .as_object()
            .unwrap()
            .values()
            .map(|cell| match cell {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

async fn outcome(case: &Case, folder: &std::path::Path) -> String {
    let engine = DataFusionEngine::new(EngineConfig::new(folder.join("spill")));
    let mut tables = IndexMap::new();
    for (head, body) in &case.blocks {
        if let Some(name) = head.strip_prefix("csv ") {
            let path = folder.join(format!("{name}.csv"));
            std::fs::write(&path, body).unwrap();
            tables.insert(name.to_owned(), TableRef::Csv { uri: format!("file://{}", path.display()) });
        }
    }
    let (kind, body) =
        case.blocks.iter().find(|(head, _)| head == "sql" || head.starts_with("yaml")).unwrap();
    if kind == "sql" {
        let request = QueryRequest { sql: body.trim().to_owned(), tables, ..QueryRequest::default() };
        return match engine.query(request).await {
            Ok(stream) => match stream.collect().await {
                Ok(batches) => csv(&rows::to_json(&batches)),
                Err(error) => format!("error: {error}\n"),
            },
            Err(error) => format!("error: {error}\n"),
        };
    }
    let flow = millrace_spec::yaml::parse("flow.yaml", body).unwrap().to_json();
    let node = kind.strip_prefix("yaml ").unwrap_or("out");
    match engine.preview_flow(&flow, &tables, node, 100).await {
        Ok(preview) => csv(&preview.rows.into_iter().map(Value::Object).collect::<Vec<_>>()),
        Err(problem) => {
            let hints: String = problem.hints.iter().map(|hint| format!("hint: {hint}\n")).collect();
            format!("error: {}\n{hints}", problem.message)
        }
    }
}

#[tokio::test]
async fn every_case_gives_what_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut failures = String::new();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        for case in cases(&std::fs::read_to_string(&path).unwrap()) {
            count += 1;
            let temp = tempfile::tempdir().unwrap();
            let found = outcome(&case, temp.path()).await;
            let expected = &case.blocks.iter().find(|(head, _)| head == "expected").unwrap().1;
            if &found != expected {
                failures +=
                    &format!("{}: {}\nexpected:\n{expected}found:\n{found}\n", path.display(), case.title);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count >= 15, "only {count} cases were found");
}
