//! Where keys are: one in the environment, and the files of this user's configuration.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use millrace_spec::secret::SecretText;

use super::SecretsError;
use super::key::{Key, KeyId};

/// What `MILLRACE_SECRETS_KEY` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GivenKey {
    /// It is not set.
    None,
    /// Something that is not a key.
    Malformed,
    /// A key that was not looked for.
    Other(KeyId),
}

/// The keys that are within reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring {
    /// `MILLRACE_SECRETS_KEY`.
    pub(crate) given: Option<SecretText>,
    /// Folder of key files, `<id>.key` each; `None` without a home.
    pub(crate) folder: Option<PathBuf>,
}

impl Keyring {
    /// The key of that name. The one that was given is taken if it is that key; otherwise its file is looked for, so that a key from the
    /// environment does not hide those of other workspaces.
    pub(crate) fn find(&self, id: &KeyId) -> Result<Key, SecretsError> {
        let given = match self.given() {
            Ok(Some(key)) if key.id() == *id => return Ok(key),
            Ok(Some(key)) => GivenKey::Other(key.id()),
            Ok(None) => GivenKey::None,
            Err(_) => GivenKey::Malformed,
        };
        let file = self.file(id);
        let Some(path) = file.as_ref().filter(|path| path.exists()) else {
            return Err(SecretsError::NoKey { id: id.clone(), given, file });
        };
        let text = fs_err::read_to_string(path).map_err(SecretsError::io("read", path))?;
        let key = Key::from_hex(&text).filter(|key| key.id() == *id);
        key.ok_or_else(|| SecretsError::WrongKeyFile { id: id.clone(), file: path.clone() })
    }

    /// The key that the environment gives.
    pub(crate) fn given(&self) -> Result<Option<Key>, SecretsError> {
        let key = |text: &SecretText| Key::from_hex(text.reveal()).ok_or(SecretsError::NotAKey);
        self.given.as_ref().map(key).transpose()
    }

    /// Keeps a new key in a file that only this user can read.
    pub(crate) fn keep(&self, key: &Key) -> Result<PathBuf, SecretsError> {
        let path = self.file(&key.id()).ok_or(SecretsError::NoKeyFolder)?;
        let keep = || {
            if let Some(folder) = path.parent() {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            writeln!(file, "{}", key.to_hex().reveal())?;
            file.sync_all()
        };
        keep().map_err(SecretsError::io("write", &path))?;
        Ok(path)
    }

    fn file(&self, id: &KeyId) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{id}.key")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_contract::Explain as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_kept_key_is_found_again_and_only_its_user_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let keyring = Keyring { given: None, folder: Some(home.path().join("config/millrace/keys")) };
        let key = Key::generate().unwrap();
        let path = keyring.keep(&key).unwrap();
        assert_eq!(keyring.find(&key.id()).unwrap().to_hex(), key.to_hex());
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        std::fs::write(&path, Key::generate().unwrap().to_hex().reveal()).unwrap();
        let error = keyring.find(&key.id()).unwrap_err();
        assert!(matches!(error, SecretsError::WrongKeyFile { .. }), "{error}");
    }

    #[test]
    fn a_given_key_goes_before_a_file_but_does_not_hide_others() {
        let home = tempfile::tempdir().unwrap();
        let (given, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let keyring = Keyring { given: Some(given.to_hex()), folder: Some(home.path().to_owned()) };
        assert_eq!(keyring.find(&given.id()).unwrap().id(), given.id());
        let error = keyring.find(&other.id()).unwrap_err();
        assert_eq!(error.problem().notes, [format!("`MILLRACE_SECRETS_KEY` is another key, {}", given.id())]);
        keyring.keep(&other).unwrap();
        assert_eq!(keyring.find(&other.id()).unwrap().id(), other.id());
    }

    #[test]
    fn without_a_key_it_is_said_what_to_type() {
        let id = KeyId::parse("ed1ae5de87ffe43f").unwrap();
        let keyring =
            Keyring { given: Some(SecretText::new("hunter22")), folder: Some("/home/me/keys".into()) };
        let problem = keyring.find(&id).unwrap_err().problem();
        insta::assert_snapshot!(millrace_spec::frame::render(&problem, None, false), @r"
        error[secrets-no-key]: `secrets.enc.yaml` is encrypted with the key ed1ae5de87ffe43f, which is not here
         = `MILLRACE_SECRETS_KEY` is not a key: 64 hex digits are expected
        hint: `export MILLRACE_SECRETS_KEY=…` with the key ed1ae5de87ffe43f, or put that key into `/home/me/keys/ed1ae5de87ffe43f.key`
        ");
        let nowhere = Keyring::default().keep(&Key::generate().unwrap()).unwrap_err();
        insta::assert_snapshot!(millrace_spec::frame::render(&nowhere.problem(), None, false), @r"
        error[secrets-no-key-folder]: there is no folder for a new key: neither `XDG_CONFIG_HOME` nor `HOME` is set
        hint: `export MILLRACE_SECRETS_KEY=$(openssl rand -hex 32)`, and keep it
        ");
    }
}
