//! Writes the known-answer vectors: `cargo run -p hauspost-protocol --example vectors -- tests/vectors`.
//!
//! They are made from fixed inputs, so a second run writes the same files. A test compares the
//! committed files with what the code makes; `tests/vectors/check.py` checks them without it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

mod make;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: vectors FOLDER");
        return ExitCode::FAILURE;
    };
    match write_all(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &std::path::Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, value) in make::files() {
        let text = serde_json::to_string_pretty(&value)?;
        fs::write(folder.join(name), text + "\n")?;
    }
    Ok(())
}
