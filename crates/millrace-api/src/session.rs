//! Sessions of browsers: a cookie that says who signed in and until when, signed, so that nothing is kept here.
//!
//! What an account proved itself by goes into the signature, so that a changed password ends its sessions.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
const COOKIE: &str = "millrace_session";

/// Signs sessions, and tells its own from others.
#[derive(Clone)]
pub struct Sessions {
    key: [u8; 32],
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sessions")
    }
}

/// What a cookie says; whether it is true, [`Sessions::is_good`] knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) name: String,
    expires: i64,
    signature: blake3::Hash,
}

impl Session {
    /// What the cookie of a request says.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).map(str::trim);
        Self::read(pairs.find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))?)
    }

    fn read(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let (expires, name, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let name = String::from_utf8(hex::decode(name).ok()?).ok()?;
        let signature = blake3::Hash::from_hex(signature).ok()?;
        let is_whole = parts.next().is_none() && !name.contains('\0');
        is_whole.then_some(Self { name, expires: expires.parse().ok()?, signature })
    }
}

impl Sessions {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The cookie of a new session. `proof`: what must stay as it is for the session to go on; `now`: seconds since 1970.
    pub(crate) fn cookie(&self, name: &str, proof: &str, now: i64, is_secure: bool) -> Option<HeaderValue> {
        let lasts = i64::try_from(LASTS.as_secs()).ok()?;
        let expires = now.saturating_add(lasts);
        let signature = self.signature(name, proof, expires).to_hex();
        let value = format!("{expires}.{}.{signature}", hex::encode(name));
        set(&value, lasts, is_secure)
    }

    /// Whether a session was signed here with this proof, and goes on at `now`, seconds since 1970.
    pub(crate) fn is_good(&self, session: &Session, proof: &str, now: i64) -> bool {
        // `Hash` compares in constant time.
        session.expires > now && session.signature == self.signature(&session.name, proof, session.expires)
    }

    fn signature(&self, name: &str, proof: &str, expires: i64) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [name, proof] {
            // Each with its length, so that no two pairs are the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(&expires.to_le_bytes()).finalize()
    }
}

/// The cookie that ends a session.
pub(crate) fn ended(is_secure: bool) -> Option<HeaderValue> {
    set("", 0, is_secure)
}

fn set(value: &str, max_age: i64, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 7 * 24 * 3600;

    #[test]
    fn a_session_is_good_for_a_while_for_one_person_with_one_password() {
        let sessions = Sessions::new([7; 32]);
        let cookie = sessions.cookie("anna", "hash", 1_000, true).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        let sent = cookie.split(';').next().unwrap();
        let of = |cookie: &str| {
            let value = HeaderValue::from_str(&format!("theme=dark; {cookie}")).unwrap();
            Session::of(&HeaderMap::from_iter([(header::COOKIE, value)]))
        };
        let session = of(sent).unwrap();
        assert_eq!(session.name, "anna");
        assert!(sessions.is_good(&session, "hash", 1_000 + WEEK - 1));
        assert!(!sessions.is_good(&session, "hash", 1_000 + WEEK), "it is over");
        assert!(!sessions.is_good(&session, "another hash", 1_001), "the password is another one");
        assert!(!Sessions::new([8; 32]).is_good(&session, "hash", 1_001));
        let bert = of(&sent.replace(&hex::encode("anna"), &hex::encode("bert"))).unwrap();
        assert!(!sessions.is_good(&bert, "hash", 1_001));
        let longer = of(&sent.replace("=605800.", "=705800.")).unwrap();
        assert!(!sessions.is_good(&longer, "hash", 1_001));
        for broken in ["millrace_session=", "millrace_session=1.00.ab", "millrace_session=a", "other=1"] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }
}
