//! The local target with real processes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "this is a test")]

mod steps;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millrace_compute::{Environments, LocalSettings, LocalTarget, WarmWorkers, install_python_files};
use millrace_contract::{AttemptCost, CommandExit, CommandHandle, CommandSpec, ComputeTarget as _};

struct Place {
    folder: tempfile::TempDir,
    target: LocalTarget,
}

fn base_env() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME").collect()
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = std::env::temp_dir().join("millrace-test-cache");
        let target = target(folder.path(), &cache);
        Self { folder, target }
    }

    fn attempt(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self, name: &str, command: CommandSpec) -> CommandHandle {
        self.target.start(self.attempt(name), command).await.unwrap()
    }

    async fn run(&self, command: CommandSpec) -> CommandExit {
        let handle = self.start("attempt", command).await;
        self.target.wait(&handle).await.unwrap()
    }

    /// What the command of [`Self::run`] used.
    async fn cost(&self) -> AttemptCost {
        let handle = self.target.find(&self.attempt("attempt")).await.unwrap().unwrap();
        self.target.cost(&handle).await.unwrap()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.attempt("attempt").join(name)).unwrap()
    }
}

fn target(workspace: &Path, cache: &Path) -> LocalTarget {
    let python_path = install_python_files(workspace).unwrap();
    let settings = LocalSettings {
        shims: vec![env!("CARGO_BIN_EXE_millrace-shims").into()],
        workspace: workspace.to_owned(),
        base_env: base_env(),
    };
    let warm = WarmWorkers::new(python_path, workspace.join("workers"));
    LocalTarget::new(settings, Arc::new(Environments::new(cache.to_owned(), "python3")), Some(warm))
}

fn shell(text: &str) -> CommandSpec {
    program(&["bash", "-c", text])
}

fn program(argv: &[&str]) -> CommandSpec {
    CommandSpec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: "/tmp".into(),
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        grace_ms: 200,
        environment: None,
        warm: false,
        max_log_bytes: 1 << 20,
    }
}

/// Waits until the program says something, so that a test does not race its start.
async fn until(path: PathBuf, condition: impl Fn(&str) -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < patience, "`{}` does not say it", path.display());
        if condition(&std::fs::read_to_string(&path).unwrap_or_default()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn output_environment_and_usage_are_kept() {
    let place = Place::new();
    let mut command = shell("echo out $A; echo err >&2; pwd; env | cut -d= -f1 | sort | tr '\\n' ' '");
    command.env.insert("A".to_owned(), "b c".to_owned());
    assert_eq!(place.run(command).await, CommandExit::Exited { code: 0 });
    assert!(place.cost().await.peak_memory_bytes.unwrap() > 100_000);
    assert_eq!(place.text("stdout.log"), "out b c\n/tmp\nA HOME MILLRACE_ATTEMPT PATH PWD SHLVL _ ");
    assert_eq!(place.text("stderr.log"), "err\n");
}

#[tokio::test]
async fn what_a_program_and_its_children_use_is_counted_however_it_ends() {
    let work = "head -c 30000000 /dev/zero > big; head -c 30000000 big | wc -c > small";
    let busy = "python3 -c 'import time\nb = bytearray(60_000_000)\nwhile time.process_time() < 0.3: pass'";
    for ending in ["exit 0", "exit 3", "kill -9 $$"] {
        let place = Place::new();
        let mut command = shell(&format!("{work}; {busy}; {ending}"));
        command.cwd = place.folder.path().to_owned();
        place.run(command).await;
        let cost = place.cost().await;
        assert!((300..30_000).contains(&cost.cpu_ms().unwrap()), "{cost:?}");
        assert!((60_000_000..600_000_000).contains(&cost.peak_memory_bytes.unwrap()), "{cost:?}");
        // `/dev/zero` is read, then the file, then the pipe.
        assert!((90_000_000..99_000_000).contains(&cost.read_bytes.unwrap()), "{cost:?}");
        assert!((60_000_000..69_000_000).contains(&cost.written_bytes.unwrap()), "{cost:?}");
    }
    let place = Place::new();
    let mut command = shell(&format!("{busy}; sleep 60"));
    command.timeout_ms = Some(2_000);
    assert_eq!(place.run(command).await, CommandExit::TimedOut);
    assert!(place.cost().await.cpu_ms().unwrap() >= 300);
}

#[tokio::test]
async fn exit_codes_signals_and_missing_programs() {
    let place = Place::new();
    assert!(matches!(place.run(shell("exit 7")).await, CommandExit::Exited { code: 7, .. }));
    let place = Place::new();
    assert_eq!(
        place.run(shell("kill -9 $$")).await,
        CommandExit::Signalled { signal: 9, out_of_memory: false }
    );
    let place = Place::new();
    let message = "there is no program `no-such-program`".to_owned();
    assert_eq!(place.run(program(&["no-such-program"])).await, CommandExit::NotStarted { message });
}

#[tokio::test]
async fn a_timeout_ends_even_what_ignores_sigterm() {
    let place = Place::new();
    let mut command = shell("trap '' TERM; for i in $(seq 1200); do sleep 0.05; done");
    command.timeout_ms = Some(100);
    assert_eq!(place.run(command).await, CommandExit::TimedOut);
}

#[tokio::test]
async fn a_flood_keeps_its_head_and_tail_and_counts_the_rest() {
    let place = Place::new();
    let mut command =
        shell("echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo last; echo why >&2; exit 3");
    command.max_log_bytes = 1000;
    place.run(command).await;
    let log = place.text("stdout.log");
    assert!(log.starts_with("first\nxxx") && log.ends_with("xxxlast\n") && log.len() < 18_000);
    assert!(log.contains("\n[2982627 bytes of output were dropped: `max_log` is reached]\nxxx"), "{log}");
    // A stream that is quiet is not silenced by the one that floods.
    assert_eq!(place.text("stderr.log"), "why\n");
}

#[tokio::test]
async fn secrets_reach_neither_logs_nor_other_users() {
    let place = Place::new();
    let mut command = shell("printf 'a hun'; sleep 0.05; echo ter2 b; echo hunter2 >&2");
    command.secrets = vec!["hunter2".to_owned()];
    command.env.insert("KEY".to_owned(), "hunter2".to_owned());
    assert!(!format!("{command:?}").contains("hunter2"), "{command:?}");
    place.run(command).await;
    assert_eq!(
        (place.text("stdout.log").as_str(), place.text("stderr.log").as_str()),
        ("a *** b\n", "***\n")
    );
    let mode = std::fs::metadata(place.attempt("attempt").join("command.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn grandchildren_end_with_their_program() {
    let place = Place::new();
    let exit = place.run(shell("sleep 1000 & echo $!")).await;
    assert!(matches!(exit, CommandExit::Exited { code: 0, .. }));
    assert!(!alive(&place.text("stdout.log")));
}

/// Leaves its parent, its group and its session, and ignores what asks it to end; says its id.
const DAEMON: &str = "(setsid bash -c 'trap \"\" TERM HUP INT; echo $$ >> daemons; (setsid bash -c \"trap : TERM; echo \\$\\$ >> daemons; sleep 1000\" &) ; sleep 900' &)";

/// A command in the attempt's folder that daemonises twice before it goes on with `then`.
fn daemonises(place: &Place, then: &str) -> CommandSpec {
    let text = format!(
        "{DAEMON}; until [ \"$(cat daemons 2>/dev/null | wc -l)\" = 2 ]; do sleep 0.01; done; echo ready; {then}"
    );
    let folder = place.attempt("attempt");
    std::fs::create_dir_all(&folder).unwrap();
    CommandSpec { cwd: folder, ..shell(&text) }
}

fn assert_none_lives(place: &Place) {
    let daemons = place.text("daemons");
    assert_eq!(daemons.lines().count(), 2, "{daemons}");
    for pid in daemons.lines() {
        assert!(!alive(pid), "{pid} of {daemons} lives");
    }
}

#[tokio::test]
async fn daemons_end_with_the_attempt_that_started_them() {
    // However it ends: by itself, by its timeout, by a cancellation, or with its shim.
    let place = Place::new();
    assert_eq!(place.run(daemonises(&place, "exit 0")).await, CommandExit::Exited { code: 0 });
    assert_none_lives(&place);

    let place = Place::new();
    let forever = "trap '' TERM; for i in $(seq 1200); do sleep 0.05; done";
    let command = CommandSpec { timeout_ms: Some(10_000), ..daemonises(&place, forever) };
    assert_eq!(place.run(command).await, CommandExit::TimedOut);
    assert_none_lives(&place);

    let ready = |log: &str| log.contains("ready");
    let place = Place::new();
    let handle = place.start("attempt", daemonises(&place, forever)).await;
    until(place.attempt("attempt").join("stdout.log"), ready).await;
    place.target.cancel(&handle).await.unwrap();
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Cancelled);
    assert_none_lives(&place);

    let place = Place::new();
    let handle = place.start("attempt", daemonises(&place, forever)).await;
    until(place.attempt("attempt").join("stdout.log"), ready).await;
    let shim = nix::unistd::Pid::from_raw(handle.pid);
    nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Lost);
    assert_none_lives(&place);
}

#[tokio::test]
async fn a_gigabyte_of_output_neither_blocks_nor_fills_anything() {
    let place = Place::new();
    let flood = "echo first; yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 1000000000; echo; echo last";
    let handle = place.start("attempt", shell(flood)).await;
    let status = || std::fs::read_to_string(format!("/proc/{}/status", handle.pid)).unwrap_or_default();
    let mut peak_kib = 0;
    let waiting = place.target.wait(&handle);
    tokio::pin!(waiting);
    let exit = loop {
        tokio::select! {
            exit = &mut waiting => break exit.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let status = status();
                let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
                let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
                peak_kib = peak_kib.max(kib.unwrap_or_default());
            }
        }
    };
    assert_eq!(exit, CommandExit::Exited { code: 0 });
    assert!((1..16 * 1024).contains(&peak_kib), "the shim took {peak_kib} KiB");
    let log = place.text("stdout.log");
    assert!(log.len() < (1 << 20) + 20_000, "{} bytes", log.len());
    assert!(log.starts_with("first\n0123") && log.ends_with("\nlast\n"), "no head or tail");
    let dropped =
        log.split_once("\n[").and_then(|(_, rest)| rest.split_once(" bytes of output were dropped"));
    let dropped: u64 = dropped.unwrap().0.parse().unwrap();
    assert!((998_000_000..1_000_000_000).contains(&dropped), "{dropped}");
}

#[tokio::test]
async fn a_cancelled_program_may_clean_up() {
    let place = Place::new();
    let handle = place
        .start(
            "attempt",
            shell("trap 'echo bye; exit 0' TERM; echo ready; for i in $(seq 3000); do sleep 0.02; done"),
        )
        .await;
    until(place.attempt("attempt").join("stdout.log"), |log| log.contains("ready")).await;
    place.target.cancel(&handle).await.unwrap();
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Cancelled);
    assert_eq!(place.text("stdout.log"), "ready\nbye\n");
}

#[tokio::test]
async fn another_server_finds_a_running_command_again() {
    let place = Place::new();
    // A stand-in for a server that dies: a shell that starts the fork server, asks for a shim and is killed.
    let folder = place.attempt("attempt");
    std::fs::create_dir_all(&folder).unwrap();
    let spec = shell("echo ready; for i in $(seq 6000); do test -e go && break; sleep 0.01; done; exit 5");
    let spec = CommandSpec { cwd: folder.clone(), ..spec };
    std::fs::write(folder.join("command.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
    let request = serde_json::json!({"id": 1, "folder": folder});
    let text = format!("{{ echo '{request}'; sleep 1000; }} | {}", env!("CARGO_BIN_EXE_millrace-shims"));
    let mut server = std::process::Command::new("setsid")
        .args(["bash", "-c", &text])
        .env_clear()
        .envs(base_env())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until(folder.join("stdout.log"), |log| log.contains("ready")).await;
    let session = nix::unistd::Pid::from_raw(server.id().cast_signed());
    nix::sys::signal::killpg(session, nix::sys::signal::Signal::SIGKILL).unwrap();
    server.wait().unwrap();

    let handle = place.target.find(&folder).await.unwrap().unwrap();
    let waiting = place.target.wait(&handle);
    std::fs::write(folder.join("go"), "").unwrap();
    assert!(matches!(waiting.await.unwrap(), CommandExit::Exited { code: 5, .. }));
}

#[tokio::test]
async fn a_killed_shim_is_lost_and_takes_its_program_along() {
    let place = Place::new();
    let handle = place.start("attempt", shell("echo $$; sleep 1000")).await;
    until(place.attempt("attempt").join("stdout.log"), |log| log.ends_with('\n')).await;
    let shim = nix::unistd::Pid::from_raw(handle.pid);
    nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Lost);
    let pid = place.text("stdout.log");
    assert!(!alive(&pid), "{pid} lives");
    let stale = CommandHandle { started_ticks: handle.started_ticks + 1, ..handle };
    assert_eq!(place.target.wait(&stale).await.unwrap(), CommandExit::Lost);
}

/// The server was killed after it had asked for a shim: the next one finds none and counts the attempt as lost, and then the shim comes.
#[tokio::test]
async fn an_attempt_that_was_given_up_does_not_begin_any_more() {
    let place = Place::new();
    let folder = place.attempt("attempt");
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(place.target.find(&folder).await.unwrap(), None);
    let command = CommandSpec { cwd: folder.clone(), ..shell("touch ran") };
    let refused = place.target.start(folder.clone(), command).await.unwrap_err();
    assert!(refused.to_string().contains("the attempt is taken already"), "{refused}");
    assert!(!folder.join("ran").exists());
}

#[tokio::test]
async fn a_killed_fork_server_is_replaced_and_its_shims_go_on() {
    let place = Place::new();
    let mut waiting =
        shell("echo ready; for i in $(seq 6000); do test -e \"$GO\" && break; sleep 0.01; done; exit 4");
    waiting.env.insert("GO".to_owned(), place.attempt("go").to_string_lossy().into_owned());
    let first = place.start("first", waiting).await;
    until(place.attempt("first").join("stdout.log"), |log| log.contains("ready")).await;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", first.pid)).unwrap();
    let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(parent), nix::sys::signal::Signal::SIGKILL).unwrap();
    let second = place.start("second", shell("exit 3")).await;
    assert!(matches!(place.target.wait(&second).await.unwrap(), CommandExit::Exited { code: 3, .. }));
    std::fs::write(place.attempt("go"), "").unwrap();
    assert!(matches!(place.target.wait(&first).await.unwrap(), CommandExit::Exited { code: 4, .. }));
}

/// Builds a small environment (the registry must be reachable) and runs three scripts on its warm worker.
#[tokio::test]
async fn a_warm_worker_runs_scripts() {
    let place = Place::new();
    std::fs::write(place.attempt("test.lock"), "six==1.17.0\n").unwrap();
    let script = place.attempt("job.py");
    std::fs::write(&script, "import os, sys, six\nprint(sys.argv[1:], os.environ['A'], six.__version__, sys.flags.hash_randomization)\nsys.exit(int(sys.argv[1]))\n").unwrap();
    let job = |code: &str| {
        let mut command = program(&["python", &script.to_string_lossy(), code]);
        command.environment = Some("test.lock".to_owned());
        command.warm = true;
        command.env.insert("A".to_owned(), "b".to_owned());
        command
    };
    for (name, code) in [("one", "0"), ("two", "3")] {
        let handle = place.start(name, job(code)).await;
        let exit = place.target.wait(&handle).await.unwrap();
        assert!(matches!(exit, CommandExit::Exited { code: c, .. } if c.to_string() == code), "{exit:?}");
        let log = std::fs::read_to_string(place.attempt(name).join("stdout.log")).unwrap();
        assert_eq!(log, format!("['{code}'] b 1.17.0 0\n"));
        let shim = std::fs::read_to_string(place.attempt(name).join("shim.json")).unwrap();
        assert!(shim.contains("keeper"), "it did not run on the warm worker: {shim}");
    }
    // A daemon that neither executes anything nor keeps its session.
    let daemon = "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(1000)\n  os._exit(0)\nos.wait()\ntime.sleep(0.5)\n";
    std::fs::write(&script, daemon).unwrap();
    let handle = place.start("daemon", job("0")).await;
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Exited { code: 0 });
    let pid = std::fs::read_to_string(place.attempt("daemon").join("stdout.log")).unwrap();
    assert!(!pid.trim().is_empty() && !alive(&pid), "`{pid}` lives");
    std::fs::write(&script, "import time\nprint('ready', flush=True)\ntime.sleep(1000)\n").unwrap();
    let handle = place.start("three", job("0")).await;
    until(place.attempt("three").join("stdout.log"), |log| log.contains("ready")).await;
    place.target.cancel(&handle).await.unwrap();
    assert_eq!(place.target.wait(&handle).await.unwrap(), CommandExit::Cancelled);
    let shim: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.attempt("three/shim.json")).unwrap()).unwrap();
    let keeper = i32::try_from(shim["keeper"]["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(keeper), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Not an assertion: how long 200 commands take, printed with `--nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn two_hundred_commands() {
    let place = Place::new();
    let begun = Instant::now();
    for index in 0..200 {
        let handle = place.start(&format!("a{index}"), program(&["/bin/true"])).await;
        place.target.wait(&handle).await.unwrap();
    }
    let took: Duration = begun.elapsed();
    println!("200 commands, one after another: {took:?}");
}
