//! Who calls: a password or a token of an account, or the server's own token.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use millrace_metastore::accounts::AccountRow;
use millrace_metastore::{Metastore, MetastoreError};
use tokio::sync::Semaphore;

use crate::step_token::AttemptName;
use crate::throttle::{Knock, Throttle};

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
    /// The program of a step, for as long as its attempt lasts.
    Step(Box<AttemptName>),
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
            Self::Step(_) => false,
        }
    }

    /// Whether it has proved to be somebody.
    pub(crate) fn is_somebody(&self) -> bool {
        matches!(self, Self::Operator | Self::Account(_))
    }

    /// The tracked run that a program of a step logs into.
    pub(crate) fn own_run(&self) -> Option<&str> {
        match self {
            Self::Step(attempt) => Some(&attempt.tracking_run_id),
            _ => None,
        }
    }
}

/// How a login went.
#[derive(Debug)]
pub(crate) enum Login {
    /// The account that it is.
    Is(AccountRow),
    /// None.
    Nobody,
    /// Not looked at: so many failed that the next may come after this.
    TooSoon(Duration),
}

/// Whether a password is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
    TooSoon(Duration),
}

/// Checks passwords and tokens.
#[derive(Debug)]
pub struct Accounts {
    hashing: Semaphore,
    throttle: Throttle,
    /// Digests of names with right passwords and what they were checked against, so that another password forgets them.
    verified: Mutex<HashSet<blake3::Hash>>,
    key: [u8; 32],
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            hashing: Semaphore::new(HASHING),
            throttle: Throttle::default(),
            verified: Mutex::default(),
            key: rand::random(),
        }
    }
}

impl Accounts {
    /// The account of a name and its password, or one of its tokens in the place of the password.
    pub(crate) async fn by_password(
        &self,
        store: &Metastore,
        name: &str,
        password: &str,
        knock: Knock,
    ) -> Result<Login, MetastoreError> {
        if let Some(account) = Self::by_token(store, password).await? {
            return Ok(if account.name == name { Login::Is(account) } else { Login::Nobody });
        }
        self.by_password_alone(store, name, password, knock).await
    }

    /// The account of a name and its password.
    pub(crate) async fn by_password_alone(
        &self,
        store: &Metastore,
        name: &str,
        password: &str,
        knock: Knock,
    ) -> Result<Login, MetastoreError> {
        if name.contains('\0') {
            return Ok(Login::Nobody);
        }
        let found = store.find_account(name.to_owned()).await?;
        // A name that nobody has takes as long as one that somebody has.
        let hash = found.as_ref().map_or_else(unknown_hash, |account| account.password_hash.clone());
        let verdict = self.verdict(name, password, hash, knock).await;
        if verdict == Verdict::Wrong {
            // People type passwords where names go: a name that nobody has is not written down.
            let name = found.as_ref().map_or("nobody's", |account| account.name.as_str());
            let address = knock.address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(name, address, "a login failed");
        }
        Ok(match (verdict, found) {
            (Verdict::Right, Some(account)) => Login::Is(account),
            (Verdict::TooSoon(wait), _) => Login::TooSoon(wait),
            _ => Login::Nobody,
        })
    }

    /// The account of a token.
    pub(crate) async fn by_token(
        store: &Metastore,
        token: &str,
    ) -> Result<Option<AccountRow>, MetastoreError> {
        store.find_account_of_token(digest(token)).await
    }

    async fn verdict(&self, name: &str, password: &str, hash: String, knock: Knock) -> Verdict {
        let mut digest = blake3::Hasher::new_keyed(&self.key);
        for part in [name, password, &hash] {
            // Each with its length, so that no two triples are the same bytes.
            digest.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let digest = digest.finalize();
        if self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Verdict::Right;
        }
        let Ok(_turn) = self.hashing.acquire().await else { return Verdict::Wrong };
        // Those who came at once wait for their turn, and see here how it went for the others.
        if let Some(wait) = self.throttle.wait(knock, name) {
            return Verdict::TooSoon(wait);
        }
        let password = password.to_owned();
        if !tokio::task::spawn_blocking(move || verify(&password, &hash)).await.unwrap_or(false) {
            self.throttle.failed(knock, name);
            return Verdict::Wrong;
        }
        self.throttle.succeeded(knock, name);
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(digest);
        Verdict::Right
    }

    /// A password as it is kept (Argon2id); `None` if it cannot be hashed.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        let _turn = self.hashing.acquire().await.ok()?;
        tokio::task::spawn_blocking(move || hash(&password)).await.ok().flatten()
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self { id: row.id, name: row.name, is_admin: row.is_admin }
    }
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
        let verdict = async |password: &str, hash: &str| {
            let knock = Knock { address: None, now_ms: 0 };
            accounts.verdict("a", password, hash.to_owned(), knock).await
        };
        assert_eq!(verdict("a long password", &old).await, Verdict::Right);
        assert_eq!(verdict("a long password", &old).await, Verdict::Right);
        assert_eq!(verdict("another one", &old).await, Verdict::Wrong);
        let new = accounts.hash("another one".to_owned()).await.unwrap();
        assert_eq!(verdict("a long password", &new).await, Verdict::Wrong);
        assert_eq!(verdict("a long password", "no hash").await, Verdict::Wrong);
        for _ in 0..8 {
            verdict("guessed", &old).await;
        }
        assert!(matches!(verdict("guessed", &old).await, Verdict::TooSoon(_)));
        assert_eq!(verdict("a long password", &old).await, Verdict::Right, "it is remembered");
    }
}
