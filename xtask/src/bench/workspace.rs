//! Workspaces that are measured, and servers of them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::http::Client;
use super::text;

/// The release program of this checkout.
pub(super) fn program(root: &Path) -> Result<PathBuf> {
    program_of(root, "release")
}

/// The program of this checkout, as a profile makes it.
#[allow(clippy::disallowed_methods, reason = "a chore reads the environment where it needs it")]
pub(super) fn program_of(root: &Path, profile: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = target.join(profile).join("millrace");
    if !program.exists() {
        bail!("there is no {}", program.display());
    }
    Ok(program)
}

/// Steps that do nothing, each after the one before.
pub(super) fn chain(count: u32) -> String {
    let mut text = String::from("steps:\n");
    for step in 0..count {
        let needs = if step == 0 { String::new() } else { format!(", needs: s{}", step - 1) };
        let _ = writeln!(text, "  s{step}: {{set: {{n: {step}}}, cache: false{needs}}}");
    }
    text
}

/// Steps that do nothing, none after another.
pub(super) fn fan_out(count: u32) -> String {
    (0..count).fold(String::from("steps:\n"), |text, step| {
        text + &format!("  s{step}: {{set: {{n: {step}}}, cache: false}}\n")
    })
}

/// Steps that start a program.
pub(super) fn commands(count: u32) -> String {
    (0..count).fold(String::from("steps:\n"), |text, step| text + &format!("  s{step}: {{run: /bin/true}}\n"))
}

/// A workspace in a temporary folder.
pub(super) struct Workspace {
    program: PathBuf,
    folder: TempDir,
}

impl Workspace {
    pub(super) fn new(program: &Path, files: &[(&str, &str)]) -> Result<Self> {
        let workspace = Self { program: program.to_owned(), folder: tempfile::tempdir()? };
        workspace.write("millrace.yaml", "name: bench\n")?;
        files.iter().try_for_each(|(path, content)| workspace.write(path, content))?;
        Ok(workspace)
    }

    /// The bundled example with these files beside it.
    pub(super) fn of_example(program: &Path, root: &Path, files: &[(&str, &str)]) -> Result<Self> {
        let workspace = Self { program: program.to_owned(), folder: tempfile::tempdir()? };
        let from = format!("{}/.", root.join("examples/flights").display());
        let copied = Command::new("cp").args(["-r", &from]).arg(workspace.folder.path()).status()?;
        if !copied.success() {
            bail!("cannot copy the example");
        }
        files.iter().try_for_each(|(path, content)| workspace.write(path, content))?;
        Ok(workspace)
    }

    pub(super) fn write(&self, path: &str, content: &str) -> Result<()> {
        let target = self.folder.path().join(path);
        std::fs::create_dir_all(target.parent().context("a file has a folder")?)?;
        Ok(std::fs::write(target, content)?)
    }

    /// Where a file of it is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(super) fn call(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.command(arguments).output()?;
        if !output.status.success() {
            bail!("`millrace {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stdout));
        }
        Ok(output.stdout)
    }

    /// Runs a pipeline; what `--json` prints.
    pub(super) fn run(&self, pipeline: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.call(&["run", pipeline, "--json"])?)?)
    }
}

const UP: &[&str] = &["up", "--listen", "127.0.0.1:0", "--json"];

/// A server that is killed in the end.
pub(super) struct Running {
    child: Child,
    pub(super) address: SocketAddr,
    /// From the start of the process to its first answer.
    pub(super) started_in: Duration,
}

impl Running {
    pub(super) fn start(workspace: &Workspace) -> Result<Self> {
        Self::of(workspace.command(UP))
    }

    /// A server whose history is in this SQLite file.
    pub(super) fn with_database(workspace: &Workspace, database: &Path) -> Result<Self> {
        let mut command = workspace.command(UP);
        command.env("MILLRACE_DATABASE", format!("sqlite:{}", database.display()));
        Self::of(command)
    }

    /// The demo in a folder that is there already, after its run.
    pub(super) fn demo(workspace: &Workspace) -> Result<Self> {
        let server = Self::start(workspace)?;
        server.run("flights")?;
        Ok(server)
    }

    fn of(mut command: Command) -> Result<Self> {
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("the server said `{line}`"))?;
        let address = text(&said, "url")?.trim_start_matches("http://").parse()?;
        let mut server = Self { child, address, started_in: Duration::ZERO };
        Client::connect(address)?.get("/api/workspace", &[])?;
        server.started_in = begun.elapsed();
        Ok(server)
    }

    /// Runs a pipeline to its end; the seconds it took.
    pub(super) fn run(&self, pipeline: &str) -> Result<f64> {
        span_seconds(&self.run_view(pipeline)?["run"])
    }

    /// Runs a pipeline to its end; the run's page.
    pub(super) fn run_view(&self, pipeline: &str) -> Result<Value> {
        let mut client = Client::connect(self.address)?;
        let started = client.post(&format!("/api/pipelines/{pipeline}/runs"), "{}")?.json()?;
        let id = text(&started, "id")?.to_owned();
        loop {
            let view = client.get(&format!("/api/runs/{id}"), &[])?.json()?;
            match text(&view["run"], "status")? {
                "queued" | "running" => std::thread::sleep(Duration::from_millis(20)),
                "succeeded" => return Ok(view),
                other => bail!("the run {id} {other}: {}", view["run"]["problem"]),
            }
        }
    }

    /// CPU time since its start, user and system.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        cpu_of(self.process())
    }

    /// Its number among the system's processes.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Bytes in memory.
    pub(super) fn resident_bytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// CPU time of a process since its start, user and system, with that of children that have ended.
fn cpu_of(process: u32) -> Result<f64> {
    // Hundredths of a second on every Linux that we run on.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let field = |at: usize| -> Result<f64> {
        Ok(fields.split_whitespace().nth(at).context("stat is short")?.parse()?)
    };
    Ok((field(11)? + field(12)?) / TICKS)
}

/// CPU time of a process and of all that it started.
pub(super) fn cpu_of_tree(process: u32) -> Result<f64> {
    let mut sum = cpu_of(process)?;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let children = std::fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            // One may end while it is looked at.
            sum += cpu_of_tree(child.parse()?).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// Seconds between `started_at` and `ended_at`.
pub(super) fn span_seconds(value: &Value) -> Result<f64> {
    let at = |name: &str| -> Result<jiff::Timestamp> { Ok(text(value, name)?.parse()?) };
    Ok((at("ended_at")? - at("started_at")?).total(jiff::Unit::Second)?)
}
