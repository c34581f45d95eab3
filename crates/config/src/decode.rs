//! Reading a [`Node`] tree through the tables of [`shape`](crate::shape).
//!
//! Every reader reports what is wrong and goes on with a stand-in value, so that one pass finds
//! every mistake. A configuration with errors is never handed out, so the stand-ins are not seen.

mod context;
mod cursor;
mod material;
mod object;
mod path;
mod switch;

pub(crate) use context::{Context, Mode};
pub(crate) use cursor::{Cursor, Named};
pub(crate) use object::Object;
pub(crate) use path::{Path, Step};
