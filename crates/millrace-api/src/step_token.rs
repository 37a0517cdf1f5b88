//! Tokens of attempts: what a step's program logs in with, for as long as its attempt lasts.
//!
//! A token names the attempt and is signed; whether the attempt goes on, its row says. So nothing is kept, and a token is good after a
//! restart, on another port and at another server of the same workspace.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Recognisable by scanners, and different from tokens of accounts.
const PREFIX: &str = "millrace_step_";

/// Which attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptName {
    /// The pipeline run.
    #[serde(rename = "r")]
    pub run_id: String,
    /// The step, with its item: `train[3]`.
    #[serde(rename = "s")]
    pub step: String,
    /// Number of the attempt, from 1.
    #[serde(rename = "n")]
    pub number: u32,
    /// The tracked run that it logs into.
    #[serde(rename = "t")]
    pub tracking_run_id: String,
}

/// Signs tokens of attempts, and tells its own from others.
#[derive(Clone)]
pub struct StepTokens {
    key: [u8; 32],
}

impl std::fmt::Debug for StepTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StepTokens")
    }
}

impl StepTokens {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token of an attempt; the same each time.
    pub fn sign(&self, attempt: &AttemptName) -> String {
        let name = URL_SAFE_NO_PAD.encode(serde_json::to_string(attempt).unwrap_or_default());
        format!("{PREFIX}{name}.{}", self.signature(&name).to_hex())
    }

    /// The attempt that a token was signed for here.
    pub(crate) fn read(&self, token: &str) -> Option<AttemptName> {
        let (name, signature) = token.strip_prefix(PREFIX)?.split_once('.')?;
        // `Hash` compares in constant time.
        let is_ours = blake3::Hash::from_hex(signature).ok()? == self.signature(name);
        is_ours.then(|| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(name).ok()?).ok())?
    }

    fn signature(&self, name: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_attempt() {
        let tokens = StepTokens::new([7; 32]);
        let attempt = AttemptName {
            run_id: "0a".to_owned(),
            step: "train[3]".to_owned(),
            number: 2,
            tracking_run_id: "0b".to_owned(),
        };
        let token = tokens.sign(&attempt);
        assert!(token.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"-_.".contains(&sign)), "{token}");
        assert_eq!(tokens.read(&token), Some(attempt.clone()));
        assert_eq!(StepTokens::new([8; 32]).read(&token), None);
        let (_, signature) = token.rsplit_once('.').unwrap();
        let other = tokens.sign(&AttemptName { number: 3, ..attempt });
        let (forged, _) = other.rsplit_once('.').unwrap();
        assert_eq!(tokens.read(&format!("{forged}.{signature}")), None);
        for broken in ["", "millrace_step_", "millrace_step_.", "millrace_step_YQ.00", "millrace_0a"] {
            assert_eq!(tokens.read(broken), None, "{broken}");
        }
    }
}
