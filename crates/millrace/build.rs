//! Puts the files of the example workspace into the program, so that `millrace demo` needs nothing beside it.

#![allow(clippy::disallowed_methods, reason = "a build script is told everything by its environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let example = manifest.join("../../examples/flights");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", example.display());
    if let Err(error) = write_table(&example, &out.join("example.rs")) {
        println!("cargo::error=cannot embed {}: {error}", example.display());
    }
}

fn write_table(example: &Path, to: &Path) -> io::Result<()> {
    let example = fs::canonicalize(example)?;
    let mut files = Vec::new();
    walk(&example, &mut files)?;
    files.sort();
    let mut text = String::from(
        "/// The files of the example: relative path and content.\npub(crate) const FILES: &[(&str, &[u8])] = &[\n",
    );
    for file in files {
        let name = file.strip_prefix(&example).unwrap_or(&file).to_string_lossy().into_owned();
        let _ = writeln!(text, "    ({name:?}, include_bytes!({:?})),", file.display().to_string());
    }
    text.push_str("];\n");
    fs::write(to, text)
}

/// All files but the state that a run in the checkout leaves.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == ".millrace" || name == "__pycache__" {
            continue;
        }
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
