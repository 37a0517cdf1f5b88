//! The step kind `sync`: files as they are, of any format or none.
//!
//! Both sides are listed, [`plan`] decides by the two listings alone, and a crew copies what is different, some files at once in a bounded
//! room. Nothing is kept between two runs: what a run that was killed has copied is the same for the next one.

mod config;
mod crew;
mod plan;
mod record;
mod sides;
mod tally;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, Explain as _, KindDoc, KindFamily, OutputDoc, StepContext, StepError, StepKind, StepOutcome,
    StepTraits,
};
use millrace_spec::problem::Problem;
use serde_json::Value;

use self::crew::Crew;
use self::plan::{Plan, Rules, plan};
use self::record::{Action, Record, count};
use self::sides::{Side, Sides};
use crate::copy::CopyServices;
use crate::error::CopyError;
use crate::store::{FileFacts, unless_cancelled};
pub use config::{Compare, Hierarchy, Moment, SyncConfig, VerifyFiles};

/// The kind `sync`.
pub struct Sync {
    services: CopyServices,
    doc: KindDoc,
}

const EXAMPLE: &str = "sync: {from: \"lake:raw/**/*.jpg\", to: \"pictures:new/\", delete: true}\n";

impl Sync {
    /// The kind with what it needs from others.
    pub fn new(services: CopyServices) -> Self {
        Self { services, doc: KindDoc::of::<SyncConfig>(KindFamily::Step, "sync", EXAMPLE) }
    }

    fn sides(&self) -> Result<Sides<'_>, CopyError> {
        let connections = (self.services.connections)().map_err(CopyError::Connection)?;
        Ok(Sides { services: &self.services, connections })
    }

    async fn sync(&self, context: &StepContext) -> Result<StepOutcome, CopyError> {
        let config = read_config(&context.config)?;
        let (from, to) = {
            let sides = self.sides()?;
            (sides.from(&config)?, sides.to(&config)?)
        };
        refuse_overlap(&from, &to, &config)?;
        let rules = Rules::of(&config, self.services.clock.now())?.into(&to.path, to.store.keeps_times());
        let plan = unless_cancelled(context, planned(&from, &to, &config, &rules)).await?;
        for line in from.store.left_out() {
            context.log.line(&line);
        }
        let within = from.connection.is_some() && from.connection == to.connection;
        let crew = Crew::new((from.store.clone(), to.store.clone()), within, &config, context);
        let mut records = carry_out(&crew, plan, &config, &to).await?;
        let folder = &context.folder;
        fs_err::tokio::create_dir_all(folder)
            .await
            .map_err(|error| CopyError::write("the attempt's folder", &error))?;
        let manifest = record::write(&mut records, &folder.join("files.jsonl"))?;
        let mut outcome = told(&records, &from, &to);
        outcome.outputs.insert("manifest".to_owned(), manifest.to_value());
        context.log.line(&summary(&records));
        match failures(&records, &folder.join("files.jsonl").to_string_lossy()) {
            Some(error) => Err(error),
            None => Ok(outcome),
        }
    }
}

fn refuse_overlap(from: &Side, to: &Side, config: &SyncConfig) -> Result<(), CopyError> {
    if from.overlaps(to, config) {
        let message = format!("`{}` and `{}` lie in one another", from.label, to.label);
        return Err(CopyError::config(message, "copy into a folder beside it"));
    }
    Ok(())
}

/// Lists both sides and compares them.
async fn planned(from: &Side, to: &Side, config: &SyncConfig, rules: &Rules) -> Result<Plan, CopyError> {
    let source = from.files().await?;
    if source.is_empty() && !config.allow_empty {
        let message = format!("no {} is there; the sink was left as it is", from.store.noun());
        return Err(CopyError::read(&from.label, &message));
    }
    let sink = match config.hierarchy {
        Hierarchy::Merge => Vec::new(),
        _ => to.store.list(&to.path, None).await?,
    };
    plan(source, sink, rules)
}

/// Does what is planned, or says it.
async fn carry_out(
    crew: &Arc<Crew>,
    mut plan: Plan,
    config: &SyncConfig,
    to: &Side,
) -> Result<Vec<Record>, CopyError> {
    let unclear = std::mem::take(&mut plan.unclear);
    let compared =
        crew.each(unclear, |crew, (pair, sink)| async move { crew.same_content(&pair.source, &sink).await });
    for ((pair, _), same) in compared.await? {
        match same {
            Ok(true) => plan.same.push(pair),
            Err(CopyError::Cancelled) => return Err(CopyError::Cancelled),
            // What cannot be compared is copied, or fails where it can be tried again.
            Ok(false) | Err(_) => plan.copy.push(pair),
        }
    }
    let mut records: Vec<Record> = plan.same.iter().map(|pair| Record::of(pair, Action::Same)).collect();
    if config.dry_run {
        records.extend(plan.copy.iter().map(|pair| Record::of(pair, Action::WouldCopy)));
        records.extend(plan.delete.iter().map(|file| Record::gone(file, Ok(Action::WouldDelete))));
        return Ok(records);
    }
    remove(crew, plan.left_behind).await?;
    if config.hierarchy == Hierarchy::Merge {
        if !plan.copy.is_empty() {
            records.push(crew.merge(&plan.copy, &to.path).await?);
        }
        return Ok(records);
    }
    let all_there = |records: &[Record]| count(records, Action::Failed) == 0;
    records.extend(crew.copy_all(plan.copy).await?);
    if all_there(&records) {
        records.extend(remove(crew, plan.delete).await?);
    } else if !plan.delete.is_empty() {
        crew.context.log.line("nothing was removed, because not everything could be copied");
    }
    Ok(records)
}

async fn remove(crew: &Arc<Crew>, files: Vec<FileFacts>) -> Result<Vec<Record>, CopyError> {
    let removing = crew.each(files, |crew, file: FileFacts| async move {
        unless_cancelled(&crew.context, crew.sink.delete(&file.path)).await
    });
    let mut records = Vec::new();
    for (file, removed) in removing.await? {
        match removed {
            Err(CopyError::Cancelled) => return Err(CopyError::Cancelled),
            removed => records.push(Record::gone(&file, removed.map(|()| Action::Deleted))),
        }
    }
    Ok(records)
}

fn told(records: &[Record], from: &Side, to: &Side) -> StepOutcome {
    let copied = records.iter().filter(|record| record.action == Action::Copied);
    let bytes = copied.filter_map(|record| record.size_bytes).sum();
    let counts = [
        ("files", Action::Copied),
        ("same", Action::Same),
        ("deleted", Action::Deleted),
        ("would_copy", Action::WouldCopy),
        ("would_delete", Action::WouldDelete),
    ];
    let mut outputs = IndexMap::from([("data".to_owned(), Value::from(to.label.as_str()))]);
    outputs.extend(counts.map(|(name, action)| (name.to_owned(), count(records, action).into())));
    outputs.insert("bytes".to_owned(), Value::from(bytes));
    outputs.insert("verification".to_owned(), record::verification(records));
    let source = AssetKey { kind: "source".to_owned(), name: from.label.clone(), version: 0 };
    StepOutcome { outputs, bytes: Some(bytes), sources: vec![source], ..StepOutcome::default() }
}

fn summary(records: &[Record]) -> String {
    let of = |action: Action| count(records, action);
    let mut parts = vec![format!("{} copied", of(Action::Copied)), format!("{} the same", of(Action::Same))];
    let others = [
        ("deleted", Action::Deleted),
        ("failed", Action::Failed),
        ("to be copied", Action::WouldCopy),
        ("to be deleted", Action::WouldDelete),
    ];
    let others = others.into_iter().filter(|(_, action)| of(*action) > 0);
    parts.extend(others.map(|(word, action)| format!("{} {word}", of(action))));
    format!("files: {}", parts.join(", "))
}

/// The step's error, if files failed: what the first one says, and where the others stand.
fn failures(records: &[Record], manifest: &str) -> Option<CopyError> {
    let failed: Vec<&Record> = records.iter().filter(|record| record.action == Action::Failed).collect();
    let first = failed.first()?.error.clone()?;
    if records.len() == 1 {
        return Some(first);
    }
    Some(CopyError::Files {
        failed: failed.len(),
        first: Box::new(first),
        transient: failed.iter().any(|record| record.error.as_ref().is_some_and(CopyError::may_pass)),
        manifest: manifest.to_owned(),
    })
}

fn read_config(config: &Value) -> Result<SyncConfig, CopyError> {
    serde_json::from_value(config.clone())
        .map_err(|error| CopyError::config(format!("`sync`: {error}"), EXAMPLE.trim_end().to_owned()))
}

fn check_config(config: &SyncConfig) -> Result<(), CopyError> {
    if config.hierarchy == Hierarchy::Merge && config.delete {
        return Err(CopyError::config(
            "`delete` has nothing to remove where all files become one",
            "hierarchy: keep",
        ));
    }
    Rules::of(config, jiff::Timestamp::UNIX_EPOCH).map(drop)
}

#[async_trait]
impl StepKind for Sync {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    /// What is in the places may have changed unseen.
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let output = |name: &str, kind: &str| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        let counts = ["files", "same", "deleted", "would_copy", "would_delete", "bytes"];
        let counts = counts.map(|name| output(name, "integer"));
        let rest = [output("verification", "object"), output("manifest", "file")];
        [output("data", "string")].into_iter().chain(counts).chain(rest).collect()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let unresolved = config.to_string().contains("${{");
        let config = match read_config(config) {
            Ok(config) => config,
            Err(_) if unresolved => return Vec::new(),
            Err(error) => return vec![error.problem()],
        };
        // Whether the places fit is only asked of a step that means something.
        let checked = check_config(&config).and_then(|()| {
            let sides = self.sides()?;
            let (from, to) = (sides.from(&config)?, sides.to(&config)?);
            refuse_overlap(&from, &to, &config)
        });
        // What is wrong with `connections.yaml` is said once, at that file.
        let of_the_step = |error: &CopyError| !unresolved && !matches!(error, CopyError::Connection(_));
        checked.err().filter(of_the_step).map(|error| error.problem()).into_iter().collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        self.sync(&context).await.map_err(StepError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::plan::Pair;
    use super::record::Proof;
    use super::*;

    fn pair(path: &str) -> Pair {
        Pair { source: FileFacts::default(), relative: path.to_owned(), target: path.to_owned() }
    }

    #[test]
    fn what_is_told_of_files() {
        let sure = Record::copied(&pair("a"), 1, None, Proof::Verified("read again"));
        let unsure = Record::copied(&pair("b"), 2, None, Proof::NotVerified("a folder has no digests"));
        let failed = Record::failed(&pair("c"), CopyError::read("c", &"gone"));
        let records = [sure, unsure, failed];
        assert_eq!(summary(&records), "files: 2 copied, 0 the same, 1 failed");
        let said = record::verification(&records);
        assert_eq!(said["why"], "1 of 2 files: a folder has no digests");
        let error = failures(&records, "files.jsonl").unwrap();
        assert_eq!(error.to_string(), "1 file could not be copied, the first: cannot read `c`: gone");
        assert!(failures(&records[..2], "files.jsonl").is_none());
    }
}
