//! A word before something is destroyed.

use anyhow::bail;
use clap::Args;

use super::prompt::{has_terminal, line};
use crate::output::{Incomplete, Output, Style};

/// Whether to ask.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Confirmation {
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Confirmation {
    /// For what can be brought back, or does little harm. `what` is a sentence's beginning: `delete
    /// the role support`.
    pub(crate) fn ask(self, what: &str, output: &Output) -> anyhow::Result<()> {
        if self.is_needless(what)? {
            return Ok(());
        }
        let question = format!("{what}? [y/N] ");
        let answer = line(&output.note_style(Style::Strong, &question), output)?;
        match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => bail!("nothing was changed"),
        }
    }

    /// For what cannot be undone, or harms many: the name has to be typed.
    pub(crate) fn ask_for_name(
        self,
        what: &str,
        name: &str,
        output: &Output,
    ) -> anyhow::Result<()> {
        if self.is_needless(what)? {
            return Ok(());
        }
        let question = format!("{what}? Type {name} to go on: ");
        let answer = line(&output.note_style(Style::Strong, &question), output)?;
        if answer != name {
            bail!("that is not {name}: nothing was changed");
        }
        Ok(())
    }

    fn is_needless(self, what: &str) -> anyhow::Result<bool> {
        if !self.yes && !has_terminal() {
            return Err(Incomplete(format!(
                "there is no terminal to ask at: to {what}, say so with --yes"
            ))
            .into());
        }
        Ok(self.yes)
    }
}
