//! The long-running process: start, reload, upgrade, drain.

mod credentials;
mod descriptors;
mod inherit;
mod introspections;
mod issuers;
pub(crate) mod keeping;
mod last_good;
mod lasting;
mod node;
pub(crate) mod own_tokens;
mod passwords;
pub(crate) mod pid_file;
mod reload;
pub(crate) mod resources;
mod shares;
mod signals;
mod signer;
mod standings;
mod start;
mod supervise;
mod tokens;
pub(crate) mod traffic_file;
mod upgrade;
mod watch;

pub(crate) use node::{Beside, Node, Order, Rejection, Reloaded, Revision, Stage};
pub(crate) use start::{Ready, RunOptions, make_directory, run};
