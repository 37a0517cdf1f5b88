//! Files over SSH.

mod session;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use russh_sftp::client::fs::{File, Metadata};
use russh_sftp::protocol::OpenFlags;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use self::session::{Broken, Session, Sessions};
use super::listing::{Folders, Found, walk};
use super::settings::{Kind, Leads, Settings};
use super::{
    ByteStream, FileFacts, FileStore, Nature, NewFile, Opened, Receipt, StagedFile, changed, plain_path,
    staged_path,
};
use crate::error::CopyError;

/// The kind of connection `sftp`.
pub(super) const KIND: Kind =
    Kind::of::<SftpConnection>("copy: {from: \"partner:out/*.csv\", to: \"data:orders\"}\n");

/// Bytes that are asked for at a time.
const PIECE: usize = 256 * 1024;

/// Reads and writes files of an SSH server, by SFTP.
///
/// In connections.yaml: `partner: {sftp: {host: …, user: …, password: …, known_host: "SHA256:…"}}`. Then `partner:out/*.csv` names files
/// below `folder`, or below the user's home. A file is written beside its place and renamed. The server must have the key that
/// `known_host` says: `ssh-keyscan HOST | ssh-keygen -lf -` prints the fingerprints of its keys, to be compared with what its owner says.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SftpConnection {
    /// Name or address of the server.
    host: String,
    /// Port of the server.
    #[serde(default = "port")]
    port: u16,
    /// Who logs in.
    user: String,
    /// The user's password, usually `${{ secrets.… }}`.
    #[serde(default)]
    password: Option<String>,
    /// A private key instead, as it stands in its file, usually `${{ secrets.… }}`.
    #[serde(default)]
    private_key: Option<String>,
    /// What the private key is locked with.
    #[serde(default)]
    passphrase: Option<String>,
    /// Fingerprint of the server's key, `SHA256:…`; several are separated by spaces.
    #[serde(default)]
    known_host: Option<String>,
    /// Whether the server's key is not looked at. Then anybody in between can read and change what is copied.
    #[serde(default)]
    insecure: bool,
    /// Folder that paths begin in; absolute with a `/` in front, else below the user's home.
    #[serde(default)]
    folder: String,
}

fn port() -> u16 {
    22
}

impl Settings for SftpConnection {
    const WORD: &'static str = "sftp";
    const SCHEMES: &'static [&'static str] = &["sftp"];
    const SECRET: &'static [&'static str] = &["password", "private_key", "passphrase"];

    fn declaration(name: &str, place: &str) -> String {
        format!(
            "{name}: {{sftp: {{host: {place}, user: …, password: \"${{{{ secrets.{name} }}}}\", known_host: \"SHA256:…\"}}}}"
        )
    }

    fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.host.contains(['/', '@']) {
            return Err("`host` is a name or an address alone".to_owned());
        }
        if self.password.is_some() == self.private_key.is_some() {
            return Err("it needs one of `password` and `private_key`".to_owned());
        }
        match &self.known_host {
            Some(known) if known.split_whitespace().all(|it| it.starts_with("SHA256:")) => Ok(()),
            Some(_) => Err("`known_host` is a fingerprint like `SHA256:…`".to_owned()),
            None if self.insecure => Ok(()),
            None => Err(format!(
                "`known_host` is missing; `ssh-keyscan -p {} {} | ssh-keygen -lf -` prints the fingerprints of the server's keys",
                self.port, self.host
            )),
        }
    }
}

impl Leads for SftpConnection {
    fn root(&self) -> String {
        let port = if self.port == port() { String::new() } else { format!(":{}", self.port) };
        let folder = self.folder.trim_matches('/');
        let end = if folder.is_empty() { "" } else { "/" };
        format!("sftp://{}{port}/{folder}{end}", self.host)
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        let (root, folder) = (self.root(), self.folder.trim_end_matches('/').to_owned());
        Ok(Arc::new(Sftp { sessions: Arc::new(Sessions::new(self.clone())), root, folder }))
    }
}

/// A server, and the folder that paths begin in.
struct Sftp {
    sessions: Arc<Sessions>,
    root: String,
    folder: String,
}

impl Sftp {
    /// A path as the server knows it.
    fn remote(&self, path: &str) -> Result<String, CopyError> {
        let path = plain_path(path)?;
        Ok(match (self.folder.as_str(), path) {
            ("", "") => if self.root_is_absolute() { "/" } else { "." }.to_owned(),
            ("", path) if self.root_is_absolute() => format!("/{path}"),
            ("", path) => path.to_owned(),
            (folder, "") => folder.to_owned(),
            (folder, path) => format!("{folder}/{path}"),
        })
    }

    /// Whether `folder` was `/` alone.
    fn root_is_absolute(&self) -> bool {
        self.sessions.settings.folder.starts_with('/')
    }

    async fn session(&self) -> Result<Arc<Session>, Broken> {
        self.sessions.open().await
    }
}

#[async_trait]
impl Folders for Sftp {
    async fn look(&self, folder: &str) -> Result<Vec<Found>, CopyError> {
        let failed = |broken: Broken| broken.while_reading(&self.label(folder));
        let session = self.session().await.map_err(failed)?;
        let remote = self.remote(folder)?;
        let entries = match session.sftp.read_dir(remote.clone()).await {
            Ok(entries) => entries,
            Err(error) => {
                let broken = session.broken(error);
                return if broken.is_absent() { Ok(Vec::new()) } else { Err(failed(broken)) };
            }
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.file_name();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let mut metadata = entry.metadata();
            if metadata.is_symlink() {
                // A link that leads nowhere is no file.
                let Ok(target) = session.sftp.metadata(format!("{remote}/{name}")).await else { continue };
                metadata = target;
            }
            if metadata.is_dir() {
                found.push(Found::Folder(path));
            } else {
                found.push(Found::File(facts(&path, &metadata)));
            }
        }
        Ok(found)
    }
}

fn facts(path: &str, metadata: &Metadata) -> FileFacts {
    let modified = metadata.mtime.and_then(|seconds| jiff::Timestamp::from_second(seconds.into()).ok());
    FileFacts { path: path.to_owned(), size: metadata.size, modified, etag: None }
}

#[async_trait]
impl FileStore for Sftp {
    fn label(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    async fn list(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        walk(self, folder, depth).await
    }

    async fn read(&self, path: &str, from: u64, _: Option<&FileFacts>) -> Result<Opened, CopyError> {
        let label = self.label(path);
        let failed = |broken: Broken| broken.while_reading(&label);
        let session = self.session().await.map_err(failed)?;
        let opened = session.sftp.open(self.remote(path)?).await;
        let mut file = opened.map_err(|error| failed(session.broken(error)))?;
        let metadata = file.metadata().await.map_err(|error| failed(session.broken(error)))?;
        if metadata.is_dir() {
            return Err(CopyError::read(label, &"it is a folder"));
        }
        let facts = facts(path, &metadata);
        file.seek(std::io::SeekFrom::Start(from)).await.map_err(|error| failed(session.cut(&error)))?;
        let reading = Reading { session, file, facts: facts.clone(), label };
        Ok(Opened { facts, nature: Nature::default(), bytes: reading.bytes() })
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        let failed = |broken: Broken| broken.while_writing(&self.label(path));
        let session = self.session().await.map_err(failed)?;
        match session.sftp.remove_file(self.remote(path)?).await.map_err(|error| session.broken(error)) {
            Err(broken) if !broken.is_absent() => Err(failed(broken)),
            _ => Ok(()),
        }
    }

    fn keeps_times(&self) -> bool {
        true
    }

    async fn begin(&self, path: &str, new: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        let label = self.label(path);
        let failed = |broken: Broken| broken.while_writing(&label);
        let session = self.session().await.map_err(failed)?;
        let target = self.remote(path)?;
        let staged = staged_path(&target);
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let mut opened = session.sftp.open_with_flags(staged.clone(), flags).await;
        if opened.as_ref().is_err_and(|error| session.broken(error.clone()).is_absent()) {
            session.create_folders(&target).await;
            opened = session.sftp.open_with_flags(staged.clone(), flags).await;
        }
        let file = opened.map_err(|error| failed(session.broken(error)))?;
        let modified = new.modified.and_then(|time| u32::try_from(time.as_second()).ok());
        Ok(Box::new(Upload { session, file, staged, target, label, modified }))
    }
}

/// A file that is being read. Whether it has changed is looked at when it ends.
struct Reading {
    session: Arc<Session>,
    file: File,
    facts: FileFacts,
    label: String,
}

impl Reading {
    fn bytes(self) -> ByteStream {
        let pieces = futures::stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        pieces.boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CopyError> {
        let mut piece = Vec::with_capacity(PIECE);
        let read = self.file.read_buf(&mut piece).await;
        read.map_err(|error| self.session.cut(&error).while_reading(&self.label))?;
        if !piece.is_empty() {
            return Ok(Some(Bytes::from(piece)));
        }
        let now = self.file.metadata().await;
        let now = now.map_err(|error| self.session.broken(error).while_reading(&self.label))?;
        if facts(&self.facts.path, &now).agrees_with(&self.facts) {
            Ok(None)
        } else {
            Err(changed(&*self.label))
        }
    }
}

/// A file that is written beside its place.
struct Upload {
    session: Arc<Session>,
    file: File,
    staged: String,
    target: String,
    label: String,
    /// Seconds since 1970 that it is to have as its time.
    modified: Option<u32>,
}

#[async_trait]
impl StagedFile for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        let written = self.file.write_all(&bytes).await;
        written.map_err(|error| self.session.cut(&error).while_writing(&self.label))
    }

    async fn commit(self: Box<Self>) -> Result<Receipt, CopyError> {
        let Self { session, mut file, staged, target, label, modified } = *self;
        let cut = |error: std::io::Error| session.cut(&error).while_writing(&label);
        let finished = async {
            file.flush().await.map_err(cut)?;
            file.sync_all().await.map_err(|error| session.broken(error).while_writing(&label))?;
            file.close().await.map_err(cut)?;
            if let Some(seconds) = modified {
                let times = Metadata { atime: Some(seconds), mtime: Some(seconds), ..Metadata::empty() };
                let set = session.sftp.set_metadata(staged.clone(), times).await;
                set.map_err(|error| session.broken(error).while_writing(&label))?;
            }
            session.replace(&staged, &target).await.map_err(|broken| broken.while_writing(&label))
        };
        let committed = finished.await;
        if committed.is_err() {
            session.discard(&staged).await;
        }
        committed.map(|()| Receipt::Silent("SFTP has no digests"))
    }

    async fn abort(self: Box<Self>) {
        let Self { session, file, staged, .. } = *self;
        // What is on its way is awaited, or it would be written after the file is gone.
        let _ = file.close().await;
        session.discard(&staged).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<&str, &str>) {
        let found = KIND.read("partner", &json!({"sftp": settings})).and_then(|it| it.open());
        let found = found.map(|store| store.label("a.csv")).map_err(|error| error.to_string());
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(|it| format!("the connection `partner`: {it}"))
        );
    }

    #[test]
    fn settings() {
        let all = json!({"host": "h", "user": "u", "password": "p", "known_host": "SHA256:a SHA256:b"});
        let with = |field: &str, value: Value| {
            let mut all = all.clone();
            all[field] = value;
            all
        };
        check(all.clone(), Ok("sftp://h/a.csv"));
        check(with("port", json!(2222)), Ok("sftp://h:2222/a.csv"));
        check(with("folder", json!("/srv/out/")), Ok("sftp://h/srv/out/a.csv"));
        check(with("private_key", json!("k")), Err("it needs one of `password` and `private_key`"));
        check(with("password", json!(4711)), Err("`password` is not text; put it in quotes"));
        check(with("known_host", json!("a")), Err("`known_host` is a fingerprint like `SHA256:…`"));
        check(
            with("known_host", Value::Null),
            Err(
                "`known_host` is missing; `ssh-keyscan -p 22 h | ssh-keygen -lf -` prints the fingerprints of the server's keys",
            ),
        );
    }
}
