//! What can be asked for rows: within a change, and within a consistent reading.

use weir_store::records::{Changes, Read, Row, Select};

use crate::error::Result;

/// One state of the records.
pub(crate) trait Reader {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>>;

    async fn first(&mut self, select: Select) -> Result<Option<Row>> {
        Ok(self.all(select.limit(1)).await?.into_iter().next())
    }
}

impl Reader for Read {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        Ok(Self::all(self, select).await?)
    }
}

impl Reader for Changes {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        Ok(Self::all(self, select).await?)
    }
}
