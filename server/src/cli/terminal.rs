//! Where a command's words go: results to standard output, everything else to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// The person at the terminal, if there is one.
pub struct Terminal {
    shows_progress: bool,
}

impl Terminal {
    /// Progress is shown when somebody looks, and not with `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { shows_progress: !quiet && std::io::stderr().is_terminal() }
    }

    /// A bar over `steps` steps.
    pub fn bar(&self, what: &'static str, steps: u64) -> ProgressBar {
        if !self.shows_progress {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")
            .expect("the template is a constant");
        ProgressBar::new(steps).with_style(style).with_message(what)
    }

    /// A spinner for work of unknown length.
    pub fn spinner(&self, what: impl Into<String>) -> ProgressBar {
        if !self.shows_progress {
            return ProgressBar::hidden();
        }
        let spinner = ProgressBar::new_spinner().with_message(what.into());
        spinner.enable_steady_tick(TICK);
        spinner
    }
}

/// A line of the result.
pub fn result(line: impl Display) {
    println!("{line}");
}

/// A line for whoever follows.
pub fn say(line: impl Display) {
    eprintln!("{line}");
}

/// An error.
pub fn say_error(line: impl Display) {
    eprintln!("error: {line}");
}
