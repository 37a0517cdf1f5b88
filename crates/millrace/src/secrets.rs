//! The secrets of a workspace: those of the environment, and those of its encrypted file (decision 5).

mod error;
mod file;
mod key;
mod keyring;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use millrace_contract::{Explain as _, SecretSource};
use millrace_spec::ids::SecretName;
use millrace_spec::secret::{SecretText, Secrets, variable};
use nix::fcntl::{Flock, FlockArg};

pub(crate) use error::SecretsError;
use file::SecretsFile;
use key::Key;
pub(crate) use key::KeyId;
pub(crate) use keyring::Keyring;

/// The file's name, in the workspace's root.
pub(crate) const FILE: &str = "secrets.enc.yaml";
/// The variable with the file's key.
pub(crate) const KEY_VARIABLE: &str = "MILLRACE_SECRETS_KEY";

/// Where the secrets of a workspace are. The file is read anew each time, since people edit it.
#[derive(Debug, Clone)]
pub(crate) struct SecretStore {
    root: PathBuf,
    /// They go before those of the file.
    environment: IndexMap<String, SecretText>,
    keyring: Keyring,
}

/// A key that was made, and the file that it is kept in.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) id: KeyId,
    pub(crate) file: PathBuf,
}

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    File,
}

impl SecretStore {
    pub(crate) fn new(root: PathBuf, environment: IndexMap<String, SecretText>, keyring: Keyring) -> Self {
        Self { root, environment, keyring }
    }

    /// Where the secret of that name would come from.
    pub(crate) fn origin(&self, name: &str) -> Origin {
        if self.environment.contains_key(name) { Origin::Environment } else { Origin::File }
    }

    /// Puts a secret into the file, which is made if it is not there, as is its key; the new key is handed back.
    pub(crate) fn set(&self, name: &SecretName, text: &SecretText) -> Result<Option<NewKey>, SecretsError> {
        let _lock = self.lock()?;
        let (mut file, key, new) = match self.opened()? {
            Some((file, key)) => (file, key, None),
            None => match self.keyring.given()? {
                Some(given) => (SecretsFile::new(given.id()), given, None),
                None => {
                    let key = Key::generate()?;
                    let new = self.keep(&key)?;
                    (SecretsFile::new(key.id()), key, Some(new))
                }
            },
        };
        file.set(&key, name, text)?;
        file.write(&self.root)?;
        Ok(new)
    }

    /// Fails as [`Self::set`] would, so that nobody types a value in vain.
    pub(crate) fn can_set(&self) -> Result<(), SecretsError> {
        match self.opened()? {
            Some(_) => Ok(()),
            None => self.keyring.given().map(drop),
        }
    }

    /// Takes a secret out of the file. No key is needed for that.
    pub(crate) fn remove(&self, name: &SecretName) -> Result<(), SecretsError> {
        let _lock = self.lock()?;
        let variable = (self.origin(name.as_str()) == Origin::Environment).then(|| variable(name.as_str()));
        let removed = match SecretsFile::read(&self.root)? {
            Some(mut file) => file.remove(name).and_then(|()| file.write(&self.root)),
            None => Err(SecretsError::Unknown { name: name.clone(), near: None, variable: None }),
        };
        removed.map_err(|error| match error {
            SecretsError::Unknown { name, near, .. } => SecretsError::Unknown { name, near, variable },
            other => other,
        })
    }

    /// Makes a new key and encrypts every value with it.
    pub(crate) fn rekey(&self) -> Result<(KeyId, NewKey), SecretsError> {
        let _lock = self.lock()?;
        let (file, old) = self.opened()?.ok_or(SecretsError::NoFile)?;
        let key = Key::generate()?;
        let resealed = file.resealed(&old, &key)?;
        // Kept before anything is written that only it opens.
        let new = self.keep(&key)?;
        resealed.write(&self.root)?;
        Ok((old.id(), new))
    }

    /// The file and its key; `None` if there is no file.
    fn opened(&self) -> Result<Option<(SecretsFile, Key)>, SecretsError> {
        let Some(file) = SecretsFile::read(&self.root)? else { return Ok(None) };
        let key = self.keyring.find(&file.key)?;
        Ok(Some((file, key)))
    }

    fn keep(&self, key: &Key) -> Result<NewKey, SecretsError> {
        Ok(NewKey { id: key.id(), file: self.keyring.keep(key)? })
    }

    /// Holds off others that would write the file, until it is dropped.
    fn lock(&self) -> Result<Flock<std::fs::File>, SecretsError> {
        let failed = |error: std::io::Error| SecretsError::io("lock", &self.root)(error);
        let folder = std::fs::File::open(&self.root).map_err(failed)?;
        Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))
    }
}

impl SecretSource for SecretStore {
    fn secrets(&self) -> Secrets {
        let given = self.environment.iter().map(|(name, text)| (name.clone(), Ok(text.clone())));
        let mut secrets = Secrets { texts: given.collect(), others: None };
        match SecretsFile::read(&self.root) {
            Ok(None) => {}
            Ok(Some(file)) => {
                let key = self.keyring.find(&file.key);
                for name in file.names().filter(|name| self.origin(name.as_str()) == Origin::File) {
                    let text = match &key {
                        Ok(key) => file.open(key, name).map_err(|error| Box::new(error.problem())),
                        Err(error) => Err(Box::new(error.problem())),
                    };
                    secrets.texts.insert(name.to_string(), text);
                }
            }
            Err(error) => secrets.others = Some(Box::new(error.problem())),
        }
        secrets.texts.sort_keys();
        secrets
    }
}

/// Whether there is a file of secrets in this folder.
pub(crate) fn has_file(root: &Path) -> bool {
    root.join(FILE).exists()
}
