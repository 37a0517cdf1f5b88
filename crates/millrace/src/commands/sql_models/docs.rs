use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::DatasetCatalog as _;
use millrace_spec::sql_models::{Project, SqlModel, Target};
use serde_json::{Value, json};

use super::chosen;
use super::list::short;
use crate::boot::Rooms;
use crate::cli::ModelPart;
use crate::printer::Printer;

pub(super) async fn run(
    rooms: &Rooms,
    project: &Project,
    part: &ModelPart,
    printer: &Printer,
) -> Result<ExitCode> {
    let Some(names) = chosen(project, part, printer) else { return Ok(ExitCode::FAILURE) };
    let mut models = Vec::with_capacity(names.len());
    for model in names.iter().filter_map(|name| project.models.get(name)) {
        models.push(described(rooms, project, model).await);
    }
    let document = json!({"models": models, "sources": sources(project)});
    printer.document(&document, || markdown(&document));
    Ok(ExitCode::SUCCESS)
}

/// What is known of a model: what its files say, and the columns of its newest version.
async fn described(rooms: &Rooms, project: &Project, model: &SqlModel) -> Value {
    let built = rooms.catalog.resolve(&model.name).await.ok().filter(|_| !model.doc.ephemeral);
    let schema = built.as_ref().and_then(|version| version.schema.as_array().cloned()).unwrap_or_default();
    let kind_of =
        |name: &str| schema.iter().find(|field| field["name"] == name).map(|field| field["type"].clone());
    let known = schema.iter().filter_map(|field| field["name"].as_str());
    let mut names: Vec<&str> = known.collect();
    names.extend(
        model
            .doc
            .columns
            .keys()
            .map(String::as_str)
            .filter(|name| !schema.iter().any(|field| field["name"] == *name)),
    );
    let tests_of = |column: Option<&str>| {
        let own = project.tests.iter().filter(|test| test.model.as_deref() == Some(model.name.as_str()));
        own.filter(|test| test.column.as_deref() == column).map(|test| test.name.as_str()).collect::<Vec<_>>()
    };
    let columns: Vec<Value> = names
        .iter()
        .map(|name| {
            let doc = model.doc.columns.get(*name);
            json!({
                "name": name, "type": kind_of(name), "description": doc.and_then(|doc| doc.description.clone()),
                "tests": tests_of(Some(*name)),
            })
        })
        .collect();
    let read_by = project.models.values().filter(|other| other.parents().contains(&model.name.as_str()));
    json!({
        "name": model.name, "description": model.doc.description, "tags": model.doc.tags, "file": model.file,
        "materialized": model.materialization(), "columns": columns, "tests": tests_of(None),
        "reads": model.reads().into_iter().map(short).collect::<Vec<_>>(),
        "read_by": read_by.map(|other| other.name.as_str()).collect::<Vec<_>>(),
        "version": built.as_ref().and_then(|version| version.asset.version),
        "rows": built.as_ref().and_then(|version| version.asset.rows),
        "sql": model.text,
    })
}

fn sources(project: &Project) -> Vec<Value> {
    let mut sources = Vec::new();
    for (source, about) in &project.sources.0 {
        for (table, doc) in &about.tables {
            let target = Target::Source(source.clone(), table.clone());
            let readers = project.models.values().filter(|model| model.reads().contains(&&target));
            sources.push(json!({
                "name": short(&target), "description": doc.description.as_ref().or(about.description.as_ref()), "from": doc.from,
                "read_by": readers.map(|model| model.name.as_str()).collect::<Vec<_>>(),
            }));
        }
    }
    sources
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
