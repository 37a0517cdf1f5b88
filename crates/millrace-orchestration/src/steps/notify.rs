use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, Note, Notifier, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Tells people, through channels of `channels.yaml`.
///
/// The note is stored when the step succeeds and delivered from there, again and again if a server does not answer. In `finally`, with
/// `if: failed()`, it tells of failures. `notify: team_ml` with `message:` beside it is short for the long form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum NotifySpec {
    /// A channel.
    One(String),
    /// Several channels.
    Several(Vec<String>),
    /// With words.
    Worded(NotifyWords),
}

/// Who is told what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotifyWords {
    /// A channel, or several.
    to: To,
    /// One line; the pipeline and the step, if absent.
    #[serde(default)]
    subject: Option<Value>,
    /// What there is to say.
    #[serde(default)]
    message: Option<Value>,
}

/// A channel, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum To {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

const EXAMPLE: &str =
    "notify:\n  to: team_ml\n  message: \"${{ run.pipeline }} failed: ${{ run.error.message }}\"";

/// The `notify` step.
pub struct NotifyStep {
    doc: KindDoc,
    notifier: Arc<dyn Notifier>,
}

impl std::fmt::Debug for NotifyStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NotifyStep")
    }
}

impl NotifyStep {
    /// Tells through `notifier`.
    pub fn new(notifier: Arc<dyn Notifier>) -> Self {
        Self { doc: KindDoc::of::<NotifySpec>(KindFamily::Step, "notify", EXAMPLE), notifier }
    }
}

#[async_trait]
impl StepKind for NotifyStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        Vec::new()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let Ok(spec) = NotifySpec::deserialize(config) else { return Vec::new() };
        let (channels, _) = spec.read();
        if channels.is_empty() {
            return vec![Problem::error("nobody-told", "`notify` names no channel").hint("notify: team_ml")];
        }
        let written = channels.iter().filter(|channel| !channel.contains("${{"));
        written.filter_map(|channel| self.notifier.unknown(channel)).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let spec = NotifySpec::deserialize(&context.config).map_err(|error| {
            let message = format!("the `notify` step cannot read its config: {error}");
            StepError::permanent(Problem::error("step-config", message))
        })?;
        let (channels, words) = spec.read();
        let text = |value: Option<Value>| match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
        };
        let (subject, message) =
            words.map_or((None, None), |words| (text(words.subject), text(words.message)));
        let note = Note {
            // The same over retries: an attempt that was killed after it had stored the note tells nobody twice.
            id: format!("step-{}", context.idempotency_key),
            subject: subject.unwrap_or_else(|| format!("{}: {}", context.pipeline, context.step)),
            text: message.unwrap_or_default(),
            path: Some(format!("/runs/{}", context.run_id)),
        };
        self.notifier.notify(&channels, note).await.map_err(|problem| {
            let transient = problem.code == "store-failed";
            StepError { problem, transient, cancelled: false }
        })?;
        context.log.line(&format!("told {}", channels.join(", ")));
        Ok(StepOutcome::default())
    }
}

impl NotifySpec {
    fn read(self) -> (Vec<String>, Option<NotifyWords>) {
        match self {
            Self::One(channel) => (vec![channel], None),
            Self::Several(channels) => (channels, None),
            Self::Worded(words) => match words.to {
                To::One(ref channel) => (vec![channel.clone()], Some(words)),
                To::Several(ref channels) => (channels.clone(), Some(words)),
            },
        }
    }
}
