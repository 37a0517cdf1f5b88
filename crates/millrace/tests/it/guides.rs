//! The guides in `docs/guides/`, done as they are written: their files are laid out, then their commands run in their order.

use std::path::Path;
use std::process::Command;

use crate::project::Project;

/// A block of a guide: its language and what stands in it.
fn blocks(guide: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    for part in guide.split("\n```").skip(1).step_by(2) {
        let (language, body) = part.split_once('\n').unwrap();
        blocks.push((language, body));
    }
    blocks
}

/// Does what a guide says and fails with the first command that fails.
fn follow(guide: &str) {
    let mut files = Vec::new();
    let mut commands = Vec::new();
    for (language, body) in blocks(guide) {
        match language {
            "sh" => commands.extend(body.lines()),
            _ => {
                let (path, _) = body.split_once('\n').unwrap();
                let path =
                    path.strip_prefix("# ").unwrap_or_else(|| panic!("the block names no file: {body}"));
                // YAML keeps the line that names the file as a comment, other files have none.
                let content = if language == "yaml" { body } else { body.split_once('\n').unwrap().1 };
                files.push((path, format!("{content}\n")));
            }
        }
    }
    assert!(files.len() > 1 && commands.len() > 2, "the guide has few blocks: {files:?} {commands:?}");
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let project = Project::new(&files);
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
    for line in commands {
        let mut command = Command::new("bash");
        command.args(["-c", line]).current_dir(project.path()).env_clear();
        let output = command.env("PATH", &path).env("HOME", project.path()).output().unwrap();
        assert!(
            output.status.success(),
            "`{line}`\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn guides_pipelines() {
    follow(include_str!("../../../../docs/guides/pipelines.md"));
}

#[test]
fn guides_files() {
    follow(include_str!("../../../../docs/guides/files.md"));
}

#[test]
fn guides_folders() {
    follow(include_str!("../../../../docs/guides/folders.md"));
}

#[test]
fn guides_queues() {
    follow(include_str!("../../../../docs/guides/queues.md"));
}

#[test]
fn guides_schedules() {
    follow(include_str!("../../../../docs/guides/schedules.md"));
}

#[test]
fn guides_approvals() {
    follow(include_str!("../../../../docs/guides/approvals.md"));
}

#[test]
fn guides_tell_people() {
    follow(include_str!("../../../../docs/guides/tell-people.md"));
}

#[test]
fn guides_people() {
    follow(include_str!("../../../../docs/guides/people.md"));
}

#[test]
fn guides_lineage() {
    follow(include_str!("../../../../docs/guides/lineage.md"));
}

#[test]
fn guides_programs() {
    follow(include_str!("../../../../docs/guides/programs.md"));
}

#[test]
fn guides_databases() {
    follow(include_str!("../../../../docs/guides/databases.md"));
}

#[test]
fn guides_sweeps() {
    follow(include_str!("../../../../docs/guides/sweeps.md"));
}

#[test]
fn guides_sql() {
    follow(include_str!("../../../../docs/guides/sql.md"));
}

#[test]
fn guides_sql_models() {
    follow(include_str!("../../../../docs/guides/sql-models.md"));
}

#[test]
fn guides_copy() {
    follow(include_str!("../../../../docs/guides/copy.md"));
}

#[test]
fn guides_flows() {
    follow(include_str!("../../../../docs/guides/flows.md"));
}

#[test]
fn guides_engines() {
    follow(include_str!("../../../../docs/guides/engines.md"));
}

#[test]
fn guides_sources() {
    follow(include_str!("../../../../docs/guides/sources.md"));
}
