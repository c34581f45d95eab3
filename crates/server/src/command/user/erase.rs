//! `weir user erase`: a person's data goes for good.

use serde_json::json;

use super::super::api::{Api, Confirmation, details, path};
use crate::admin_client::Refusal;
use crate::log::printable;
use crate::output::Output;

pub(super) fn erase(
    api: &Api,
    user: &str,
    confirmation: Confirmation,
    output: &Output,
) -> anyhow::Result<()> {
    // Whose address it is, the API finds out: it need not be an account's.
    let is_address = user.contains('@');
    let name = match is_address {
        true => user.to_lowercase(),
        false => match api.get(&path(&["users", user])) {
            Ok(found) => found["email"].as_str().unwrap_or(user).to_owned(),
            // In the trash, or gone.
            Err(error) if is_missing(&error) => user.to_owned(),
            Err(error) => return Err(error),
        },
    };
    let name = printable(&name);
    let what = format!("erase all that records have of {name}, which nothing brings back");
    confirmation.ask_for_name(&what, &name, output)?;
    let certificate = match is_address {
        true => api.post(&path(&["erasures"]), Some(&json!({ "email": user }))),
        false => api.post(&path(&["users", user, "erase"]), None),
    }?;
    match output.json {
        true => output.print_json(&certificate),
        false => output.print(&details(&certificate, output)),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.and_then(Refusal::reason) == Some("not_found")
}
