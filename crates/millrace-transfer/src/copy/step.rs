//! What the orchestration asks of the kind.

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    Explain as _, KindDoc, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use serde_json::Value;

use super::contract::no_contract;
use super::{Copy, incremental, read_config};
use crate::address::Address;
use crate::error::CopyError;
use crate::sink::stored;
use crate::source::files;

#[async_trait]
impl StepKind for Copy {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// Copies into datasets whose source is part of the cache's key; a server or a folder may have changed unseen.
    fn reusable(&self, config: &Value) -> bool {
        let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let from_asset = config.get("from").is_some_and(Value::is_object);
        let local =
            matches!(Address::read(&config.get("from").cloned().unwrap_or_default()), Ok(Address::Files(_)));
        text("to").starts_with("data:")
            && config.get("write").is_none_or(|write| write == "overwrite")
            && (from_asset || local)
    }

    fn bound_fields(&self) -> &'static [&'static str] {
        &["where"]
    }

    fn outputs(&self, config: &Value, _declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let data = match config.get("to").map(Address::read) {
            Some(Ok(Address::Files(_))) => "file",
            Some(Ok(Address::Database { .. } | Address::StoreUrl(_))) => "string",
            _ => "table",
        };
        let output = |name: &str, kind: &str| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        let counts = ["rows", "rejected"].map(|name| output(name, "integer"));
        let contract = config.get("schema").map(|_| output("schema_changes", "object"));
        let told = [output("verification", "object")].into_iter().chain(contract);
        [output("data", data)].into_iter().chain(counts).chain(told).collect()
    }

    /// The source file, so that a changed one is copied again.
    fn code_files(&self, config: &Value) -> Vec<String> {
        match config.get("from").map(Address::read) {
            Some(Ok(Address::Files(pattern))) => match files::expand(&self.services.workspace, &pattern) {
                Ok(files) => files.into_iter().map(|file| file.name).collect(),
                // Nothing there now: the name alone, so that a file that appears makes a difference.
                Err(_) => vec![pattern],
            },
            _ => Vec::new(),
        }
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let unresolved = config.to_string().contains("${{");
        let config = match read_config(config) {
            Ok(config) => config,
            Err(_) if unresolved => return Vec::new(),
            Err(error) => return vec![error.problem()],
        };
        let to = self.address(&config.to).and_then(|to| match to {
            Address::Stored { path, .. } => stored::check(&path, &config.write),
            _ => Ok(()),
        });
        let to = to.and_then(|()| self.check_write(&config));
        let to = to.and_then(|()| incremental::check(&config));
        let to = to.and_then(|()| match (&config.schema, self.address(&config.to)?) {
            (Some(_), Address::Files(_) | Address::Stored { .. }) => Err(no_contract()),
            (None, Address::Files(_) | Address::Stored { .. }) if config.incremental.is_some() => {
                Err(incremental::no_table())
            }
            _ => Ok(()),
        });
        let from = self.address(&config.from).and_then(|from| self.check_source(&from, &config));
        let addresses = [from, to, self.check_target(&config)];
        // What is wrong with `connections.yaml` is said once, at that file.
        let of_the_step = |error: &CopyError| !unresolved && !matches!(error, CopyError::Connection(_));
        let failed = addresses.into_iter().filter_map(Result::err).filter(of_the_step);
        failed.map(|error| error.problem()).collect()
    }

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        let problems = self.check(config).into_iter();
        problems.map(|problem| (named_key(config, &problem.message), problem)).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        self.copy(&context).await.map_err(StepError::from)
    }
}

/// The key of the step that a message names first, as a pointer; the whole step if it names none.
fn named_key(config: &Value, message: &str) -> String {
    let word = message.split('`').nth(1).and_then(|word| word.split(':').next());
    let word = word.filter(|word| config.get(word).is_some());
    word.map_or_else(String::new, |word| format!("/{word}"))
}
