mod compiling;
mod deciding;
mod uses;

use std::net::IpAddr;

use crate::{
    Compiled, Decision, Kind, Organization, Principal, Question, Route, Schema, Source, Strength,
    Target, compile,
};

fn requests(text: &str) -> Compiled {
    let source = Source {
        name: "shop.cedar",
        text,
    };
    compile(&[source], &Schema::requests().unwrap()).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str) -> String {
    let source = Source {
        name: "shop.cedar",
        text,
    };
    let faults = compile(&[source], &Schema::requests().unwrap()).err();
    let lines = faults.unwrap_or_default().into_iter().map(|fault| {
        let help = fault.help.as_deref().unwrap_or("-");
        format!("{fault}\n  help: {help}\n")
    });
    lines.collect()
}

/// Ada, who may read items, asks for one on a Thursday noon from 10.1.2.3.
fn question() -> Question<'static> {
    Question {
        principal: Principal {
            kind: Kind::User,
            id: "ada",
            tenant: Some("acme"),
            scopes: &["items:read"],
            roles: &["clerk"],
            claims: &[("plan", "gold")],
            ..Principal::default()
        },
        target: request("GET", "/items/1"),
        now: "2026-01-01T12:00:00Z".parse().unwrap(),
        address: Some(IpAddr::from([10, 1, 2, 3])),
        strength: Strength::Password,
        risk: 0,
    }
}

const fn request<'a>(method: &'a str, path: &'a str) -> Target<'a> {
    Target::Request {
        method,
        host: "api.example.com",
        path,
        route: Route {
            name: "items",
            host: None,
            path: "/items/*",
            tenant: Some("acme"),
        },
    }
}

fn administration(permission: &str) -> Target<'_> {
    Target::Administration {
        permission,
        organization: Organization {
            id: "org_1",
            slug: "acme",
            is_platform: false,
        },
    }
}

fn determining(decision: &Decision) -> Vec<&str> {
    decision.determining.iter().map(AsRef::as_ref).collect()
}
