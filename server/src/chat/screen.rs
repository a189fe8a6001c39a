//! The real terminal: taken over, read, and given back whatever happens.

use std::io::{self, Write as _, stdout};
use std::panic;

use ratatui::crossterm::event::{
    self, DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use ratatui::crossterm::execute;
use ratatui::{DefaultTerminal, restore, try_init};
use tokio::sync::mpsc;

use super::event::Event;

/// The terminal in our hands; given back when this is dropped, and before a panic is told.
pub struct Screen {
    /// What is drawn on.
    pub terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it is none, or does not do what we need.
    pub fn open() -> io::Result<Self> {
        let terminal = try_init()?;
        let screen = Self { terminal };
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = execute!(stdout(), DisableBracketedPaste, DisableFocusChange);
            next(info);
        }));
        execute!(stdout(), EnableBracketedPaste, EnableFocusChange)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(stdout(), DisableBracketedPaste, DisableFocusChange);
        restore();
    }
}

/// Lets the terminal make its sound.
pub fn ring() {
    // A terminal that cannot be written is noticed when it is drawn on.
    let _ = stdout().write_all(b"\x07").and_then(|()| stdout().flush());
}

/// What the person does, from a thread that ends with the process: reading a key cannot be stopped.
pub fn inputs() -> mpsc::UnboundedReceiver<Event> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(read) = event::read() {
            let input = match read {
                event::Event::Key(key) => Event::Key(key),
                event::Event::Paste(text) => Event::Paste(text),
                event::Event::FocusGained => Event::Focus(true),
                event::Event::FocusLost => Event::Focus(false),
                event::Event::Resize(columns, rows) => Event::Resize(columns, rows),
                _ => continue,
            };
            if tell.send(input).is_err() {
                break;
            }
        }
    });
    told
}
