//! Whether the configured addresses can be listened on.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use http::Method;
use weir_config::Config;

use super::{Check, holder};
use crate::admin_client::{self, Admin};

const ANSWER: Duration = Duration::from_secs(1);

pub(super) fn check(config: &Config) -> Vec<Check> {
    let listeners = config
        .listeners
        .iter()
        .map(|listener| probe("listener", listener.address));
    let mut checks: Vec<Check> = listeners.collect();
    checks.push(check_admin(config.admin.address));
    checks
}

/// A free admin address is fine; if it is taken, it should be by a Weir that answers.
fn check_admin(address: SocketAddr) -> Check {
    let check = probe("admin", address);
    if check.status != super::Status::Ok || !is_taken(address) {
        return check;
    }
    match admin_client::request(&Admin::anonymous(address), Method::GET, "/readyz", ANSWER) {
        Ok(response) if response.status == 200 => {
            Check::ok("admin", format!("{}, which is ready", check.message))
                .about(address.to_string())
        }
        Ok(response) => {
            let message = format!(
                "{}, which is not ready ({})",
                check.message, response.status
            );
            Check::warn("admin", message)
                .about(address.to_string())
                .fix("look at its log")
        }
        Err(error) => Check::warn("admin", format!("{}, but {error}", check.message))
            .about(address.to_string())
            .fix("look at its log"),
    }
}

fn is_taken(address: SocketAddr) -> bool {
    let bound = TcpListener::bind(address);
    bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Listens for a moment; what is taken is looked up.
fn probe(name: &'static str, address: SocketAddr) -> Check {
    let Err(error) = TcpListener::bind(address) else {
        return Check::ok(name, "can be listened on").about(address.to_string());
    };
    let check = match error.kind() {
        ErrorKind::AddrInUse => taken(name, address),
        ErrorKind::PermissionDenied => Check::fail(name, "this user may not listen on this port")
            .fix(format!(
                "run as a service with `AmbientCapabilities=CAP_NET_BIND_SERVICE`, or take a port \
                 from 1024 on instead of {}",
                address.port()
            )),
        ErrorKind::AddrNotAvailable => Check::fail(name, "this machine does not have this address")
            .fix(format!(
                "`ip address` lists what it has; to listen on all of them, write {}",
                everywhere(address)
            )),
        _ => Check::fail(name, format!("cannot be listened on: {error}")),
    };
    check.about(address.to_string())
}

fn taken(name: &'static str, address: SocketAddr) -> Check {
    match holder::find(address) {
        Some(holder) if is_weir(&holder) => {
            let process = holder.process;
            Check::ok(name, format!("held by a running weir (process {process})"))
        }
        Some(holder) => {
            let holder::Holder {
                process,
                name: other,
            } = holder;
            Check::fail(name, format!("held by {other} (process {process})")).fix(format!(
                "stop it, or take another port than {}",
                address.port()
            ))
        }
        None => Check::fail(
            name,
            "held by another process that this user may not look at",
        )
        .fix(format!(
            "`sudo ss -ltnp 'sport = :{}'` names it; if it is Weir, all is well",
            address.port()
        )),
    }
}

fn is_weir(holder: &holder::Holder) -> bool {
    holder.name == "weir"
}

fn everywhere(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(_) => format!("0.0.0.0:{}", address.port()),
        SocketAddr::V6(_) => format!("[::]:{}", address.port()),
    }
}
