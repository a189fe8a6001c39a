//! Writes the seeds of each fuzz target into a folder of its name: seeds FOLDER. `tools/fuzz` runs it.

use std::path::PathBuf;
use std::{env, fs, io};

use hauspost_protocol::fuzz::{TARGETS, seeds};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?);
    for (name, _) in TARGETS {
        let corpus = folder.join(name);
        fs::create_dir_all(&corpus)?;
        for (number, seed) in seeds::of(name).iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
