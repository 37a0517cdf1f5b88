//! Answers from standard input: yes or no, or a value, typed unseen on a terminal, or everything that a pipe or a file gives.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::printer::Printer;

/// Longest value, bytes: no program gets a longer one, since a variable holds 128 KiB at most.
const MAX_BYTES: u64 = 64 * 1024;
/// What a terminal passes on of a line; Linux drops the rest without a word.
const TERMINAL_BYTES: usize = 4_095;

/// Asks whether to go on; without a terminal nobody can say so, and nothing is done.
pub(crate) fn confirm(question: &str, printer: &Printer) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked here; say `--yes` to do it, or `--dry-run` to see what it would do");
    }
    printer.prompt(&format!("{question} [y/N] "));
    let mut line = String::new();
    std::io::stdin().lock().take(16).read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Reads a value; `what` names it to whoever types it.
pub(crate) async fn value(what: &str, printer: &Printer) -> Result<String> {
    let bytes = if std::io::stdin().is_terminal() {
        typed(what, printer).await?
    } else {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        bytes
    };
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{what} is longer than {} KiB", MAX_BYTES / 1024);
    }
    let mut text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).with_context(|| {
        format!("{what} is not text in UTF-8; encode it, for example with `base64 -w0 FILE`")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.trim().is_empty() {
        bail!("{what} is empty; nothing was changed");
    }
    Ok(text)
}

/// A line from the terminal, which does not show it.
async fn typed(what: &str, printer: &Printer) -> Result<Vec<u8>> {
    let unseen = Unseen::begin()?;
    printer.prompt(&format!("{what} (it is not shown): "));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = Vec::new();
        std::io::stdin().lock().take(MAX_BYTES).read_until(b'\n', &mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line??,
        // Taken here so that the terminal is put back; nobody waits for the reader any more.
        _ = tokio::signal::ctrl_c() => {
            printer.prompt("\n");
            bail!("cancelled; nothing was changed")
        }
    };
    drop(unseen);
    if !line.ends_with(b"\n") {
        printer.prompt("\n");
    }
    if line.len() >= TERMINAL_BYTES {
        bail!(
            "a terminal cuts a line of that length; give it from a file: `millrace secrets set NAME < FILE`"
        );
    }
    Ok(line)
}

/// While it lives, the terminal does not show what is typed.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).context("cannot ask the terminal for its settings")?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        unseen.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &unseen)
            .context("cannot keep the terminal from showing what is typed")?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
