//! The admin API: what its endpoints have in common (errors, credentials, preconditions, pages), and
//! the endpoints over records.
//!
//! It serves no connections and knows no data plane; the server adds what belongs to the running
//! process and puts both behind one listener.

mod authenticate;
mod cursor;
mod page;
mod precondition;
mod problem;

pub use authenticate::{Authenticator, OperatorToken, Principal, bearer};
pub use cursor::{BadCursor, CursorKey};
pub use page::{Page, PageQuery};
pub use precondition::{Expected, entity_tag, expected_version};
pub use problem::{FieldError, Problem, finish};
