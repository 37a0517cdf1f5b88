//! Addresses of ours that carry their own proof: whoever has one may read or write one file for a while, without a token.

use millrace_storage::FilePath;
use std::time::Duration;

/// What one may do with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Read,
    Write,
}

/// Signs addresses, and tells its own signatures from others.
#[derive(Clone)]
pub struct UrlSigner {
    key: [u8; 32],
}

impl std::fmt::Debug for UrlSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UrlSigner")
    }
}

impl UrlSigner {
    /// `key`: random, the same for all servers that answer under one name.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The query of an address that is good until `now` + `valid_for`: `expires=…&signature=…`. `now`: seconds since 1970.
    pub(crate) fn query(&self, deed: Deed, path: &FilePath, now: i64, valid_for: Duration) -> String {
        let expires = now.saturating_add(i64::try_from(valid_for.as_secs()).unwrap_or(i64::MAX));
        format!("expires={expires}&signature={}", self.signature(deed, path, expires).to_hex())
    }

    /// Whether an address was signed here, and is good at `now`, seconds since 1970.
    pub(crate) fn is_good(
        &self,
        deed: Deed,
        path: &FilePath,
        expires: i64,
        signature: &str,
        now: i64,
    ) -> bool {
        // `Hash` compares in constant time.
        let given = blake3::Hash::from_hex(signature);
        expires > now && given.is_ok_and(|given| given == self.signature(deed, path, expires))
    }

    fn signature(&self, deed: Deed, path: &FilePath, expires: i64) -> blake3::Hash {
        let deed = match deed {
            Deed::Read => "read",
            Deed::Write => "write",
        };
        blake3::keyed_hash(&self.key, format!("{deed}\0{expires}\0{path}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_one_file_one_deed_and_a_while() {
        let signer = UrlSigner::new([7; 32]);
        let path = FilePath::new("run/a").unwrap();
        let query = signer.query(Deed::Read, &path, 1_000, Duration::from_secs(60));
        let (expires, signature) = query.split_once("&signature=").unwrap();
        assert_eq!(expires, "expires=1060");
        let good = |signer: &UrlSigner, deed, path: &str, expires, now| {
            signer.is_good(deed, &FilePath::new(path).unwrap(), expires, signature, now)
        };
        assert!(good(&signer, Deed::Read, "run/a", 1_060, 1_059));
        assert!(!good(&signer, Deed::Read, "run/a", 1_060, 1_060), "it is over");
        assert!(!good(&signer, Deed::Read, "run/a", 2_000, 1_059), "another end");
        assert!(!good(&signer, Deed::Write, "run/a", 1_060, 1_059));
        assert!(!good(&signer, Deed::Read, "run/b", 1_060, 1_059));
        assert!(!good(&UrlSigner::new([8; 32]), Deed::Read, "run/a", 1_060, 1_059));
        assert!(!signer.is_good(Deed::Read, &path, 1_060, "abc", 1_059));
    }
}
