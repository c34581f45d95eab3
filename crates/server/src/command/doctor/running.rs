//! What a Weir that runs with this data directory says of itself: records, and resources beside the file.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use weir_config::Config;
use weir_core::Secret;

use super::Check;
use crate::admin_client::{self, Admin};
use crate::command::revision::without;
use crate::credential::{Credential, Source};
use crate::operator;
use crate::serve::pid_file;

const ANSWER: Duration = Duration::from_secs(2);

/// Nothing if none runs, or it does not say.
pub(super) fn check(config: &Config) -> Vec<Check> {
    let status = status(config).unwrap_or_default();
    let records = records(&status["records"]);
    records
        .into_iter()
        .chain(resources(&status["resources"]))
        .collect()
}

fn status(config: &Config) -> Option<Value> {
    // It is there while one runs, and may be left from one that was killed.
    let address = pid_file::read_admin(&config.data)?;
    let token = operator::load(&config.data).ok()??;
    let credential = Credential::new(Secret::new(token.expose().to_owned()), Source::Operator);
    let admin = Admin::anonymous(address).with(Some(credential));
    let answer = admin_client::request(&admin, Method::GET, "/v1/status", ANSWER).ok()?;
    answer.json().filter(|_| answer.status == 200)
}

fn records(records: &Value) -> Option<Check> {
    const NAME: &str = "records";
    let why = || records["error"].as_str().map(crate::log::printable);
    Some(match records["condition"].as_str()? {
        "available" => Check::ok(NAME, "available"),
        "starting" => Check::ok(NAME, "being brought up to date"),
        condition => Check::fail(NAME, why().unwrap_or_else(|| format!("are {condition}")))
            .fix("traffic goes on without; accounts, audit and changes by API wait for them"),
    })
}

fn resources(resources: &Value) -> Option<Check> {
    const NAME: &str = "resources";
    let missing: Vec<String> = without(resources).collect();
    let refused = &resources["refused"]["revision"];
    Some(match (missing.as_slice(), refused.as_i64()) {
        ([], None) => {
            let revision = resources["revision"].as_i64()?;
            Check::ok(NAME, format!("revision {revision} is in effect"))
        }
        ([], Some(refused)) => {
            Check::warn(NAME, format!("this node cannot run revision {refused}"))
                .fix("`weir revision list` says why; the revision before stays in effect")
        }
        (missing, _) => Check::warn(
            NAME,
            format!("this node runs without {}", missing.join("; ")),
        )
        .fix("`weir explain` knows the codes; put the file, the key or the resource right"),
    })
}
