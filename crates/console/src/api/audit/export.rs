//! All of an audit, sent as it is read: a page of it is in memory, however long it is.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::try_unfold;
use weir_core::TenantId;
use weir_identity::{Error, Identity};
use weir_store::audit::{Query, Recorded};

use super::{AuditEntry, Form, csv};
use crate::problem::Problem;

/// Entries at once: as many as keep the way to the records from mattering, and no more.
const PAGE: u32 = 250;

/// An answer that takes as long as its client takes to read it, however long that is. The server finds it
/// among the extensions of such an answer.
#[derive(Clone, Copy, Debug)]
pub struct Lasting;

/// What has not been sent yet.
struct Rest {
    identity: Identity,
    tenant: TenantId,
    query: Query,
    form: Form,
    /// Read, but not sent.
    page: Vec<Recorded>,
    is_first: bool,
    is_done: bool,
}

/// The answer with all entries of a query.
///
/// # Errors
/// Those of reading the first ones. If later ones cannot be read, the connection ends before the answer
/// does, so that nobody takes it for all.
pub(crate) async fn export(
    identity: &Identity,
    tenant: TenantId,
    query: Query,
    form: Form,
) -> Result<Response, Problem> {
    let mut rest = Rest {
        identity: identity.clone(),
        tenant,
        query,
        form,
        page: Vec::new(),
        is_first: true,
        is_done: false,
    };
    rest.read().await?;
    let media_type = HeaderValue::from_static(form.media_type());
    let body = Body::from_stream(try_unfold(rest, async |rest| {
        rest.next().await.inspect_err(|error| {
            tracing::warn!(%error, "an export of the audit ended before its end");
        })
    }));
    let mut response = ([(CONTENT_TYPE, media_type)], body).into_response();
    response.extensions_mut().insert(Lasting);
    Ok(response)
}

impl Rest {
    async fn read(&mut self) -> Result<(), Error> {
        self.page = self.identity.audit(&self.tenant, &self.query, PAGE).await?;
        self.is_done = self.page.len() < PAGE as usize;
        self.query.after = self.page.last().map(|last| last.sequence);
        Ok(())
    }

    /// The next piece, and what is left after it.
    async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, Error> {
        if self.page.is_empty() {
            if self.is_done && !self.is_first {
                return Ok(None);
            }
            if !self.is_done {
                self.read().await?;
            }
        }
        let page = std::mem::take(&mut self.page);
        let entries: Vec<_> = page.into_iter().map(AuditEntry::from).collect();
        let is_first = std::mem::take(&mut self.is_first);
        let piece = match self.form {
            Form::Csv => csv::lines(&entries, is_first).map_err(internal)?,
            Form::Json | Form::Ndjson => lines(&entries).map_err(internal)?,
        };
        Ok(Some((piece, self)))
    }
}

fn lines(entries: &[AuditEntry]) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal(Box::new(error))
}
