use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_contract::KindDoc;
use millrace_spec::sql_models::{ModelDoc, QueryTestDoc, Sources};
use millrace_tracking::openlineage::LineageFile;
use millrace_transform::flow::Flow;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::SchemaOf;
use crate::commands::explain_pipeline;
use crate::printer::Printer;

pub(crate) async fn run(wanted: Option<&str>, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here_or_scratch().await?;
    let docs = rooms.kind_docs();
    let Some(wanted) = wanted else {
        let rows: Vec<Value> = docs
            .iter()
            .map(|doc| json!({"family": doc.family, "name": doc.name, "summary": doc.summary}))
            .collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        printer.list(&rows, &["FAMILY", "NAME", "SUMMARY"], |row| {
            vec![text(&row["family"]), text(&row["name"]), text(&row["summary"])]
        });
        return Ok(ExitCode::SUCCESS);
    };
    let found: Vec<&KindDoc> = docs.iter().filter(|doc| doc.name == wanted).collect();
    if found.is_empty() && rooms.workspace.find_pipeline(wanted).is_ok() {
        return explain_pipeline::run(&rooms, wanted, printer);
    }
    if found.is_empty() {
        let names: Vec<&str> = docs.iter().map(|doc| doc.name).collect();
        match millrace_spec::suggest::nearest(wanted, &names) {
            Some(near) => bail!("there is no kind and no pipeline `{wanted}`; did you mean `{near}`?"),
            None => {
                bail!("there is no kind and no pipeline `{wanted}`; list the kinds with `millrace explain`")
            }
        }
    }
    for doc in found {
        printer.document(&json!(doc), || page(doc));
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of a kind: what it is, its fields, an example.
fn page(doc: &KindDoc) -> String {
    let family = json!(doc.family);
    let mut text = format!("{} ({})\n\n{}\n", doc.name, family.as_str().unwrap_or_default(), doc.description);
    let schema = doc.schema.as_value();
    let variants = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let with_fields = |schema: &'_ Value| schema.get("properties").is_some();
    let shape = if with_fields(schema) {
        Some(schema)
    } else {
        variants.and_then(|all| all.iter().find(|one| with_fields(one)))
    };
    if let Some(properties) = shape.and_then(|shape| shape.get("properties")).and_then(Value::as_object) {
        text.push_str("\nFields:\n");
        let required: Vec<&str> = shape
            .and_then(|shape| shape.get("required"))
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for (name, field) in properties {
            let about =
                field.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
            let needed = if required.contains(&name.as_str()) { " (required)" } else { "" };
            text.push_str(&format!("  {name}{needed}: {about}\n"));
        }
    }
    text.push_str(&format!(
        "\nExample:\n{}\n",
        doc.example.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    ));
    text
}

/// JSON Schema (draft 2020-12) of a kind of file, or a description of the API.
pub(crate) async fn schema(of: SchemaOf, printer: &Printer) -> Result<ExitCode> {
    let described = match of {
        SchemaOf::Pipeline => None,
        SchemaOf::Flow => Some(serde_json::to_string_pretty(&Flow::schema())?),
        SchemaOf::Lineage => Some(serde_json::to_string_pretty(&LineageFile::schema())?),
        SchemaOf::SqlModel => Some(serde_json::to_string_pretty(&ModelDoc::schema())?),
        SchemaOf::SqlTest => Some(serde_json::to_string_pretty(&QueryTestDoc::schema())?),
        SchemaOf::Sources => Some(serde_json::to_string_pretty(&Sources::schema())?),
        SchemaOf::Functions => Some(millrace_transform::functions_page()),
        SchemaOf::Openapi => Some(millrace_api::openapi()?),
        SchemaOf::Typescript => Some(millrace_api::views::typescript::typescript()),
    };
    if let Some(text) = described {
        printer.line(text.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let rooms = boot::open_here_or_scratch().await?;
    let kinds = rooms.kinds.values().map(|kind| (kind.doc().name, kind.doc().schema.as_value().clone()));
    let schema = millrace_spec::schema::pipeline(kinds);
    printer.line(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
