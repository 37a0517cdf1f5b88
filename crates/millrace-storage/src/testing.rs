//! A throw-away S3 server for tests: moto, from the tests' Python.
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the servers are")]

use std::ffi::OsString;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::StorageOptions;

/// A server with the bucket `lake`; stopped when dropped.
#[derive(Debug)]
pub struct TestS3 {
    child: Child,
    /// Its address.
    pub url: String,
    /// The interpreter that runs it, which has `boto3` too.
    pub python: OsString,
    /// Sends to it.
    pub http: reqwest::Client,
}

impl TestS3 {
    /// Starts one, or says why not and returns `None`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("MILLRACE_TEST_PYTHON") else {
            eprintln!(
                "skipped: MILLRACE_TEST_PYTHON names no interpreter with moto; `cargo xtask test` sets it"
            );
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        drop(listener);
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let server = Self { child, url: format!("http://127.0.0.1:{port}"), python, http };
        let begun = Instant::now();
        while server.http.put(format!("{}/lake", server.url)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "moto does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(server)
    }

    /// What a storage needs to reach it.
    pub fn options(&self) -> StorageOptions {
        StorageOptions::from_variables(self.variables().into_iter())
    }

    /// The variables by which S3's clients reach it.
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "hidden-key"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// What `boto3` says: the expression's value, `s3` being its client.
    ///
    /// # Panics
    /// If Python fails.
    pub fn boto(&self, expression: &str) -> String {
        let script = format!(
            "import sys, boto3\n\
             s3 = boto3.client('s3', endpoint_url='{}', region_name='us-east-1', aws_access_key_id='AKIATEST', \
             aws_secret_access_key='hidden-key')\n\
             value = {expression}\n\
             sys.stdout.buffer.write(value if isinstance(value, bytes) else str(value).encode())",
            self.url
        );
        let output = Command::new(&self.python).args(["-c", &script]).env("NO_PROXY", "*").output();
        let output = output.expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for TestS3 {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
