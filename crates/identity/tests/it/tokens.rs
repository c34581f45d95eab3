//! Access and refresh tokens: what they say, and that one use of many counts.

mod ending;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use weir_core::{Id, Secret, TenantId};
use weir_identity::{Authenticated, BuiltIn, Error, Identity, Issued, Scope, User, Wanted};
use weir_jose::Claims;
use weir_store::Records;
use weir_store::records::{PlatformTable, Value};

use crate::engines::{
    Fresh, PASSWORD, built_in, client, fresh, on_both_engines, operator, options,
};

on_both_engines! {
    a_token_says_who_somebody_is_and_what_they_may_do,
    what_somebody_has_no_right_to_is_refused,
    a_refresh_token_is_good_once_and_its_successor_then,
    within_the_grace_window_the_same_successor_comes_again,
    a_token_that_is_used_after_its_time_ends_its_family_only,
    of_a_hundred_uses_at_once_one_counts,
    scope_narrows_for_a_token_and_never_widens,
    an_old_token_ends_its_family_whatever_scope_is_asked_for,
    a_family_goes_on_however_many_sessions_there_are,
    rights_that_are_taken_are_gone_with_the_next_token,
    hostile_tokens_are_nobodys,
    neither_token_nor_key_is_in_the_records,
}

const AUDIENCE: &str = "https://api.example";

/// Somebody who has signed in, and is a viewer of an organization.
struct Zoe {
    user: User,
    who: Authenticated,
    acme: TenantId,
}

async fn zoe(fresh: &Fresh) -> Zoe {
    let acme = fresh.organization("acme").await;
    let user = fresh.person("zoe@a.example").await;
    fresh
        .identity
        .add_member(&operator(), &acme, &user.id, &built_in(BuiltIn::Editor))
        .await
        .unwrap();
    let who = sign_in(fresh).await;
    Zoe { user, who, acme }
}

async fn sign_in(fresh: &Fresh) -> Authenticated {
    let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
    let who = fresh.identity.authenticate(token.expose()).await;
    who.unwrap().unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        audience: AUDIENCE.to_owned(),
        client_id: "weir".to_owned(),
        ..Wanted::default()
    }
}

impl Zoe {
    fn in_acme(&self, scope: &str) -> Wanted {
        Wanted {
            organization: Some(self.acme.clone()),
            scope: Scope::parse(scope).unwrap(),
            ..wanted()
        }
    }

    async fn issued(&self, fresh: &Fresh, wanted: Wanted) -> Issued {
        let client = client();
        let issued = fresh.identity.issue(&client, &self.who, wanted);
        issued.await.unwrap()
    }
}

async fn refresh(identity: &Identity, token: &Secret<String>) -> Result<Issued, Error> {
    identity.refresh(&client(), token, None).await
}

async fn refused(identity: &Identity, token: &Secret<String>) -> bool {
    matches!(refresh(identity, token).await, Err(Error::Refused(_)))
}

fn claims(identity: &Identity, issued: &Issued) -> Option<Claims> {
    identity.verify_access(issued.access_token.expose(), Timestamp::now())
}

fn is_good(identity: &Identity, issued: &Issued) -> bool {
    claims(identity, issued).is_some()
}

/// As if this were so long ago.
async fn past_grace(fresh: &Fresh) {
    fresh
        .set_time("refresh_families", "previous_until", -60)
        .await;
}

async fn a_token_says_who_somebody_is_and_what_they_may_do(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let issued = zoe
        .issued(&fresh, zoe.in_acme("route:read route:write"))
        .await;
    assert_eq!(issued.expires_in, Duration::from_secs(300));
    let claims = claims(&fresh.identity, &issued).unwrap();
    assert_eq!(claims.issuer(), Some("https://weir.example"));
    assert_eq!(claims.subject(), Some(zoe.user.id.as_str()));
    assert_eq!(claims.audiences().collect::<Vec<_>>(), [AUDIENCE]);
    assert_eq!(claims.text("sid"), Some(issued.family.as_str()));
    assert_eq!(claims.text("tenant"), Some(zoe.acme.as_str()));
    assert_eq!(claims.get("roles").unwrap()[0], "editor");
    let scopes: Vec<_> = claims.scopes().collect();
    assert_eq!(scopes, ["route:read", "route:write"]);
    let later = |seconds| Timestamp::now() + Duration::from_secs(seconds);
    let text = issued.access_token.expose();
    assert!(fresh.identity.verify_access(text, later(290)).is_some());
    assert!(fresh.identity.verify_access(text, later(301)).is_none());
    let families = fresh.identity.token_families(&zoe.user.id).await.unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].address.as_deref(), Some("198.51.100.7"));
    assert_eq!(families[0].agent.as_deref(), Some("curl/8"));
    let actions = fresh.actions_latest(&TenantId::platform()).await;
    assert_eq!(actions[0], "token.issue");
}

async fn what_somebody_has_no_right_to_is_refused(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let other = fresh.organization("other").await;
    let ask = async |wanted: Wanted| fresh.identity.issue(&client(), &zoe.who, wanted).await;
    for scope in ["user:erase", "route:read user:read", "orders:write"] {
        let refused = ask(zoe.in_acme(scope)).await;
        let is_scope = matches!(refused, Err(Error::Invalid { field: "scope", .. }));
        assert!(is_scope, "{scope}: {refused:?}");
    }
    let without = Wanted {
        scope: Scope::parse("route:read").unwrap(),
        ..wanted()
    };
    let without = ask(without).await.unwrap_err().to_string();
    assert!(without.contains("needs an `organization`"), "{without}");
    for organization in [other, TenantId::generate(), TenantId::platform()] {
        let elsewhere = Wanted {
            organization: Some(organization),
            ..wanted()
        };
        let refused = ask(elsewhere).await.unwrap_err();
        assert_eq!(refused.to_string(), Error::no_member().to_string());
    }
    for audience in ["", " ", "a\nb", &"a".repeat(300)] {
        let bad = Wanted {
            audience: audience.to_owned(),
            ..wanted()
        };
        assert!(matches!(ask(bad).await, Err(Error::Invalid { .. })));
    }
    fresh
        .identity
        .suspend_organization(&operator(), &zoe.acme, None, "unpaid")
        .await
        .unwrap();
    let who = sign_in(&fresh).await;
    let suspended = fresh.identity.issue(&client(), &who, zoe.in_acme("")).await;
    assert!(matches!(suspended, Err(Error::Suspended)), "{suspended:?}");
    let families = fresh.identity.token_families(&zoe.user.id).await;
    assert!(families.unwrap().is_empty());
}

async fn a_refresh_token_is_good_once_and_its_successor_then(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let mut issued = zoe.issued(&fresh, wanted()).await;
    let mut seen = BTreeSet::from([issued.refresh_token.expose().clone()]);
    for _ in 0..5 {
        let next = refresh(&fresh.identity, &issued.refresh_token)
            .await
            .unwrap();
        assert!(seen.insert(next.refresh_token.expose().clone()));
        assert_eq!(next.family, issued.family);
        assert!(is_good(&fresh.identity, &next));
        issued = next;
    }
}

async fn within_the_grace_window_the_same_successor_comes_again(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    let second = refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    // An answer was lost: it is asked for again.
    let again = refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    assert_eq!(again.refresh_token.expose(), second.refresh_token.expose());
    assert_ne!(again.access_token.expose(), second.access_token.expose());
    // Once the successor was used, the first one is old.
    refresh(&fresh.identity, &second.refresh_token)
        .await
        .unwrap();
    assert!(refused(&fresh.identity, &first.refresh_token).await);
}

async fn a_token_that_is_used_after_its_time_ends_its_family_only(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let other = zoe.issued(&fresh, wanted()).await;
    let first = zoe.issued(&fresh, wanted()).await;
    let second = refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    past_grace(&fresh).await;
    assert!(refused(&fresh.identity, &first.refresh_token).await);
    // Whoever has the successor is out as well, and nothing that was issued is good.
    assert!(refused(&fresh.identity, &second.refresh_token).await);
    assert!(!is_good(&fresh.identity, &first) && !is_good(&fresh.identity, &second));
    assert!(is_good(&fresh.identity, &other));
    refresh(&fresh.identity, &other.refresh_token)
        .await
        .unwrap();
    let actions = fresh.actions_latest(&TenantId::platform()).await;
    let reuses = actions.iter().filter(|action| *action == "token.reuse");
    assert_eq!(reuses.count(), 1);
}

async fn of_a_hundred_uses_at_once_one_counts(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    // Two nodes with connections of their own.
    let other = match engine {
        "sqlite" => fresh.identity.clone(),
        _ => {
            let records = fresh.beside();
            let other = Identity::new(records, options()).unwrap();
            other.prepare().await.unwrap();
            other
        }
    };
    let mut uses = tokio::task::JoinSet::new();
    for number in 0..100 {
        let identity = match number % 2 {
            0 => fresh.identity.clone(),
            _ => other.clone(),
        };
        let token = first.refresh_token.clone();
        uses.spawn(async move { refresh(&identity, &token).await });
    }
    let (mut successors, mut answered) = (BTreeSet::new(), 0);
    while let Some(used) = uses.join_next().await {
        match used.unwrap() {
            Ok(issued) => {
                answered += 1;
                successors.insert(issued.refresh_token.expose().clone());
            }
            Err(Error::Busy(_) | Error::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answered >= 1);
    assert_eq!(successors.len(), 1, "each use has the same successor");
    let rows = PlatformTable::new("refresh_families").rows();
    let rows = fresh.records.all(rows.select()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].int("generation").unwrap(), 2);
    let successor = Secret::new(successors.pop_first().unwrap());
    refresh(&fresh.identity, &successor).await.unwrap();
    assert!(refused(&other, &first.refresh_token).await);
}

async fn scope_narrows_for_a_token_and_never_widens(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let issued = zoe
        .issued(&fresh, zoe.in_acme("route:read upstream:read"))
        .await;
    let ask = async |token: &Secret<String>, scope: &str| {
        let scope = Scope::parse(scope).unwrap();
        fresh.identity.refresh(&client(), token, Some(&scope)).await
    };
    let narrow = ask(&issued.refresh_token, "route:read").await.unwrap();
    assert_eq!(narrow.scope.to_string(), "route:read");
    let wide = ask(&narrow.refresh_token, "route:read route:write").await;
    assert!(matches!(wide, Err(Error::Invalid { field: "scope", .. })));
    // What was refused has used nothing up, and the family is what it was.
    let all = refresh(&fresh.identity, &narrow.refresh_token)
        .await
        .unwrap();
    assert_eq!(all.scope.to_string(), "route:read upstream:read");
}

async fn an_old_token_ends_its_family_whatever_scope_is_asked_for(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let first = zoe.issued(&fresh, zoe.in_acme("route:read")).await;
    let more = Scope::parse("route:read route:write").unwrap();
    let client = client();
    let asked = |token| identity.refresh(&client, token, Some(&more));
    assert!(matches!(
        asked(&first.refresh_token).await,
        Err(Error::Invalid { field: "scope", .. })
    ));
    let second = refresh(identity, &first.refresh_token).await.unwrap();
    past_grace(&fresh).await;
    assert!(matches!(
        asked(&first.refresh_token).await,
        Err(Error::Refused(_))
    ));
    assert!(refused(identity, &second.refresh_token).await);
}

async fn a_family_goes_on_however_many_sessions_there_are(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    let sessions = PlatformTable::new("sessions").rows();
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let later = write.now().as_microsecond() + 86_400_000_000;
    for number in 0..200_u8 {
        let values = [
            ("user_id", Value::from(&zoe.user.id)),
            ("token_hash", Value::from(&[number; 32][..])),
            ("expires_at", Value::from(later)),
            ("last_seen_at", Value::from(later)),
            ("rotate_at", Value::from(later)),
            ("is_two_factor", Value::from(0_i64)),
        ];
        let id = Id::new("ses");
        write.insert(sessions, &id, values).await.unwrap();
    }
    write.commit().await.unwrap();
    refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
}

async fn rights_that_are_taken_are_gone_with_the_next_token(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let issued = zoe
        .issued(&fresh, zoe.in_acme("route:read route:write"))
        .await;
    let member = fresh
        .identity
        .member_of(&zoe.acme, &zoe.user.id)
        .await
        .unwrap();
    let viewer = built_in(BuiltIn::Viewer);
    fresh
        .identity
        .set_member_role(&operator(), &zoe.acme, &member.id, None, &viewer)
        .await
        .unwrap();
    let next = refresh(&fresh.identity, &issued.refresh_token)
        .await
        .unwrap();
    assert_eq!(next.scope.to_string(), "route:read");
    let roles = claims(&fresh.identity, &next).unwrap();
    assert_eq!(roles.get("roles").unwrap()[0], "viewer");
}

async fn hostile_tokens_are_nobodys(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let identity = &fresh.identity;
    let issued = zoe.issued(&fresh, wanted()).await;
    let text = issued.refresh_token.expose();
    let mut other_secret = text.clone().into_bytes();
    let last = other_secret.len() - 10;
    other_secret[last] = if other_secret[last] == b'A' {
        b'B'
    } else {
        b'A'
    };
    let other_secret = String::from_utf8(other_secret).unwrap();
    for bad in [
        String::new(),
        format!("weir_refresh_{}", "A".repeat(64)),
        text.to_uppercase(),
        format!("{text} "),
        format!("{text}\0"),
        issued.access_token.expose().clone(),
        "x".repeat(1_000_000),
    ] {
        assert!(refused(identity, &Secret::new(bad)).await);
    }
    refresh(identity, &issued.refresh_token).await.unwrap();
    // Whoever knows the family's mark and no token of it has seen one: that ends it.
    assert!(refused(identity, &Secret::new(other_secret)).await);
    assert!(!is_good(identity, &issued));
    // What is signed is read as nothing else.
    let access = issued.access_token.expose();
    let (signed, signature) = access.rsplit_once('.').unwrap();
    let (_, payload) = signed.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{payload}.");
    for bad in [
        none,
        format!("{signed}."),
        format!("{signed}.{}", &signature[1..]),
    ] {
        assert!(identity.verify_access(&bad, Timestamp::now()).is_none());
    }
}

async fn neither_token_nor_key_is_in_the_records(engine: &str) {
    let fresh = fresh(engine).await;
    let zoe = zoe(&fresh).await;
    let first = zoe.issued(&fresh, wanted()).await;
    let second = refresh(&fresh.identity, &first.refresh_token)
        .await
        .unwrap();
    let texts = [&first, &second].map(|issued| {
        let secret = issued.refresh_token.expose().strip_prefix("weir_refresh_");
        (
            secret.unwrap().to_owned(),
            issued.access_token.expose().clone(),
        )
    });
    if engine == "sqlite" {
        let bytes = fresh.bytes();
        for (refresh, access) in &texts {
            for text in [&refresh[22..], access] {
                let text = text.as_bytes();
                assert!(!bytes.windows(text.len()).any(|window| window == text));
            }
        }
    }
    let shown = format!("{first:?}{second:?}");
    assert!(texts.iter().all(|(refresh, access)| {
        !shown.contains(refresh.as_str()) && !shown.contains(access.as_str())
    }));
    let rows = PlatformTable::new("signing_keys").rows();
    let rows = fresh.records.all(rows.select()).await.unwrap();
    for row in rows {
        // A PKCS #8 key is a sequence, in DER.
        let sealed = row.bytes("sealed_key").unwrap();
        assert_ne!(sealed[0], 0x30);
        assert!(!row.text("public_jwk").unwrap().contains("\"d\""));
    }
}

impl Fresh {
    /// The same records over connections of their own, as another process has them.
    fn beside(&self) -> Records {
        Records::open(&self.records_options).unwrap()
    }
}
