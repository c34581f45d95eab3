//! `/v1/traffic`: splits, and changes of their shares while traffic flows.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use weir_config::model::{Guard, GuardAction, Share};
use weir_console::Problem;
use weir_gateway::traffic::{
    BackendReport, Change, ChangeError, ShiftPhase, ShiftReport, SplitReport, Trip,
};
use weir_identity::Caller;
use weir_store::audit::Change as Told;

use super::SharedState;
use crate::deeds::{Action, Deed, members};
use crate::log::timestamp::rfc3339;
use crate::serve::Node;

pub(super) async fn list(State(shared): SharedState) -> Response {
    let reports = shared.node.gateway.traffic().reports();
    super::json(&json!({ "splits": reports.iter().map(describe).collect::<Value>() }))
}

pub(super) async fn change(
    State(shared): SharedState,
    Extension(caller): Extension<Caller>,
    Path(route): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let change = parse(&super::read(body).await?)?;
    let node = &shared.node;
    super::not_ending(node)?;
    let traffic = node.gateway.traffic();
    let reports = traffic.reports();
    let former = reports.iter().find(|report| *report.route == *route);
    let report = traffic
        .change(&route, &change)
        .map_err(|error| refusal(&error, &route, &reports))?;
    let noted = shared.deeds.note(&caller, deed(&change, former, &report));
    // Whoever is told that it is done may restart the process next.
    if let Err(error) = save(Arc::clone(node)).await {
        tracing::error!("{error:#}");
        let problem = Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "not_kept",
            "The change is in effect, but a restart would forget it: it cannot be written.",
        );
        return Err(problem.with("message", format!("{error:#}")));
    }
    noted.settled().await;
    Ok(super::json(&describe(&report)))
}

/// What the audit is told.
fn deed(change: &Change, former: Option<&SplitReport>, report: &SplitReport) -> Deed {
    let action = match change {
        Change::Set(_) => Action::TrafficSet,
        Change::Switch(_) => Action::TrafficSwitch,
        Change::Shift { .. } => Action::TrafficShift,
        Change::Halt => Action::TrafficHalt,
        Change::Resume => Action::TrafficResume,
        Change::Rollback => Action::TrafficRollback,
        Change::Reset => Action::TrafficReset,
    };
    Deed {
        action,
        change: Told {
            before: former.map(state).unwrap_or_default(),
            after: state(report),
        },
    }
}

/// The shares of a split, and where they are going.
fn state(report: &SplitReport) -> Map<String, Value> {
    let share = |backend: &BackendReport| (backend.upstream.to_string(), json!(backend.percent));
    let shares: Map<String, Value> = report.backends.iter().map(share).collect();
    let shift = report.shift.as_ref();
    let shift = shift.map(|shift| shift_value(shift, &report.backends));
    members(json!({ "route": &*report.route, "shares": shares, "shift": shift }))
}

/// It is written to its end even if whoever asked has left.
async fn save(node: Arc<Node>) -> anyhow::Result<()> {
    spawn_blocking(move || node.traffic_file.save(node.gateway.traffic())).await?
}

fn refusal(error: &ChangeError, route: &str, reports: &[SplitReport]) -> Problem {
    let routes = reports.iter().map(|report| &*report.route);
    let own = reports.iter().find(|report| *report.route == *route);
    let upstreams = own.into_iter().flat_map(|report| &report.backends);
    let upstreams: Vec<&str> = upstreams.map(|backend| &*backend.upstream).collect();
    let named = |name: &str| {
        let known = upstreams.iter().copied();
        weir_config::suggestion(name, known, "upstreams of the split")
    };
    let (status, reason, detail, help) = match error {
        ChangeError::UnknownRoute(name) => (
            StatusCode::NOT_FOUND,
            "unknown_route",
            "No route of this name has a split.",
            Some(weir_config::suggestion(name, routes, "routes with a split")),
        ),
        ChangeError::UnknownUpstream(name) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_upstream",
            "The split does not have this upstream.",
            Some(named(name)),
        ),
        ChangeError::Twice(_) | ChangeError::BadShare(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_shares",
            "A share is not a number of percent, or is given twice.",
            None,
        ),
        ChangeError::BadSum(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_shares",
            "The shares do not add up to 100 percent.",
            Some(format!(
                "name every upstream with a share: {}",
                upstreams.join(", ")
            )),
        ),
        ChangeError::HandedOver => return super::upgrading(),
        ChangeError::NothingToHalt | ChangeError::NothingToResume => (
            StatusCode::CONFLICT,
            "no_shift",
            "There is no shift to halt or to go on with.",
            None,
        ),
    };
    let problem = Problem::new(status, reason, detail).with("message", error.to_string());
    match help {
        Some(help) => problem.with("help", help),
        None => problem,
    }
}

/// An object with one member, which says what to do.
fn parse(bytes: &[u8]) -> Result<Change, Problem> {
    let bad = |message: &str| {
        let problem = Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_body",
            "The request body must be a JSON object with one member: set, switch, shift, halt, resume, rollback or reset.",
        );
        problem.with("message", message)
    };
    let members = serde_json::from_slice::<Map<String, Value>>(bytes)
        .map_err(|_| bad("not a JSON object"))?;
    let mut members = members.into_iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        return Err(bad("there has to be exactly one member"));
    };
    let plain = |change| match value {
        Value::Bool(true) => Ok(change),
        _ => Err(bad("its value has to be true")),
    };
    match name.as_str() {
        "set" => Ok(Change::Set(
            shares(&value).map_err(|message| bad(&message))?,
        )),
        "switch" => match &value {
            Value::String(upstream) => Ok(Change::Switch(upstream.clone())),
            _ => Err(bad("`switch` has to be the name of an upstream")),
        },
        "shift" => shift(&value).map_err(|message| bad(&message)),
        "halt" => plain(Change::Halt),
        "resume" => plain(Change::Resume),
        "rollback" => plain(Change::Rollback),
        "reset" => plain(Change::Reset),
        other => Err(bad(&format!("unknown member `{other}`"))),
    }
}

fn shift(value: &Value) -> Result<Change, String> {
    let members = value.as_object().ok_or("`shift` has to be an object")?;
    if let Some(other) = members
        .keys()
        .find(|key| !["to", "over"].contains(&key.as_str()))
    {
        return Err(format!("unknown member `{other}` of `shift`"));
    }
    let to = shares(members.get("to").unwrap_or(&Value::Null))?;
    let over = members.get("over").and_then(Value::as_str);
    let over = over.ok_or("`over` has to be a duration, such as 10m")?;
    let over = weir_config::parse_duration(over)?;
    Ok(Change::Shift { to, over })
}

/// Percent by names.
fn shares(value: &Value) -> Result<Vec<(String, f64)>, String> {
    let members = value.as_object().filter(|members| !members.is_empty());
    let members =
        members.ok_or("shares have to be an object, as in {\"green\": 20, \"blue\": 80}")?;
    let share = |(name, value): (&String, &Value)| match value.as_f64() {
        Some(percent) => Ok((name.clone(), percent)),
        None => Err(format!(
            "the share of `{name}` has to be a number of percent"
        )),
    };
    members.iter().map(share).collect()
}

fn describe(report: &SplitReport) -> Value {
    let upstreams: Value = report.backends.iter().map(backend).collect();
    let held = report.held.as_ref();
    json!({
        "route": &*report.route,
        "upstreams": upstreams,
        "override": held.map(|held| json!({ "since": time(held.since), "by": held.by })),
        "shift": report.shift.as_ref().map(|shift| shift_value(shift, &report.backends)),
        "guard": report.guard.as_ref().map(|guard| guard_value(guard, report.trip.as_ref())),
    })
}

fn backend(backend: &BackendReport) -> Value {
    let p99 = backend.recent_p99.map(|p99| p99.as_micros() as f64 / 1e3);
    json!({
        "name": &*backend.upstream,
        "percent": backend.percent,
        "configured_percent": backend.file_percent,
        "requests": backend.requests,
        "failed": backend.failed,
        "recent": {
            "requests": backend.recent_requests,
            "failed_percent": backend.recent_failed_percent,
            "p99_ms": p99,
        },
    })
}

fn shift_value(shift: &ShiftReport, backends: &[BackendReport]) -> Value {
    let named = |percents: &[f64]| -> Map<String, Value> {
        let pairs = backends.iter().zip(percents);
        let pairs = pairs.map(|(backend, percent)| (backend.upstream.to_string(), json!(percent)));
        pairs.collect()
    };
    json!({
        "state": phase(shift.phase),
        "from": named(&shift.from),
        "to": named(&shift.to),
        "over_ms": millis(shift.over),
        "left_ms": millis(shift.left),
        "progress_percent": (shift.progress * 1e4).round() / 1e2,
    })
}

fn phase(phase: ShiftPhase) -> &'static str {
    match phase {
        ShiftPhase::Running => "running",
        ShiftPhase::Halted => "halted",
        ShiftPhase::Done => "done",
        ShiftPhase::RolledBack => "rolled_back",
    }
}

fn guard_value(guard: &Guard, trip: Option<&Trip>) -> Value {
    let then = match guard.then {
        GuardAction::Rollback => "rollback",
        GuardAction::Halt => "halt",
    };
    json!({
        "error_rate_percent": guard.error_rate.map(Share::percent),
        "latency_ms": guard.latency.map(millis),
        "window_ms": millis(guard.window),
        "min_requests": guard.minimum_requests,
        "then": then,
        "acted": trip.map(|trip| json!({
            "at": time(trip.at),
            "upstream": trip.upstream,
            "reason": trip.reason,
        })),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn time(since_1970: u64) -> String {
    // A damaged file may hold any number.
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(since_1970));
    rfc3339(time.unwrap_or(UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Change, String> {
        parse(text.as_bytes()).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn a_body_says_one_thing() {
        let shares = vec![("green".to_owned(), 20.5), ("blue".to_owned(), 79.5)];
        let change = parsed(r#"{"set": {"green": 20.5, "blue": 79.5}}"#).unwrap();
        let Change::Set(mut found) = change else {
            panic!("{change:?}");
        };
        found.sort_by(|one, other| other.0.cmp(&one.0));
        assert_eq!(found, shares);
        assert_eq!(
            parsed(r#"{"switch": "green"}"#),
            Ok(Change::Switch("green".into()))
        );
        assert_eq!(
            parsed(r#"{"shift": {"to": {"green": 100}, "over": "10m"}}"#),
            Ok(Change::Shift {
                to: vec![("green".into(), 100.0)],
                over: Duration::from_secs(600)
            })
        );
        for (name, change) in [
            ("halt", Change::Halt),
            ("resume", Change::Resume),
            ("rollback", Change::Rollback),
            ("reset", Change::Reset),
        ] {
            assert_eq!(parsed(&format!("{{\"{name}\": true}}")), Ok(change));
            assert!(parsed(&format!("{{\"{name}\": false}}")).is_err());
        }
    }

    #[test]
    fn other_bodies_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"halt": true, "reset": true}"#,
            r#"{"set": {}}"#,
            r#"{"set": {"green": "20"}}"#,
            r#"{"set": ["green"]}"#,
            r#"{"switch": {"green": 100}}"#,
            r#"{"shift": {"to": {"green": 100}}}"#,
            r#"{"shift": {"over": "10m"}}"#,
            r#"{"shift": {"to": {"green": 100}, "over": "10"}}"#,
            r#"{"shift": {"to": {"green": 100}, "over": "0s"}}"#,
            r#"{"shift": {"to": {"green": 100}, "over": "1m", "step": 1}}"#,
            r#"{"move": true}"#,
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_that_there_is_not_is_no_panic() {
        assert!(time(u64::MAX).ends_with('Z'));
    }
}
