//! Who calls: a password or a token of an account, or the server's own token.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use millrace_metastore::accounts::AccountRow;
use millrace_metastore::{Metastore, MetastoreError};
use tokio::sync::Semaphore;

/// Passwords that are hashed at once: each takes a core for some hundredths of a second and 19 MiB.
const HASHING: usize = 2;
/// Right passwords that are remembered.
const REMEMBERED: usize = 1_000;

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody has to say who they are.
    Anybody,
    /// Whoever has the server's own token.
    Operator,
    /// An account.
    Account(Account),
}

/// An account that has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) is_admin: bool,
}

impl Caller {
    /// Whether everything is allowed.
    pub(crate) fn is_admin(&self) -> bool {
        match self {
            Self::Anybody | Self::Operator => true,
            Self::Account(account) => account.is_admin,
        }
    }
}

/// Checks passwords and tokens.
#[derive(Debug)]
pub struct Accounts {
    hashing: Semaphore,
    /// Digests of names with right passwords and what they were checked against, so that another password forgets them.
    verified: Mutex<HashSet<blake3::Hash>>,
    key: [u8; 32],
}

impl Default for Accounts {
    fn default() -> Self {
        Self { hashing: Semaphore::new(HASHING), verified: Mutex::default(), key: rand::random() }
    }
}

impl Accounts {
    /// The account of a name and its password, or one of its tokens in the place of the password.
    pub(crate) async fn by_password(
        &self,
        store: &Metastore,
        name: &str,
        password: &str,
    ) -> Result<Option<Account>, MetastoreError> {
        if name.contains('\0') {
            return Ok(None);
        }
        if let Some(account) = Self::by_token(store, password).await? {
            return Ok(Some(account).filter(|account| account.name == name));
        }
        let found = store.find_account(name.to_owned()).await?;
        // A name that nobody has takes as long as one that somebody has.
        let hash = found.as_ref().map_or_else(unknown_hash, |account| account.password_hash.clone());
        let right = self.is_right(name, password, hash).await;
        Ok(found.filter(|_| right).map(account))
    }

    /// The account of a token.
    pub(crate) async fn by_token(store: &Metastore, token: &str) -> Result<Option<Account>, MetastoreError> {
        Ok(store.find_account_of_token(digest(token)).await?.map(account))
    }

    async fn is_right(&self, name: &str, password: &str, hash: String) -> bool {
        let mut digest = blake3::Hasher::new_keyed(&self.key);
        for part in [name, password, &hash] {
            // Each with its length, so that no two triples are the same bytes.
            digest.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let digest = digest.finalize();
        if self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return true;
        }
        let password = password.to_owned();
        let right = self.off_the_way(move || verify(&password, &hash)).await.unwrap_or(false);
        if right {
            let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.len() >= REMEMBERED {
                verified.clear();
            }
            verified.insert(digest);
        }
        right
    }

    /// A password as it is kept (Argon2id); `None` if it cannot be hashed.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        self.off_the_way(move || hash(&password)).await.flatten()
    }

    async fn off_the_way<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _turn = self.hashing.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn account(row: AccountRow) -> Account {
    Account { id: row.id, name: row.name, is_admin: row.is_admin }
}

fn hash(password: &str) -> Option<String> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
    Some(Argon2::default().hash_password(password.as_bytes(), &salt).ok()?.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The hash of a password that nobody knows.
fn unknown_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash(&new_token()).unwrap_or_default()).clone()
}

/// A token for an account: 256 random bits, recognisable by scanners.
pub(crate) fn new_token() -> String {
    format!("millrace_{}", hex::encode(rand::random::<[u8; 32]>()))
}

/// What is kept of a token. It is random, so that a fast digest without salt does.
pub(crate) fn digest(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_right_password_is_remembered_only_as_long_as_it_is_right() {
        let accounts = Accounts::default();
        let old = accounts.hash("a long password".to_owned()).await.unwrap();
        assert!(old.starts_with("$argon2id$"), "{old}");
        assert_ne!(accounts.hash("a long password".to_owned()).await.unwrap(), old);
        assert!(accounts.is_right("a", "a long password", old.clone()).await);
        assert!(accounts.is_right("a", "a long password", old.clone()).await);
        assert!(!accounts.is_right("a", "another one", old).await);
        let new = accounts.hash("another one".to_owned()).await.unwrap();
        assert!(!accounts.is_right("a", "a long password", new).await);
        assert!(!accounts.is_right("a", "a long password", "no hash".to_owned()).await);
    }
}
