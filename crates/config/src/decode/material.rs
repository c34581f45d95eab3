//! Values that may or must be references.

use super::{Context, Cursor, Mode};
use crate::codes;
use crate::diagnostic::Finding;
use crate::model::Material;
use crate::reference::Reference;

impl Cursor<'_> {
    /// What a reference leads to; `None` after a report, or if references are not resolved.
    pub(crate) fn material(&self, context: &mut Context<'_>) -> Option<Material> {
        let text = self.text(context)?;
        match Reference::parse(text) {
            None => {
                let finding =
                    self.error(codes::NOT_A_REFERENCE, "expected `file:PATH` or `env:NAME`");
                let finding = if text.contains("-----BEGIN") {
                    context.hidden.push(self.node.span);
                    finding.help("put the PEM text into a file of its own and refer to it")
                } else {
                    finding.help(format!("write `file:{}` to read a file", shown(text)))
                };
                context.report(finding);
                None
            }
            Some(Err(fault)) => {
                self.report_fault(context, text, fault);
                None
            }
            Some(Ok(reference)) => self.resolve(context, &reference),
        }
    }

    /// Reads a reference; `None` after a report, or if references are not resolved.
    pub(crate) fn resolve(
        &self,
        context: &mut Context<'_>,
        reference: &Reference<'_>,
    ) -> Option<Material> {
        if context.mode == Mode::Form {
            return None;
        }
        match context.materials.read(reference) {
            Ok(material) => Some(material),
            Err(fault) => {
                let mut finding = self.error(fault.code, fault.message);
                finding.help = fault.help;
                context.report(finding);
                None
            }
        }
    }

    /// The text behind a reference, without the newline that editors put at a file's end; checked
    /// by `check`, whose words are not repeated because they could quote a secret.
    pub(crate) fn referenced_text<T>(
        &self,
        context: &mut Context<'_>,
        reference: &Reference<'_>,
        what: &str,
        check: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let material = self.resolve(context, reference)?;
        let text = std::str::from_utf8(material.bytes.expose()).ok();
        let value = text
            .map(|text| text.strip_suffix('\n').unwrap_or(text))
            .map(|text| text.strip_suffix('\r').unwrap_or(text))
            .filter(|text| !text.is_empty())
            .and_then(check);
        if value.is_none() {
            let message = format!("what the reference leads to is not {what}");
            let finding = self
                .error(codes::BAD_REFERENCED_VALUE, message)
                .help("its content is not shown here, as it may be a secret");
            context.report(finding);
        }
        value
    }

    /// Reports findings about what a reference led to.
    pub(crate) fn report_about(
        &self,
        context: &mut Context<'_>,
        findings: impl IntoIterator<Item = Finding>,
    ) {
        for finding in findings {
            context.report(finding.at(self.span()).path(self.path.to_string()));
        }
    }
}

fn shown(text: &str) -> String {
    crate::suggest::quote(text).trim_matches('`').to_owned()
}
