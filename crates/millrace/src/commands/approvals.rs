//! `millrace approvals`, `approve`, `reject`: whoever has the files of a workspace decides in its database; a server that waits notices.

use std::process::ExitCode;

use anyhow::{Result, bail};
use indexmap::IndexMap;
use millrace_api::{approval, promotion};
use millrace_contract::Explain as _;
use millrace_metastore::approvals::{ApprovalFilter, approval_state};
use millrace_metastore::registry::{VoteRow, promotion_state};
use millrace_orchestration::approvals::{Approval, ApprovalError, Decision};
use millrace_spec::access::Person;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::{Approvals, DecideOn};
use crate::commands::follow::short;
use crate::commands::runs;
use crate::printer::Printer;

/// Approvals among which the end of an id is looked for.
const RECENT: i64 = 1_000;

pub(crate) async fn list(arguments: &Approvals, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    if let Some(wanted) = &arguments.approval {
        let Some(found) = find_approval(&rooms, wanted).await? else {
            bail!("there is no approval `{wanted}`; list them with `millrace approvals --all`");
        };
        return show(&rooms, found, printer);
    }
    let state = (!arguments.all).then(|| approval_state::WAITING.to_owned());
    let filter = ApprovalFilter { state, limit: arguments.limit.into(), ..ApprovalFilter::default() };
    let mut rows = Vec::new();
    for row in rooms.store.list_approvals(filter).await? {
        rows.push(inbox_row(&rooms, Approval::of(row)?)?);
    }
    for row in rooms.store.list_promotions(None).await? {
        if arguments.all || row.state == promotion_state::PENDING {
            let shown = promotion(row);
            let yes = shown.votes.iter().filter(|vote| vote.approve).count();
            rows.push(json!({
                "kind": "promotion", "id": shown.id, "what": format!("{}@{} as {}", shown.model, shown.version, shown.alias),
                "of": "model registry", "state": if shown.state == promotion_state::PENDING { "waiting" } else { shown.state.as_str() },
                "given": yes, "needed": shown.approvals, "asked": "anybody else", "deadline": Value::Null, "promotion": shown,
            }));
        }
    }
    if rows.is_empty() {
        printer.note("nothing waits for an approval");
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&rows, &["APPROVAL", "WHAT", "OF", "STATE", "APPROVALS", "ASKED", "UNTIL"], |row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        vec![
            short(&text("id")).to_owned(),
            text("what"),
            text("of"),
            text("state"),
            format!("{} of {}", row["given"], row["needed"]),
            text("asked"),
            text("deadline").chars().take(16).collect::<String>().replace('T', " "),
        ]
    });
    Ok(ExitCode::SUCCESS)
}

fn inbox_row(rooms: &Rooms, found: Approval) -> Result<Value> {
    let asked = found.rule.asked_words(found.is_escalated());
    let shown = approval(found, &rooms.approvals.known_access(), &person(None), false);
    Ok(json!({
        "kind": if shown.environment.is_some() { "environment" } else { "step" }, "id": shown.id, "what": shown.subject.label,
        "of": format!("{}/{} {}", shown.pipeline, shown.step, short(&shown.run)), "state": shown.state,
        "given": shown.given, "needed": shown.needed, "asked": asked, "deadline": shown.deadline, "approval": shown,
    }))
}

/// Prints one approval whole.
fn show(rooms: &Rooms, found: Approval, printer: &Printer) -> Result<ExitCode> {
    let shown = approval(found, &rooms.approvals.known_access(), &person(None), false);
    printer.document(&serde_json::to_value(&shown)?, || {
        let mut lines = vec![
            format!("approval   {}", shown.id),
            format!("state      {}", shown.state),
            format!("subject    {} ({})", shown.subject.label, shown.subject.digest),
            format!("waits      {} of {}, run {}", shown.step, shown.pipeline, shown.run),
        ];
        let mut line = |name: &str, value: Option<String>| {
            lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name:<10} {value}")));
        };
        line("message", Some(shown.message.clone()));
        line("started by", shown.asked_by.clone());
        for approver in &shown.approvers {
            let people = approver.people.as_ref().map(|people| people.join(", "));
            let people = people.filter(|_| !approver.name.starts_with("user:"));
            line(
                "asked",
                Some(format!(
                    "{}{}",
                    approver.name,
                    people.map(|who| format!(" ({who})")).unwrap_or_default()
                )),
            );
        }
        let each = if shown.each { ", each of those asked" } else { "" };
        line("approvals", Some(format!("{} of {}{each}", shown.given, shown.needed)));
        line("until", shown.deadline.as_ref().map(|at| format!("{at}, then {}", shown.on_timeout)));
        for field in &shown.form {
            let value =
                shown.values.0.get(&field.name).or(Some(&field.default.0)).filter(|value| !value.is_null());
            let value = value.map(|value| format!(" = {value}")).unwrap_or_default();
            line("form", Some(format!("{}: {}{value}", field.name, field.type_name)));
        }
        for decision in &shown.decisions {
            let word = if decision.approve { "approves" } else { "rejects" };
            let comment =
                if decision.comment.is_empty() { String::new() } else { format!(": {}", decision.comment) };
            line(
                "decision",
                Some(format!("{} {word} as {}{comment}", decision.by, decision.standing.join(", "))),
            );
        }
        line("reason", shown.reason.clone());
        lines.join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn decide(arguments: &DecideOn, approve: bool, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let person = person(arguments.by.as_deref());
    let found = match arguments.what.as_slice() {
        [run, step] => waiting_step(&rooms, run, Some(step)).await?,
        [one] => match find_approval(&rooms, one).await? {
            Some(found) => found,
            None => match promotion_id(&rooms, one).await? {
                Some(id) => return vote(&rooms, id, person, (approve, &arguments.comment), printer).await,
                None => waiting_step(&rooms, one, None).await?,
            },
        },
        _ => bail!("name an approval, or a run and a step"),
    };
    let decision = Decision {
        person: person.clone(),
        approve,
        comment: arguments.comment.clone(),
        form: form(&arguments.form)?,
        via: "command",
    };
    let decided = match rooms.approvals.decide(&found.row.id, decision).await {
        Ok(decided) => decided,
        Err(error) => return refused(&error, printer),
    };
    let shown = approval(decided, &rooms.approvals.known_access(), &person, false);
    let what = format!("{} of {}", shown.step, shown.pipeline);
    let is_void = shown.state == approval_state::VOID;
    printer.document(&serde_json::to_value(&shown)?, || match shown.state.as_str() {
        approval_state::WAITING => format!(
            "approved as {}; {what} waits {}",
            shown.caller,
            shown.waits_for.clone().unwrap_or_default()
        ),
        approval_state::APPROVED => format!("approved: {what} goes on"),
        approval_state::REJECTED => format!("rejected: {what} ends here"),
        state => format!("{state}: {}", shown.reason.clone().unwrap_or_default()),
    });
    Ok(if is_void { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn refused(error: &ApprovalError, printer: &Printer) -> Result<ExitCode> {
    printer.problem(&error.problem(), None);
    Ok(ExitCode::FAILURE)
}

/// Whoever has the files is an administrator of the workspace.
fn person(by: Option<&str>) -> Person {
    Person { name: by.map_or_else(boot::user_name, str::to_owned), is_admin: true }
}

/// `name=value` pairs; values are text, which the field's type turns into what it is.
fn form(pairs: &[String]) -> Result<IndexMap<String, Value>> {
    let mut values = IndexMap::new();
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("`{pair}` is not a value for the form: write `--form name=value`")
        };
        values.insert(name.to_owned(), Value::from(value));
    }
    Ok(values)
}

/// The approval that a person means: an id, the beginning or the end of one.
async fn find_approval(rooms: &Rooms, wanted: &str) -> Result<Option<Approval>> {
    let filter = ApprovalFilter { limit: RECENT, ..ApprovalFilter::default() };
    let all = rooms.store.list_approvals(filter).await?;
    let mut matching = all
        .into_iter()
        .filter(|row| wanted.len() >= 4 && (row.id.starts_with(wanted) || row.id.ends_with(wanted)));
    match (matching.next(), matching.next()) {
        (Some(row), None) => Ok(Some(Approval::of(row)?)),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => bail!("`{wanted}` could be any of several approvals; write more of the id"),
    }
}

/// The approval that a run's step waits for.
async fn waiting_step(rooms: &Rooms, run: &str, step: Option<&String>) -> Result<Approval> {
    let run = runs::find(&rooms.store, run).await?;
    let filter = ApprovalFilter { run_id: Some(run.id.clone()), limit: RECENT, ..ApprovalFilter::default() };
    let mut all = rooms.store.list_approvals(filter).await?;
    all.retain(|row| step.is_none_or(|step| row.step == *step));
    // Newest first: an attempt's own before those of the attempts before it.
    let mut waiting = all.iter().filter(|row| row.state == approval_state::WAITING);
    match (waiting.next(), waiting.next()) {
        (Some(row), None) => Ok(Approval::of(row.clone())?),
        (Some(_), Some(_)) => {
            let steps: Vec<&str> = all
                .iter()
                .filter(|row| row.state == approval_state::WAITING)
                .map(|row| row.step.as_str())
                .collect();
            bail!("several steps of this run wait: name one of {}", steps.join(", "))
        }
        (None, _) => match all.into_iter().next() {
            Some(row) => bail!("the approval of `{}` is {} already", row.step, row.state),
            None => bail!(
                "nothing in the run {} waits for an approval; `millrace approvals` lists what does",
                short(&run.id)
            ),
        },
    }
}

async fn promotion_id(rooms: &Rooms, wanted: &str) -> Result<Option<String>> {
    let all = rooms.store.list_promotions(None).await?;
    let mut matching =
        all.into_iter().filter(|row| row.id == wanted || (wanted.len() >= 4 && row.id.ends_with(wanted)));
    Ok(match (matching.next(), matching.next()) {
        (Some(one), None) => Some(one.id),
        _ => None,
    })
}

async fn vote(
    rooms: &Rooms,
    id: String,
    person: Person,
    (approves, comment): (bool, &str),
    printer: &Printer,
) -> Result<ExitCode> {
    if !approves && comment.trim().is_empty() {
        bail!("who rejects says why: `--comment WHY`");
    }
    let voted_at = rooms.clock.now().as_microsecond();
    let vote = VoteRow { voter: person.name.clone(), approves, comment: comment.to_owned(), voted_at };
    let access = rooms.approvals.access().await?;
    let shown = promotion(rooms.store.vote_on_promotion(id, (person, access), vote).await?);
    let failed = shown.state == promotion_state::OUTDATED;
    printer.document(&serde_json::to_value(&shown)?, || {
        format!("`{}` to {}@{}: {}", shown.alias, shown.model, shown.version, shown.state)
    });
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
