//! The command line over the admin API: the real binary asks the real binary.

mod access_policies;
mod account;
mod api_keys;
mod lists;
mod lost;
mod organizations;
mod people;
mod remote;
mod sign_in;
mod terminal;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use super::{PASSWORD, World};
use crate::harness::Ran;

/// A line of a shell, split at blanks.
fn run(world: &World, line: &str) -> Ran {
    run_with(world, line, &[])
}

/// The same with variables.
fn run_with(world: &World, line: &str, variables: &[(&str, &str)]) -> Ran {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = world.weir.command(words[0], &words[1..]);
    command.envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

/// Standard output of what must go well.
fn done(world: &World, line: &str) -> String {
    let ran = run(world, line);
    assert_eq!(ran.code, Some(0), "{line}\n{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// The document that a command prints.
fn json(world: &World, line: &str) -> Value {
    let text = done(world, &format!("{line} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {line}\n{text}"))
}

/// Standard error of what must fail, with this exit status.
fn fails(world: &World, line: &str, code: i32) -> String {
    let ran = run(world, line);
    assert_eq!(ran.code, Some(code), "{line}\n{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{line}");
    ran.stderr
}

/// Signs in, with this on standard input.
fn sign_in(world: &World, arguments: &[&str], input: &str) -> Ran {
    run_with_input(world, "login", arguments, input)
}

/// A command with this on standard input.
fn run_with_input(world: &World, command: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = world.weir.command(command, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without reading it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ran::from(child.wait_with_output().unwrap())
}

fn sign_in_as(world: &World, email: &str) {
    let ran = sign_in(
        world,
        &["--email", email, "--password-stdin"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}
