//! `python`: a script or a module, in a locked environment if the step names one.

use std::path::Path;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    CommandExit, KindDoc, KindFamily, OutputDoc, Placement, StepContext, StepError, StepKind, StepOutcome,
    StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Services, collect, command, declared_outputs, discard, inputs};
use crate::warm::HASH_SEED;

/// Runs a Python script in the workspace's folder.
///
/// Inputs arrive as command-line flags, `--name value`, and in environment variables, `MILLRACE_INPUT_<NAME>`; tables as folders of
/// Parquet files. Declared outputs are written to the path in `MILLRACE_OUTPUT_<NAME>`; plain values are appended as `name=value` to the
/// file `$MILLRACE_OUTPUT`. `mlflow` logs into the step's run without further ado, and so does the small module `millrace`.
/// With `environment: envs/train.lock` the script runs in that environment, on a worker that has imported its packages already.
///
/// The result is reused while the script, the Python files beside it, the environment and the inputs stay the same; a script that does
/// something outside of its outputs needs `cache: false`. `PYTHONHASHSEED` is 0 unless `env:` says otherwise, so that what depends on the
/// order of a set is the same each time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PythonConfig {
    /// Path of the script, relative to the workspace.
    Script(String),
    /// The long form.
    Long(PythonCommand),
}

/// The long form of `python`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonCommand {
    /// Path of the script, relative to the workspace.
    #[serde(default)]
    script: Option<String>,
    /// Module to run as `python -m`, instead of a script.
    #[serde(default)]
    module: Option<String>,
    /// Arguments before the flags of the inputs.
    #[serde(default)]
    args: Vec<Value>,
}

const EXAMPLE: &str = "python: train.py\n";
/// Variables of Python's own that a warm worker heeds after its start.
const HEEDED_LATER: [&str; 2] = ["PYTHONPATH", "PYTHONUNBUFFERED"];

/// The kind `python`.
pub struct Python {
    services: Services,
    doc: KindDoc,
}

impl Python {
    /// The kind with what it needs from others.
    pub fn new(services: Services) -> Self {
        Self { services, doc: KindDoc::of::<PythonConfig>(KindFamily::Step, "python", EXAMPLE) }
    }
}

impl PythonConfig {
    fn read(config: &Value) -> Result<PythonCommand, Problem> {
        let read = serde_json::from_value(config.clone()).map_err(|_| {
            Problem::error(
                "python-config",
                "`python` is neither the path of a script nor `{script, module, args}`",
            )
            .hint("write `python: train.py`, or `python: {script: train.py, args: [--fast]}`")
        })?;
        let command = match read {
            Self::Script(script) => PythonCommand { script: Some(script), module: None, args: Vec::new() },
            Self::Long(command) => command,
        };
        if command.script.is_some() == command.module.is_some() {
            return Err(Problem::error("python-config", "`python` needs either `script` or `module`"));
        }
        Ok(command)
    }
}

#[async_trait]
impl StepKind for Python {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    /// A script's outputs are taken to follow from its files, environment and inputs; `cache: false` says otherwise.
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn tracked(&self) -> bool {
        true
    }

    fn outputs(&self, _config: &Value, declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        declared_outputs(declared)
    }

    fn code_files(&self, config: &Value) -> Vec<String> {
        let script = PythonConfig::read(config).ok().and_then(|command| command.script);
        script.map(|script| with_neighbours(&self.services.workspace, script)).unwrap_or_default()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        PythonConfig::read(config).err().into_iter().collect()
    }

    async fn place(&self, context: &StepContext) -> Result<Placement, StepError> {
        let config = PythonConfig::read(&context.config).map_err(StepError::permanent)?;
        let interpreter = if context.environment.is_some() { "python" } else { "python3" };
        let mut argv = vec![interpreter.to_owned()];
        match (config.script, config.module) {
            (Some(script), _) => argv.push(existing(&context.workspace, &script)?),
            (None, Some(module)) => argv.extend(["-m".to_owned(), module]),
            (None, None) => {}
        }
        argv.extend(
            config.args.iter().map(|arg| arg.as_str().map_or_else(|| arg.to_string(), str::to_owned)),
        );
        let given = inputs::lay(&self.services, context).await?;
        for (name, text) in &given {
            argv.extend([format!("--{name}"), text.clone()]);
        }
        let mut env = inputs::environment(context, &given)?;
        // A warm worker's interpreter has started already; it cannot heed what only a start reads.
        let only_at_start =
            env.keys().any(|name| name.starts_with("PYTHON") && !HEEDED_LATER.contains(&name.as_str()));
        let sdk = self.services.python_path.to_string_lossy();
        let path = env.get("PYTHONPATH").map_or_else(|| sdk.to_string(), |own| format!("{own}:{sdk}"));
        env.insert("PYTHONPATH".to_owned(), path);
        env.entry("PYTHONUNBUFFERED".to_owned()).or_insert_with(|| "1".to_owned());
        env.entry("PYTHONHASHSEED".to_owned()).or_insert_with(|| HASH_SEED.to_owned());
        let mut command = command(&self.services, context, argv, env);
        command.warm = command.environment.is_some() && !only_at_start;
        Ok(Placement::Command(Box::new(command)))
    }

    async fn run(&self, _context: StepContext) -> Result<StepOutcome, StepError> {
        Err(StepError::permanent(Problem::error(
            "placement",
            "`python` steps run as programs, not in the server",
        )))
    }

    async fn collect(&self, context: StepContext, exit: CommandExit) -> Result<StepOutcome, StepError> {
        collect(&self.services, context, exit).await
    }

    async fn discard(&self, context: &StepContext) {
        discard(context).await;
    }
}

/// The script and the Python files beside it, which it may import.
fn with_neighbours(workspace: &Path, script: String) -> Vec<String> {
    let folder = Path::new(&script).parent().unwrap_or_else(|| Path::new("")).to_owned();
    // A folder that cannot be read has no neighbours; the missing script is reported when the step is placed.
    let entries = fs_err::read_dir(workspace.join(&folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| folder.join(entry.file_name()));
    let mut files: Vec<String> = names
        .filter(|path| path.extension().is_some_and(|ending| ending == "py"))
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| *path != script)
        .collect();
    files.sort();
    files.insert(0, script);
    files
}

fn existing(workspace: &Path, script: &str) -> Result<String, StepError> {
    let path = workspace.join(script);
    if path.is_file() {
        return Ok(path.to_string_lossy().into_owned());
    }
    let problem = Problem::error("no-script", format!("there is no script `{script}`"))
        .note("the path is relative to the workspace's folder");
    Err(StepError::permanent(problem))
}
