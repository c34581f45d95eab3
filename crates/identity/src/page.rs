//! Lists, a page at a time: each goes on behind the last row of the one before, in constant time.

use serde::{Deserialize, Serialize};
use weir_core::Id;
use weir_store::Records;
use weir_store::records::{Row, Select, Value};

use crate::error::{Error, Result};

const MOST: u32 = 200;

/// Which page is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// How many at most; from 1 to 200.
    pub limit: u32,
    /// Greatest first.
    pub descending: bool,
    /// Behind this one.
    pub after: Option<Position>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            limit: 50,
            descending: false,
            after: None,
        }
    }
}

/// Where a page ended. A surface that gives it away signs it: it is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// By what the list is sorted.
    pub key: Key,
    /// Which row.
    pub id: Id,
}

/// A value by which a list is sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// Microseconds since 1970.
    Time(i64),
    /// Text, compared by its bytes.
    Text(String),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; none if this is the last.
    pub next: Option<Position>,
}

/// By which columns a list is sorted.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    /// As the query calls them; the last one is the identifier.
    pub(crate) columns: [&'static str; 2],
    /// The first as the row calls it.
    pub(crate) key: &'static str,
    pub(crate) is_time: bool,
}

impl Order {
    pub(crate) const CREATED: Self = Self {
        columns: ["created_at", "id"],
        key: "created_at",
        is_time: true,
    };
}

/// The page of a query.
pub(crate) async fn page<T>(
    records: &Records,
    select: Select,
    order: Order,
    listing: &Listing,
    of: impl Fn(&Row) -> Result<T>,
) -> Result<Page<T>> {
    if !(1..=MOST).contains(&listing.limit) {
        return Err(Error::invalid("limit", format!("is from 1 to {MOST}")));
    }
    let limit = listing.limit as usize;
    let mut select = select
        .order(order.columns)
        .descending(listing.descending)
        // One more, to know whether there is more.
        .limit(i64::from(listing.limit) + 1);
    if let Some(position) = &listing.after {
        let key = match (&position.key, order.is_time) {
            (Key::Time(time), true) => Value::from(*time),
            (Key::Text(text), false) => Value::from(text),
            _ => return Err(Error::invalid("cursor", "is of another order")),
        };
        select = select.after([key, Value::from(&position.id)]);
    }
    let mut rows = records.all(select).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = match rows.last() {
        Some(last) if has_more => Some(Position {
            key: match order.is_time {
                true => Key::Time(last.int(order.key)?),
                false => Key::Text(last.text(order.key)?),
            },
            id: last.id("id")?,
        }),
        _ => None,
    };
    Ok(Page {
        items: rows.iter().map(of).collect::<Result<_>>()?,
        next,
    })
}

/// The bounds of texts that begin with `prefix`, for `column >= ? AND column < ?`: an index serves
/// them, on both engines.
pub(crate) fn prefix_bounds(field: &'static str, prefix: &str) -> Result<[Value; 2]> {
    // No text has one, and no engine takes one.
    if prefix.contains('\0') {
        return Err(Error::invalid(field, "has characters that are not text"));
    }
    Ok([
        Value::from(prefix),
        Value::from(format!("{prefix}{}", char::MAX)),
    ])
}
