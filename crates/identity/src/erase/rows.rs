//! What tables have of a person.

use std::collections::BTreeMap;

use weir_core::Id;
use weir_store::records::{Scope, Write};

use crate::error::Result;
use crate::refresh;
use crate::tables::{
    API_KEYS, FAMILIAR_PLACES, FORMER_SESSION_TOKENS, INVITATIONS, MAIL_OUTBOX, MEMBERSHIPS,
    ONE_TIME_TOKENS, RECOVERY_CODES, REFRESH_FAMILIES, SESSIONS, THROTTLES, TOTP, USERS,
};
use crate::throttle;
use crate::user::tenants_of;

/// How many rows were removed, by table.
pub(super) type Removed = BTreeMap<String, u64>;

/// Removes what there is of an account; nothing if it is gone already.
pub(super) async fn remove_account(
    write: &mut Write,
    id: &Id,
    removed: &mut Removed,
) -> Result<()> {
    let mut add = |name: &str, rows| *removed.entry(name.to_owned()).or_default() += rows;
    refresh::end_of_user(write, id).await?;
    for (name, table) in [
        ("sessions", SESSIONS),
        ("former_session_tokens", FORMER_SESSION_TOKENS),
        ("refresh_families", REFRESH_FAMILIES),
        ("familiar_places", FAMILIAR_PLACES),
        ("totp", TOTP),
        ("recovery_codes", RECOVERY_CODES),
        ("one_time_tokens", ONE_TIME_TOKENS),
    ] {
        add(name, write.remove(table.rows(), "user_id = ?", [id]).await?);
    }
    for (name, table) in [("memberships", MEMBERSHIPS), ("api_keys", API_KEYS)] {
        let own = table.select_everywhere().with_trashed();
        let own = own.filter("user_id = ?", [id]);
        add(name, 0);
        for tenant in tenants_of(&write.all(own).await?)? {
            write.hold(&Scope::of(&tenant)).await?;
            let rows = table.of(&tenant);
            add(name, write.remove(rows, "user_id = ?", [id]).await?);
        }
    }
    add("users", write.remove(USERS.rows(), "id = ?", [id]).await?);
    Ok(())
}

/// Removes what was sent to addresses, or counted of them.
pub(super) async fn remove_addressed(
    write: &mut Write,
    emails: &[String],
    removed: &mut Removed,
) -> Result<()> {
    let mut add = |name: &str, rows| *removed.entry(name.to_owned()).or_default() += rows;
    for name in ["invitations", "one_time_tokens", "mail_outbox", "throttles"] {
        add(name, 0);
    }
    for email in emails {
        let sent = INVITATIONS
            .select_everywhere()
            .with_trashed()
            .filter("email = ?", [email]);
        for tenant in tenants_of(&write.all(sent).await?)? {
            write.hold(&Scope::of(&tenant)).await?;
            let rows = INVITATIONS.of(&tenant);
            add(
                "invitations",
                write.remove(rows, "email = ?", [email]).await?,
            );
        }
        let tokens = ONE_TIME_TOKENS.rows();
        add(
            "one_time_tokens",
            write.remove(tokens, "email = ?", [email]).await?,
        );
        let outbox = MAIL_OUTBOX.rows();
        add(
            "mail_outbox",
            write.remove(outbox, "recipient = ?", [email]).await?,
        );
        add("throttles", throttle::forget_account(write, email).await?);
        let subject = throttle::mail(email);
        let rows = THROTTLES.rows();
        let counts = write.remove(rows, "subject = ?", [&subject[..]]).await?;
        add("throttles", counts);
    }
    Ok(())
}
