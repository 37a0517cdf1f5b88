//! A key: what it is called, and how it seals a value.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use millrace_spec::ids::SecretName;
use millrace_spec::secret::SecretText;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

const KEY_BYTES: usize = 32;
/// Hex digits of an id: enough to tell keys apart, too few to tell anything of them.
const ID_DIGITS: usize = 16;
/// Sets the ids of keys apart from every other BLAKE3 hash. Part of the file's format: never changed.
const ID_CONTEXT: &str = "millrace 2026-11-27 secrets.enc.yaml id of a key";

/// What a key is called: 16 hex digits, derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyId(String);

impl KeyId {
    /// Reads the id that stands in a file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == ID_DIGITS && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it is not base64")]
    NotBase64,
    #[error("it is too short to be whole")]
    TooShort,
    #[error("it was changed, or stood under another name")]
    Changed,
}

/// The system has no random bytes to give, or the cipher refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random numbers or its cipher do not work")]
pub(crate) struct CipherFailed;

impl From<ring::error::Unspecified> for CipherFailed {
    fn from(_: ring::error::Unspecified) -> Self {
        Self
    }
}

/// 32 bytes that open a file.
#[derive(Clone)]
pub(crate) struct Key([u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

impl Key {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, CipherFailed> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads 64 hex digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; KEY_BYTES];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The key as it is kept and handed on.
    pub(crate) fn to_hex(&self) -> SecretText {
        SecretText::new(hex::encode(self.0))
    }

    pub(crate) fn id(&self) -> KeyId {
        let digits = hex::encode(blake3::derive_key(ID_CONTEXT, &self.0));
        KeyId(digits.chars().take(ID_DIGITS).collect())
    }

    /// Encrypts a value: base64 of nonce, ciphertext and tag. It opens under this name only.
    pub(crate) fn seal(&self, name: &SecretName, text: &SecretText) -> Result<String, CipherFailed> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce)?;
        let mut sealed = text.reveal().as_bytes().to_vec();
        let bound_to = Aad::from(self.bound_to(name));
        self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            bound_to,
            &mut sealed,
        )?;
        Ok(BASE64.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts what [`Key::seal`] made.
    pub(crate) fn open(&self, name: &SecretName, sealed: &str) -> Result<SecretText, Damage> {
        let mut bytes = BASE64.decode(sealed).map_err(|_| Damage::NotBase64)?;
        let tag = AES_256_GCM.tag_len();
        let Some((nonce, rest)) =
            bytes.split_first_chunk_mut::<NONCE_LEN>().filter(|(_, rest)| rest.len() > tag)
        else {
            return Err(Damage::TooShort);
        };
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let cipher = self.cipher().map_err(|_| Damage::Changed)?;
        let opened = cipher.open_in_place(nonce, Aad::from(self.bound_to(name)), rest);
        let text = opened.ok().and_then(|opened| std::str::from_utf8(opened).ok());
        text.map(SecretText::new).ok_or(Damage::Changed)
    }

    fn cipher(&self) -> Result<LessSafeKey, CipherFailed> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0)?))
    }

    /// What is authenticated beside the value, so that values cannot be swapped between names or files.
    fn bound_to(&self, name: &SecretName) -> String {
        format!("{}/{name}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn key() -> Key {
        Key::from_hex(HEX).unwrap()
    }

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn a_value_opens_with_its_key_and_under_its_name_only() {
        let text = SecretText::new("grün und\nlang");
        let sealed = key().seal(&name("api"), &text).unwrap();
        assert_eq!(key().open(&name("api"), &sealed), Ok(text.clone()));
        assert_eq!(key().open(&name("shop"), &sealed), Err(Damage::Changed));
        assert_eq!(Key::generate().unwrap().open(&name("api"), &sealed), Err(Damage::Changed));
        assert_ne!(key().seal(&name("api"), &text).unwrap(), sealed, "each nonce is used once");
    }

    #[test]
    fn what_is_not_whole_does_not_open() {
        let open = |sealed: &str| key().open(&name("api"), sealed).unwrap_err();
        let sealed = key().seal(&name("api"), &SecretText::new("hunter22")).unwrap();
        assert_eq!(open("not base64!"), Damage::NotBase64);
        assert_eq!(open(""), Damage::TooShort);
        assert_eq!(open(&BASE64.encode([0; NONCE_LEN + 16])), Damage::TooShort);
        let mut bytes = BASE64.decode(&sealed).unwrap();
        for at in [0, NONCE_LEN, bytes.len() - 1] {
            bytes[at] ^= 1;
            assert_eq!(open(&BASE64.encode(&bytes)), Damage::Changed, "byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(open(&BASE64.encode(&bytes[..bytes.len() - 1])), Damage::Changed);
    }

    /// The format: a file that was committed once must open for good. Made with Python's `cryptography` and a BLAKE3 of its own.
    #[test]
    fn a_value_that_another_program_sealed_opens() {
        assert_eq!(key().id().to_string(), "ed1ae5de87ffe43f");
        let sealed = "ZGVmZ2hpamtsbW5vIG6wEhybZKwpZ4X6w1LKbS9pJGMpDVbq";
        assert_eq!(key().open(&name("api"), sealed), Ok(SecretText::new("hunter22")));
    }

    #[test]
    fn neither_a_key_nor_its_id_is_shown_or_read_wrongly() {
        assert_eq!(format!("{:?}", key()), format!("Key({})", key().id()));
        assert_eq!(format!("{:?}", key().to_hex()), "***");
        assert_eq!(key().to_hex().reveal(), HEX);
        assert_eq!(KeyId::parse(&key().id().to_string()), Some(key().id()));
        for wrong in ["", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdefg"] {
            assert_eq!(KeyId::parse(wrong), None, "{wrong}");
        }
        assert!(Key::from_hex("00").is_none() && Key::from_hex(&HEX.replace('0', "x")).is_none());
        assert!(Key::from_hex(&format!("{HEX}\n")).is_some());
    }
}
