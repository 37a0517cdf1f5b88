//! The flow files of the workspace, as the API shows them.

mod tolerant;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_api::views::datasets::FieldView;
use millrace_api::views::flows::{FlowKindView, FlowModel, FlowNodeView, FlowPort, FlowSummary, FlowUse};
use millrace_api::views::json::{Json, TextMap};
use millrace_api::{FlowFile, Flows, from_of, kind_of};
use millrace_contract::{DatasetCatalog, FlowPreview, NodeSchema, TablePreview, TableRef};
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Node};
use serde_json::Value;

use crate::edited_files;
use crate::workspace::Workspace;
use tolerant::Tolerated;

/// Folder of flow files.
const FLOWS: &str = "flows";

/// The flows of a workspace.
pub(crate) struct WorkspaceFlows {
    pub(crate) workspace: Workspace,
    pub(crate) previews: Arc<dyn FlowPreview>,
    pub(crate) datasets: Arc<dyn DatasetCatalog>,
}

#[async_trait]
impl Flows for WorkspaceFlows {
    fn flow_kinds(&self) -> Vec<FlowKindView> {
        let kind = |doc: millrace_contract::KindDoc| FlowKindView {
            name: doc.name.to_owned(),
            summary: doc.summary,
            description: doc.description,
            example: doc.example.to_owned(),
            schema: Json(doc.schema.as_value().clone()),
            reads: millrace_transform::transforms::reads(doc.name).unwrap_or("one").to_owned(),
        };
        millrace_transform::transforms::docs().into_iter().map(kind).collect()
    }

    async fn list_flows(&self) -> Vec<FlowSummary> {
        let pipelines = self.pipelines().await;
        let mut flows = Vec::new();
        for file in self.workspace.yaml_files(FLOWS) {
            let Ok(Some(text)) = edited_files::present(&self.workspace.root, &file) else { continue };
            let (tree, mut problems) = match yaml::parse(&file, &text) {
                Ok(tree) => (Some(tree), Vec::new()),
                Err(problem) => (None, vec![*problem]),
            };
            if let Some(tree) = &tree {
                let tolerated = Tolerated::of(tree);
                problems = tolerated.problems.into_iter().chain(tolerated.nodes.into_values()).collect();
            }
            let nodes = tree.as_ref().and_then(|tree| tree.get("nodes")?.as_map()).map_or(0, <[_]>::len);
            let text_of = |key: &str| tree.as_ref()?.get(key)?.as_text().map(str::to_owned);
            flows.push(FlowSummary {
                name: name_of(&file).to_owned(),
                description: text_of("description"),
                nodes: u32::try_from(nodes).unwrap_or(u32::MAX),
                used_by: uses(&pipelines, &file).map(|(pipeline, step)| used(pipeline, step)).collect(),
                problems: problems.into_iter().map(Into::into).collect(),
                file,
            });
        }
        flows
    }

    async fn find_flow(&self, name: &str) -> Result<Option<FlowFile>, Problem> {
        let Some(file) = self.file_of(name) else { return Ok(None) };
        let Some(yaml) = edited_files::present(&self.workspace.root, &file)? else { return Ok(None) };
        Ok(Some(self.file(file, yaml).await))
    }

    async fn save_flow(&self, name: &str, yaml: String, expected: Option<&str>) -> Result<FlowFile, Problem> {
        let file = match self.file_of(name) {
            Some(file) => file,
            None if is_file_name(name) => format!("{FLOWS}/{name}.yaml"),
            None => {
                let message = format!("`{name}` cannot name a file");
                return Err(Problem::error("bad-flow-name", message).hint("use letters, digits, `_` and `-`"));
            }
        };
        edited_files::write(&self.workspace.root, &file, &yaml, expected)?;
        Ok(self.file(file, yaml).await)
    }

    async fn check_flow(&self, file: &str, text: &str, tables: &IndexMap<String, TableRef>) -> FlowModel {
        let tree = match yaml::parse(file, text) {
            Ok(tree) => tree,
            Err(problem) => return FlowModel { problems: vec![(*problem).into()], ..empty() },
        };
        let mut tolerated = Tolerated::of(&tree);
        tolerated.without_tables(tables);
        let mut ports: Vec<NodeSchema> = Vec::new();
        if tolerated.has_nodes() {
            match self.previews.flow_schemas(&tolerated.document, tables).await {
                Ok(schemas) => ports = schemas,
                Err(problem) => tolerated.problems.push(problem),
            }
        }
        model(&tree, tolerated, ports)
    }

    async fn preview_node(
        &self,
        text: &str,
        node: &str,
        tables: &IndexMap<String, TableRef>,
        limit: usize,
    ) -> Result<TablePreview, Problem> {
        let tree = yaml::parse("flow.yaml", text).map_err(|problem| *problem)?;
        let document = tolerant::only_for(&tree.to_json(), node);
        self.previews.preview_flow(&document, tables, node, limit).await
    }
}

impl WorkspaceFlows {
    /// The file of a flow that is there.
    fn file_of(&self, name: &str) -> Option<String> {
        self.workspace.yaml_files(FLOWS).into_iter().find(|file| name_of(file) == name)
    }

    async fn file(&self, file: String, yaml: String) -> FlowFile {
        let pipelines = self.pipelines().await;
        let sources = yaml::parse(&file, &yaml).map(|tree| Tolerated::of(&tree).sources).unwrap_or_default();
        let known: Vec<String> = match self.datasets.list().await {
            Ok(all) => all.into_iter().filter_map(|version| version.asset.name).collect(),
            Err(_) => Vec::new(),
        };
        let mut tables = IndexMap::new();
        for source in sources {
            let given = uses(&pipelines, &file).find_map(|(pipeline, step)| given(pipeline, step, &source));
            let table = given.filter(|name| known.contains(name)).unwrap_or_else(|| source.clone());
            if known.contains(&table) {
                tables.insert(source, table);
            }
        }
        FlowFile {
            etag: edited_files::etag(&yaml),
            read_only: edited_files::read_only(&self.workspace.root, &file),
            used_by: uses(&pipelines, &file).map(|(pipeline, step)| used(pipeline, step)).collect(),
            tables,
            file,
            yaml,
        }
    }

    /// Every pipeline that can be read.
    async fn pipelines(&self) -> Vec<Pipeline> {
        let workspace = self.workspace.clone();
        let read = tokio::task::spawn_blocking(move || {
            let loaded = workspace.check_all().into_iter().filter_map(|file| Some(file.loaded?.pipeline));
            loaded.collect()
        });
        read.await.unwrap_or_default()
    }
}

/// The flow's name: the file's without its folder and ending.
fn name_of(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(name, _)| name)
}

/// Whether a name can be one of a file, on every system.
pub(crate) fn is_file_name(name: &str) -> bool {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-');
    !name.is_empty() && name.len() <= 100 && name.chars().all(plain)
}

/// The steps that run a flow file.
fn uses<'p>(pipelines: &'p [Pipeline], file: &str) -> impl Iterator<Item = (&'p Pipeline, &'p Step)> {
    let runs = move |step: &&Step| {
        let named = step.config.as_str().or_else(|| step.config.get("file").and_then(Value::as_str));
        step.kind == "flow" && named.map(|named| named.trim_start_matches("./")) == Some(file)
    };
    let steps =
        pipelines.iter().flat_map(|pipeline| pipeline.steps.values().map(move |step| (pipeline, step)));
    steps.filter(move |(_, step)| runs(step)).collect::<Vec<_>>().into_iter()
}

fn used(pipeline: &Pipeline, step: &Step) -> FlowUse {
    FlowUse { pipeline: pipeline.name.to_string(), step: step.id.to_string() }
}

/// The dataset that a step gives to a source: what it names itself, or what the step that it names writes.
fn given(pipeline: &Pipeline, step: &Step, source: &str) -> Option<String> {
    let input = step.inputs.get(source)?.as_str()?;
    if let Some(name) = input.strip_prefix("data:") {
        return Some(name.to_owned());
    }
    let expression = input.strip_prefix("${{")?.strip_suffix("}}")?.trim();
    let (before, _) = expression.strip_prefix("steps.")?.split_once('.')?;
    let writer = pipeline.steps.values().find(|step| step.id.to_string() == before)?;
    let to = writer.config.get("to").and_then(Value::as_str).and_then(|to| to.strip_prefix("data:"));
    Some(to.map_or_else(|| format!("{}_{before}", pipeline.name), str::to_owned))
}

fn empty() -> FlowModel {
    FlowModel {
        description: None,
        nodes: Vec::new(),
        outputs: TextMap::default(),
        names_outputs: false,
        sources: Vec::new(),
        problems: Vec::new(),
    }
}

fn model(tree: &Node, mut tolerated: Tolerated, ports: Vec<NodeSchema>) -> FlowModel {
    let fields = tree.get("nodes").and_then(Node::as_map).unwrap_or_default();
    let mut nodes = Vec::with_capacity(fields.len());
    for (key, node) in fields {
        let document = node.to_json();
        let of_node = |port: &&NodeSchema| {
            port.node == key.name
                || port.node.strip_prefix(&key.name).is_some_and(|rest| rest.starts_with('.'))
        };
        let mut problem = tolerated.nodes.shift_remove(&key.name);
        let mut given = Vec::new();
        for port in ports.iter().filter(of_node) {
            problem = problem.or_else(|| port.problem.clone().map(|problem| problem.at(key.place.clone())));
            given.push(FlowPort {
                name: port.node.clone(),
                columns: port.columns.iter().map(field).collect(),
            });
        }
        let kind = kind_of(&document);
        nodes.push(FlowNodeView {
            config: Json(kind.as_ref().and_then(|kind| document.get(kind)).cloned().unwrap_or_default()),
            kind,
            from: from_of(&document),
            description: document.get("description").and_then(Value::as_str).map(str::to_owned),
            line: key.place.line,
            ports: given,
            problem: problem.map(Into::into),
            id: key.name.clone(),
        });
    }
    FlowModel {
        description: tree.get("description").and_then(Node::as_text).map(str::to_owned),
        nodes,
        outputs: TextMap(tolerated.outputs),
        names_outputs: tree.get("output").or_else(|| tree.get("outputs")).is_some(),
        sources: tolerated.sources,
        problems: tolerated.problems.into_iter().map(Into::into).collect(),
    }
}

fn field(column: &millrace_contract::PreviewColumn) -> FieldView {
    FieldView { name: column.name.clone(), data_type: column.data_type.clone(), nullable: column.nullable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_flows_are_names_of_files() {
        assert_eq!(name_of("flows/by_day.v2.yaml"), "by_day.v2");
        for name in ["a", "by-day_2"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", "../a", "a/b", "a.b", "ä", "a b"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
