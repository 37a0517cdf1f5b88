//! Where a dataset lies: its address here, and how its files are written.

use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::activities::Steps;
use super::{text, value_of};
use crate::names::name_of;

/// An address, or why there is none and what to write instead.
type Found = Result<String, (String, String)>;

/// How the files of a dataset are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    /// The format here, for files.
    pub(super) format: Option<&'static str>,
    /// Options of the format, as a `copy` step names them.
    pub(super) options: Vec<(&'static str, Value)>,
}

impl Steps<'_> {
    /// The address of a dataset.
    pub(super) fn address(&self, name: &str) -> Found {
        let hint = || "write it as a `copy` step with a connection of `connections.yaml`".to_owned();
        let Some(dataset) = self.factory.datasets.get(name) else {
            return Err((format!("names the dataset `{name}`, which is not among the files"), hint()));
        };
        let service =
            dataset.get("linkedServiceName").map(|node| text(node, "referenceName")).unwrap_or_default();
        let connection = name_of(service);
        let details = dataset.get("typeProperties");
        let field = |name: &str| details.and_then(|node| node.get(name));
        let location = field("location");
        let part = |name: &str| -> Found {
            let value = value_of(location.and_then(|node| node.get(name)), &self.scope)?;
            Ok(value.as_str().unwrap_or_default().to_owned())
        };
        let path = || -> Found {
            let path = [part("folderPath")?, part("fileName")?];
            let path: Vec<&str> =
                path.iter().map(|part| part.trim_matches('/')).filter(|part| !part.is_empty()).collect();
            Ok(path.join("/"))
        };
        let table = |schema: &str| -> Found {
            let table = value_of(field("table").or_else(|| field("tableName")), &self.scope)?;
            let table = table.as_str().unwrap_or_default();
            let given = value_of(field("schema"), &self.scope)?;
            let schema = given.as_str().filter(|schema| !schema.is_empty()).unwrap_or(schema);
            Ok(match table.contains('.') || schema.is_empty() {
                true => format!("{connection}:{table}"),
                false => format!("{connection}:{schema}.{table}"),
            })
        };
        let address =
            match (text(dataset, "type"), location.map(|node| text(node, "type")).unwrap_or_default()) {
                ("AzurePostgreSqlTable" | "PostgreSqlTable" | "PostgreSqlV2Table", _) => table("public"),
                ("AzureMySqlTable" | "MySqlTable" | "MariaDBTable" | "AzureMariaDBTable", _) => table(""),
                (_, "AmazonS3Location" | "AmazonS3CompatibleLocation" | "SftpLocation") => {
                    Ok(format!("{connection}:{}", path()?))
                }
                (_, kind @ ("AzureBlobStorageLocation" | "AzureBlobFSLocation")) => {
                    let container =
                        part(if kind == "AzureBlobFSLocation" { "fileSystem" } else { "container" })?;
                    let connection = name_of(&format!("{connection}_{container}"));
                    let written = format!(
                        "azblob: {{container: {container}, account: …, access_key: \"${{{{ secrets.… }}}}\"}}"
                    );
                    self.factory
                        .connections
                        .borrow_mut()
                        .insert(connection.clone(), (written, dataset.place.clone()));
                    Ok(format!("{connection}:{}", path()?))
                }
                (_, "HttpServerLocation") => {
                    let base =
                        self.factory.services.get(service).and_then(|(_, node)| node.get("typeProperties"));
                    let base = base.map(|node| text(node, "url")).unwrap_or_default();
                    Ok(format!(
                        "{}/{}",
                        base.trim_end_matches('/'),
                        part("relativeUrl")?.trim_start_matches('/')
                    ))
                }
                (kind, at) => {
                    let what = if at.is_empty() { kind } else { at };
                    Err((
                        format!("reads or writes `{name}` ({what}), which no connector here reaches"),
                        hint(),
                    ))
                }
            };
        if address.is_ok() {
            self.factory.used.borrow_mut().insert(name.to_owned());
        }
        address
    }

    /// How the files of a dataset are written.
    pub(super) fn form(&self, name: &str) -> Form {
        let Some(dataset) = self.factory.datasets.get(name) else { return Form::default() };
        let details = dataset.get("typeProperties");
        let field = |name: &str| details.and_then(|node| node.get(name));
        let format = match text(dataset, "type") {
            "DelimitedText" => "csv",
            "Json" => "json",
            "Parquet" => "parquet",
            "Avro" => "avro",
            "Orc" => "orc",
            "Xml" => "xml",
            "Excel" => "excel",
            _ => return Form::default(),
        };
        let mut form = Form { format: Some(format), options: Vec::new() };
        if format != "csv" {
            return form;
        }
        let word = |name: &str| field(name).and_then(Node::as_text);
        if let Some(delimiter) = word("columnDelimiter").filter(|delimiter| *delimiter != ",") {
            form.options.push(("delimiter", if delimiter == "\t" { json!("tab") } else { json!(delimiter) }));
        }
        if let Some(quote) = word("quoteChar").filter(|quote| *quote != "\"" && !quote.is_empty()) {
            form.options.push(("quote", json!(quote)));
        }
        if field("firstRowAsHeader").is_none_or(|node| node.value != NodeValue::Bool(true)) {
            form.options.push(("header", json!(false)));
        }
        form
    }
}

impl Form {
    /// The ending of a new file.
    pub(super) fn ending(&self) -> &'static str {
        match self.format {
            Some("excel") => "xlsx",
            Some(format) => format,
            None => "csv",
        }
    }
}
