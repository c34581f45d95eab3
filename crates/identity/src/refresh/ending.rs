//! How families end: by themselves, with their sessions, with what their owner may do.

use weir_core::{Id, TenantId};
use weir_store::records::{Changes, Value};

use crate::error::Result;
use crate::revocation::{self, RevocationKind};
use crate::tables::{REFRESH_FAMILIES, REVOCATIONS};

/// Ends one, and has its access tokens refused; no if it has ended already.
pub(super) async fn end(changes: &mut Changes, family: &Id, why: &'static str) -> Result<bool> {
    let set = [
        ("revoked_at", Value::from(changes.now())),
        ("revoked_why", Value::from(why)),
        ("sealed_successor", Value::from(None::<&[u8]>)),
    ];
    let condition = "id = ? AND revoked_at IS NULL";
    let rows = REFRESH_FAMILIES.rows();
    let ended = changes.update_where(rows, condition, [family], set).await? == 1;
    if ended {
        revocation::add(changes, RevocationKind::Family, family.as_str()).await?;
    }
    Ok(ended)
}

/// With a session, those that are not to outlive it.
pub(crate) async fn end_of_session(changes: &mut Changes, session: &Id) -> Result<u64> {
    let condition = "session_id = ? AND revoked_at IS NULL";
    end_all(changes, condition, vec![Value::from(session)]).await
}

/// All of somebody but those of one session, if one is named.
pub(crate) async fn end_others(
    changes: &mut Changes,
    user: &Id,
    except: Option<&Id>,
) -> Result<u64> {
    let except = except.map_or("", Id::as_str);
    let condition =
        "user_id = ? AND revoked_at IS NULL AND (session_id IS NULL OR session_id <> ?)";
    end_all(
        changes,
        condition,
        vec![Value::from(user), Value::from(except)],
    )
    .await
}

/// All of somebody, with every access token that they have, from wherever it came.
pub(crate) async fn end_of_user(changes: &mut Changes, user: &Id) -> Result<u64> {
    let set = [
        ("revoked_at", Value::from(changes.now())),
        ("revoked_why", Value::from("user")),
        ("sealed_successor", Value::from(None::<&[u8]>)),
    ];
    let condition = "user_id = ? AND revoked_at IS NULL";
    let rows = REFRESH_FAMILIES.rows();
    let ended = changes.update_where(rows, condition, [user], set).await?;
    revocation::add(changes, RevocationKind::User, user.as_str()).await?;
    Ok(ended)
}

/// Those that somebody has for an organization that they do not belong to any more.
pub(crate) async fn end_of_member(
    changes: &mut Changes,
    organization: &TenantId,
    user: &Id,
) -> Result<u64> {
    let condition = "user_id = ? AND revoked_at IS NULL AND organization_id = ?";
    let values = vec![Value::from(user), Value::from(organization)];
    end_all(changes, condition, values).await
}

/// What nobody needs any more: families that are over, once no token of theirs could be shown for what it is not, and
/// revocations of what is over by itself.
pub(crate) async fn remove_over(changes: &mut Changes) -> Result<u64> {
    let now = changes.now();
    let families = REFRESH_FAMILIES.rows();
    let set = [
        ("previous_until", Value::from(None::<i64>)),
        ("sealed_successor", Value::from(None::<&[u8]>)),
    ];
    let condition = "previous_until IS NOT NULL AND previous_until < ?";
    changes
        .update_where(families, condition, [now], set)
        .await?;
    let ended = changes.remove_idle(families, "expires_at < ?", [now]);
    let mut gone = ended.await?;
    let revocations = REVOCATIONS.rows();
    gone += changes
        .remove_idle(revocations, "expires_at < ?", [now])
        .await?;
    Ok(gone)
}

async fn end_all(
    changes: &mut Changes,
    condition: &'static str,
    values: Vec<Value>,
) -> Result<u64> {
    let select = REFRESH_FAMILIES.rows().select().columns("id");
    let select = select.filter(condition, values).order(["id"]);
    let mut ended = 0;
    for row in changes.all(select).await? {
        ended += u64::from(end(changes, &row.id("id")?, "ended").await?);
    }
    Ok(ended)
}
