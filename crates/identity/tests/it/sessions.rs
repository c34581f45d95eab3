//! Sessions: what a token opens, until when.

use weir_core::TenantId;
use weir_identity::{BuiltIn, Error, Permission};

use crate::engines::{PASSWORD, built_in, by, client, fresh, on_both_engines, operator};

on_both_engines! {
    a_session_tells_all_that_is_needed,
    a_session_ends_by_itself,
    being_used_is_written_down_in_batches,
    sessions_are_ended_one_by_one_and_all_at_once,
    what_has_run_out_is_swept,
    what_is_no_token_is_nobodys,
}

async fn a_session_tells_all_that_is_needed(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let user = fresh.person("zoe@a.example").await;
    identity
        .add_member(&operator(), &acme, &user.id, &built_in(BuiltIn::Viewer))
        .await
        .unwrap();
    let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
    let who = identity
        .authenticate(token.expose())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(who.belongings.len(), 1);
    assert!(who.permissions(&acme).has(Permission::RouteRead));
    assert!(!who.permissions(&acme).has(Permission::RouteWrite));
    assert_eq!(who.permissions(&TenantId::generate()), Default::default());
    // Who is suspended or gone is nobody, at once.
    identity
        .suspend_user(&operator(), &user.id, None, "away")
        .await
        .unwrap();
    assert!(
        identity
            .authenticate(token.expose())
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_session_ends_by_itself(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let is_alive = async |token: &str| identity.authenticate(token).await.unwrap().is_some();
    for (column, passes, lives) in [
        ("last_seen_at", 899, true),
        ("last_seen_at", 901, false),
        ("expires_at", 86_300, true),
        ("expires_at", 86_401, false),
    ] {
        let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
        fresh.set_time("sessions", column, -passes).await;
        assert_eq!(is_alive(token.expose()).await, lives, "{column} {passes}");
    }
}

async fn being_used_is_written_down_in_batches(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
    fresh.set_time("sessions", "last_seen_at", -800).await;
    let audited = fresh.actions(&TenantId::platform()).await.len();
    identity
        .authenticate(token.expose())
        .await
        .unwrap()
        .unwrap();
    // Known here at once, in the records after the next round.
    fresh.set_time("sessions", "last_seen_at", -800).await;
    assert_eq!(identity.sessions(&user.id).await.unwrap().len(), 1);
    let sessions = weir_store::records::PlatformTable::new("sessions").rows();
    let seen = async || {
        let row = fresh.records.first(sessions.select()).await;
        row.unwrap().unwrap().time("last_seen_at").unwrap()
    };
    let before = seen().await;
    identity.flush_activity().await.unwrap();
    assert!(seen().await > before);
    assert_eq!(fresh.actions(&TenantId::platform()).await.len(), audited);
}

async fn sessions_are_ended_one_by_one_and_all_at_once(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let other = fresh.person("other@a.example").await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(fresh.signed_in("zoe@a.example", PASSWORD).await);
    }
    let is_alive = async |at: usize| {
        let token = sessions[at].token.expose();
        identity.authenticate(token).await.unwrap().is_some()
    };
    // Somebody else's is not there.
    assert!(matches!(
        identity
            .revoke_session(&by(&other), &other.id, &sessions[0].session.id)
            .await,
        Err(Error::Missing("session"))
    ));
    identity
        .revoke_session(&by(&user), &user.id, &sessions[0].session.id)
        .await
        .unwrap();
    assert!(!is_alive(0).await && is_alive(1).await);
    identity
        .sign_out(&client(), sessions[1].token.expose())
        .await
        .unwrap();
    assert!(!is_alive(1).await);
    identity.sign_out(&client(), "nobody's").await.unwrap();
    let kept = &sessions[2].session.id;
    let ended = identity
        .revoke_sessions(&by(&user), &user.id, Some(kept))
        .await;
    assert_eq!(ended.unwrap(), 1);
    assert!(is_alive(2).await && !is_alive(3).await);
    assert_eq!(identity.sessions(&user.id).await.unwrap().len(), 1);
}

async fn what_has_run_out_is_swept(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    identity.issue_reset(&operator(), &user.id).await.unwrap();
    identity.sweep().await.unwrap();
    assert_eq!(identity.sessions(&user.id).await.unwrap().len(), 1);
    fresh.set_time("sessions", "expires_at", -90_000).await;
    fresh
        .set_time("one_time_tokens", "expires_at", -90_000)
        .await;
    fresh.set_time("throttles", "forgotten_at", -90_000).await;
    // A session, the link that set the password is gone already, a link, and a count of the address and of the account.
    assert_eq!(identity.sweep().await.unwrap(), 4);
    assert_eq!(identity.sweep().await.unwrap(), 0);
}

async fn what_is_no_token_is_nobodys(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
    let token = token.expose();
    let long = "x".repeat(100_000);
    let changed = format!("{}A", &token[..token.len() - 1]);
    let other = format!("{}B", &token[..token.len() - 1]);
    for bad in [
        "",
        "weir_session_",
        "' OR 1=1 --",
        &token[1..],
        &token.to_uppercase(),
        &format!("{token} "),
        &format!("{token}\0"),
        &long,
        if *token == changed { &other } else { &changed },
    ] {
        assert!(fresh.identity.authenticate(bad).await.unwrap().is_none());
    }
}
