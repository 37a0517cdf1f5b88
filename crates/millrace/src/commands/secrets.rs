use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::SecretSource as _;
use millrace_spec::ids::SecretName;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{SecretText, variable};
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Secrets;
use crate::printer::Printer;
use crate::prompt;
use crate::secrets::{FILE, KEY_VARIABLE, NewKey, Origin, SecretStore};

/// Nothing here opens the database: secrets are set before there is one, and while a server has it.
pub(crate) async fn run(command: &Secrets, printer: &Printer) -> Result<ExitCode> {
    let store = boot::secrets_here()?;
    match command {
        Secrets::List => Ok(list(&store, printer)),
        Secrets::Set { name } => set(&store, name, printer).await,
        Secrets::Remove { name } => remove(&store, name, printer),
        Secrets::Rekey => rekey(&store, printer),
    }
}

fn list(store: &SecretStore, printer: &Printer) -> ExitCode {
    let found = store.secrets();
    let mut reasons: Vec<&Problem> = Vec::new();
    let mut rows = Vec::new();
    for (name, text) in &found.texts {
        let from = match store.origin(name) {
            Origin::Environment => "environment",
            Origin::File => "file",
        };
        let reason = text.as_ref().err().map(|problem| &**problem);
        rows.push(json!({
            "name": name, "from": from, "readable": text.is_ok(), "reason": reason.map(|reason| &reason.message),
        }));
        // One key that is missing is one reason, however many values it locks.
        reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
    }
    if rows.is_empty() && found.others.is_none() {
        printer.note("no secrets yet; `millrace secrets set NAME` keeps one");
        return ExitCode::SUCCESS;
    }
    if !rows.is_empty() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        printer.list(&rows, &["NAME", "FROM", "READABLE"], |row| {
            let readable = if row["readable"] == true { "yes" } else { "no" };
            vec![text(&row["name"]), text(&row["from"]), readable.to_owned()]
        });
    }
    for reason in reasons {
        printer.warning(reason);
    }
    match found.others {
        Some(problem) => {
            printer.problem(&problem, None);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

async fn set(store: &SecretStore, name: &SecretName, printer: &Printer) -> Result<ExitCode> {
    store.can_set()?;
    let text = SecretText::new(prompt::value(&format!("the value of `{name}`"), printer).await?);
    if !text.is_masked() {
        let message = format!("the value of `{name}` is so short that logs cannot mask it");
        printer.warning(&Problem::error("secret-short", message).hint("use one of 4 characters or more"));
    }
    if let Some(key) = store.set(name, &text)? {
        printer.note(&format!("made the key {} of `{FILE}`", key.id));
        tell_where(&key, printer);
    }
    if store.origin(name.as_str()) == Origin::Environment {
        let variable = variable(name.as_str());
        let message = format!("`{variable}` is set and goes before the value in `{FILE}`");
        printer.warning(&Problem::error("secret-hidden", message).hint(format!("`unset {variable}`")));
    }
    printer.document(&json!({"name": name, "file": FILE}), || format!("`{name}` is set in `{FILE}`"));
    Ok(ExitCode::SUCCESS)
}

fn remove(store: &SecretStore, name: &SecretName, printer: &Printer) -> Result<ExitCode> {
    store.remove(name)?;
    printer.document(&json!({"name": name, "file": FILE}), || format!("`{name}` is no longer in `{FILE}`"));
    Ok(ExitCode::SUCCESS)
}

fn rekey(store: &SecretStore, printer: &Printer) -> Result<ExitCode> {
    let (old, new) = store.rekey()?;
    tell_where(&new, printer);
    printer.note(&format!(
        "earlier commits still open with the key {old}: if others have it, change the values as well"
    ));
    printer.document(&json!({"file": FILE, "key": new.id.to_string(), "old_key": old.to_string()}), || {
        format!("`{FILE}` is encrypted with the new key {}", new.id)
    });
    Ok(ExitCode::SUCCESS)
}

/// A key is of use only to those who have it, and lost with the one copy of it.
fn tell_where(key: &NewKey, printer: &Printer) {
    let file = key.file.display();
    printer.note(&format!(
        "the key is in `{file}`: keep a copy, without it nobody can read the secrets\nhand it to people and servers: `export {KEY_VARIABLE}=$(cat '{file}')`"
    ));
}
