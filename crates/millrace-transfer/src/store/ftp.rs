//! FTP, with TLS unless it is said otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::Deserialize;
use suppaftp::list::ListParser;
use suppaftp::tokio::{
    AsyncRustlsConnector, AsyncRustlsFtpStream as Control, AsyncRustlsStream, TransferStream,
};
use suppaftp::tokio_rustls::TlsConnector;
use suppaftp::tokio_rustls::rustls::pki_types::CertificateDer;
use suppaftp::tokio_rustls::rustls::pki_types::pem::PemObject as _;
use suppaftp::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use suppaftp::types::FileType;
use suppaftp::{FtpError, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::listing::{Folders, Found, walk};
use super::settings::{Kind, Leads, Settings, masked};
use super::{
    ByteStream, CONNECT, FileFacts, FileStore, Nature, NewFile, Opened, Receipt, StagedFile, changed,
    plain_path, staged_path,
};
use crate::error::CopyError;

/// The kind of connection `ftp`.
pub(super) const KIND: Kind =
    Kind::of::<FtpConnection>("copy: {from: \"mirror:day/*.csv\", to: \"data:orders\"}\n");

/// Bytes that are asked for at a time.
const PIECE: usize = 256 * 1024;
/// Logins that wait for the next file.
const IDLE: usize = 4;

/// Reads and writes files of an FTP server, encrypted by TLS (`AUTH TLS`) unless `tls: false`.
///
/// In connections.yaml: `mirror: {ftp: {host: …, user: …, password: …}}`. Then `mirror:day/*.csv` names files below `folder`. A file is
/// written beside its place and renamed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FtpConnection {
    /// Name or address of the server.
    host: String,
    /// Port of the server.
    #[serde(default = "port")]
    port: u16,
    /// Who logs in; `anonymous` if absent.
    #[serde(default)]
    user: Option<String>,
    /// The user's password, usually `${{ secrets.… }}`.
    #[serde(default)]
    password: Option<String>,
    /// Whether everything is encrypted. Without it the password and the data can be read on their way.
    #[serde(default = "yes")]
    tls: bool,
    /// Certificate of the authority that signed the server's, in PEM, if it is not one that this machine trusts.
    #[serde(default)]
    certificate_authority: Option<String>,
    /// Folder that paths begin in; absolute with a `/` in front, else below the user's own.
    #[serde(default)]
    folder: String,
}

fn port() -> u16 {
    21
}

fn yes() -> bool {
    true
}

impl Settings for FtpConnection {
    const WORD: &'static str = "ftp";
    const SCHEMES: &'static [&'static str] = &["ftp", "ftps"];
    const SECRET: &'static [&'static str] = &["password"];

    fn declaration(name: &str, place: &str) -> String {
        format!("{name}: {{ftp: {{host: {place}, user: …, password: \"${{{{ secrets.{name} }}}}\"}}}}")
    }

    fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.host.contains(['/', '@']) {
            return Err("`host` is a name or an address alone".to_owned());
        }
        if self.user.is_some() != self.password.is_some() {
            return Err("`user` and `password` go together".to_owned());
        }
        if self.certificate_authority.is_some() && !self.tls {
            return Err("`certificate_authority` is of no use with `tls: false`".to_owned());
        }
        let texts = [&self.user, &self.password].into_iter().flatten().chain([&self.folder]);
        if texts.into_iter().any(|text| text.contains(['\r', '\n'])) {
            return Err("`user`, `password` and `folder` are one line each".to_owned());
        }
        Ok(())
    }
}

impl Leads for FtpConnection {
    fn root(&self) -> String {
        let scheme = if self.tls { "ftps" } else { "ftp" };
        let port = if self.port == port() { String::new() } else { format!(":{}", self.port) };
        let folder = self.folder.trim_matches('/');
        let end = if folder.is_empty() { "" } else { "/" };
        format!("{scheme}://{}{port}/{folder}{end}", self.host)
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        let refused = |message: String| CopyError::config(message, Self::declaration("mirror", &self.host));
        let tls = if self.tls { Some(self.connector().map_err(refused)?) } else { None };
        let server = Server { settings: self.clone(), tls, idle: Mutex::new(Vec::new()) };
        Ok(Arc::new(Ftp { root: self.root(), server: Arc::new(server) }))
    }
}

impl FtpConnection {
    fn connector(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore::empty();
        match &self.certificate_authority {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate =
                        certificate.map_err(|error| format!("`certificate_authority`: {error}"))?;
                    roots.add(certificate).map_err(|error| format!("`certificate_authority`: {error}"))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        // Two providers are linked in, so the choice is made here.
        let provider = Arc::new(suppaftp::tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

type Transfer = TransferStream<AsyncRustlsStream>;

/// Logs in when a file needs it. A login carries one file at a time.
struct Server {
    settings: FtpConnection,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<Control>>,
}

impl Server {
    async fn take(&self) -> Result<Control, FtpError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut idle) = idle else { return self.log_in().await };
            // One that the server has given up is no use.
            if idle.noop().await.is_ok() {
                return Ok(idle);
            }
        }
    }

    fn give_back(&self, control: Control) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(control);
        }
    }

    async fn log_in(&self) -> Result<Control, FtpError> {
        let FtpConnection { host, port, user, password, .. } = &self.settings;
        let late = || FtpError::ConnectionError(std::io::ErrorKind::TimedOut.into());
        let logging_in = async {
            let control = Control::connect((host.as_str(), *port)).await?;
            let mut control = match &self.tls {
                Some(tls) => control.into_secure(AsyncRustlsConnector::from(tls.clone()), host).await?,
                None => control,
            };
            let user = user.as_deref().unwrap_or("anonymous");
            control.login(user, password.as_deref().unwrap_or("anonymous")).await?;
            control.transfer_type(FileType::Binary).await?;
            // An address of the server's own network leads nowhere from here.
            control.set_passive_nat_workaround(true);
            Ok(control)
        };
        tokio::time::timeout(CONNECT * 3, logging_in).await.map_err(|_| late())?
    }

    /// What an error means, in words, and whether it may pass.
    fn in_words(&self, error: &FtpError) -> (String, bool) {
        let (message, transient) = match error {
            FtpError::ConnectionError(error) => (format!("the connection broke: {error}"), true),
            FtpError::SecureError(message) if broke_off(message) => {
                (format!("the connection broke: {message}"), true)
            }
            FtpError::SecureError(message) => (format!("the server cannot be trusted: {message}"), false),
            FtpError::UnexpectedResponse(answer) => {
                let said = String::from_utf8_lossy(&answer.body);
                let said = said.lines().next().unwrap_or_default().trim().to_owned();
                match answer.status {
                    Status::FileUnavailable => ("there is no such file".to_owned(), false),
                    Status::NotLoggedIn => (format!("the server does not accept the login: {said}"), false),
                    status => (format!("the server says: {said}"), (400..500).contains(&status.code())),
                }
            }
            other => (other.to_string(), true),
        };
        let secrets: Vec<String> = self.settings.password.iter().cloned().collect();
        (masked(&message, &secrets), transient)
    }
}

fn is_absent(error: &FtpError) -> bool {
    matches!(error, FtpError::UnexpectedResponse(answer) if answer.status == Status::FileUnavailable)
}

/// A server below a folder.
struct Ftp {
    root: String,
    server: Arc<Server>,
}

impl Ftp {
    /// A path as the server knows it.
    fn remote(&self, path: &str) -> Result<String, CopyError> {
        let (folder, path) = (self.server.settings.folder.trim_end_matches('/'), plain_path(path)?);
        Ok(match (folder, path) {
            ("", "") if self.server.settings.folder.is_empty() => ".".to_owned(),
            ("", path) if self.server.settings.folder.is_empty() => path.to_owned(),
            (folder, "") => format!("{folder}/"),
            (folder, path) => format!("{folder}/{path}"),
        })
    }

    fn read_failed(&self, path: &str, error: &FtpError) -> CopyError {
        let (message, transient) = self.server.in_words(error);
        CopyError::Read { what: self.label(path), message, transient }
    }

    fn write_failed(&self, path: &str, error: &FtpError) -> CopyError {
        let (message, transient) = self.server.in_words(error);
        CopyError::Write { what: self.label(path), message, transient }
    }
}

/// What the server says of a file; what it does not know how to say is not told.
async fn facts(control: &mut Control, remote: &str, path: &str) -> Result<FileFacts, FtpError> {
    let told = |error: FtpError| match error {
        FtpError::UnexpectedResponse(answer) if answer.status != Status::FileUnavailable => Ok(()),
        FtpError::BadResponse => Ok(()),
        other => Err(other),
    };
    let size = match control.size(remote).await {
        Ok(size) => u64::try_from(size).ok(),
        Err(error) => told(error).map(|()| None)?,
    };
    let modified = match control.mdtm(remote).await {
        Ok(time) => jiff::Timestamp::from_second(time.and_utc().timestamp()).ok(),
        Err(error) => told(error).map(|()| None)?,
    };
    Ok(FileFacts { path: path.to_owned(), size, modified, etag: None })
}

/// Whether a handshake ended because the connection did, and not because of what was said. The client makes words of the cause.
fn broke_off(message: &str) -> bool {
    let message = message.to_lowercase();
    ["eof", "reset", "broken pipe", "close_notify", "timed out", "aborted"]
        .iter()
        .any(|word| message.contains(word))
}

#[async_trait]
impl Folders for Ftp {
    async fn look(&self, folder: &str) -> Result<Vec<Found>, CopyError> {
        let failed = |error: FtpError| self.read_failed(folder, &error);
        let remote = self.remote(folder)?;
        let mut control = self.server.take().await.map_err(failed)?;
        let listed = match control.mlsd(Some(remote.as_str())).await {
            // Older servers know only what people read.
            Err(FtpError::UnexpectedResponse(answer)) if answer.status != Status::FileUnavailable => {
                control.list(Some(remote.as_str())).await.map(|lines| (lines, false))
            }
            listed => listed.map(|lines| (lines, true)),
        };
        let (lines, exact) = match listed {
            Ok(listed) => listed,
            Err(error) if is_absent(&error) => {
                self.server.give_back(control);
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let found: Vec<Found> = lines.iter().filter_map(|line| found(folder, line, exact)).collect();
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let is_itself =
            |file: &Found| matches!(file, Found::File(file) if file.path == format!("{folder}/{name}"));
        // A file is listed as if it stood below itself; a folder has no size.
        let is_file =
            matches!(found.as_slice(), [only] if is_itself(only)) && control.size(&remote).await.is_ok();
        self.server.give_back(control);
        Ok(if is_file { Vec::new() } else { found })
    }
}

/// What a line of a listing says; nothing of the folder itself and the one above.
fn found(folder: &str, line: &str, exact: bool) -> Option<Found> {
    let file = if exact {
        ListParser::parse_mlsd(line).ok()?
    } else {
        ListParser::parse_posix(line).or_else(|_| ListParser::parse_dos(line)).ok()?
    };
    let name = file.name();
    if matches!(name, "." | "..") || line.to_ascii_lowercase().contains("type=cdir;") {
        return None;
    }
    let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    if file.is_directory() {
        return Some(Found::Folder(path));
    }
    // Times that people read are rounded and of an unknown zone.
    let modified = if exact { jiff::Timestamp::try_from(file.modified()).ok() } else { None };
    Some(Found::File(FileFacts { path, size: u64::try_from(file.size()).ok(), modified, etag: None }))
}

#[async_trait]
impl FileStore for Ftp {
    fn label(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    async fn list(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        walk(self, folder, depth).await
    }

    async fn read(&self, path: &str, from: u64, _: Option<&FileFacts>) -> Result<Opened, CopyError> {
        let failed = |error: FtpError| self.read_failed(path, &error);
        let remote = self.remote(path)?;
        let mut control = self.server.take().await.map_err(failed)?;
        let facts = facts(&mut control, &remote, path).await.map_err(failed)?;
        let offset = usize::try_from(from).map_err(|error| CopyError::read(self.label(path), &error))?;
        control.resume_transfer(offset).await.map_err(failed)?;
        let transfer = control.retr_as_stream(&remote).await.map_err(failed)?;
        let reading = Reading {
            server: self.server.clone(),
            control,
            transfer: Some(transfer),
            remote,
            facts: facts.clone(),
            label: self.label(path),
        };
        Ok(Opened { facts, nature: Nature::default(), bytes: reading.bytes() })
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        let failed = |error: FtpError| self.write_failed(path, &error);
        let remote = self.remote(path)?;
        let mut control = self.server.take().await.map_err(failed)?;
        match control.rm(&remote).await {
            Err(error) if !is_absent(&error) => Err(failed(error)),
            _ => {
                self.server.give_back(control);
                Ok(())
            }
        }
    }

    async fn begin(&self, path: &str, _: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        let failed = |error: FtpError| self.write_failed(path, &error);
        let target = self.remote(path)?;
        let staged = staged_path(&target);
        let mut control = self.server.take().await.map_err(failed)?;
        let mut transfer = control.put_with_stream(&staged).await;
        if transfer.as_ref().is_err_and(is_absent) {
            for (place, _) in target.match_indices('/').filter(|(place, _)| *place > 0) {
                // What cannot be made is told by what fails next.
                let _ = control.mkdir(target.get(..place).unwrap_or_default()).await;
            }
            transfer = control.put_with_stream(&staged).await;
        }
        let transfer = transfer.map_err(failed)?;
        let (server, label) = (self.server.clone(), self.label(path));
        Ok(Box::new(Upload { server, control, transfer, staged, target, label }))
    }
}

/// A file that is being read. Whether it has changed is looked at when it ends.
struct Reading {
    server: Arc<Server>,
    control: Control,
    transfer: Option<Transfer>,
    remote: String,
    facts: FileFacts,
    label: String,
}

impl Reading {
    fn bytes(self) -> ByteStream {
        let pieces = futures::stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
                Ok(None) => {
                    reading.server.clone().give_back(reading.control);
                    None
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        pieces.boxed()
    }

    fn failed(&self, error: &FtpError) -> CopyError {
        let (message, transient) = self.server.in_words(error);
        CopyError::Read { what: self.label.clone(), message, transient }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CopyError> {
        if let Some(transfer) = &mut self.transfer {
            let mut piece = Vec::with_capacity(PIECE);
            let read = transfer.read_buf(&mut piece).await;
            read.map_err(|error| self.failed(&FtpError::ConnectionError(error)))?;
            if !piece.is_empty() {
                return Ok(Some(Bytes::from(piece)));
            }
        }
        if let Some(transfer) = self.transfer.take() {
            transfer.finish().await.map_err(|error| self.failed(&error))?;
        }
        let now = facts(&mut self.control, &self.remote, &self.facts.path).await;
        let now = now.map_err(|error| self.failed(&error))?;
        if now.agrees_with(&self.facts) { Ok(None) } else { Err(changed(&*self.label)) }
    }
}

/// A file that is written beside its place.
struct Upload {
    server: Arc<Server>,
    control: Control,
    transfer: Transfer,
    staged: String,
    target: String,
    label: String,
}

fn write_failed(server: &Server, label: &str, error: &FtpError) -> CopyError {
    let (message, transient) = server.in_words(error);
    CopyError::Write { what: label.to_owned(), message, transient }
}

#[async_trait]
impl StagedFile for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        let written = self.transfer.write_all(&bytes).await;
        written.map_err(|error| write_failed(&self.server, &self.label, &FtpError::ConnectionError(error)))
    }

    async fn commit(self: Box<Self>) -> Result<Receipt, CopyError> {
        let Self { server, mut control, transfer, staged, target, label } = *self;
        let finished = async {
            transfer.finish().await?;
            if control.rename(&staged, &target).await.is_ok() {
                return Ok(());
            }
            // Some servers only rename to a free name: for a moment there is no file, never a part of one.
            control.rm(&target).await?;
            control.rename(&staged, &target).await
        };
        match finished.await {
            Ok(()) => {
                server.give_back(control);
                Ok(Receipt::Silent("FTP has no digests"))
            }
            Err(error) => {
                let error = write_failed(&server, &label, &error);
                discard(control, &staged).await;
                Err(error)
            }
        }
    }

    async fn abort(self: Box<Self>) {
        let Self { control, transfer, staged, .. } = *self;
        let _ = transfer.finish().await;
        discard(control, &staged).await;
    }
}

/// Removes what was written beside its place.
async fn discard(mut control: Control, staged: &str) {
    if let Err(error) = control.rm(staged).await {
        tracing::warn!(%error, staged, "a staged file could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<&str, &str>) {
        let found = KIND.read("mirror", &json!({"ftp": settings})).and_then(|it| it.open());
        let found = found.map(|store| store.label("a.csv")).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(|it| format!("the connection `mirror`: {it}")));
    }

    #[test]
    fn settings() {
        check(json!({"host": "h"}), Ok("ftps://h/a.csv"));
        check(
            json!({"host": "h", "tls": false, "port": 2121, "folder": "/out"}),
            Ok("ftp://h:2121/out/a.csv"),
        );
        check(json!({"host": "h", "user": "u"}), Err("`user` and `password` go together"));
        check(
            json!({"host": "h", "folder": "a\r\nDELE b"}),
            Err("`user`, `password` and `folder` are one line each"),
        );
        check(
            json!({"host": "h", "tls": false, "certificate_authority": "x"}),
            Err("`certificate_authority` is of no use with `tls: false`"),
        );
    }

    #[test]
    fn lines_of_listings() {
        let check = |line: &str, exact: bool| match found("out", line, exact) {
            Some(Found::Folder(path)) => format!("folder {path}"),
            Some(Found::File(file)) => format!("file {} {:?}", file.path, file.size),
            None => "nothing".to_owned(),
        };
        assert_eq!(
            check("type=file;size=12;modify=20260301060000; a b.csv", true),
            "file out/a b.csv Some(12)"
        );
        assert_eq!(check("type=dir;modify=20260301060000; deep", true), "folder out/deep");
        assert_eq!(check("type=cdir;modify=20260301060000; .", true), "nothing");
        assert_eq!(check("-rw-r--r--   1 me  us   12 Mar 01 06:00 a.csv", false), "file out/a.csv Some(12)");
    }
}
