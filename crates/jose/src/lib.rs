//! Signed tokens: JSON web signatures (RFC 7515), the keys that verify them (RFC 7517), and what the claims of a
//! JSON web token must say (RFC 7519, by the advice of RFC 8725 and RFC 9068).
//!
//! A token goes through three doors, each a type of its own, so that none can be left out: [`Token::parse`] reads its
//! form, [`Token::verify`] finds the one key and checks the signature, and [`Expected::judge`] says whether the claims
//! let somebody in here and now. What a token holds is not to be had before its signature was checked.
//!
//! A key has exactly one algorithm. What a token says of its algorithm is compared with that of the key and never
//! chooses how to verify; what it says of keys (`jwk`, `jku`, `x5u`) is not read.
//!
//! Keys that foreign issuers publish reach those who check tokens through [`remote::RemoteKeys`]; fetching them is
//! somebody else's work. What an issuer in the same process takes back reaches them through [`Revoked`].
//!
//! Nothing here performs I/O or reads a clock, and encrypted tokens (JWE) are not read. Why the signatures are checked
//! with aws-lc-rs itself: docs/decisions/0019.

mod algorithm;
mod base64url;
mod claims;
mod expected;
mod header;
mod json;
mod jwk;
mod key;
mod pem;
pub mod remote;
mod revoked;
mod set;
mod signing;
#[cfg(test)]
mod testing;
mod thumbprint;
mod token;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use expected::{ClaimFault, Expected, ExpectedAnswer, Judged, Kind};
pub use header::Header;
pub use key::{Key, KeyFault};
pub use revoked::{Revoked, TokenFacts};
pub use set::{KeySet, LONGEST_SET, MOST_KEYS, SetError, Skipped};
pub use signing::{Pkcs8, RsaBits, SigningError, SigningKey};
pub use thumbprint::KeyId;
pub use token::{LONGEST_TOKEN, Malformed, NotVerified, Token, Verified};
