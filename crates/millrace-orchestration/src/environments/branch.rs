//! The branch that a run comes from.

use std::path::{Path, PathBuf};

use millrace_spec::pipeline::Pipeline;
use serde_json::{Value, json};

/// The kind of step that environments have rules for.
const DEPLOY: &str = "deploy";

/// What started a run, with the branch that was checked out then: it may be another when the run comes to deploy. A trigger that knows
/// its branch has said so already.
pub(crate) fn with_branch(mut cause: Value, pipeline: &Pipeline, workspace: &Path) -> Value {
    let deploys = pipeline.steps.values().chain(pipeline.finally.values()).any(|step| step.kind == DEPLOY);
    if deploys
        && branch_of(&cause).is_none()
        && let Some(fields) = cause.as_object_mut()
        && let Some(branch) = checked_out(workspace)
    {
        fields.insert("branch".to_owned(), json!(branch));
    }
    cause
}

/// The branch of a run, by what started it.
pub(super) fn branch_of(cause: &Value) -> Option<String> {
    let text = |name: &str| cause.get(name).and_then(Value::as_str);
    let of_ref = || text("ref").and_then(|name| name.strip_prefix("refs/heads/"));
    text("branch").or_else(of_ref).map(str::to_owned)
}

/// The branch that is checked out in the git repository around a folder. Git's own files say so: `HEAD` in `.git`, which is a file with
/// the folder's place in a linked worktree.
fn checked_out(folder: &Path) -> Option<String> {
    let git = folder.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    let folder: PathBuf = match git.is_dir() {
        true => git,
        false => {
            let text = fs_err::read_to_string(&git).ok()?;
            git.parent()?.join(text.trim().strip_prefix("gitdir: ")?)
        }
    };
    let head = fs_err::read_to_string(folder.join("HEAD")).ok()?;
    head.trim().strip_prefix("ref: refs/heads/").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_read_from_gits_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let inner = folder.path().join("ml/workspace");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(checked_out(&inner), None);
        write(".git/HEAD", "ref: refs/heads/release/1.2\n");
        assert_eq!(checked_out(&inner).as_deref(), Some("release/1.2"));
        write(".git/HEAD", "8dcd52d000000000000000000000000000000000\n");
        assert_eq!(checked_out(&inner), None, "no branch is checked out");
        write("ml/workspace/.git", "gitdir: ../../.git/worktrees/workspace\n");
        write(".git/worktrees/workspace/HEAD", "ref: refs/heads/main\n");
        assert_eq!(checked_out(&inner).as_deref(), Some("main"));
    }

    #[test]
    fn a_trigger_knows_its_branch() {
        assert_eq!(branch_of(&json!({"by": "git", "ref": "refs/heads/main"})).as_deref(), Some("main"));
        assert_eq!(branch_of(&json!({"by": "git", "ref": "refs/tags/v1"})), None);
        assert_eq!(branch_of(&json!({"by": "manual", "branch": "dev"})).as_deref(), Some("dev"));
    }
}
