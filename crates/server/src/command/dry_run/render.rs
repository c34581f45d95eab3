//! What would happen to a request, for people.

use std::fmt::Write as _;

use weir_gateway::router::Outcome;

use super::answer::{Judged, Owner, Refused, Shown};
use super::plan::{Change, Plan, Towards};
use crate::output::{Output, Style};

/// A request as it was asked about, and what became of it.
pub(super) struct Seen<'a> {
    pub(super) scheme: &'a str,
    /// Empty if only a path was given.
    pub(super) authority: &'a str,
    /// What has the routes: a file, or a Weir that runs.
    pub(super) whole: &'a str,
    pub(super) is_running: bool,
    pub(super) judged: &'a Judged,
}

pub(super) fn judged(seen: &Seen<'_>, output: &Output) -> String {
    match &seen.judged.plan {
        Some(plan) => hit(seen, plan, output),
        None => miss(seen, output),
    }
}

pub(super) fn refused(refused: &Refused, output: &Output) -> String {
    let Refused {
        reason,
        cause,
        message,
        ..
    } = refused;
    let head = output.style(Style::Bad, "refused");
    format!("{head} with 400 {reason} ({cause}): {message}\n")
}

/// The route that takes it, and what that does.
fn hit(seen: &Seen<'_>, plan: &Plan, output: &Output) -> String {
    let Judged {
        routing: explanation,
        owner,
        ..
    } = seen.judged;
    let mut text = heading(seen, output);
    let mut line = |label: &str, value: &str| {
        let label = output.style(Style::Faint, &format!("{label:<11}"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label} {value}");
    };
    let route = output.style(Style::Good, &plan.route);
    line(
        "route",
        &match owner {
            None => format!("{route} (routes[{}])", plan.index),
            Some(Owner::File) => format!("{route} (of the file)"),
            Some(Owner::Api) => format!("{route} (beside the file)"),
        },
    );
    if let Outcome::Found { path, captures, .. } = &explanation.outcome {
        line("matched", path.as_deref().unwrap_or("every path"));
        for (name, value) in captures {
            line("captured", &format!("{name} = {value}"));
        }
    }
    for (index, policy) in plan.policies.iter().enumerate() {
        line(
            "policy",
            &format!("{}. {} ({})", index + 1, policy.name, policy.kind),
        );
    }
    match &plan.towards {
        Towards::Upstream {
            name,
            balance,
            hash,
            sticky,
            targets,
            path,
            host,
            split,
            mirror,
            ..
        } => {
            let key = hash.as_ref().map(|key| format!(" of the {key}"));
            let key = key.unwrap_or_default();
            if let Some(split) = split {
                line("split", &split.text());
                if let Some(pinned) = &split.pinned {
                    line("pinned", &format!("to {name} by {pinned}"));
                }
            }
            line(
                "upstream",
                &format!("{name}: {balance}{key} over {}", targets.join(", ")),
            );
            if let Some(cookie) = sticky {
                line("sticky", &format!("cookie {cookie}"));
            }
            line("sends", &format!("{} {path}", seen.judged.request.method));
            line("host", host);
            if let Some(mirror) = mirror {
                line("mirror", &mirror.text());
            }
        }
        Towards::Aggregate { parts } => {
            for part in parts {
                let required = if part.required { ", required" } else { "" };
                line(
                    "part",
                    &format!(
                        "{}: GET {} from {}{required}",
                        part.name, part.path, part.upstream
                    ),
                );
            }
        }
        Towards::Redirect { status, location } => {
            line("redirects", &format!("{status} to {location}"));
        }
        Towards::Preflight { policy } => {
            line(
                "answers",
                &format!("the preflight with 204, by policy {policy}"),
            );
        }
        Towards::Answer { status, bytes } => {
            line(
                "answers",
                &format!("{status} with {bytes} bytes of its own"),
            );
        }
        Towards::Refusal {
            status,
            reason,
            cause,
        } => {
            let cause = cause.as_ref().map(|cause| format!(" ({cause})"));
            let cause = cause.unwrap_or_default();
            line("refuses", &format!("{status}: {reason}{cause}"));
        }
    }
    for change in &plan.request_headers {
        line("to upstream", &render_change(change));
    }
    for change in &plan.response_headers {
        line("to client", &render_change(change));
    }
    for other in &explanation.considered {
        line(
            "passed over",
            &format!("{}: {}", other.route, other.failed.join("; ")),
        );
    }
    if explanation.omitted > 0 {
        line("", &format!("and {} more", explanation.omitted));
    }
    text
}

/// `set x-route: items (policy identify)`
fn render_change(change: &Change) -> String {
    let Change {
        operation,
        name,
        value,
        from,
    } = change;
    match value {
        Some(value) => format!("{operation} {name}: {value} ({from})"),
        None if operation == "remove" => format!("{operation} {name} ({from})"),
        None => format!("{operation} {name}: not sent ({from})"),
    }
}

fn miss(seen: &Seen<'_>, output: &Output) -> String {
    let explanation = &seen.judged.routing;
    let mut text = heading(seen, output);
    let head = match &explanation.outcome {
        Outcome::Method { allowed } => {
            format!("answers 405: routes take {} here", allowed.join(", "))
        }
        Outcome::NoCredential => {
            "answers 401: routes take this request by claims only; say which with --claim"
                .to_owned()
        }
        _ => "answers 404: no route takes this request".to_owned(),
    };
    let _ = writeln!(text, "{}", output.style(Style::Bad, &head));
    if explanation.considered.is_empty() {
        let _ = writeln!(text, "No route in {} comes close to it.", seen.whole);
        return text;
    }
    let _ = writeln!(text, "\nNearest:");
    for other in &explanation.considered {
        let route = output.style(Style::Strong, &other.route);
        let path = other.path.as_deref().unwrap_or("every path");
        let place = match seen.is_running {
            // Routes beside the file have no place in it.
            true => path.to_owned(),
            false => format!("routes[{}], {path}", other.index),
        };
        let _ = writeln!(text, "  {route} ({place})");
        for failed in &other.failed {
            let _ = writeln!(text, "    - {failed}");
        }
    }
    if explanation.omitted > 0 {
        let _ = writeln!(text, "  and {} more", explanation.omitted);
    }
    text
}

fn heading(seen: &Seen<'_>, output: &Output) -> String {
    let Shown {
        method,
        path,
        query,
        ..
    } = &seen.judged.request;
    let query = query.as_ref().map(|query| format!("?{query}"));
    let query = query.unwrap_or_default();
    let line = match seen.authority {
        "" => format!("{method} {path}{query}"),
        authority => format!("{method} {}://{authority}{path}{query}", seen.scheme),
    };
    format!("{}\n\n", output.style(Style::Strong, &line))
}
