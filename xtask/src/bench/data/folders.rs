//! Files as they are: from one object store into another, and a folder of many small ones.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::super::{Figure, median};
use super::{Bench, ROUNDS};
use crate::shell::output;
use crate::tools;

/// How much is copied.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// Objects of [`OBJECT_MB`] each.
    objects: usize,
    /// Small files, and the bytes of each.
    files: usize,
}

/// What the figures are of: 5 GB, and 12,000 files.
pub(super) const WHOLE: Scale = Scale { objects: 80, files: 12_000 };
/// Enough to see that everything works.
pub(super) const SMALL: Scale = Scale { objects: 3, files: 400 };

const OBJECT_MB: usize = 64;
const SMALL_BYTES: usize = 4_096;
/// Clients of the emulators that are measured alone.
const CLIENTS: &str = "4";

/// The account that Azurite knows; it stands in Microsoft's documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Emulators of both stores, each with the container `lake`; what they keep is gone with them.
struct Emulators {
    s3: Emulator,
    azure: Emulator,
    /// What may write to Azurite's container, as a query.
    signature: String,
}

struct Emulator {
    process: Child,
    port: u16,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Emulator {
    fn start(mut command: Command, port: u16) -> Result<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let emulator = Self { process, port };
        let patience = Instant::now() + Duration::from_secs(90);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > patience {
                bail!("the emulator at port {port} does not listen");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(emulator)
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Emulators {
    /// `None` where there is no npm for Azurite.
    fn start(root: &Path, folder: &Path) -> Result<Option<Self>> {
        let Some(azurite) = tools::azurite()? else { return Ok(None) };
        let (moto, clients) = (tools::client_python(root)?, tools::queue_python(root)?);
        let kept = folder.join("kept");
        std::fs::create_dir_all(&kept)?;
        let port = free_port()?;
        let mut command = Command::new(moto);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        // Objects lie on the disk, not in the emulator's memory.
        command.env("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", "1024").env("TMPDIR", &kept);
        let s3 = Emulator::start(command, port)?;
        run_curl(&["-X", "PUT", &format!("http://127.0.0.1:{port}/lake")])?;
        let port = free_port()?;
        let mut command = Command::new(azurite);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"]);
        command.args(["--skipApiVersionCheck", "--location"]).arg(kept.join("blobs"));
        let azure = Emulator::start(command, port)?;
        let script = format!(
            "import datetime\n\
             from azure.storage.blob import *\n\
             account = BlobServiceClient('http://127.0.0.1:{port}/{ACCOUNT}', credential={{'account_name': '{ACCOUNT}', 'account_key': '{KEY}'}})\n\
             account.create_container('lake')\n\
             end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)\n\
             may = ContainerSasPermissions(read=True, write=True, create=True)\n\
             print(generate_container_sas('{ACCOUNT}', 'lake', account_key='{KEY}', permission=may, expiry=end))"
        );
        let signature = output(root, &clients.to_string_lossy(), &["-c", &script])?.trim().to_owned();
        Ok(Some(Self { s3, azure, signature }))
    }

    fn connections(&self) -> String {
        format!(
            "lake: {{s3: {{bucket: lake, endpoint: 'http://127.0.0.1:{}', allow_http: true, access_key_id: AKIATEST, secret_access_key: test}}}}\n\
             blob: {{azblob: {{container: lake, account: {ACCOUNT}, access_key: '{KEY}', endpoint: 'http://127.0.0.1:{}/{ACCOUNT}', allow_http: true}}}}\n",
            self.s3.port, self.azure.port
        )
    }

    /// Seconds in which plain clients read all objects of S3, and write as many to Azure.
    fn alone(&self, object: &Path, objects: usize) -> Result<(f64, f64)> {
        // The emulator asks for a signature and does not look at it.
        let signed = "authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let read = format!("http://127.0.0.1:{}/lake/in/{{}}.bin", self.s3.port);
        let read = clients(objects, &["-H", signed, "-o", "/dev/null", &read])?;
        let write =
            format!("http://127.0.0.1:{}/{ACCOUNT}/lake/alone/{{}}.bin?{}", self.azure.port, self.signature);
        let object = object.to_string_lossy();
        let headers =
            ["-H", "x-ms-blob-type: BlockBlob", "-H", "x-ms-version: 2021-12-02", "-o", "/dev/null"];
        let write = clients(objects, &[&headers[..], &["-T", &object, &write]].concat())?;
        Ok((read, write))
    }
}

fn run_curl(arguments: &[&str]) -> Result<()> {
    output(Path::new("."), "curl", &[&["-sSf", "--noproxy", "*"], arguments].concat()).map(drop)
}

/// Seconds in which some clients at once did something with each object; `{}` is its number.
fn clients(objects: usize, arguments: &[&str]) -> Result<f64> {
    let numbers: Vec<String> = (0..objects).map(|number| number.to_string()).collect();
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "printf '%s\\n' {} | xargs -P {CLIENTS} -I '{{}}' curl -sSf --noproxy '*' {}",
        numbers.join(" "),
        quoted.join(" ")
    );
    let begun = Instant::now();
    output(Path::new("."), "sh", &["-c", &script])?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Bytes that no compression makes smaller.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

impl Bench<'_> {
    /// Both figures of files as they are.
    pub(super) fn folders(&self, scale: Scale) -> Result<Vec<Figure>> {
        let mut figures = self.between_stores(scale)?;
        figures.push(self.small_files(scale)?);
        Ok(figures)
    }

    /// Out of one emulator into another one, on the same cores, against what each does alone with plain clients.
    fn between_stores(&self, scale: Scale) -> Result<Vec<Figure>> {
        let Some(emulators) = Emulators::start(self.root, &self.workspace.path(""))? else {
            return Ok(Vec::new());
        };
        self.workspace.write("connections.yaml", &emulators.connections())?;
        let folder = self.workspace.path("objects");
        std::fs::create_dir_all(&folder)?;
        let object = self.workspace.path("object.bin");
        std::fs::write(&object, noise(OBJECT_MB << 20, 1))?;
        for number in 0..scale.objects {
            // Other names of the same bytes: the disk has them once.
            std::fs::hard_link(&object, folder.join(format!("{number}.bin")))?;
        }
        self.millrace(&["sync", "objects", "lake:in/"])?;
        let (read, write) = emulators.alone(&object, scale.objects)?;
        let ours = self.millrace(&["sync", "lake:in/", "blob:out/"])?;
        let told = self.workspace.call(&["sync", "lake:in/", "blob:out/", "--json"])?;
        let told: serde_json::Value = serde_json::from_slice(&told)?;
        if told["outputs"]["same"] != scale.objects {
            bail!("not everything has arrived: {told}");
        }
        let slower =
            if read > write { (read, "reading from S3 alone") } else { (write, "writing to Azure alone") };
        Ok(vec![
            Figure {
                what: "S3 to Azure Blob (emulators), 5 GB of files",
                value: ours.wall_s,
                unit: "s",
                bar: slower.0 / 0.8,
                floor: Some(slower),
            },
            Figure {
                what: "S3 to Azure Blob, 5 GB of files, peak memory",
                value: ours.peak_mb,
                unit: "MB",
                bar: 200.0,
                floor: None,
            },
        ])
    }

    /// Many small files into a new folder, against rclone where it installs, else against `cp -r`.
    fn small_files(&self, scale: Scale) -> Result<Figure> {
        for number in 0..scale.files {
            let path = format!("small/{}/{}.bin", number % 100, number);
            let path = self.workspace.path(&path);
            std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            std::fs::write(path, noise(SMALL_BYTES, number as u64))?;
        }
        let rclone = tools::has_or_installs("rclone", "rclone")?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(self.millrace(&["sync", "small", &format!("ours-{round}")])?.wall_s);
            let to = format!("theirs-{round}");
            theirs.push(if rclone {
                self.measured(Path::new("rclone"), &["sync", "small", &to])?.wall_s
            } else {
                self.measured(Path::new("cp"), &["-r", "small", &to])?.wall_s
            });
        }
        let last = format!("ours-{}", ROUNDS - 1);
        output(&self.workspace.path(""), "diff", &["-r", "small", &last])?;
        let theirs = median(theirs);
        let (bar, floor) = if rclone { (theirs, "rclone sync") } else { (2.0 * theirs, "cp -r") };
        let what = "folder sync of 12,000 small files, whole process";
        Ok(Figure { what, value: median(ours), unit: "s", bar, floor: Some((theirs, floor)) })
    }
}
