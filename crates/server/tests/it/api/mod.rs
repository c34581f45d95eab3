//! The admin API over records, as clients meet it: the real binary, on both engines.

mod access;
mod account;
mod api_keys;
mod audit;
mod behind;
mod canary;
mod commands;
mod credentials;
mod deeds;
mod document;
mod idempotency;
mod killed;
mod leaked_keys;
mod lists;
mod mail;
mod organizations;
mod outage;
mod pages;
mod people;
mod setup;
mod sign_in;
mod strangers;
mod tenants;
mod tokens;
mod trash;
mod users;
mod world;

pub use pages::{Browser, one_time_code};
pub use world::{Client, PASSWORD, World, config, key, operator};
