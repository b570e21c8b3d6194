//! One line that changes in place on standard error, where somebody looks at it.

use std::io::{IsTerminal, Write};

/// The line. It is gone when this is dropped.
#[derive(Debug)]
pub(super) struct StatusLine {
    is_seen: bool,
    shown: String,
}

impl StatusLine {
    /// Shows nothing yet, and never anything where standard error is no terminal.
    pub(super) fn new() -> Self {
        Self { is_seen: std::io::stderr().is_terminal(), shown: String::new() }
    }

    /// Never shows anything.
    pub(super) const fn unseen() -> Self {
        Self { is_seen: false, shown: String::new() }
    }

    /// Shows this instead of what was there.
    pub(super) fn show(&mut self, text: String) {
        if self.is_seen && text != self.shown {
            write(&format!("\r\x1b[K{text}"));
            self.shown = text;
        }
    }

    /// Shows nothing.
    pub(super) fn clear(&mut self) {
        if !self.shown.is_empty() {
            self.show(String::new());
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let mut terminal = std::io::stderr().lock();
    if terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).is_err() {
        // Nobody looks any more, and there is nowhere to say so.
    }
}
