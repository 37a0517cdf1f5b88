//! `run`: a shell text or a program.

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

/// Runs a program or a shell text in the workspace's folder.
///
/// Inputs arrive in environment variables, `MILLRACE_INPUT_<NAME>`: the path of a table's Parquet folder, of a file or a folder, or the
/// plain value. Declared outputs are written to the path in `MILLRACE_OUTPUT_<NAME>`; plain values are appended as `name=value` to the
/// file `$MILLRACE_OUTPUT`. The step fails if the program's exit code is not 0.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RunConfig {
    /// Shell text, run by `bash -eu -o pipefail -c`.
    Text(String),
    /// The long form.
    Long(RunCommand),
}

/// The long form of `run`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunCommand {
    /// Shell text, or a program and its arguments as a list, which no shell sees.
    command: Words,
    /// Program and options that a shell text is appended to, for example `[sh, -c]`.
    #[serde(default)]
    shell: Option<Vec<String>>,
}

/// Shell text or a list of words.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

const EXAMPLE: &str =
    "run: |\n  wc -l raw/*.csv\n  echo \"files=$(ls raw | wc -l)\" >> \"$MILLRACE_OUTPUT\"\n";

/// The kind `run`.
pub struct Run {
    services: Services,
    doc: KindDoc,
}

impl Run {
    /// The kind with what it needs from others.
    pub fn new(services: Services) -> Self {
        Self { services, doc: KindDoc::of::<RunConfig>(KindFamily::Step, "run", EXAMPLE) }
    }
}

impl RunConfig {
    fn read(config: &Value) -> Result<Self, Problem> {
        serde_json::from_value(config.clone()).map_err(|_| {
            Problem::error("run-config", "`run` is neither a shell text nor `{command, shell}`")
                .hint("write `run: echo hello`, or `run: {command: [echo, hello]}`")
        })
    }

    fn argv(&self) -> Vec<String> {
        let (text, shell) = match self {
            Self::Text(text) => (text, None),
            Self::Long(RunCommand { command: Words::Text(text), shell }) => (text, shell.as_ref()),
            Self::Long(RunCommand { command: Words::List(words), .. }) => return words.clone(),
        };
        let mut argv = match shell {
            Some(words) => words.clone(),
            None => ["bash", "-eu", "-o", "pipefail", "-c"].map(str::to_owned).to_vec(),
        };
        argv.push(text.clone());
        argv
    }
}

#[async_trait]
impl StepKind for Run {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn tracked(&self) -> bool {
        true
    }

    fn outputs(&self, _config: &Value, declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        declared_outputs(declared)
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        match RunConfig::read(config) {
            Err(problem) => vec![problem],
            Ok(config) if config.argv().first().is_none_or(String::is_empty) => {
                vec![Problem::error("run-config", "`command` names no program")]
            }
            Ok(_) => Vec::new(),
        }
    }

    async fn place(&self, context: &StepContext) -> Result<Placement, StepError> {
        let config = RunConfig::read(&context.config).map_err(StepError::permanent)?;
        let given = inputs::lay(&self.services, context).await?;
        let env = inputs::environment(context, &given)?;
        let mut command = command(&self.services, context, config.argv(), env);
        // An environment is for programs that are Python; a shell finds its own.
        command.environment =
            command.environment.filter(|_| command.argv.first().is_some_and(|program| program == "python"));
        Ok(Placement::Command(Box::new(command)))
    }

    async fn run(&self, _context: StepContext) -> Result<StepOutcome, StepError> {
        Err(StepError::permanent(Problem::error(
            "placement",
            "`run` steps run as programs, not in the server",
        )))
    }

    async fn collect(&self, context: StepContext, exit: CommandExit) -> Result<StepOutcome, StepError> {
        collect(&self.services, context, exit).await
    }

    async fn discard(&self, context: &StepContext) {
        discard(context).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: Value, expected: &[&str]) {
        assert_eq!(RunConfig::read(&config).unwrap().argv(), expected);
    }

    #[test]
    fn the_forms_of_run() {
        check("ls".into(), &["bash", "-eu", "-o", "pipefail", "-c", "ls"]);
        check(serde_json::json!({"command": "ls", "shell": ["sh", "-c"]}), &["sh", "-c", "ls"]);
        check(serde_json::json!({"command": ["ls", "$HOME"]}), &["ls", "$HOME"]);
        assert!(RunConfig::read(&serde_json::json!({"comand": "ls"})).is_err());
    }
}
