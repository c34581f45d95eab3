//! Values that may or must be references.

use std::path::PathBuf;
use std::sync::Arc;

use weir_core::Secret;

use super::{Context, Cursor, Mode, Step};
use crate::codes;
use crate::diagnostic::Finding;
use crate::model::{Material, Source};
use crate::reference::Reference;
use crate::suggest::quote;
use crate::value::text;

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

    /// PEM: in the file what a reference leads to, in a resource the text itself.
    pub(crate) fn pem(&self, context: &mut Context<'_>) -> Option<Material> {
        if !self.node.span.is_beside() {
            return self.material(context);
        }
        let text = self.text(context)?;
        if Reference::parse(text).is_some() {
            let finding = self
                .reference_in_resource()
                .help("write the PEM text itself, from `-----BEGIN` on");
            context.report(finding);
            return None;
        }
        let key = match self.path.step() {
            Step::Key(key) => key,
            Step::Index(_) | Step::Root => "",
        };
        Some(Material {
            bytes: Secret::new(Arc::from(text.as_bytes())),
            source: Source::Resource(key.to_owned()),
        })
    }

    /// A secret, which must be a reference; `None` as for [`material`](Self::material).
    pub(crate) fn secret(&self, context: &mut Context<'_>) -> Option<Secret<String>> {
        self.referenced_secret(context, "a token", |text| {
            text::token(text).map(Secret::new)
        })
    }

    fn referenced_secret<T>(
        &self,
        context: &mut Context<'_>,
        what: &str,
        check: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(context)?;
        let Some(reference) = Reference::parse(text) else {
            context.hidden.push(self.node.span);
            let finding = self
                .error(
                    codes::NOT_A_REFERENCE,
                    "a secret must not stand in the file",
                )
                .help("refer to it: `env:NAME` or `file:PATH`");
            context.report(finding);
            return None;
        };
        match reference {
            Ok(reference) => self.referenced_text(context, &reference, what, check),
            Err(fault) => {
                self.report_fault(context, text, fault);
                None
            }
        }
    }

    /// A key of 32 bytes, which must be a reference; `None` as for [`material`](Self::material).
    pub(crate) fn secret_key(&self, context: &mut Context<'_>) -> Option<Secret<[u8; 32]>> {
        self.referenced_secret(context, "32 bytes in base64 or hexadecimal", |text| {
            text::key(text).map(Secret::new)
        })
    }

    /// A file that is read later, and again and again: it need not be there yet, and it is none of
    /// those whose change is a change of the configuration.
    pub(crate) fn later_file(&self, context: &mut Context<'_>) -> Option<PathBuf> {
        let path = self.parse(context, text::file_path)?;
        if self.refers_from_beside(context) {
            return None;
        }
        let path = context.materials.resolve(&path);
        if context.mode == Mode::Full && !path.exists() {
            let message = format!(
                "there is no file {} yet",
                quote(&path.display().to_string())
            );
            let finding = self
                .warning(codes::FILE_ABSENT, message)
                .help("relative paths start at the configuration file's directory");
            context.report(finding);
        }
        Some(path)
    }

    /// Reports a reference of a resource: whoever may change resources could read any file and variable
    /// of the machine by it.
    pub(crate) fn refers_from_beside(&self, context: &mut Context<'_>) -> bool {
        let is_beside = self.node.span.is_beside();
        if is_beside {
            let finding = self
                .reference_in_resource()
                .help("write what needs it into the file, where routes of resources can name it");
            context.report(finding);
        }
        is_beside
    }

    fn reference_in_resource(&self) -> Finding {
        let message = "a resource cannot refer to a file or a variable of the machine";
        self.error(codes::REFERENCE_IN_RESOURCE, message)
    }

    /// Reads a reference; `None` after a report, or if references are not resolved.
    pub(crate) fn resolve(
        &self,
        context: &mut Context<'_>,
        reference: &Reference<'_>,
    ) -> Option<Material> {
        if self.refers_from_beside(context) || context.mode == Mode::Form {
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
    quote(text).trim_matches('`').to_owned()
}
