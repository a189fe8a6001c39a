//! Where a command's words go: results to standard output, everything else to standard error, both
//! made harmless, since names, purposes and messages of others are among them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::harmless::harmless;

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// The person at the terminal, if there is one.
pub struct Terminal {
    shows_progress: bool,
}

impl Terminal {
    /// Progress is shown when somebody looks, and not with `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { shows_progress: !quiet && io::stderr().is_terminal() }
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
    println!("{}", shown(line));
}

/// A line for whoever follows.
pub fn say(line: impl Display) {
    eprintln!("{}", shown(line));
}

/// An error.
pub fn say_error(line: impl Display) {
    eprintln!("error: {}", shown(line));
}

/// Asks the person at the terminal; `None` if there is nobody.
pub fn confirm(question: impl Display) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    eprint!("{} [yes/no] ", shown(question));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "yes" | "ja")))
}

/// Tabs stay: they part the columns of a table that is piped on.
fn shown(line: impl Display) -> String {
    line.to_string().split('\t').map(harmless).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_others_are_shown_and_not_obeyed_and_columns_stay() {
        assert_eq!(
            shown("anna\tAnna\u{1b}[2J\u{202e}greB\tactive"),
            "anna\tAnna␛[2J\u{fffd}greB\tactive"
        );
    }
}
