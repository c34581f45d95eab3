//! A server that fails on demand, to see what a gateway makes of it.
//!
//! ```text
//! cargo run --example faulty-upstream -- --port 9001 --tls-port 9443 --authority ca.pem
//! ```
//!
//! A behaviour on standard input, one a line, changes all ports (`reset-before-head`, or with a
//! number, `1 reset-before-head`, the first one); a path asks for one request
//! (`/fault/answer=503,retry-after=60`). `seen` prints what was seen, `help` names the behaviours.
#![allow(
    clippy::print_stdout,
    reason = "a tool for the terminal: this is its interface"
)]

#[path = "../tests/faulty/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "shared with the tests, which use more of it"
)]
mod faulty;

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser;
use faulty::{Behaviour, Faulty};

/// A server that fails on demand.
#[derive(Parser)]
struct Arguments {
    /// Port for HTTP/1.1 and HTTP/2 in the clear; may be repeated.
    #[arg(long)]
    port: Vec<u16>,
    /// Port for TLS, with a certificate for `faulty.test` and 127.0.0.1; may be repeated.
    #[arg(long)]
    tls_port: Vec<u16>,
    /// Where to write the authority of the last TLS port's certificate.
    #[arg(long)]
    authority: Option<std::path::PathBuf>,
    /// What to do at first.
    #[arg(default_value = "answer")]
    behaviour: Behaviour,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let local = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let mut servers = Vec::new();
    for port in &arguments.port {
        servers.push(Faulty::plain(local(port))?);
    }
    for port in &arguments.tls_port {
        let server = Faulty::tls(local(port))?;
        if let (Some(path), Some(pem)) = (&arguments.authority, server.authority()) {
            std::fs::write(path, pem)?;
        }
        servers.push(server);
    }
    for (at, server) in servers.iter().enumerate() {
        server.behave(arguments.behaviour.clone());
        println!("{} on {}", at + 1, server.address);
    }
    for line in io::stdin().lock().lines() {
        if let Err(mistake) = obey(line?.trim(), &servers) {
            println!("{mistake}");
        }
    }
    // Without a terminal it serves until it is ended.
    loop {
        std::thread::park();
    }
}

fn obey(line: &str, servers: &[Faulty]) -> Result<(), String> {
    match line {
        "" => {}
        "help" => {
            let names: Vec<&str> = faulty::all().into_iter().map(|(name, _)| name).collect();
            println!("{}", names.join("\n"));
        }
        "seen" => {
            for server in servers {
                println!("{} {:?}", server.address, server.seen());
            }
        }
        _ => {
            let (which, name) = line.split_once(' ').unwrap_or(("", line));
            let behaviour: Behaviour = name.trim().parse()?;
            let only = match which {
                "" => None,
                number => Some(
                    number
                        .parse::<usize>()
                        .map_err(|_| format!("no number: {number}"))?,
                ),
            };
            for (at, server) in servers.iter().enumerate() {
                if only.is_none_or(|only| only == at + 1) {
                    server.behave(behaviour.clone());
                }
            }
        }
    }
    Ok(())
}
