//! Puts the web UI into release builds.
//!
//! A release build runs `npm ci` and `npm run build` in `web/` and embeds what comes out; `MILLRACE_UI_DIST` names a folder that is
//! built already. Debug builds embed nothing and read `web/dist` at run time. Without Node the build goes on with a page that says what
//! to do, unless `MILLRACE_REQUIRE_UI=1`.

#![allow(clippy::disallowed_methods, reason = "a build script is told everything by its environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() {
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../web");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for name in ["MILLRACE_UI_DIST", "MILLRACE_REQUIRE_UI"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let dist = match env::var_os("MILLRACE_UI_DIST") {
        Some(folder) => Ok(Some(PathBuf::from(folder))),
        None if release => {
            for part in [
                "src",
                "public",
                "vite",
                "index.html",
                "package.json",
                "package-lock.json",
                "vite.config.ts",
                "tsconfig.json",
            ] {
                println!("cargo::rerun-if-changed={}", web.join(part).display());
            }
            build_web(&web, &out).map(Some)
        }
        None => Ok(None),
    };
    let table = dist.and_then(|dist| {
        dist.map_or_else(
            || Ok(String::new()),
            |dist| table(&dist).map_err(|error| format!("cannot read {}: {error}", dist.display())),
        )
    });
    let table = table.unwrap_or_else(|reason| {
        let required = env::var("MILLRACE_REQUIRE_UI").is_ok_and(|value| value == "1");
        println!(
            "cargo::{}=the web UI is not part of this build: {reason}",
            if required { "error" } else { "warning" }
        );
        String::new()
    });
    let text = format!("/// The files of the web UI.\nconst ASSETS: &[Asset] = &[\n{table}];\n");
    if let Err(error) = fs::write(out.join("ui_assets.rs"), text) {
        println!("cargo::error=cannot write the list of assets: {error}");
    }
}

/// Builds the web UI below `out`; the packages are installed again only if the lock changed.
fn build_web(web: &Path, out: &Path) -> Result<PathBuf, String> {
    let lock =
        fs::read(web.join("package-lock.json")).map_err(|error| format!("web/package-lock.json: {error}"))?;
    let installed = web.join("node_modules/.millrace-lock");
    if fs::read(&installed).ok().as_deref() != Some(&lock) {
        run(web, &["ci", "--no-audit", "--no-fund"])?;
        fs::write(&installed, &lock).map_err(|error| error.to_string())?;
    }
    let dist = out.join("dist");
    let folder = dist.to_string_lossy().into_owned();
    run(web, &["run", "build", "--", "--outDir", &folder, "--emptyOutDir"])?;
    Ok(dist)
}

fn run(web: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(args).current_dir(web).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`npm {}` failed: {}", args.join(" "), said.lines().last().unwrap_or_default()))
        }
        Err(error) => Err(format!("cannot run npm ({error}); install Node 20 or newer")),
    }
}

/// One `Asset` a file, with its compressed forms where the build made them.
fn table(dist: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    walk(dist, &mut files)?;
    files.sort();
    let mut text = String::new();
    for file in files.iter().filter(|file| !is_compressed(file)) {
        let name = file.strip_prefix(dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let beside = |ending: &str| {
            let path = PathBuf::from(format!("{}.{ending}", file.display()));
            if path.is_file() {
                format!("Some(include_bytes!({:?}))", path.display().to_string())
            } else {
                "None".to_owned()
            }
        };
        let path = fs::canonicalize(file)?;
        let _ = writeln!(
            text,
            "    Asset {{ path: {name:?}, bytes: include_bytes!({:?}), br: {}, gz: {} }},",
            path.display().to_string(),
            beside("br"),
            beside("gz"),
        );
    }
    Ok(text)
}

fn is_compressed(file: &Path) -> bool {
    let compressed = file.extension().is_some_and(|ending| ending == "br" || ending == "gz");
    compressed && file.with_extension("").is_file()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
