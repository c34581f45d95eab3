//! `weir user erase`: a person's data goes for good.

use super::super::api::{Api, Confirmation, details, path, person};
use crate::admin_client::Refusal;
use crate::log::printable;
use crate::output::Output;

pub(super) fn erase(
    api: &Api,
    user: &str,
    confirmation: Confirmation,
    output: &Output,
) -> anyhow::Result<()> {
    let id = person(api, None, user)?;
    let name = match api.get(&path(&["users", &id])) {
        Ok(found) => found["email"].as_str().unwrap_or(&id).to_owned(),
        // In the trash.
        Err(error) if is_missing(&error) => id.clone(),
        Err(error) => return Err(error),
    };
    let name = printable(&name);
    let what = format!("erase all that records have of {name}, which nothing brings back");
    confirmation.ask_for_name(&what, &name, output)?;
    let certificate = api.post(&path(&["users", &id, "erase"]), None)?;
    match output.json {
        true => output.print_json(&certificate),
        false => output.print(&details(&certificate, output)),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.and_then(Refusal::reason) == Some("not_found")
}
