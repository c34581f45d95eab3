//! Authorisation by policies in the Cedar language: may this principal do that to this resource, now?
//!
//! Policies are compiled against one of two published schemas ([`Schema`]): that of requests at the
//! gateway and that of the admin API. What is compiled can only speak of what there is, which a
//! strict validator holds it to. Whoever asks puts a [`Question`] and gets a [`Decision`] that names
//! the rules that made it:
//!
//! - nothing is allowed that no rule permits;
//! - one rule that forbids outweighs all that permit;
//! - one rule that cannot be evaluated denies, whatever the others say. (Cedar itself passes over such
//!   a rule, which would let everything through that only it forbids.)
//!
//! Decisions are functions of the question: this crate does no I/O, looks at no clock, and keeps
//! nothing between questions. It knows neither identity nor the gateway.

mod compile;
mod decide;
mod decision;
mod depth;
mod fault;
mod question;
mod schema;
mod uses;

#[cfg(test)]
mod tests;

pub use compile::{Compiled, LARGEST_TEXT, MOST_RULES, Rule, Source, compile};
pub use decision::{Decision, Failure, Reason};
pub use fault::Fault;
pub use question::{
    Kind, Organization, Principal, Question, Route, Strength, Target, UnknownStrength,
};
pub use schema::{Domain, Schema};
pub use uses::{Fact, Uses};
