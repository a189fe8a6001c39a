//! How the story is told: numbered steps on standard output, nothing when it is to be quiet.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::phone::Line;

/// Tells the story.
pub struct Story {
    quiet: bool,
    step: Cell<u32>,
}

impl Story {
    /// A story with its title told.
    pub fn new(quiet: bool) -> Self {
        let story = Self { quiet, step: Cell::new(0) };
        story.line(
            "\nHauspost: a company in a minute. All of it real, on this machine, over TLS.\n",
        );
        story
    }

    /// One step that holds.
    pub fn step(&self, title: &str, told: &str) {
        self.step.set(self.step.get() + 1);
        self.line(&format!("{:>2}. ✓ {title}", self.step.get()));
        for line in wrapped(told, 92).iter().filter(|line| !line.is_empty()) {
            self.line(&format!("      {line}"));
        }
        self.line("");
    }

    /// Lines of a dialog, as people see them.
    pub fn dialog(&self, lines: &[Line]) {
        for line in lines {
            self.line(&format!("      {:>5}: {}{}", line.author, line.text, line.notes));
        }
        self.line("");
    }

    /// Lines that a command printed.
    pub fn printed(&self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.line(&format!("      │ {line}"));
        }
        self.line("");
    }

    /// The end.
    pub fn end(&self, took: Duration, kept: Option<PathBuf>) {
        self.line(&format!("Everything held. {:.1} seconds.", took.as_secs_f32()));
        match kept {
            Some(folder) => self.line(&format!("The folder stays: {}\n", folder.display())),
            None => self.line("The folder is gone; `hauspost demo --keep DIR` keeps it.\n"),
        }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            // A reader that went away, as with `| head`, does not end the demo.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a last line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// All files in a folder and below it.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            found.extend(files(&item.path())?);
        } else {
            found.push(item.path());
        }
    }
    Ok(found)
}
