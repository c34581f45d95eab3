//! `/v1/bans`: addresses that are not served for a while.

use std::net::IpAddr;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, json};
use weir_console::Problem;
use weir_identity::Caller;
use weir_store::audit::Change;

use super::SharedState;
use crate::deeds::{Action, Deed, members};

#[derive(Serialize)]
struct Bans {
    bans: Vec<Ban>,
}

#[derive(Serialize)]
struct Ban {
    /// An IPv4 address, or an IPv6 network.
    address: String,
    seconds_left: f64,
}

#[derive(Serialize)]
struct Lifted {
    outcome: &'static str,
}

pub(super) async fn list(State(shared): SharedState) -> Response {
    let bans = shared.node.gateway.bans();
    super::json(&Bans {
        bans: bans
            .iter()
            .map(|ban| Ban {
                address: ban.source.to_string(),
                seconds_left: (ban.left.as_secs_f64() * 1e3).ceil() / 1e3,
            })
            .collect(),
    })
}

/// The address may be any of an IPv6 network.
pub(super) async fn lift(
    State(shared): SharedState,
    Extension(caller): Extension<Caller>,
    Path(address): Path<String>,
) -> Result<Response, Problem> {
    // What the list shows of an IPv6 network can be given back.
    let host = address.strip_suffix("/64").unwrap_or(&address);
    let address: IpAddr = host.parse().map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_address",
            "The last segment of the path must be an IP address.",
        )
    })?;
    if shared.node.gateway.lift_ban(address) {
        let deed = Deed {
            action: Action::BanLift,
            change: Change {
                before: members(json!({ "address": address })),
                after: Map::new(),
            },
        };
        shared.deeds.note(&caller, deed).settled().await;
        return Ok(super::json(&Lifted { outcome: "lifted" }));
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "not_banned",
        "The address is not banned.",
    ))
}
