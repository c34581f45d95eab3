//! The admin API over records, as clients meet it: the real binary, on both engines.

mod credentials;
mod document;
mod organizations;
mod outage;
mod setup;
mod sign_in;
mod world;

use world::{Client, PASSWORD, World};
