//! Reading what the audit of an organization, or of the platform, recorded.

use weir_core::TenantId;
use weir_store::audit::{Query, Recorded};
use weir_store::records::Scope;

use crate::Identity;
use crate::error::Result;

impl Identity {
    /// Entries of an organization's audit, at most `limit`; the platform's own is that of the
    /// installation.
    pub async fn audit(
        &self,
        tenant: &TenantId,
        query: &Query,
        limit: u32,
    ) -> Result<Vec<Recorded>> {
        let scope = Scope::of(tenant);
        let entries = self.records.audit(&scope, query, i64::from(limit));
        Ok(entries.await?)
    }
}
