use millrace_spec::yaml::Node;
use serde_json::json;

use super::activities::{Made, Steps};
use super::{list, text, value_of};
use crate::yaml_out::{Map, Yaml};

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
        let mut config = Yaml::from(config);
        if let (Some(translator), Yaml::Map(config)) = (details.get("translator"), &mut config) {
            self.translator(translator, config, step);
        }
        step.put("copy", config);
        let read =
            ["source", "sink", "enableStaging", "parallelCopies", "dataIntegrationUnits", "translator"];
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

    /// The address of the dataset that a copy names.
    fn place(&self, activity: &Node, side: &str) -> Result<String, (String, String)> {
        let reference = list(activity.get(side)).first();
        self.address(reference.map(|node| text(node, "referenceName")).unwrap_or_default())
    }
}
