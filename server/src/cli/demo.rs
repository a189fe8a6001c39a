//! `hauspost demo`.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::demo::{self, DemoOptions};

/// See all of it in a minute: a company founded, talking, left by one, its archive opened and verified.
#[derive(Args)]
#[command(
    after_help = "Starts a server on a free port of this machine, and ends it. Exits with 1 when any step does not hold.\n\n\
    Example:\n  hauspost demo --keep demo-folder"
)]
pub struct Demo {
    /// Keep everything in this folder, which is made or has to be empty.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Demo {
    pub async fn run(self, quiet: bool) -> Result<(), Failure> {
        demo::run(DemoOptions { keep: self.keep, quiet }).await.map_err(Failure::files)
    }
}
