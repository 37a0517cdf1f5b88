use std::collections::BTreeSet;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, Look, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_metastore::approvals::ApprovalRow;
use millrace_spec::access::{Access, Approver, OnTimeout, Quorum};
use millrace_spec::duration::parse_ms;
use millrace_spec::pipeline::InputSpec;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::approvals::{Answer, Approval, ApprovalRule, Approvals};

/// Waits until people approve.
///
/// It holds no worker meanwhile and waits over restarts. `by` names accounts (`user:anna`), groups and roles of `access.yaml`
/// (`group:risk`, `role:ml_owner`); `role:admin` are the administrators. Who started the run does not approve it, unless `self` is true.
/// A no ends the step as `rejected`: what needs it is skipped, and `if: failed()` sees it. The approval is about one content: if the
/// subject has another digest by then, it is void and the step fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveSpec {
    /// What is approved: an asset (`${{ steps.train.model }}`), a reference (`model:churn@challenger`, `data:labels@3`) or any value. The
    /// run with its definition and inputs, if absent.
    #[serde(default)]
    subject: Option<Value>,
    /// Who may decide.
    by: Vec<Approver>,
    /// How many people must approve, or `each`: somebody for each entry of `by`, each a different person.
    #[serde(default)]
    min: Quorum,
    /// Longest time to wait, for example `3d`.
    #[serde(default)]
    timeout: Option<String>,
    /// What happens then: `reject`, `approve`, or `{escalate: role:head}` to ask others too, for as long again.
    #[serde(default)]
    on_timeout: OnTimeout,
    /// What the people who are asked should know.
    #[serde(default)]
    message: Option<Value>,
    /// What they fill in, as `inputs` of a pipeline are written: a literal is a typed default, `{type, default, enum, description}` says
    /// more. Later steps find it in `steps.<id>.form.<name>`.
    #[serde(default)]
    form: IndexMap<String, Value>,
    /// Whether who started the run may approve it.
    #[serde(default, rename = "self")]
    own: bool,
    /// Channels of `channels.yaml` that are told, with a link to where it is decided.
    #[serde(default)]
    notify: Vec<String>,
}

const EXAMPLE: &str = "approve:\n  subject: ${{ steps.train.model }}\n  by: [role:ml_owner, user:anna]\n  min: 2\n  timeout: 3d\n  message: AUC ${{ steps.evaluate.auc }}\n  form:\n    traffic: {type: integer, default: 10, enum: [10, 50, 100]}";

/// The `approve` step.
pub struct Approve {
    doc: KindDoc,
    approvals: Approvals,
}

impl std::fmt::Debug for Approve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Approve")
    }
}

impl Approve {
    /// Asks through `approvals`.
    pub fn new(approvals: Approvals) -> Self {
        Self { doc: KindDoc::of::<ApproveSpec>(KindFamily::Step, "approve", EXAMPLE), approvals }
    }
}

#[async_trait]
impl StepKind for Approve {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [
            ("subject", "json"),
            ("form", "json"),
            ("approved_by", "list[string]"),
            ("comment", "string"),
            ("decided_at", "datetime"),
            ("approval", "string"),
        ]
        .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
        .into()
    }

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        let mut problems = Vec::new();
        // A file of groups and roles that is wrong is told there.
        if let Ok(access) = self.approvals.known_access() {
            check_approvers(config, &access, &mut problems);
        }
        let channels = config.get("notify").and_then(Value::as_array).into_iter().flatten().enumerate();
        problems.extend(channels.filter_map(|(index, name)| {
            Some((format!("/notify/{index}"), self.approvals.unknown_channel(written(name)?)?))
        }));
        problems.extend(check_times(config));
        for (name, field) in config.get("form").and_then(Value::as_object).into_iter().flatten() {
            problems.extend(field_spec(name, field).err().map(|problem| (format!("/form/{name}"), problem)));
        }
        problems
    }

    fn waits(&self, _: &Value) -> bool {
        true
    }

    async fn begin_waiting(&self, context: &StepContext) -> Result<Value, StepError> {
        let spec = ApproveSpec::deserialize(&context.config).map_err(|error| {
            StepError::permanent(Problem::error(
                "step-config",
                format!("the `approve` step cannot read its config: {error}"),
            ))
        })?;
        let subject = spec.subject.clone();
        let rule = spec.rule()?;
        let asked = self.approvals.ask(context, subject.as_ref(), &rule, None).await?;
        Ok(handle(&asked))
    }

    async fn look(&self, context: &StepContext, handle: &Value) -> Result<Look, StepError> {
        let id = handle.get("approval").and_then(Value::as_str).unwrap_or_default();
        Ok(match self.approvals.look(id).await? {
            Answer::Waiting { reason, look_again } => Look::Waiting { reason, look_again },
            Answer::Approved(approval) => {
                let by = approved_by(&approval);
                context.log.line(&match by.is_empty() {
                    true => approval.row.reason.clone().unwrap_or_default(),
                    false => format!("approved by {}", by.join(", ")),
                });
                Look::Done(outcome(&approval))
            }
        })
    }

    async fn abandon(&self, _: &StepContext, handle: &Value) {
        if let Some(id) = handle.get("approval").and_then(Value::as_str) {
            self.approvals.withdraw(id).await;
        }
    }

    async fn run(&self, _: StepContext) -> Result<StepOutcome, StepError> {
        let message = "an `approve` step waits and is never run";
        Err(StepError::permanent(Problem::error("step-config", message)))
    }
}

impl ApproveSpec {
    fn rule(self) -> Result<ApprovalRule, StepError> {
        let timeout_ms = self.timeout.as_deref().map(timeout_ms).transpose().map_err(StepError::permanent)?;
        let mut form = IndexMap::new();
        for (name, field) in &self.form {
            form.insert(name.clone(), field_spec(name, field).map_err(StepError::permanent)?);
        }
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(ApprovalRule {
            by: self.by,
            min: self.min,
            own: self.own,
            timeout_ms,
            on_timeout: self.on_timeout,
            notify: self.notify,
            message: self.message.filter(|message| !message.is_null()).map(text).unwrap_or_default(),
            form,
        })
    }
}

fn handle(asked: &ApprovalRow) -> Value {
    json!({"approval": asked.id})
}

fn approved_by(approval: &Approval) -> Vec<String> {
    let yes = approval.row.decisions.iter().filter(|decision| decision.approves);
    yes.map(|decision| decision.decided_by.clone()).collect()
}

fn outcome(approval: &Approval) -> StepOutcome {
    let comment = approval.row.decisions.iter().rfind(|decision| decision.approves);
    let form = match &approval.form {
        Some(form) => json!(form),
        // Approved by its deadline: nobody filled it in.
        None => approval
            .rule
            .form
            .iter()
            .map(|(name, field)| (name.clone(), json!(field.default)))
            .collect::<Map<_, _>>()
            .into(),
    };
    let decided_at = approval.row.decided_at.and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    let subject = match &approval.subject.value {
        Value::Null => json!(approval.subject.label),
        value => value.clone(),
    };
    let outputs = IndexMap::from([
        ("subject".to_owned(), subject),
        ("form".to_owned(), form),
        ("approved_by".to_owned(), json!(approved_by(approval))),
        ("comment".to_owned(), comment.map(|decision| decision.comment.clone()).unwrap_or_default().into()),
        ("decided_at".to_owned(), decided_at.map(|at| at.to_string()).unwrap_or_default().into()),
        ("approval".to_owned(), approval.row.id.clone().into()),
    ]);
    StepOutcome { outputs, ..StepOutcome::default() }
}

fn timeout_ms(text: &str) -> Result<u64, Problem> {
    parse_ms(text).filter(|ms| *ms > 0).ok_or_else(|| {
        Problem::error("not-a-duration", format!("`{text}` is not a duration")).hint("timeout: 3d")
    })
}

/// Approvers that nobody knows, and quorums that cannot be met.
fn check_approvers(config: &Value, access: &Access, problems: &mut Vec<(String, Problem)>) {
    let Some(entries) = config.get("by").and_then(Value::as_array) else { return };
    if entries.is_empty() {
        let problem = Problem::error("nobody-asked", "`by` names nobody").hint("by: [role:ml_owner]");
        problems.push(("/by".to_owned(), problem));
    }
    let by = entries.iter().enumerate().map(|(index, entry)| (format!("/by/{index}"), entry));
    let escalate =
        config.pointer("/on_timeout/escalate").map(|entry| ("/on_timeout/escalate".to_owned(), entry));
    for (pointer, entry) in by.chain(escalate) {
        let wrong = match written(entry).map(|text| text.parse::<Approver>()) {
            Some(Ok(approver)) => access.unknown(&approver),
            Some(Err(error)) => Some(Problem::error("not-an-approver", error.to_string())),
            None => None,
        };
        problems.extend(wrong.map(|problem| (pointer, problem)));
    }
    let wanted = match config.get("min") {
        Some(Value::Number(count)) => count.as_u64().unwrap_or(0),
        Some(Value::String(word)) if word == "each" => entries.len() as u64,
        _ => 1,
    };
    let mut people = Some(BTreeSet::new());
    for entry in entries {
        let approver = written(entry).and_then(|text| text.parse::<Approver>().ok());
        match (&mut people, approver.and_then(|approver| access.people(&approver))) {
            (Some(all), Some(of)) => all.extend(of),
            _ => people = None,
        }
    }
    if let Some(people) = people.filter(|people| !people.is_empty() && (people.len() as u64) < wanted) {
        let message = format!("{wanted} people must approve, but only {} can", people.len());
        let problem = Problem::error("quorum-out-of-reach", message);
        problems.push(("/min".to_owned(), problem.hint("lower `min`, or add people in `access.yaml`")));
    }
    if wanted == 0 || wanted > 100 {
        let problem = Problem::error("out-of-range", "`min` is between 1 and 100").hint("min: 1");
        problems.push(("/min".to_owned(), problem));
    }
}

/// A text without expressions.
fn written(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.contains("${{"))
}

fn check_times(config: &Value) -> Option<(String, Problem)> {
    let timeout = config.get("timeout").and_then(written);
    if let Some(problem) = timeout.and_then(|text| timeout_ms(text).err()) {
        return Some(("/timeout".to_owned(), problem));
    }
    let acts = config.get("on_timeout").is_some_and(|word| word.as_str() != Some("reject"));
    (acts && config.get("timeout").is_none()).then(|| {
        let problem = Problem::error("no-timeout", "`on_timeout` does nothing without a `timeout`");
        ("/on_timeout".to_owned(), problem.hint("timeout: 3d"))
    })
}

const FIELD_KEYS: [&str; 4] = ["type", "default", "enum", "description"];
const FIELD_TYPES: [&str; 8] =
    ["string", "integer", "number", "boolean", "date", "datetime", "duration", "json"];

/// A field of the form, as inputs of pipelines are written.
fn field_spec(name: &str, field: &Value) -> Result<InputSpec, Problem> {
    let wrong = |message: String| Problem::error("approval-form", message);
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name {
        return Err(wrong(format!("`{name}` is not a name for a field: use a-z, 0-9 and _")));
    }
    let Some(keys) = field.as_object().filter(|keys| keys.contains_key("type")) else {
        let type_name = match field {
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            _ => "json",
        };
        let (type_name, default) = (type_name.to_owned(), Some(field.clone()));
        return Ok(InputSpec { type_name, default, allowed: None, description: None });
    };
    if let Some(key) = keys.keys().find(|key| !FIELD_KEYS.contains(&key.as_str())) {
        let problem = wrong(format!("the field `{name}` has no key `{key}`"));
        return Err(match nearest(key, &FIELD_KEYS) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("its keys are {}", FIELD_KEYS.join(", "))),
        });
    }
    let type_name = keys.get("type").and_then(Value::as_str).unwrap_or_default();
    if !FIELD_TYPES.contains(&type_name) {
        let problem = wrong(format!("the field `{name}` has no type that can be filled in: `{type_name}`"));
        return Err(match nearest(type_name, &FIELD_TYPES) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("types are {}", FIELD_TYPES.join(", "))),
        });
    }
    serde_json::from_value(field.clone()).map_err(|error| wrong(format!("the field `{name}`: {error}")))
}
