use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::Init;
use crate::printer::Printer;
use crate::workspace::MARK;

/// The files of a new workspace: a pipeline that runs as it is.
const FILES: &[(&str, &str)] = &[
    (MARK, "name: my_workspace\ntimezone: UTC\n"),
    (".gitignore", ".millrace/\n"),
    (
        "raw/cities.csv",
        "city,country,inhabitants\nBerlin,DE,3850809\nHamburg,DE,1945532\nLyon,FR,522250\nParis,FR,2102650\n",
    ),
    (
        "pipelines/cities.yaml",
        "pipeline: cities\ndescription: Inhabitants of the large cities of each country\ninputs:\n  at_least: 1000000\nsteps:\n  cities:\n    copy: {from: raw/cities.csv, to: \"data:cities\"}\n\n  by_country:\n    sql: |\n      select country, count(*) as cities, sum(inhabitants) as inhabitants\n      from cities\n      where inhabitants >= ${{ inputs.at_least }}\n      group by country\n      order by country\n    inputs: {cities: \"${{ steps.cities.data }}\"}\n\n  report:\n    run: echo \"$COUNTRIES countries\"\n    env: {COUNTRIES: \"${{ steps.by_country.rows }}\"}\n",
    ),
];

pub(crate) fn run(arguments: &Init, printer: &Printer) -> Result<ExitCode> {
    let folder = &arguments.folder;
    if folder.join(MARK).exists() {
        bail!("`{}` is a workspace already", folder.display());
    }
    let mut written = Vec::new();
    for (path, content) in FILES {
        let target = folder.join(path);
        if target.exists() {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(&target, content)?;
        written.push(*path);
    }
    printer.document(&json!({"workspace": folder, "files": written}), || {
        let list: String = written.iter().map(|path| format!("  {path}\n")).collect();
        format!("made a workspace in `{}`:\n{list}", folder.display())
    });
    printer.note("next: `millrace run cities`");
    Ok(ExitCode::SUCCESS)
}
