//! `weir match`: what would happen to a request, without sending one.

mod answer;
mod claims;
mod plan;
mod question;
mod render;
mod target;
mod traffic;

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use http::{HeaderName, HeaderValue, Method};

pub(crate) use self::answer::{Answer, Owner};
use self::claims::Claim;
pub(crate) use self::question::Question;
use self::question::{Asked, method};
use self::render::Seen;
use super::admin_address::Ask;
use super::api::Api;
use crate::cli::Global;
use crate::output::Output;

/// Show what would happen to a request
///
/// Finds the route as the running gateway would, and shows what the path captured, which policies
/// act, which upstream it goes to, and the path, host and headers that arrive there. If no route
/// takes the request, the nearest ones are shown with what keeps them from it. Nothing is sent.
///
/// The configuration file is what is looked at; with `--running` or `--admin` the running Weir is asked, which
/// knows the routes that are kept beside the file as well.
///
/// The request is taken to come from this machine. Values that come from references (`env:`,
/// `file:`) are shown as `[redacted]`. The exit status is 1 if no route takes the request, or
/// if it is refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir match GET http://api.example.com/items/7
    weir match GET https://api.example.com/items/7 -H 'accept: application/json'
    weir match GET /items/7 -H 'host: api.example.com' --json
    weir match GET http://api.example.com/items/7 --claim tenant=acme --claim plan=gold
    weir match --running GET http://api.example.com/items/7")]
pub(crate) struct Arguments {
    /// Method
    #[arg(value_parser = method)]
    method: Method,
    /// URL as the client sees it, or a path together with `-H 'host: NAME'`
    #[arg(value_parser = url)]
    url: String,
    /// A header field of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A claim of the credential with which the request comes; may be given several times, several values of one
    /// claim as well. Without any, the request comes without a credential
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claims::parse)]
    claims: Vec<Claim>,
    /// Ask the running Weir, not the file
    #[arg(long)]
    running: bool,
    #[command(flatten)]
    ask: Ask,
}

fn url(text: &str) -> Result<String, &'static str> {
    text.parse::<target::Target>().map(|_| text.to_owned())
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

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    claims::principal(&arguments.claims).map_err(|(index, why)| {
        anyhow::anyhow!("the claim `{}` {why}", arguments.claims[index].name)
    })?;
    let asked = Asked {
        method: arguments.method.clone(),
        url: arguments.url.parse().map_err(anyhow::Error::msg)?,
        headers: arguments.headers.clone(),
        claims: arguments.claims.clone(),
    };
    let is_running = arguments.running || arguments.ask.is_named();
    let (answer, whole) = match is_running {
        true => {
            let api = Api::find(&arguments.ask, global, output)?;
            let question = serde_json::to_value(Question::of(&asked, &arguments.url))?;
            let answer = api.post("/v1/match", Some(&question))?;
            let answer = serde_json::from_value(answer)
                .context("the answer of the admin listener is of another version")?;
            (answer, api.admin().place.to_string())
        }
        false => {
            let loaded = weir_config::load(&global.config, &global.lenient())?;
            let whole = global.config.display().to_string();
            (Answer::of(&asked, &loaded.config), whole)
        }
    };
    let code = match answer.is_taken() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    if output.json {
        output.print_json(&answer)?;
        return Ok(code);
    }
    output.print(&match &answer {
        Answer::Refused { refused } => render::refused(refused, output),
        Answer::Judged(judged) => {
            let seen = Seen {
                scheme: asked.url.scheme,
                authority: asked.authority(),
                whole: &whole,
                is_running,
                judged,
            };
            render::judged(&seen, output)
        }
    })?;
    Ok(code)
}
