//! What a server signs for those who log in, so that nothing has to be kept of it: sessions of browsers and tokens of attempts.

use argon2::Argon2;

use crate::session::Sessions;
use crate::step_token::StepTokens;

/// Makes the keys of one token different from those of another use of it.
const SALT: &[u8] = b"millrace login keys 1";

/// The keys, made of the server's token: a restart, and another server with the same token, know the same signatures.
#[derive(Clone)]
pub struct LoginKeys {
    root: [u8; 32],
}

impl LoginKeys {
    /// Takes as long as a password (Argon2id): who holds something signed must not find the token by trying. `None` if that fails.
    pub fn of(token: &str) -> Option<Self> {
        let mut root = [0; 32];
        Argon2::default().hash_password_into(token.as_bytes(), SALT, &mut root).ok()?;
        Some(Self { root })
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(blake3::derive_key("millrace sessions of browsers 1", &self.root))
    }

    /// Signs tokens of attempts.
    pub fn step_tokens(&self) -> StepTokens {
        StepTokens::new(blake3::derive_key("millrace tokens of attempts 1", &self.root))
    }
}

impl std::fmt::Debug for LoginKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LoginKeys")
    }
}
