//! The only place that writes to stdout and stderr.
//!
//! Data goes to stdout or `--output`, everything else to stderr. Text is made safe to show here: a path or a message of a
//! file may hold anything.

use crate::cli::Verbosity;
use crate::words::escape;
use crate::words::text::Paint;
use anyhow::{Context, Result};
use owo_colors::{OwoColorize, Style};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

/// Writes to stderr.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    verbosity: Verbosity,
}

impl Console {
    /// A console that says this much.
    pub fn new(verbosity: Verbosity) -> Self {
        Self { verbosity }
    }

    /// Whether as little as possible is said.
    pub fn is_quiet(self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Why nothing could be done.
    pub fn error(self, message: &str) {
        say("error", Style::new().red().bold(), message);
    }

    /// Something that changes what the output means; always said.
    pub fn warn(self, message: &str) {
        say("WARNING", Style::new().yellow().bold(), message);
    }

    /// Something good to know.
    pub fn note(self, message: &str) {
        if self.verbosity != Verbosity::Quiet {
            say("note", Style::new().bold(), message);
        }
    }

    /// Counts.
    pub fn verbose(self, message: &str) {
        if self.verbosity == Verbosity::Verbose {
            let _ = writeln!(anstream::stderr(), "{}", escape::for_people(message.as_bytes()));
        }
    }
}

fn say(label: &str, style: Style, message: &str) {
    let message = escape::for_people(message.as_bytes());
    // anstream leaves out colours where there is no terminal, and with NO_COLOR. A closed stderr is no reason to fail.
    let _ = writeln!(anstream::stderr(), "{}: {message}", label.style(style));
}

/// Whether stdin is a terminal, where nobody pipes segments in.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Where data goes.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// Whether colours are welcome.
    pub colour: bool,
    /// Columns that a line may take: those of the terminal, all there can be elsewhere.
    pub width: usize,
}

/// The width that was asked for.
static WIDTH: OnceLock<usize> = OnceLock::new();

/// Lines of tables take no more columns than this, wherever they go.
pub fn set_width(columns: u16) {
    let _already_set = WIDTH.set(columns.into());
}

impl Output {
    /// Opens `path`, or stdout.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => {
                let file = create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
                Ok(Self { file, colour: false, width: WIDTH.get().copied().unwrap_or(usize::MAX) })
            }
            None => {
                let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
                let owned = io::stdout().as_fd().try_clone_to_owned().context("stdout is closed")?;
                let terminal = terminal_size::terminal_size_of(&owned).map(|(columns, _)| usize::from(columns.0));
                // A terminal that does not know its size says 0.
                let width = WIDTH.get().copied().or(terminal.filter(|columns| *columns > 0)).unwrap_or(usize::MAX);
                Ok(Self { file: File::from(owned), colour, width })
            }
        }
    }

    /// How text for people is written here.
    pub fn paint(&self) -> Paint {
        Paint { colour: self.colour, width: self.width }
    }
}

/// A file as segments are: for its owner and group.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create(true).truncate(true).mode(0o640).open(path)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
