//! A login at an SSH server, which files of one step share, and what its failures mean.

use std::sync::{Arc, Mutex as Slot, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh_sftp::client::error::Error;
use russh_sftp::client::{Config, RawSftpSession, SftpSession};
use russh_sftp::protocol::{Packet, StatusCode};
use tokio::sync::{Mutex, OnceCell};

use super::SftpConnection;
use crate::error::CopyError;
use crate::store::CONNECT;

/// How long an answer may take.
const ANSWER_SECONDS: u64 = 60;
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Renames over what is there, which the protocol's own rename does not.
/// <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL>, section 4.3.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// Why something did not work.
#[derive(Debug)]
pub(super) struct Broken {
    message: String,
    transient: bool,
    absent: bool,
}

impl Broken {
    fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, absent: false }
    }

    fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, absent: false }
    }

    /// Whether there is no such file or folder.
    pub(super) fn is_absent(&self) -> bool {
        self.absent
    }

    pub(super) fn while_reading(self, label: &str) -> CopyError {
        CopyError::Read { what: label.to_owned(), message: self.message, transient: self.transient }
    }

    pub(super) fn while_writing(self, label: &str) -> CopyError {
        CopyError::Write { what: label.to_owned(), message: self.message, transient: self.transient }
    }
}

/// Makes the login when it is needed, and anew after it broke.
pub(super) struct Sessions {
    pub(super) settings: SftpConnection,
    open: Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    pub(super) fn new(settings: SftpConnection) -> Self {
        Self { settings, open: Mutex::new(None) }
    }

    pub(super) async fn open(&self) -> Result<Arc<Session>, Broken> {
        let mut open = self.open.lock().await;
        if let Some(session) = open.as_ref().filter(|session| !session.is_over()) {
            return Ok(session.clone());
        }
        let session = tokio::time::timeout(CONNECT * 3, Session::log_in(&self.settings)).await;
        let session = session.map_err(|_| Broken::passing("the server does not answer"))??;
        Ok(open.insert(Arc::new(session)).clone())
    }
}

/// Looks at the server's key.
struct HostKey {
    known: Option<String>,
    shown: Arc<Slot<Option<String>>>,
}

impl client::Handler for HostKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let shown = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let known = self.known.as_ref();
        let trusted = known.is_none_or(|known| known.split_whitespace().any(|known| known == shown));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(trusted)
    }
}

/// A login with the channel of its files.
pub(super) struct Session {
    ssh: Handle<HostKey>,
    pub(super) sftp: SftpSession,
    /// A second channel for what the first one does not know.
    raw: OnceCell<RawSftpSession>,
}

impl Session {
    async fn log_in(settings: &SftpConnection) -> Result<Self, Broken> {
        let config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..client::Config::default()
        };
        let shown = Arc::new(Slot::new(None));
        let known = settings.known_host.clone().filter(|_| !settings.insecure);
        let handler = HostKey { known, shown: shown.clone() };
        let address = (settings.host.as_str(), settings.port);
        let mut ssh = client::connect(Arc::new(config), address, handler).await.map_err(|error| {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (error, shown) {
                (russh::Error::UnknownKey, Some(shown)) => Broken::for_good(format!(
                    "the server's key is `{shown}`, which is not the connection's `known_host`"
                )),
                (error, _) => Broken::passing(format!("the server cannot be reached: {error}")),
            }
        })?;
        authenticate(&mut ssh, settings).await?;
        let channel = channel(&ssh).await?;
        let config = Config { request_timeout_secs: ANSWER_SECONDS, ..Config::default() };
        let sftp = SftpSession::new_with_config(channel.into_stream(), config).await;
        let sftp = sftp.map_err(|error| Broken::for_good(format!("the server offers no SFTP: {error}")))?;
        Ok(Self { ssh, sftp, raw: OnceCell::new() })
    }

    fn is_over(&self) -> bool {
        self.ssh.is_closed()
    }

    /// What an error of the protocol means.
    pub(super) fn broken(&self, error: Error) -> Broken {
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => {
                    Broken { absent: true, ..Broken::for_good("there is no such file") }
                }
                StatusCode::PermissionDenied => Broken::for_good("access is denied"),
                StatusCode::NoConnection | StatusCode::ConnectionLost => {
                    Broken::passing("the connection broke")
                }
                _ => Broken::for_good(format!("the server says: {}", status.error_message)),
            },
            Error::Timeout => Broken::passing("the server stopped answering"),
            other if self.is_over() => Broken::passing(format!("the connection broke: {other}")),
            other => Broken::passing(other.to_string()),
        }
    }

    /// What an error while bytes were sent or received means.
    pub(super) fn cut(&self, error: &std::io::Error) -> Broken {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
            Some(cause) => self.broken(cause.clone()),
            None if self.is_over() => Broken::passing(format!("the connection broke: {error}")),
            None => Broken::for_good(format!("the server says: {error}")),
        }
    }

    /// Makes the folders that a file lies in. What cannot be made is told by what fails next.
    pub(super) async fn create_folders(&self, target: &str) {
        for (place, _) in target.match_indices('/').filter(|(place, _)| *place > 0) {
            let folder = target.get(..place).unwrap_or_default();
            let _ = self.sftp.create_dir(folder).await;
        }
    }

    /// Renames a file, over what is there.
    pub(super) async fn replace(&self, staged: &str, target: &str) -> Result<(), Broken> {
        let raw = self.raw.get_or_try_init(|| async {
            let raw = RawSftpSession::new(channel(&self.ssh).await?.into_stream());
            raw.set_timeout(ANSWER_SECONDS);
            raw.init().await.map_err(|error| self.broken(error))?;
            Ok(raw)
        });
        let raw = raw.await?;
        let mut paths = Vec::new();
        for path in [staged, target] {
            let length = u32::try_from(path.len()).map_err(|_| Broken::for_good("its path is too long"))?;
            paths.extend(length.to_be_bytes());
            paths.extend(path.as_bytes());
        }
        let answer = raw.extended(POSIX_RENAME, paths).await.map_err(|error| self.broken(error))?;
        match answer {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) if status.status_code == StatusCode::OpUnsupported => {
                self.replace_in_two_steps(staged, target).await
            }
            Packet::Status(status) => Err(self.broken(status.into())),
            _ => Err(Broken::for_good("the server answers a rename with something else")),
        }
    }

    /// For servers that only rename to a free name: for a moment there is no file, never a part of one.
    async fn replace_in_two_steps(&self, staged: &str, target: &str) -> Result<(), Broken> {
        if self.sftp.rename(staged, target).await.is_ok() {
            return Ok(());
        }
        self.sftp.remove_file(target).await.map_err(|error| self.broken(error))?;
        self.sftp.rename(staged, target).await.map_err(|error| self.broken(error))
    }

    /// Removes what was written beside its place.
    pub(super) async fn discard(&self, staged: &str) {
        if let Err(error) = self.sftp.remove_file(staged).await {
            tracing::warn!(%error, staged, "a staged file could not be removed");
        }
    }
}

async fn channel(ssh: &Handle<HostKey>) -> Result<russh::Channel<client::Msg>, Broken> {
    let broken = |error: russh::Error| Broken::passing(format!("the server opens no channel: {error}"));
    let channel = ssh.channel_open_session().await.map_err(broken)?;
    channel.request_subsystem(true, "sftp").await.map_err(broken)?;
    Ok(channel)
}

async fn authenticate(ssh: &mut Handle<HostKey>, settings: &SftpConnection) -> Result<(), Broken> {
    let broken = |error: russh::Error| Broken::passing(format!("the login broke off: {error}"));
    let user = settings.user.as_str();
    let (accepted, by) = match (&settings.private_key, &settings.password) {
        (Some(key), _) => {
            let key = decode_secret_key(key, settings.passphrase.as_deref())
                .map_err(|error| Broken::for_good(format!("`private_key` cannot be read: {error}")))?;
            let hash = ssh.best_supported_rsa_hash().await.map_err(broken)?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            (ssh.authenticate_publickey(user, key).await.map_err(broken)?.success(), "key")
        }
        (None, password) => {
            let password = password.clone().unwrap_or_default();
            (ssh.authenticate_password(user, password).await.map_err(broken)?.success(), "password")
        }
    };
    if accepted {
        return Ok(());
    }
    Err(Broken::for_good(format!("the server does not accept the {by} of `{user}`")))
}
