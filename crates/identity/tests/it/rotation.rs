//! Another token in the place of a session's.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use weir_core::{Id, TenantId};
use weir_identity::{BuiltIn, Caller, Error, Identity, SessionOptions, TokenState};

use crate::engines::{
    Fresh, PASSWORD, built_in, by, client, client_at, fresh, on_both_engines, operator, options,
    proof,
};

on_both_engines! {
    a_token_is_replaced_after_an_hour_and_works_for_a_moment_more,
    fifty_at_once_end_with_one_new_token,
    nodes_with_the_same_key_tell_the_same_successor,
    a_former_token_renews_nothing,
    a_successor_is_not_told_behind_a_change_of_rights,
    what_changes_somebodys_rights_makes_their_token_due,
    the_longest_life_does_not_slide,
    limits_are_those_of_the_options,
    a_token_that_was_replaced_long_ago_is_told_once,
    what_ended_stays_ended_after_a_restart,
    every_end_of_a_session_is_told_to_all_nodes,
}

async fn state(identity: &Identity, token: &str) -> Option<TokenState> {
    let found = identity.authenticate(token).await.unwrap();
    found.map(|who| who.token)
}

async fn rotated(identity: &Identity, token: &str) -> Option<String> {
    let told = identity.rotate_session(&client(), token).await.unwrap();
    told.map(|token| token.expose().clone())
}

async fn token_of(fresh: &Fresh, email: &str) -> String {
    let signed_in = fresh.signed_in(email, PASSWORD).await;
    signed_in.token.expose().clone()
}

async fn a_token_is_replaced_after_an_hour_and_works_for_a_moment_more(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    assert_eq!(state(identity, &first).await, Some(TokenState::Current));
    fresh.set_time("sessions", "rotate_at", -3_590).await;
    assert_eq!(state(identity, &first).await, Some(TokenState::Current));
    assert_eq!(rotated(identity, &first).await, None);
    fresh.set_time("sessions", "rotate_at", -10).await;
    assert_eq!(state(identity, &first).await, Some(TokenState::Due));
    let before = identity.authenticate(&first).await.unwrap().unwrap();
    let second = rotated(identity, &first).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(state(identity, &second).await, Some(TokenState::Current));
    assert_eq!(state(identity, &first).await, Some(TokenState::Former));
    let after = identity.authenticate(&second).await.unwrap().unwrap();
    assert_eq!(after.session.id, before.session.id);
    let actions = fresh.actions(&TenantId::platform()).await;
    assert_eq!(actions.last().unwrap(), "session.rotate");
    fresh
        .set_time("former_session_tokens", "works_until", -30)
        .await;
    assert_eq!(state(identity, &first).await, None);
    assert_eq!(rotated(identity, &first).await, None);
    assert_eq!(state(identity, &second).await, Some(TokenState::Current));
}

async fn fifty_at_once_end_with_one_new_token(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let told = join_all((0..50).map(|_| rotated(identity, &first))).await;
    let second = told[0].clone().unwrap();
    assert!(told.iter().all(|one| one.as_ref() == Some(&second)));
    assert_eq!(state(identity, &second).await, Some(TokenState::Current));
    let actions = fresh.actions(&TenantId::platform()).await;
    let rotations = actions.iter().filter(|one| *one == "session.rotate");
    assert_eq!(rotations.count(), 1);
}

async fn nodes_with_the_same_key_tell_the_same_successor(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    let second = rotated(&fresh.identity, &first).await;
    assert_eq!(rotated(&other, &first).await, second);
    // The records and the former token alone make nothing.
    let key = weir_core::Secret::new([8; 32]);
    let stranger = weir_identity::Options { key, ..options() };
    let stranger = Identity::new(fresh.records.clone(), stranger).unwrap();
    assert_eq!(rotated(&stranger, &first).await, None);
}

async fn a_successor_is_not_told_behind_a_change_of_rights(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    let before = identity.authenticate(&first).await.unwrap().unwrap();
    identity
        .change_password(
            &by(&user),
            &user.id,
            Some(&before.session.id),
            &proof(),
            &"a staple of horses, correct".into(),
        )
        .await
        .unwrap();
    let second = identity.renew_session(&by(&user), &before).await;
    let second = second.unwrap().expose().clone();
    // Whoever has the former one has nothing, and what they began with it comes to nothing.
    assert_eq!(state(identity, &first).await, None);
    assert_eq!(rotated(identity, &first).await, None);
    assert!(matches!(
        identity.renew_session(&by(&user), &before).await,
        Err(Error::Missing("session"))
    ));
    assert_eq!(state(identity, &second).await, Some(TokenState::Current));
    // What was under way is no reuse.
    identity.tell_reuse(&client(), &first).await.unwrap();
    let actions = fresh.actions(&TenantId::platform()).await;
    assert!(!actions.contains(&"session.reuse".to_owned()));
    let who = identity.authenticate(&second).await.unwrap().unwrap();
    identity.sign_out(&client(), &second).await.unwrap();
    assert!(matches!(
        identity.renew_session(&by(&user), &who).await,
        Err(Error::Missing("session"))
    ));
}

async fn a_former_token_renews_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    let who = async |token: &str| identity.authenticate(token).await.unwrap().unwrap();
    let caught = who(&first).await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let second = rotated(identity, &first).await.unwrap();
    // For a moment it still opens something.
    let former = who(&first).await;
    assert_eq!(former.token, TokenState::Former);
    let refused = identity.renew_session(&by(&user), &former).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    // The owner's own change ends it, and whatever was begun with it.
    let owner = who(&second).await;
    let third = identity.renew_session(&by(&user), &owner).await.unwrap();
    for (token, who) in [(&first, &caught), (&second, &owner)] {
        assert_eq!(state(identity, token).await, None);
        assert_eq!(rotated(identity, token).await, None);
        let refused = identity.renew_session(&by(&user), who).await;
        assert!(matches!(refused, Err(Error::Missing("session"))));
    }
    let third = who(third.expose()).await;
    // A request that was under way while its token came due goes on.
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let token = identity.renew_session(&by(&user), &third).await.unwrap();
    let under_way = who(token.expose()).await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let parallel = rotated(identity, token.expose()).await.unwrap();
    let token = identity.renew_session(&by(&user), &under_way).await;
    assert_eq!(state(identity, &parallel).await, None);
    let token = token.unwrap();
    assert_eq!(
        state(identity, token.expose()).await,
        Some(TokenState::Current)
    );
}

async fn what_changes_somebodys_rights_makes_their_token_due(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let user = fresh.person("zoe@a.example").await;
    let other = fresh.person("other@a.example").await;
    let mut token = token_of(&fresh, "zoe@a.example").await;
    let bystander = token_of(&fresh, "other@a.example").await;
    let operator = operator();
    let renewed = async |token: &str| {
        assert_eq!(state(identity, token).await, Some(TokenState::Due));
        rotated(identity, token).await.unwrap()
    };
    let viewer = built_in(BuiltIn::Viewer);
    let member = identity
        .add_member(&operator, &acme, &user.id, &viewer)
        .await
        .unwrap();
    token = renewed(&token).await;
    let admin = built_in(BuiltIn::Admin);
    identity
        .set_member_role(&operator, &acme, &member.id, None, &admin)
        .await
        .unwrap();
    token = renewed(&token).await;
    identity
        .remove_member(&operator, &acme, &member.id, None)
        .await
        .unwrap();
    renewed(&token).await;
    assert_eq!(state(identity, &bystander).await, Some(TokenState::Current));
    assert_eq!(identity.sessions(&other.id).await.unwrap().len(), 1);
}

async fn the_longest_life_does_not_slide(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let mut token = token_of(&fresh, "zoe@a.example").await;
    let end = async |token: &str| {
        let who = identity.authenticate(token).await.unwrap().unwrap();
        assert!(who.idle_at <= who.session.expires_at);
        who.session.expires_at
    };
    let first = end(&token).await;
    for _ in 0..3 {
        fresh.set_time("sessions", "rotate_at", -3_601).await;
        token = rotated(identity, &token).await.unwrap();
        assert_eq!(end(&token).await, first);
    }
    fresh.set_time("sessions", "expires_at", -86_400).await;
    assert_eq!(state(identity, &token).await, None);
}

async fn limits_are_those_of_the_options(engine: &str) {
    let limits = SessionOptions {
        idle: Duration::from_secs(60),
        longest: Duration::from_secs(100),
        rotate_after: Duration::from_secs(10),
        overlap: Duration::from_secs(5),
    };
    let options = weir_identity::Options {
        sessions: limits,
        ..options()
    };
    let fresh = crate::engines::fresh_with(engine, options).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let token = token_of(&fresh, "zoe@a.example").await;
    let hash = Identity::session_token_hash(&token).unwrap();
    let now = Timestamp::now();
    let at = async |seconds: u64| {
        let at = now + Duration::from_secs(seconds);
        let found = identity.find_session(&hash, at).await.unwrap();
        found.map(|who| who.token)
    };
    assert_eq!(at(8).await, Some(TokenState::Current));
    assert_eq!(at(11).await, Some(TokenState::Due));
    assert_eq!(at(61).await, None);
    // Used at 50, it lives on, but not past its end.
    let who = identity.find_session(&hash, now).await.unwrap().unwrap();
    identity.note_session_used(&who.session.id, now + Duration::from_secs(50));
    assert_eq!(at(61).await, Some(TokenState::Due));
    assert_eq!(at(101).await, None);
}

async fn a_token_that_was_replaced_long_ago_is_told_once(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let second = rotated(identity, &first).await.unwrap();
    let thief = client_at("203.0.113.9");
    let told = async |caller: &Caller, token: &str| {
        identity.tell_reuse(caller, token).await.unwrap();
        let audit = fresh.audit(&TenantId::platform()).await;
        let reuses = audit.iter().filter(|one| one.action == "session.reuse");
        reuses.count()
    };
    assert_eq!(told(&thief, &first).await, 0);
    fresh
        .set_time("former_session_tokens", "created_at", -31)
        .await;
    assert_eq!(told(&thief, &second).await, 0);
    assert_eq!(told(&thief, "weir_session_nobodys").await, 0);
    assert_eq!(told(&thief, &first).await, 1);
    assert_eq!(told(&thief, &first).await, 1);
    let audit = fresh.audit(&TenantId::platform()).await;
    let origin = audit.last().unwrap().origin.as_ref().unwrap();
    assert_eq!(origin["address"], "203.0.113.9");
}

async fn what_ended_stays_ended_after_a_restart(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("zoe@a.example").await;
    let kept = token_of(&fresh, "zoe@a.example").await;
    let first = token_of(&fresh, "zoe@a.example").await;
    fresh.set_time("sessions", "rotate_at", -3_601).await;
    let second = rotated(&fresh.identity, &first).await.unwrap();
    let session = fresh.identity.authenticate(&second).await.unwrap().unwrap();
    fresh
        .identity
        .revoke_session(&by(&user), &user.id, &session.session.id)
        .await
        .unwrap();
    let again = Identity::new(fresh.records.clone(), options()).unwrap();
    for token in [&first, &second] {
        assert_eq!(state(&again, token).await, None);
        assert_eq!(rotated(&again, token).await, None);
    }
    assert_eq!(state(&again, &kept).await, Some(TokenState::Due));
}

async fn every_end_of_a_session_is_told_to_all_nodes(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let token = token_of(&fresh, "zoe@a.example").await;
    let session = identity.authenticate(&token).await.unwrap().unwrap();
    let id = &session.session.id;
    let seen = Cell::new(identity.latest_change().await.unwrap());
    let told = async |subject: &Id| {
        let changes = identity.changes_since(seen.get()).await.unwrap();
        assert!(changes.iter().any(|one| one.subject == subject.as_str()));
        seen.set(changes.last().unwrap().sequence);
    };
    identity.renew_session(&by(&user), &session).await.unwrap();
    told(id).await;
    let by = by(&user);
    let new = "a staple of horses, correct".into();
    identity
        .change_password(&by, &user.id, Some(id), &proof(), &new)
        .await
        .unwrap();
    told(&user.id).await;
    identity
        .revoke_sessions(&by, &user.id, Some(id))
        .await
        .unwrap();
    told(&user.id).await;
    identity.revoke_session(&by, &user.id, id).await.unwrap();
    told(id).await;
    identity
        .suspend_user(&operator(), &user.id, None, "away")
        .await
        .unwrap();
    told(&user.id).await;
}
