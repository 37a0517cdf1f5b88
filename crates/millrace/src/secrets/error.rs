use std::path::PathBuf;

use millrace_contract::Explain;
use millrace_spec::ids::SecretName;
use millrace_spec::problem::Problem;

use super::key::{CipherFailed, KeyId};
use super::keyring::GivenKey;
use super::{FILE, KEY_VARIABLE};

/// Why the secrets file, or a key, cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// The file's text is wrong, or a value in it.
    #[error("{}", .0.message)]
    Wrong(Box<Problem>),
    /// The key of the file is nowhere.
    #[error("`{FILE}` is encrypted with the key {id}, which is not here")]
    NoKey {
        id: KeyId,
        /// What the variable holds instead.
        given: GivenKey,
        /// The file it could be in.
        file: Option<PathBuf>,
    },
    /// The variable holds something else.
    #[error("`{KEY_VARIABLE}` is not a key: 64 hex digits are expected")]
    NotAKey,
    /// The key's file holds something else.
    #[error("`{}` does not hold the key {id}", .file.display())]
    WrongKeyFile { id: KeyId, file: PathBuf },
    /// No place for a new key.
    #[error("there is no folder for a new key: neither `XDG_CONFIG_HOME` nor `HOME` is set")]
    NoKeyFolder,
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", .file.display())]
    Io {
        action: &'static str,
        file: PathBuf,
        #[source]
        error: std::io::Error,
    },
    /// There is no such secret in the file.
    #[error("there is no secret `{name}` in `{FILE}`")]
    Unknown {
        name: SecretName,
        near: Option<String>,
        /// The variable that gives it, if one does.
        variable: Option<String>,
    },
    /// There is no file whose key could be changed.
    #[error("there is no `{FILE}` here, so it has no key to change")]
    NoFile,
    #[error(transparent)]
    Cipher(#[from] CipherFailed),
}

impl SecretsError {
    /// Wraps what the file system says.
    pub(crate) fn io(action: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { action, file, error }
    }
}

impl Explain for SecretsError {
    fn problem(&self) -> Problem {
        let problem = |code: &str| Problem::error(code, self.to_string());
        match self {
            Self::Wrong(problem) => (**problem).clone(),
            Self::NoKey { id, given, file } => {
                let here = match given {
                    GivenKey::None => None,
                    GivenKey::Malformed => Some(Self::NotAKey.to_string()),
                    GivenKey::Other(other) => Some(format!("`{KEY_VARIABLE}` is another key, {other}")),
                };
                let mut problem = problem("secrets-no-key");
                problem.notes.extend(here);
                let file = file.as_ref().map(|file| format!(", or put that key into `{}`", file.display()));
                problem
                    .hint(format!("`export {KEY_VARIABLE}=…` with the key {id}{}", file.unwrap_or_default()))
            }
            Self::NotAKey => {
                problem("secrets-not-a-key").hint(format!("`unset {KEY_VARIABLE}`, or correct it"))
            }
            Self::WrongKeyFile { .. } => problem("secrets-wrong-key-file")
                .hint(format!("put the key back, or `export {KEY_VARIABLE}=…`")),
            Self::NoKeyFolder => problem("secrets-no-key-folder")
                .hint(format!("`export {KEY_VARIABLE}=$(openssl rand -hex 32)`, and keep it")),
            Self::Io { error, .. } => problem("secrets-io").note(error.to_string()),
            Self::Unknown { near, variable, .. } => {
                let mut problem = problem("secret-unknown");
                problem.hints.extend(variable.as_ref().map(|variable| format!("`unset {variable}`")));
                problem.hints.extend(near.as_ref().map(|near| format!("did you mean `{near}`?")));
                problem.hint("list them with `millrace secrets list`")
            }
            Self::NoFile => problem("secrets-no-file").hint("`millrace secrets set NAME` makes one"),
            Self::Cipher(_) => problem("secrets-cipher"),
        }
    }
}
