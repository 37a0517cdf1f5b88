use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_api::promotion;
use millrace_contract::ModelRegistry;
use millrace_metastore::registry::{NewPromotion, PromotionRow, VoteRow};
use millrace_spec::access::Person;
use millrace_tracking::check_alias;
use serde_json::Value;

use crate::boot::{self, Rooms};
use crate::cli::{PromotionRequest, Verdict};
use crate::printer::Printer;

pub(super) async fn list(model: Option<&str>, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let found = rooms.store.list_promotions(model.map(str::to_owned)).await?;
    if found.is_empty() {
        printer.note("no requests yet; `millrace models request NAME@VERSION ALIAS` makes one");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Value> =
        found.into_iter().map(|row| serde_json::to_value(promotion(row))).collect::<Result<_, _>>()?;
    printer.list(&rows, &["REQUEST", "MODEL", "ALIAS", "STATE", "APPROVALS", "BY", "WHY"], |row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let votes = row["votes"].as_array().into_iter().flatten();
        let yes = votes.filter(|vote| vote["approve"] == true).count();
        vec![
            text("id"),
            format!("{}@{}", text("model"), row["version"]),
            text("alias"),
            text("state"),
            format!("{yes} of {}", row["approvals"]),
            text("by"),
            text("comment"),
        ]
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn request(arguments: &PromotionRequest, printer: &Printer) -> Result<ExitCode> {
    if let Err(error) = check_alias(&arguments.alias) {
        bail!("`{}` is not a name for an alias: {error}", arguments.alias);
    }
    let rooms = boot::open_here().await?;
    let asset = ModelRegistry::resolve(rooms.catalog.as_ref(), &arguments.model).await?.asset;
    let new = NewPromotion {
        id: uuid::Uuid::now_v7().simple().to_string(),
        name: asset.name.unwrap_or_default(),
        version: asset.version.and_then(|version| i64::try_from(version).ok()).unwrap_or_default(),
        alias: arguments.alias.clone(),
        quorum: arguments.approvals.into(),
        comment: arguments.message.clone(),
        requested_by: who(arguments.by.as_deref()),
    };
    told(rooms.store.request_promotion(new, rooms.clock.now().as_microsecond()).await?, printer)
}

pub(super) async fn vote(verdict: &Verdict, approves: bool, printer: &Printer) -> Result<ExitCode> {
    if !approves && verdict.message.trim().is_empty() {
        bail!("who rejects a request says why: `--message WHY`");
    }
    let rooms = boot::open_here().await?;
    // Who has the workspace's files and its database is nobody's guest.
    let voter = Person { name: who(verdict.by.as_deref()), is_admin: true };
    let vote = VoteRow {
        voter: voter.name.clone(),
        approves,
        comment: verdict.message.clone(),
        voted_at: rooms.clock.now().as_microsecond(),
    };
    let id = id(&rooms, &verdict.request).await?;
    let access = rooms.approvals.access().await?;
    told(rooms.store.vote_on_promotion(id, (voter, access), vote).await?, printer)
}

pub(super) async fn withdraw(verdict: &Verdict, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let id = id(&rooms, &verdict.request).await?;
    let now = rooms.clock.now().as_microsecond();
    told(rooms.store.withdraw_promotion(id, who(verdict.by.as_deref()), now).await?, printer)
}

fn who(by: Option<&str>) -> String {
    by.map_or_else(boot::user_name, str::to_owned)
}

/// The request that a person means: an id, the beginning or the end of one.
async fn id(rooms: &Rooms, wanted: &str) -> Result<String> {
    let all = rooms.store.list_promotions(None).await?;
    let mut matching = all
        .into_iter()
        .filter(|row| wanted.len() >= 4 && (row.id.starts_with(wanted) || row.id.ends_with(wanted)));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one.id),
        (None, _) => bail!("there is no request `{wanted}`; list them with `millrace models requests`"),
        (Some(_), Some(_)) => bail!("`{wanted}` could be any of several requests; write more of the id"),
    }
}

fn told(row: PromotionRow, printer: &Printer) -> Result<ExitCode> {
    let shown = promotion(row);
    printer.document(&serde_json::to_value(&shown)?, || {
        let yes = shown.votes.iter().filter(|vote| vote.approve).count();
        let what = format!("`{}` to {}@{}", shown.alias, shown.model, shown.version);
        match shown.state.as_str() {
            "pending" => format!("request {}: {what} has {yes} of {} approvals", shown.id, shown.approvals),
            "approved" => match shown.replaced {
                Some(before) => format!("{what}: approved, and moved from version {before}"),
                None => format!("{what}: approved, and set"),
            },
            state => format!("{what}: {state}"),
        }
    });
    Ok(if matches!(shown.state.as_str(), "outdated") { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
