//! Organizations and people, on both engines alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api_key_owners;
mod api_key_plans;
mod api_keys;
mod engines;
mod erase;
mod invitations;
mod leaked_keys;
mod letters;
mod mail_server;
mod organizations;
mod own_account;
mod passwords;
mod rewrap;
mod roles;
mod rotation;
mod second_factor;
mod sessions;
mod setup;
mod sign_in;
mod signing_keys;
mod tokens;
mod trash;
mod upkeep;
mod users;
