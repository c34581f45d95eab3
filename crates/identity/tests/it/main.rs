//! Organizations and people, on both engines alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod engines;
mod erase;
mod invitations;
mod letters;
mod mail_server;
mod organizations;
mod own_account;
mod passwords;
mod roles;
mod second_factor;
mod sessions;
mod setup;
mod sign_in;
mod trash;
mod upkeep;
mod users;
