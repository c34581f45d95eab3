//! What one decision costs: `cargo run --release -p weir-authorization --example decide`.

#![expect(clippy::print_stdout, reason = "prints what it measured")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use weir_authorization::{
    Kind, Principal, Question, Route, Schema, Source, Strength, Target, compile,
};

const ROUNDS: u32 = 200_000;

const SCOPES: &str = r#"
permit (principal, action in Action::"read", resource)
when { principal.scopes.contains("items:read") };
"#;

const CONTEXT: &str = r#"
permit (principal, action in Action::"read", resource)
when { principal.scopes.contains("items:read") };
permit (principal, action, resource)
when { principal.hasTag("plan") && principal.getTag("plan") == "gold" && context.level >= 1 };
forbid (principal, action, resource)
unless { context.address.isInRange(ip("10.0.0.0/8")) };
forbid (principal, action in Action::"write", resource)
when { context.time.toTime() < duration("6h") || context.risk > 80 };
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = Schema::requests().map_err(|fault| fault.to_string())?;
    let question = Question {
        principal: Principal {
            kind: Kind::Client,
            id: "ada",
            issuer: Some("https://issuer.example"),
            tenant: Some("acme"),
            scopes: &["items:read", "items:write"],
            roles: &["clerk"],
            claims: &[("plan", "gold"), ("locale", "en")],
            ..Principal::default()
        },
        target: Target::Request {
            method: "GET",
            host: "api.example.com",
            path: "/items/1",
            route: Route {
                name: "items",
                path: "/items/*",
                ..Route::default()
            },
        },
        now: "2026-01-01T12:00:00Z".parse()?,
        address: Some(IpAddr::from([10, 1, 2, 3])),
        strength: Strength::Token,
        risk: 0,
    };
    for (name, text) in [
        ("one rule, scopes", SCOPES),
        ("four rules, context", CONTEXT),
    ] {
        let compiled =
            compile(&[Source { name, text }], &schema).map_err(|faults| faults[0].to_string())?;
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            assert!(compiled.decide(black_box(&question)).allowed);
        }
        println!("{name}: {:?} a decision", begun.elapsed() / ROUNDS);
    }
    Ok(())
}
