use millrace_spec::yaml::Node;
use serde_json::json;

use super::activities::{Made, Steps};
use super::{list, text, value_of};
use crate::names::name_of;
use crate::yaml_out::Map;

impl Steps<'_> {
    pub(super) fn copy(&mut self, activity: &Node, details: &Node, step: &mut Map) -> Made {
        let from = self.place(activity, "inputs")?;
        let to = self.place(activity, "outputs")?;
        let mut config = json!({"from": from, "to": to});
        let source = details.get("source");
        if let Some(query) = source.and_then(|node| node.get("query")) {
            // A query stands in brackets behind its connection.
            let connection = from.split_once(':').map(|(connection, _)| connection).unwrap_or_default();
            let query = value_of(Some(query), &self.scope)?;
            config["from"] = format!("{connection}:({})", query.as_str().unwrap_or_default()).into();
        }
        step.put("copy", config);
        let read = ["source", "sink", "enableStaging", "parallelCopies", "dataIntegrationUnits"];
        self.report.others(details, &read, "the copy", step);
        for (side, ordinary) in [
            ("source", &["type", "storeSettings", "formatSettings", "recursive", "query"][..]),
            ("sink", &["type", "storeSettings", "formatSettings", "writeBatchSize", "writeBatchTimeout"]),
        ] {
            if let Some(node) = details.get(side) {
                self.report.others(node, ordinary, &format!("the {side}"), step);
            }
        }
        Ok(())
    }

    /// The address of a dataset that a copy names.
    fn place(&self, activity: &Node, side: &str) -> Result<String, (String, String)> {
        let reference = list(activity.get(side)).first();
        let name = reference.map(|node| text(node, "referenceName")).unwrap_or_default();
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
        let part = |name: &str| -> Result<String, (String, String)> {
            let value = value_of(location.and_then(|node| node.get(name)), &self.scope)?;
            Ok(value.as_str().unwrap_or_default().to_owned())
        };
        let address =
            match (text(dataset, "type"), location.map(|node| text(node, "type")).unwrap_or_default()) {
                ("AzurePostgreSqlTable" | "PostgreSqlTable" | "PostgreSqlV2Table", _) => {
                    let table = value_of(field("table").or_else(|| field("tableName")), &self.scope)?;
                    let table = table.as_str().unwrap_or_default();
                    let schema = value_of(field("schema"), &self.scope)?;
                    let schema = schema.as_str().filter(|schema| !schema.is_empty()).unwrap_or("public");
                    let table =
                        if table.contains('.') { table.to_owned() } else { format!("{schema}.{table}") };
                    Ok(format!("{connection}:{table}"))
                }
                (_, "AmazonS3Location" | "AmazonS3CompatibleLocation") => {
                    let path = [part("folderPath")?, part("fileName")?];
                    let path: Vec<&str> =
                        path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                    Ok(format!("{connection}:{}", path.join("/")))
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
}
