//! One file per command. Each takes its arguments and says with its exit code how it went:
//! 0 done, 1 the answer is no, 2 (by the argument parser) not understood.

mod admin_address;
mod api;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bans;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod explain;
pub(crate) mod import;
mod interval;
pub(crate) mod invitation;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod member;
pub(crate) mod migrate;
pub(crate) mod organization;
pub(crate) mod reload;
pub(crate) mod requests;
pub(crate) mod resource;
pub(crate) mod restore;
pub(crate) mod revision;
pub(crate) mod role;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod setup_link;
pub(crate) mod top;
pub(crate) mod traffic;
pub(crate) mod trash;
pub(crate) mod upgrade;
pub(crate) mod upstreams;
pub(crate) mod user;
pub(crate) mod version;
pub(crate) mod whoami;
