use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::names::{Names, name_of};
use crate::yaml_out::Map;

/// `${{ … }}`, what is between without blanks around.
#[allow(clippy::unwrap_used, reason = "the patterns are constants, and a test reads with them")]
pub(super) static EXPRESSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{\{\s*([^}]*?)\s*\}\}").unwrap());
/// `$[[ … ]]`, left out where its input has no value.
#[allow(clippy::unwrap_used, reason = "as above")]
static OPTIONAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\[\[(.*?)\]\]").unwrap());

/// Inputs of a step.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) names: Names,
    pub(super) values: Map,
    /// Those that are files and folders, by their names here.
    pub(super) paths: Vec<String>,
}

/// A command as shell text: inputs and outputs come in variables. `code` is the folder that it is to run in, `folders` are the outputs that
/// are folders, which Azure ML makes before.
pub(super) fn shell(command: &str, code: Option<&str>, inputs: &Inputs, folders: &[String]) -> String {
    let command = OPTIONAL.replace_all(command, |found: &Captures<'_>| {
        let named = EXPRESSION.captures(&found[1]).map(|inner| inner[1].to_owned()).unwrap_or_default();
        let given = named.strip_prefix("inputs.").is_some_and(|name| inputs.names.find(name).is_some());
        if given { found[1].to_owned() } else { String::new() }
    });
    let variable = |kind: &str, name: &str| format!("MILLRACE_{kind}_{}", name_of(name).to_uppercase());
    let replaced = EXPRESSION.replace_all(&command, |found: &Captures<'_>| {
        let inner = &found[1];
        let given = inner.strip_prefix("inputs.").or_else(|| inner.strip_prefix("search_space."));
        let variable = match (given, inner.strip_prefix("outputs.")) {
            (Some(name), _) => variable("INPUT", name),
            (_, Some(name)) => variable("OUTPUT", name),
            _ => return found[0].to_owned(),
        };
        let before = found.get(0).and_then(|whole| command.get(..whole.start())).unwrap_or_default();
        let within = |quote: char| before.matches(quote).count() % 2 == 1;
        match (within('"'), within('\'')) {
            (true, _) => format!("${{{variable}}}"),
            (false, true) => format!("'\"${variable}\"'"),
            (false, false) => format!("\"${variable}\""),
        }
    });
    let mut lines: Vec<String> =
        folders.iter().map(|name| format!("mkdir -p \"${}\"", variable("OUTPUT", name))).collect();
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        for name in &inputs.paths {
            // The folder of the code is not the one that a path of the workspace begins in.
            let variable = variable("INPUT", name);
            lines.push(format!("export {variable}=\"$(realpath \"${variable}\")\""));
        }
        lines.push(format!("cd \"{code}\""));
    }
    if lines.is_empty() {
        return replaced.into_owned();
    }
    lines.push(replaced.trim_end().to_owned());
    lines.join("\n") + "\n"
}

/// The folder that a path lies in.
pub(super) fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

/// A path that begins in a folder, without `.` and `..`.
pub(super) fn joined(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The word here of a type of data.
pub(super) fn type_of(kind: &str) -> &str {
    match kind {
        "uri_folder" | "mltable" => "folder",
        "uri_file" => "file",
        "mlflow_model" | "custom_model" | "triton_model" => "model",
        other => other,
    }
}

/// A path as it can be given here: a file of the workspace or a web address. `None` for stores of Azure.
pub(super) fn asset(folder: &str, path: &str) -> Option<String> {
    match path.split_once(':') {
        Some(("azureml" | "wasbs" | "abfss" | "adl", _)) => None,
        Some(_) => Some(path.to_owned()),
        None => Some(joined(folder, path)),
    }
}
