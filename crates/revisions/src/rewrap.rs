//! Sealing the secrets of documents under the installation's present key, after it has got another one.

use weir_core::TenantId;
use weir_store::records::{Row, Rows, Unaudited, Value};

use crate::error::Result;
use crate::resource::name_of;
use crate::secrets::Resealed;
use crate::{CHANGES, RESOURCES, Revisions};

/// Rows to a transaction; a document can be large.
const BATCH: i64 = 50;
/// How often it is looked again at what was changed meanwhile.
const PASSES: usize = 3;

/// What became of the documents with secrets, in the present and in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many documents there are.
    pub seen: u64,
    /// How many are kept with secrets that were sealed anew.
    pub anew: u64,
    /// How many have secrets that open under no key that is known: they stay as they are.
    pub unreadable: u64,
    /// How many somebody was changing again and again.
    pub left: u64,
}

impl Revisions {
    /// Seals the secrets of all documents, also of those in the trash and in history, under the present key. What they say
    /// stays, and so do revisions. `progress` is told after each transaction. It may be ended and begun again.
    pub async fn rewrap(&self, progress: impl Fn(&Rewrapped)) -> Result<Rewrapped> {
        let mut anew = 0;
        let mut done = Rewrapped::default();
        for _ in 0..PASSES {
            done = Rewrapped::default();
            let platform = TenantId::platform();
            let resources = RESOURCES.of(&platform);
            self.rewrap_table(resources, &["document"], &mut done, &progress)
                .await?;
            let columns = ["document_before", "document_after"];
            self.rewrap_table(CHANGES.rows(), &columns, &mut done, &progress)
                .await?;
            anew += done.anew;
            if done.left == 0 {
                break;
            }
        }
        Ok(Rewrapped { anew, ..done })
    }

    async fn rewrap_table(
        &self,
        rows: Rows<'_>,
        columns: &[&'static str],
        done: &mut Rewrapped,
        progress: &impl Fn(&Rewrapped),
    ) -> Result<()> {
        let mut after = String::new();
        loop {
            let mut write = self.records.write_unaudited().await?;
            let select = rows.select().with_trashed().filter("id > ?", [&after]);
            let some = write.all(select.order(["id"]).limit(BATCH)).await?;
            let Some(last) = some.last() else {
                return Ok(());
            };
            after = last.text("id")?;
            for row in &some {
                for column in columns {
                    self.rewrap_document(&mut write, rows, row, column, done)
                        .await?;
                }
            }
            write.commit().await?;
            progress(done);
        }
    }

    async fn rewrap_document(
        &self,
        write: &mut Unaudited,
        rows: Rows<'_>,
        row: &Row,
        column: &'static str,
        done: &mut Rewrapped,
    ) -> Result<()> {
        let Some(text) = row.optional_text(column)? else {
            return Ok(());
        };
        done.seen += 1;
        match self.secrets.reseal(&name_of(row)?, &text) {
            Resealed::Already => {}
            Resealed::Unreadable => done.unreadable += 1,
            Resealed::Anew(anew) => {
                let values = (Value::from(text), Value::from(anew));
                match write.exchange(rows, &row.id("id")?, column, values).await? {
                    true => done.anew += 1,
                    false => done.left += 1,
                }
            }
        }
        Ok(())
    }
}
