use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_transform::{Function, functions};
use serde_json::{Value, json};

use crate::printer::Printer;

/// Lists the functions for expressions: all, those of a family, or those of a name.
pub(crate) fn run(wanted: Option<&str>, printer: &Printer) -> Result<ExitCode> {
    let all = functions();
    let asked = |function: &&Function| {
        wanted.is_none_or(|wanted| function.name == wanted || function.family == wanted)
    };
    let found: Vec<&Function> = all.iter().filter(asked).collect();
    if let (Some(wanted), true) = (wanted, found.is_empty()) {
        let names: Vec<&str> = all.iter().flat_map(|function| [function.name, function.family]).collect();
        match millrace_spec::suggest::nearest(wanted, &names) {
            Some(near) => bail!("there is no function `{wanted}`; did you mean `{near}`?"),
            None => bail!("there is no function `{wanted}`; list them with `millrace functions`"),
        }
    }
    let rows: Vec<Value> = found.iter().map(|function| json!(function)).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    printer.list(&rows, &["FAMILY", "FUNCTION", "EXAMPLE", "RESULT"], |row| {
        ["family", "signature", "example", "result"].map(|key| text(&row[key])).to_vec()
    });
    Ok(ExitCode::SUCCESS)
}
