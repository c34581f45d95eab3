//! What commands say: results to standard output, everything else to standard error. With `--json` a
//! failure is a result, too.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use weir_config::Report;

use crate::cli::ColorChoice;
use crate::failure;

/// Where and how a command writes.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Whether results are for programs.
    pub(crate) json: bool,
    color_out: bool,
    color_err: bool,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Headings and names.
    Strong,
    /// All is well.
    Good,
    /// Needs a look.
    Warning,
    /// Does not work.
    Bad,
    /// Beside the point.
    Faint,
}

/// A line that is written over again and again.
pub(crate) struct Progress {
    is_shown: bool,
    last: Cell<Option<Instant>>,
}

impl Progress {
    /// Shows this, unless something was shown a moment ago.
    pub(crate) fn show(&self, text: &str) {
        let is_due = self
            .last
            .get()
            .is_none_or(|last| last.elapsed() >= Duration::from_millis(100));
        if self.is_shown && is_due {
            self.last.set(Some(Instant::now()));
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Leaves the line empty.
    pub(crate) fn clear(&self) {
        if self.last.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Whoever read standard output has left, as in `weir schema | head -1`: no fault of anybody.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct Closed;

/// The command line lacks something that is asked for at a terminal, and there is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Incomplete(pub(crate) String);

/// Something that was printed in parts is not whole.
#[derive(Debug, thiserror::Error)]
#[error("what was printed is not whole: {0:#}")]
struct Cut(anyhow::Error);

/// The exit status for a command line that is not understood.
const NOT_UNDERSTOOD: u8 = 2;

impl Output {
    /// Settles where colours are used; `NO_COLOR` (no-color.org) and a dumb terminal turn them off.
    pub(crate) fn new(choice: ColorChoice, json: bool) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_wanted =
            !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let on = |is_terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_wanted && is_terminal,
        };
        Self {
            json,
            color_out: on(io::stdout().is_terminal()),
            color_err: on(io::stderr().is_terminal()),
        }
    }

    /// Writes to standard output.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        self.write(text.as_bytes())
    }

    /// Writes to standard output what is a result as it is.
    pub(crate) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
            Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
        }
    }

    /// Writes a result for programs to standard output: indented JSON and a line break.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.print(&text)
    }

    /// Writes to standard error. Nothing is to be done if even that fails.
    pub(crate) fn note(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Columns of the terminal that standard output is; `None` if it is none.
    pub(crate) fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then(|| size.ws_col.into())
    }

    /// Whether standard error takes colours.
    pub(crate) fn note_color(&self) -> bool {
        self.color_err
    }

    /// A line on standard error that says how far something is, if somebody looks.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            is_shown: !self.json && io::stderr().is_terminal(),
            last: Cell::new(None),
        }
    }

    /// A text for standard output in a style.
    pub(crate) fn style(&self, style: Style, text: &str) -> String {
        if self.color_out {
            painted(style, text)
        } else {
            text.to_owned()
        }
    }

    /// A text for standard error in a style.
    pub(crate) fn note_style(&self, style: Style, text: &str) -> String {
        if self.color_err {
            painted(style, text)
        } else {
            text.to_owned()
        }
    }

    /// The failure of what has printed a part of its result: that cannot be told as part of it.
    pub(crate) fn cut(error: anyhow::Error) -> anyhow::Error {
        match error.is::<Closed>() {
            true => error,
            false => Cut(error).into(),
        }
    }

    /// Says why a command failed, and how the process ends.
    pub(crate) fn fail(&self, error: &anyhow::Error) -> ExitCode {
        if error.is::<Closed>() {
            return ExitCode::SUCCESS;
        }
        // Of neither has a program a document to read.
        if error.is::<Incomplete>() || error.is::<Cut>() {
            let head = self.note_style(Style::Bad, "error:");
            self.note(&format!("{head} {error:#}\n"));
            return match error.is::<Cut>() {
                true => ExitCode::FAILURE,
                false => ExitCode::from(NOT_UNDERSTOOD),
            };
        }
        if self.json {
            // One document on standard output, however it went. Nobody is left to tell if this fails.
            let _ = self.print_json(&failure::problem(error));
            return ExitCode::FAILURE;
        }
        if let Some(report) = error.downcast_ref::<Report>() {
            self.note(&report.render(self.color_err));
        } else {
            self.note(&format!(
                "{} {error:#}\n",
                self.note_style(Style::Bad, "error:")
            ));
        }
        ExitCode::FAILURE
    }
}

fn painted(style: Style, text: &str) -> String {
    let code = match style {
        Style::Strong => "1",
        Style::Good => "32",
        Style::Warning => "33",
        Style::Bad => "1;31",
        Style::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// `1 route`, `2 routes`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Bytes as people compare them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
