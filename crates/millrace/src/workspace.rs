//! The files of a workspace: where it is, what is in it, reading and checking it.

mod files;
mod pools;
mod sql_selection;
mod sub_pipeline;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{Explain, SecretSource, StepKind};
use millrace_orchestration::{PipelineSource, PoolSize, StepRegistry};
use millrace_spec::check::{self, StepKindFacts, Surroundings};
use millrace_spec::load::{self, Includes, LoadedPipeline};
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::{Problem, Severity};
use millrace_spec::schedule::{Calendar, Calendars};
use millrace_spec::yaml;

use self::files::SeenFiles;
use crate::declared::{Declared, channels, sound};
use crate::printer::Printer;
use crate::secrets::SecretStore;

/// Name of the file that makes a folder a workspace.
pub(crate) const MARK: &str = "millrace.yaml";
/// Folder of pipeline files.
const PIPELINES: &str = "pipelines";
/// Folder of everything that is not in git.
pub(crate) const STATE: &str = ".millrace";

/// Why a workspace cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// No folder up to the root has the mark.
    #[error("there is no workspace here: no `{MARK}` in `{0}` or above it")]
    NotFound(PathBuf),
    /// A file cannot be read.
    #[error("cannot read `{file}`: {message}")]
    Unreadable { file: String, message: String },
    /// The named pipeline is not there.
    #[error("there is no pipeline `{name}`")]
    UnknownPipeline { name: String, known: Vec<String> },
    /// Another process has it; `server` is where that one listens.
    #[error("another `millrace run` or a server works in this workspace")]
    Taken { server: Option<String> },
    /// A file is wrong.
    #[error("{}", .0.message)]
    Wrong(Box<Problem>),
}

impl Explain for WorkspaceError {
    fn problem(&self) -> Problem {
        match self {
            Self::NotFound(_) => Problem::error("no-workspace", self.to_string())
                .hint("make one with `millrace init`, or change into one"),
            Self::Unreadable { .. } => Problem::error("unreadable-file", self.to_string()),
            Self::UnknownPipeline { name, known } => {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let problem = Problem::error("unknown-pipeline", self.to_string());
                match millrace_spec::suggest::nearest(name, &names) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.note(format!("pipelines are {}", names.join(", "))),
                }
            }
            Self::Taken { server } => {
                let problem = Problem::error("workspace-taken", self.to_string());
                server.iter().fold(problem, |problem, url| {
                    problem.hint(format!(
                        "it is at {url}: `millrace run --server {url} PIPELINE` gives it a run"
                    ))
                })
            }
            Self::Wrong(problem) => (**problem).clone(),
        }
    }
}

/// A workspace on disk. Files are read anew each time, since people edit them.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) name: String,
    pub(crate) timezone: String,
    /// Where people reach the server, for links in notes.
    pub(crate) url: Option<String>,
    pub(crate) pools: IndexMap<String, PoolSize>,
    /// Attempts that may run at once; a multiple of the cores if absent.
    pub(crate) max_running: Option<u32>,
    /// Output of a step's program that is kept, bytes; the default if absent.
    pub(crate) max_log: Option<u64>,
    pub(crate) secrets: Arc<SecretStore>,
    state: PathBuf,
    kinds: Arc<StepRegistry>,
    /// The pipelines, while all of them are checked: each may name the others.
    siblings: Option<Arc<Vec<Pipeline>>>,
    seen: Arc<SeenFiles>,
}

/// A file with what was found in it.
pub(crate) struct CheckedFile {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) loaded: Option<LoadedPipeline>,
    pub(crate) problems: Vec<Problem>,
}

impl CheckedFile {
    /// Prints what was found, each with the line of the file that it names: what is included has lines of its own.
    pub(crate) fn print_problems(&self, workspace: &Workspace, printer: &Printer) {
        for problem in &self.problems {
            let other = problem.place.as_ref().filter(|place| place.file != self.file);
            let other = other.map(|place| read(&workspace.root, &place.file).unwrap_or_default());
            printer.problem(problem, Some(other.as_deref().unwrap_or(&self.text)));
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// The nearest folder at or above `start` that is a workspace.
pub(crate) fn find_root(start: &Path) -> Result<PathBuf, WorkspaceError> {
    start
        .ancestors()
        .find(|folder| folder.join(MARK).is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| WorkspaceError::NotFound(start.to_path_buf()))
}

impl Workspace {
    /// Reads `millrace.yaml`, if it is there. `state` is the folder of everything that is not in git; `kinds` are needed to read pipelines.
    pub(crate) fn open(
        root: PathBuf,
        state: PathBuf,
        kinds: Arc<StepRegistry>,
        secrets: Arc<SecretStore>,
    ) -> Result<Self, WorkspaceError> {
        let text = if root.join(MARK).exists() { read(&root, MARK)? } else { String::new() };
        let tree = yaml::parse(MARK, &text).map_err(WorkspaceError::Wrong)?;
        let known = ["name", "description", "timezone", "pools", "max_running", "max_log", "url"];
        for (key, _) in tree.as_map().unwrap_or_default() {
            if !known.contains(&key.name.as_str()) {
                let problem = Problem::error("unknown-key", format!("`{MARK}` has no key `{}`", key.name))
                    .at(key.place.clone());
                let near = millrace_spec::suggest::nearest(&key.name, &known);
                return Err(WorkspaceError::Wrong(Box::new(match near {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.note(format!("its keys are {}", known.join(", "))),
                })));
            }
        }
        let folder_name =
            root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let field = |name: &str| tree.get(name).and_then(|node| node.as_text()).map(str::to_owned);
        let pools = tree.get("pools").map(pools::read).transpose();
        let pools = pools.map_err(WorkspaceError::Wrong)?;
        let max_running = tree.get("max_running").map(pools::max_running).transpose();
        let max_running = max_running.map_err(WorkspaceError::Wrong)?;
        let max_log = tree.get("max_log").map(pools::max_log).transpose();
        let max_log = max_log.map_err(WorkspaceError::Wrong)?;
        Ok(Self {
            name: field("name").unwrap_or(folder_name),
            url: field("url").map(|url| url.trim_end_matches('/').to_owned()),
            timezone: field("timezone").unwrap_or_else(|| "UTC".to_owned()),
            pools: pools.unwrap_or_default(),
            max_running,
            max_log,
            root,
            secrets,
            state,
            kinds,
            siblings: None,
            seen: Arc::default(),
        })
    }

    pub(crate) fn state_folder(&self) -> PathBuf {
        self.state.clone()
    }

    /// The file that says where the workspace's server listens.
    pub(crate) fn server_file(&self) -> PathBuf {
        self.state.join(millrace_orchestration::ADDRESS_FILE)
    }

    /// Paths of all pipeline files, relative, sorted.
    pub(crate) fn pipeline_files(&self) -> Vec<String> {
        self.yaml_files(PIPELINES)
    }

    /// Paths of the YAML files in a folder, relative, sorted.
    pub(crate) fn yaml_files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.root.join(folder)) else { return Vec::new() };
        let mut files: Vec<String> = entries
            .flatten()
            .filter(|entry| files::is_yaml(&entry.path()))
            .map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy()))
            .collect();
        files.sort();
        files
    }

    /// The text of a file that another file names, or why there is none.
    pub(crate) fn text_of(&self, path: &str) -> Result<String, String> {
        if !is_inside(path) {
            return Err("it is not in the workspace".to_owned());
        }
        read(&self.root, path).map_err(|error| match error {
            WorkspaceError::Unreadable { message, .. } => message,
            other => other.to_string(),
        })
    }

    /// Reads and checks a pipeline file.
    pub(crate) fn check_file(&self, file: &str) -> Result<CheckedFile, WorkspaceError> {
        let text = read(&self.root, file)?;
        let kinds: Vec<&str> = self.kinds.keys().copied().collect();
        let (loaded, problems) = match load::pipeline_with(file, &text, &kinds, self) {
            Ok(loaded) => {
                let problems = check::check(&loaded, self);
                (Some(loaded), problems)
            }
            Err(problems) => (None, problems),
        };
        Ok(CheckedFile { file: file.to_owned(), text, loaded, problems })
    }

    /// Every pipeline file, checked. A file that cannot be read is a problem of its own.
    pub(crate) fn check_all(&self) -> Vec<CheckedFile> {
        let mut workspace = self.clone();
        workspace.siblings = Some(Arc::new(self.load_all()));
        let check = |file: String| {
            workspace.check_file(&file).unwrap_or_else(|error| CheckedFile {
                file,
                text: String::new(),
                loaded: None,
                problems: vec![error.problem()],
            })
        };
        let checked: Vec<CheckedFile> = self.pipeline_files().into_iter().map(check).collect();
        self.seen.checked(&checked);
        checked
    }

    /// Every pipeline that can be read, whatever else is wrong with it.
    fn load_all(&self) -> Vec<Pipeline> {
        let kinds: Vec<&str> = self.kinds.keys().copied().collect();
        let load = |file: String| {
            let text = read(&self.root, &file).ok()?;
            Some(load::pipeline_with(&file, &text, &kinds, self).ok()?.pipeline)
        };
        self.pipeline_files().into_iter().filter_map(load).collect()
    }

    /// Finds a pipeline by its name or its file.
    pub(crate) fn find_pipeline(&self, name_or_file: &str) -> Result<CheckedFile, WorkspaceError> {
        let as_file = name_or_file.trim_start_matches("./");
        if as_file.ends_with(".yaml") || as_file.ends_with(".yml") {
            return self.check_file(as_file);
        }
        let checked = self.check_all();
        let named = |file: &CheckedFile| match &file.loaded {
            Some(loaded) => loaded.pipeline.name.as_str() == name_or_file,
            None => file.file.ends_with(&format!("/{name_or_file}.yaml")),
        };
        let known =
            checked.iter().filter_map(|file| Some(file.loaded.as_ref()?.pipeline.name.to_string())).collect();
        checked
            .into_iter()
            .find(named)
            .ok_or_else(|| WorkspaceError::UnknownPipeline { name: name_or_file.to_owned(), known })
    }
}

impl Surroundings for Workspace {
    fn kind(&self, step: &Step) -> Option<StepKindFacts> {
        let kind: &Arc<dyn StepKind> = self.kinds.get(step.kind.as_str())?;
        let mut facts = StepKindFacts {
            schema: kind.doc().schema.as_value().clone(),
            outputs: kind
                .outputs(&step.config, &step.outputs)
                .into_iter()
                .map(|output| (output.name, output.type_name))
                .collect(),
            files: kind.code_files(&step.config),
            problems: kind.check_places(&step.config),
        };
        if step.kind == "sql_models" {
            sql_selection::add_facts(self, step, &mut facts);
        }
        if step.kind == "pipeline" {
            sub_pipeline::add_facts(self, step, &mut facts);
        }
        Some(facts)
    }

    fn exists(&self, path: &str) -> bool {
        is_inside(path) && self.root.join(path).exists()
    }

    fn secrets(&self) -> Option<Vec<String>> {
        SecretSource::secrets(&*self.secrets).names()
    }

    fn calendars(&self) -> Option<Vec<String>> {
        Some(self.calendar_files().iter().map(|file| stem(&file.file).to_owned()).collect())
    }

    fn unknown_channel(&self, name: &str) -> Option<Problem> {
        match channels(&self.root).usable() {
            Ok(channels) => channels.destinations(name).err(),
            Err(problem) => Some(*problem),
        }
    }

    fn connections(&self) -> Option<Vec<(String, Vec<String>)>> {
        self.connection_kinds()
    }

    fn pipelines(&self) -> Option<Vec<Pipeline>> {
        Some(self.siblings.as_ref().map_or_else(|| self.load_all(), |siblings| siblings.to_vec()))
    }
}

impl Includes for Workspace {
    fn read(&self, path: &str) -> Result<String, String> {
        if is_inside(path) {
            self.seen.include(path);
        }
        self.text_of(path)
    }
}

#[async_trait]
impl PipelineSource for Workspace {
    async fn find(&self, name_or_file: &str) -> Result<Pipeline, Problem> {
        if !is_inside(name_or_file) {
            return Err(Problem::error(
                "unknown-pipeline",
                format!("`{name_or_file}` is not in the workspace"),
            ));
        }
        let (workspace, wanted) = (self.clone(), name_or_file.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let file = workspace.find_pipeline(&wanted).map_err(|error| error.problem())?;
            let wrong = file.problems.iter().find(|problem| problem.severity == Severity::Error).cloned();
            match (wrong, file.loaded) {
                (None, Some(loaded)) => Ok(loaded.pipeline),
                (Some(problem), _) => Err(problem),
                (None, None) => {
                    Err(Problem::error("unreadable-file", format!("cannot read `{}`", file.file)))
                }
            }
        });
        read.await.unwrap_or_else(|error| Err(Problem::error("failed", error.to_string())))
    }

    async fn pipelines(&self) -> Vec<Pipeline> {
        let workspace = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let sound = workspace.check_all().into_iter().filter(|file| !file.has_errors());
            sound.filter_map(|file| Some(file.loaded?.pipeline)).collect()
        });
        read.await.unwrap_or_default()
    }

    async fn calendars(&self) -> Calendars {
        let workspace = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let named = |file: Declared<Calendar>| (stem(&file.file).to_owned(), file);
            let files: Vec<_> = workspace.calendar_files().into_iter().map(named).collect();
            let calendar = |(name, file): (String, Declared<Calendar>)| {
                sound(vec![file]).pop().map(|calendar| (name, Arc::new(calendar)))
            };
            files.into_iter().filter_map(calendar).collect()
        });
        read.await.unwrap_or_default()
    }

    async fn stamp(&self) -> u64 {
        let workspace = self.clone();
        tokio::task::spawn_blocking(move || workspace.stamp_files()).await.unwrap_or_default()
    }

    fn timezone(&self) -> String {
        self.timezone.clone()
    }
}

/// Name of the thing that a file declares: what stands before its ending.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

/// Whether a path stays in the workspace.
fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

pub(crate) fn read(root: &Path, file: &str) -> Result<String, WorkspaceError> {
    let unreadable = |message: String| WorkspaceError::Unreadable { file: file.to_owned(), message };
    let bytes = fs_err::read(root.join(file)).map_err(|error| {
        let cause = if error.kind() == std::io::ErrorKind::NotFound {
            "no such file".to_owned()
        } else {
            error.to_string()
        };
        unreadable(cause)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        unreadable(format!(
            "it is not UTF-8: byte {} is not part of a character",
            error.utf8_error().valid_up_to() + 1
        ))
    })
}
