//! `weir match`: what would happen to a request, without sending one.

mod plan;
mod target;
mod traffic;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use weir_config::model::{Config, EncodedSlash};
use weir_core::path::Rules;
use weir_gateway::router::{Explanation, Outcome, RouteRequest, Router};
use weir_gateway::{Failure, Fields, preflight};

use self::plan::{Change, Plan, Towards};
use self::target::Target;
use crate::cli::Global;
use crate::output::{Output, Style};

/// Show what would happen to a request
///
/// Finds the route as the running gateway would, and shows what the path captured, which policies
/// act, which upstream it goes to, and the path, host and headers that arrive there. If no route
/// takes the request, the nearest ones are shown with what keeps them from it. Nothing is sent.
///
/// The request is taken to come from this machine. Values that come from references (`env:`,
/// `file:`) are shown as `[redacted]`. The exit status is 1 if no route takes the request, or
/// if it is refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir match GET http://api.example.com/items/7
    weir match GET https://api.example.com/items/7 -H 'accept: application/json'
    weir match GET /items/7 -H 'host: api.example.com' --json")]
pub(crate) struct Arguments {
    /// Method
    #[arg(value_parser = parse_method)]
    method: Method,
    /// URL as the client sees it, or a path together with `-H 'host: NAME'`
    url: Target,
    /// A header field of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// As it stands: methods are case-sensitive (RFC 9110 §9.1), and so is the gateway.
fn parse_method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_| "not a method".to_owned())
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `name: value`")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{name}` is not a header name"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value has control characters".to_owned())?;
    Ok((name, value))
}

/// The request as the gateway would see it.
#[derive(Debug)]
struct Request {
    method: Method,
    scheme: &'static str,
    /// With port, as the client writes it.
    authority: String,
    /// Lower case, without port.
    host: String,
    /// Normalised.
    path: String,
    query: Option<String>,
    fields: Fields,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let loaded = weir_config::load(&global.config, &global.lenient())?;
    let config = &loaded.config;
    let request = match request(arguments, config) {
        Ok(request) => request,
        Err(error) => return refuse(&error, output),
    };
    let explanation = explain(&request, config);
    let plan = match &explanation.outcome {
        Outcome::Found { index, .. } => Some(Plan::new(*index, &request, &loaded)),
        Outcome::NoRoute | Outcome::Method { .. } => None,
    };
    if output.json {
        output.print_json(&json!({
            "request": {
                "method": request.method.as_str(),
                "host": request.host,
                "path": request.path,
                "query": request.query,
            },
            "routing": explanation,
            "plan": plan,
        }))?;
    } else {
        let text = match &plan {
            Some(plan) => render(&request, &explanation, plan, output),
            None => render_miss(&request, &explanation, &global.config, output),
        };
        output.print(&text)?;
    }
    let is_refused = |plan: &Plan| matches!(plan.towards, Towards::Refusal { .. });
    Ok(if plan.as_ref().is_none_or(is_refused) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The route that takes the request; a preflight is for that of the request which it asks about.
fn explain(request: &Request, config: &Config) -> Explanation {
    let router = Router::compile(&config.routes);
    let wanted = request.route_request();
    if let Some(method) = preflight::asked_method(&request.method, &request.fields) {
        let about = RouteRequest {
            method: &method,
            ..wanted
        };
        let explanation = router.explain(&about);
        if let Outcome::Found { index, .. } = &explanation.outcome
            && plan::cors(&config.routes[*index], config).is_some()
        {
            return explanation;
        }
    }
    router.explain(&wanted)
}

impl Request {
    fn route_request(&self) -> RouteRequest<'_> {
        RouteRequest {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            fields: &self.fields,
        }
    }
}

fn request(arguments: &Arguments, config: &Config) -> Result<Request, weir_core::path::PathError> {
    let Arguments {
        method,
        url,
        headers,
    } = arguments;
    let mut authority = url.authority.clone();
    let mut fields = Fields::with_capacity(headers.len());
    for (name, value) in headers {
        if name == HOST {
            authority = value.to_str().unwrap_or_default().to_owned();
        } else {
            fields.append(name.clone(), value.clone());
        }
    }
    let rules = Rules {
        keep_encoded_slash: config.encoded_slash == EncodedSlash::Keep,
        ..Rules::default()
    };
    let path = weir_core::path::normalise(&url.path, rules)?.into_owned();
    let query = url.query.as_deref().map(weir_core::path::normalise_query);
    let query = query.transpose()?.map(Cow::into_owned);
    Ok(Request {
        method: method.clone(),
        scheme: url.scheme,
        host: target::host_of(&authority),
        authority,
        path,
        query,
        fields,
    })
}

/// The gateway answers such a path or query with 400 before it looks for a route.
fn refuse(error: &weir_core::path::PathError, output: &Output) -> anyhow::Result<ExitCode> {
    let cause = error.reason();
    let reason = Failure::BadPath(cause).reason();
    if output.json {
        let refused = json!({
            "status": 400,
            "reason": reason,
            "cause": cause,
            "message": error.to_string(),
        });
        output.print_json(&json!({ "refused": refused }))?;
    } else {
        let head = output.style(Style::Bad, "refused");
        output.print(&format!("{head} with 400 {reason} ({cause}): {error}\n"))?;
    }
    Ok(ExitCode::FAILURE)
}

fn render(request: &Request, explanation: &Explanation, plan: &Plan, output: &Output) -> String {
    let mut text = heading(request, output);
    let mut line = |label: &str, value: &str| {
        let label = output.style(Style::Faint, &format!("{label:<11}"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label} {value}");
    };
    let route = output.style(Style::Good, &plan.route);
    line("route", &format!("{route} (routes[{}])", plan.index));
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
            line("sends", &format!("{} {path}", request.method));
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
            let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
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
        None if *operation == "remove" => format!("{operation} {name} ({from})"),
        None => format!("{operation} {name}: not sent ({from})"),
    }
}

fn render_miss(
    request: &Request,
    explanation: &Explanation,
    config: &Path,
    output: &Output,
) -> String {
    let mut text = heading(request, output);
    let head = match &explanation.outcome {
        Outcome::Method { allowed } => {
            format!("answers 405: routes take {} here", allowed.join(", "))
        }
        _ => "answers 404: no route takes this request".to_owned(),
    };
    let _ = writeln!(text, "{}", output.style(Style::Bad, &head));
    if explanation.considered.is_empty() {
        let _ = writeln!(text, "No route in {} comes close to it.", config.display());
        return text;
    }
    let _ = writeln!(text, "\nNearest:");
    for other in &explanation.considered {
        let route = output.style(Style::Strong, &other.route);
        let path = other.path.as_deref().unwrap_or("every path");
        let _ = writeln!(text, "  {route} (routes[{}], {path})", other.index);
        for failed in &other.failed {
            let _ = writeln!(text, "    - {failed}");
        }
    }
    if explanation.omitted > 0 {
        let _ = writeln!(text, "  and {} more", explanation.omitted);
    }
    text
}

fn heading(request: &Request, output: &Output) -> String {
    let query = request
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let Request {
        method,
        scheme,
        authority,
        path,
        ..
    } = request;
    let line = match authority.as_str() {
        "" => format!("{method} {path}{query}"),
        authority => format!("{method} {scheme}://{authority}{path}{query}"),
    };
    format!("{}\n\n", output.style(Style::Strong, &line))
}
