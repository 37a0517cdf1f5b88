//! A queue's server and the client that sends to it.
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the clients are")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How often it is looked whether a server has ended, or answers.
const LOOK: Duration = Duration::from_millis(5);

/// A server of one kind of queue.
pub(super) trait Broker: Sized {
    /// The word of the trigger and the key of its connection.
    const WORD: &'static str;
    /// What the trigger says beside its connection.
    const TRIGGER: &'static str;
    /// Debian's package.
    const PACKAGE: &'static str;
    /// The client that sends.
    const SENDER: &'static str = Self::WORD;
    /// The server's program.
    const PROGRAM: &'static str;

    /// Who sends, and who may listen.
    const USER: &'static str = "reader";
    const PASSWORD: &'static str = "the-password-of-the-queue";
    /// Whether its messages have headers.
    const HAS_HEADERS: bool = true;
    /// What a sender's body is in a run.
    const DATA: &'static str = "event.data";
    /// What it is about, and who sent it.
    const SUBJECT: &'static str = "event.message.subject";
    const TEAM: &'static str = "event.message.headers.team | default('none')";
    /// Whether it chooses its port and says it.
    const ANNOUNCES: bool = false;
    /// What asks the server to end, whoever is connected.
    const END: &'static str = "-TERM";

    /// What has to run beside the server.
    fn beside(_folder: &Path) -> Option<Process> {
        None
    }

    /// The server.
    fn command(at: &Place<'_>) -> Command;

    /// Whether the server is installed.
    fn is_there() -> bool {
        Path::new(Self::PROGRAM).exists()
    }

    /// Where a server on this port is.
    fn address(port: u16) -> String;

    /// The keys of a connection, as it stands in connections.yaml.
    fn connection(address: &str, password: &str) -> String {
        format!("{{url: \"{address}\", user: {}, password: \"{password}\"}}", Self::USER)
    }
}

/// Where a server is to run.
pub(super) struct Place<'a> {
    /// Where its files are.
    pub(super) folder: &'a Path,
    /// Where it listens.
    pub(super) port: u16,
    /// The interpreter of the clients, some of which bring a server along.
    pub(super) python: &'a Path,
}

/// A process that ends with this, with all that it has started.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn spawn(command: &mut Command) -> Self {
        Self(command.process_group(0).spawn().unwrap())
    }

    /// Asks it to end, and waits until it has.
    fn end(mut self, signal: &str) {
        self.signal(signal);
        let patience = Instant::now() + Duration::from_secs(30);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < patience, "the server does not end");
            std::thread::sleep(LOOK);
        }
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.0.id());
        Command::new("kill").args([signal, "--", &group]).status().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("-KILL");
        self.0.wait().ok();
    }
}

/// A running server with its sender.
pub(super) struct Running<B> {
    folder: tempfile::TempDir,
    pub(super) port: u16,
    pub(super) address: String,
    server: Option<Process>,
    _beside: Option<Process>,
    python: PathBuf,
    kind: PhantomData<B>,
}

impl<B: Broker> Running<B> {
    /// Starts one, or says why not.
    pub(super) fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("MILLRACE_TEST_QUEUES") else {
            eprintln!(
                "skipped: MILLRACE_TEST_QUEUES names no interpreter with the queues' clients; `cargo xtask test` sets it"
            );
            return None;
        };
        if !B::is_there() {
            eprintln!("skipped: `{}` is not there (Debian's package `{}`)", B::PROGRAM, B::PACKAGE);
            return None;
        }
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let (address, beside) = (B::address(port), B::beside(folder.path()));
        let (python, kind) = (python.into(), PhantomData);
        let mut running = Self { folder, port, address, server: None, _beside: beside, python, kind };
        running.restart();
        running.sender().send(&json!({"setup": true}));
        Some(running)
    }

    /// Stops the server as its operator would, and waits until it is gone. RabbitMQ that is killed forgets a queue that was declared
    /// in the two seconds before.
    pub(super) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(B::END);
        }
        let patience = Instant::now() + Duration::from_secs(30);
        while !B::ANNOUNCES && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < patience, "the server does not end");
            std::thread::sleep(LOOK);
        }
    }

    /// Starts the server again with the files it had.
    pub(super) fn restart(&mut self) {
        let mut command =
            B::command(&Place { folder: self.folder.path(), port: self.port, python: &self.python });
        let out = self.folder.path().join("server.out");
        let log = |name: &str| std::fs::File::create(self.folder.path().join(name)).unwrap();
        // Who announces itself goes on until its input ends.
        let command = command.stdin(Stdio::piped()).stdout(log("server.out")).stderr(log("server.err"));
        self.server = Some(Process::spawn(command));
        let patience = Instant::now() + Duration::from_secs(90);
        loop {
            let said = std::fs::read_to_string(&out).unwrap_or_default();
            if B::ANNOUNCES
                && let Some((place, _)) = said.split_once('\n')
            {
                self.address = format!("{}{place}", B::address(0));
                return;
            }
            if !B::ANNOUNCES && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(Instant::now() < patience, "the server does not answer: {said}");
            std::thread::sleep(LOOK);
        }
    }

    /// A client that sends to the server.
    pub(super) fn sender(&self) -> Sender {
        let mut command = Command::new(&self.python);
        command.arg(script()).args([B::SENDER, &self.address, B::USER, B::PASSWORD]);
        command.current_dir(self.folder.path());
        let mut child = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = child.0.stdin.take().unwrap();
        let output = BufReader::new(child.0.stdout.take().unwrap());
        Sender { _child: child, input, output, sent: 0 }
    }
}

/// The queue's own client.
pub(super) struct Sender {
    _child: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Gives messages their ids.
    sent: u32,
}

impl Sender {
    /// Returns when the server has it.
    pub(super) fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "{message} was not sent");
    }

    pub(super) fn send_body(&mut self, body: &Value) {
        self.sent += 1;
        self.send(&json!({"body": body.to_string(), "id": format!("message-{}", self.sent)}));
    }
}

/// A certificate for `localhost` and its key, PEM.
pub(super) fn certificate() -> &'static (String, String) {
    static MADE: OnceLock<(String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        openssl.args(["-nodes", "-days", "30"]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.args(["-keyout", &place("key"), "-out", &place("certificate")]);
        assert!(openssl.stderr(Stdio::null()).status().unwrap().success());
        let read = |name: &str| std::fs::read_to_string(place(name)).unwrap();
        (read("certificate"), read("key"))
    })
}

/// The clients.
pub(super) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/tests/queues.py")
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
