use std::process::ExitCode;

use anyhow::Result;
use indexmap::IndexMap;
use millrace_api::views::sql_models::{SqlModelTest, SqlModelView};
use millrace_contract::DatasetCatalog as _;
use millrace_spec::sql_models::Project;
use serde_json::{Value, json};

use super::chosen;
use crate::boot::Rooms;
use crate::cli::ModelPart;
use crate::printer::Printer;
use crate::sql_models::{sources, view};

pub(super) async fn run(
    rooms: &Rooms,
    project: &Project,
    part: &ModelPart,
    printer: &Printer,
) -> Result<ExitCode> {
    let Some(names) = chosen(project, part, printer) else { return Ok(ExitCode::FAILURE) };
    let mut built = IndexMap::new();
    for name in &names {
        if let Ok(version) = rooms.catalog.resolve(name).await {
            built.insert(name.clone(), version);
        }
    }
    let models = names.iter().filter_map(|name| project.models.get(name));
    let models: Vec<Value> = models.map(|model| described(&view(project, model, &built))).collect();
    let document = json!({"models": models, "sources": sources(project)});
    printer.document(&document, || markdown(&document));
    Ok(ExitCode::SUCCESS)
}

fn described(view: &SqlModelView) -> Value {
    let names = |tests: &[SqlModelTest]| tests.iter().map(|test| test.name.clone()).collect::<Vec<_>>();
    let columns = view.columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.data_type, "description": column.description,
            "tests": names(&column.tests),
        })
    });
    let SqlModelView { summary: model, sql, .. } = view;
    json!({
        "name": model.name, "description": model.description, "tags": model.tags, "file": model.file,
        "materialized": model.materialized, "columns": columns.collect::<Vec<_>>(),
        "tests": names(&view.row_tests), "reads": model.reads, "read_by": model.read_by,
        "version": model.version, "rows": model.rows, "sql": sql,
    })
}

fn markdown(document: &Value) -> String {
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut page = String::from("# Models\n");
    for model in document["models"].as_array().into_iter().flatten() {
        page.push_str(&format!("\n## {}\n\n", text(&model["name"])));
        if let Some(description) = model["description"].as_str() {
            page.push_str(&format!("{}\n\n", description.trim()));
        }
        page.push_str(&format!("- {} in `{}`", text(&model["materialized"]), text(&model["file"])));
        if let (Some(version), Some(rows)) = (model["version"].as_u64(), model["rows"].as_u64()) {
            page.push_str(&format!(", version {version} with {rows} rows"));
        }
        page.push('\n');
        for (word, field) in
            [("tags", "tags"), ("reads", "reads"), ("read by", "read_by"), ("tests", "tests")]
        {
            let list = words(&model[field]);
            if !list.is_empty() {
                page.push_str(&format!("- {word}: {list}\n"));
            }
        }
        let columns = model["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !columns.is_empty() {
            page.push_str("\n| column | type | description | tests |\n|---|---|---|---|\n");
        }
        for column in columns {
            let cells = [
                text(&column["name"]),
                text(&column["type"]),
                text(&column["description"]),
                words(&column["tests"]),
            ];
            let cells = cells.map(|cell| cell.trim().replace('\n', " ").replace('|', "\\|"));
            page.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    let sources = document["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !sources.is_empty() {
        page.push_str("\n# Sources\n");
    }
    for source in sources {
        page.push_str(&format!("\n## {}\n\n", text(&source["name"])));
        if let Some(description) = source["description"].as_str() {
            page.push_str(&format!("{}\n\n", description.trim()));
        }
        page.push_str(&format!("- read by: {}\n", words(&source["read_by"])));
    }
    page.trim_end().to_owned()
}
