//! What there is from the first start on: the organization that is the installation itself, and the
//! fingerprint of its key.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use weir_core::TenantId;
use weir_store::records::Value;

use crate::Identity;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::organization::NewOrganization;
use crate::settings::Settings;
use crate::tables::{INSTALLATION, ORGANIZATIONS};

const PLATFORM: &str = "platform";

impl Identity {
    /// Makes what must be there before anything else, unless it is.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if these records were begun with another key than this node has.
    pub async fn prepare(&self) -> Result<()> {
        self.make_platform().await?;
        self.check_key().await
    }

    async fn make_platform(&self) -> Result<()> {
        let id = TenantId::platform();
        let select = ORGANIZATIONS.rows().select().with_trashed();
        if self.records.first(select.with_id(id.id())).await?.is_some() {
            return Ok(());
        }
        let new = NewOrganization {
            slug: PLATFORM.to_owned(),
            name: "Platform".to_owned(),
            settings: Settings::default(),
        };
        let slug = PLATFORM.to_owned();
        match self
            .insert_organization(&Caller::system(), id, slug, new)
            .await
        {
            // Another node was faster.
            Err(Error::Taken(_)) => Ok(()),
            result => result.map(drop),
        }
    }

    async fn check_key(&self) -> Result<()> {
        let own = self.shared.sealer.fingerprint();
        if self.kept_fingerprint().await?.is_none() {
            let mut write = self.records.write_unaudited().await?;
            let id = TenantId::platform();
            let values = [("key_fingerprint", Value::from(&own[..]))];
            let inserted = write.insert(INSTALLATION.rows(), id.id(), values).await;
            // If not, another node was faster: what it kept is looked at below.
            if inserted.is_ok() {
                write.commit().await?;
            }
        }
        let kept = self.kept_fingerprint().await?.unwrap_or_default();
        verify_slices_are_equal(&kept, own).map_err(|_| Error::WrongKey)
    }

    async fn kept_fingerprint(&self) -> Result<Option<Vec<u8>>> {
        let select = INSTALLATION
            .rows()
            .select()
            .with_id(TenantId::platform().id());
        let row = self.records.first(select).await?;
        Ok(row.map(|row| row.bytes("key_fingerprint")).transpose()?)
    }
}
