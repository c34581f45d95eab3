//! Signing in: the same answer for whoever is not let in, and ever later for whoever guesses.

use std::time::Instant;

use jiff::SignedDuration;
use weir_core::TenantId;
use weir_identity::{Error, Hashing, Identity, Options, Password, Step};
use weir_store::records::{PlatformTable, Value};

use crate::engines::{
    Fresh, PASSWORD, client, client_at, fresh, fresh_with, on_both_engines, operator, options,
    sign_in, token_of,
};

on_both_engines! {
    the_right_password_signs_in,
    whoever_is_not_let_in_hears_the_same,
    who_guesses_waits_longer_and_longer,
    many_at_once_are_not_more_than_one_after_another,
    an_address_that_tries_many_accounts_waits,
    an_old_hash_becomes_a_new_one,
    hostile_input_signs_nobody_in,
    who_was_not_looked_at_has_not_failed,
    guessing_from_elsewhere_keeps_nobody_out,
    guesses_from_many_networks_are_counted_together,
    whoever_is_wrong_learns_nobodys_places,
    places_are_few_and_forgotten,
    counts_are_bounded,
}

async fn the_right_password_signs_in(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("zoe@a.example").await;
    let signed_in = fresh.signed_in(" ZOE@a.example", PASSWORD).await;
    assert_eq!(signed_in.session.user_id, user.id);
    assert_eq!(signed_in.session.address.as_deref(), Some("198.51.100.7"));
    let who = fresh
        .identity
        .authenticate(signed_in.token.expose())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(who.user, user);
    let entries = fresh.audit(&TenantId::platform()).await;
    let last = entries.last().unwrap();
    assert_eq!(last.action, "session.create");
    assert_eq!(last.actor_id.as_deref(), Some(user.id.as_str()));
    let text = format!("{entries:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("weir_session_"));
}

async fn whoever_is_not_let_in_hears_the_same(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    fresh.user("nopassword@a.example").await;
    let suspended = fresh.person("suspended@a.example").await;
    identity
        .suspend_user(&operator(), &suspended.id, None, "away")
        .await
        .unwrap();
    let deleted = fresh.person("deleted@a.example").await;
    identity
        .delete_user(&operator(), &deleted.id, None)
        .await
        .unwrap();
    let before = fresh.audit(&TenantId::platform()).await.len();
    let mut heard = Vec::new();
    for (email, password) in [
        ("zoe@a.example", "incorrect horse battery"),
        ("nobody@a.example", PASSWORD),
        ("nopassword@a.example", PASSWORD),
        ("suspended@a.example", PASSWORD),
        ("deleted@a.example", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let answer = sign_in(identity, email, password).await;
        let error = answer.unwrap_err();
        assert_eq!(error.word(), "refused");
        heard.push(error.to_string());
    }
    heard.dedup();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let entries = fresh.audit(&TenantId::platform()).await;
    let refused = &entries[before..];
    assert_eq!(refused.len(), 6);
    for entry in refused {
        assert_eq!(
            (
                entry.action.as_str(),
                entry.actor_kind.as_str(),
                &entry.subject_id
            ),
            ("session.refuse", "anonymous", &None)
        );
    }
}

async fn who_guesses_waits_longer_and_longer(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    // An account that is not there is throttled alike.
    for email in ["zoe@a.example", "nobody@a.example"] {
        for _ in 0..6 {
            let answer = sign_in(identity, email, "wrong password").await;
            assert!(matches!(answer, Err(Error::Refused(_))));
        }
        // Not even the right one is looked at until its time has come; here it is a while longer, so
        // that a slow machine is in time.
        fresh.set_time("throttles", "blocked_until", 100).await;
        let answer = sign_in(identity, email, PASSWORD).await;
        let Err(Error::Throttled { retry_after }) = answer else {
            panic!("{answer:?}");
        };
        assert!(
            (30..=101).contains(&retry_after.as_secs()),
            "{retry_after:?}"
        );
    }
    // The address has a longer patience, as has each account as a whole. Hers is counted like the other, although
    // it would not keep her out here, where she was before.
    assert_eq!(delays(&fresh).await, [0, 0, 0, 1 + 100, 1 + 200]);
    fresh.set_time("throttles", "blocked_until", -300).await;
    let answer = sign_in(identity, "zoe@a.example", "wrong password").await;
    assert!(matches!(answer, Err(Error::Refused(_))));
    assert!(delays(&fresh).await.contains(&2));
    // The counts are in the records: another process knows them.
    fresh.set_time("throttles", "blocked_until", 100).await;
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    let answer = sign_in(&other, "zoe@a.example", PASSWORD).await;
    assert!(matches!(answer, Err(Error::Throttled { .. })));
    fresh.set_time("throttles", "blocked_until", -300).await;
    // Success begins anew.
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    for _ in 0..5 {
        let answer = sign_in(identity, "zoe@a.example", "wrong password").await;
        assert!(matches!(answer, Err(Error::Refused(_))));
    }
    fresh.signed_in("zoe@a.example", PASSWORD).await;
}

/// For how many seconds each account and address is not looked at, from its last attempt on.
async fn delays(fresh: &Fresh) -> Vec<i64> {
    let throttles = PlatformTable::new("throttles").rows();
    let rows = fresh.records.all(throttles.select()).await;
    let delay = |row: &weir_store::records::Row| {
        let begin = row.int("forgotten_at").unwrap() - 86_400_000_000;
        (row.int("blocked_until").unwrap() - begin).max(0) / 1_000_000
    };
    let mut delays: Vec<i64> = rows.unwrap().iter().map(delay).collect();
    delays.sort_unstable();
    delays
}

async fn many_at_once_are_not_more_than_one_after_another(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    let begin = Instant::now();
    let mut guesses = tokio::task::JoinSet::new();
    for guess in 0..30 {
        let identity = fresh.identity.clone();
        guesses.spawn(async move {
            let password = Password::from(format!("guess number {guess}"));
            let answer = identity
                .sign_in(&client(), "zoe@a.example", &password)
                .await;
            matches!(answer, Err(Error::Refused(_)))
        });
    }
    let looked_at = guesses.join_all().await.into_iter().filter(|one| *one);
    // On a slow machine more are in time: behind 1 second, 2 more, 4 more.
    let in_time = (begin.elapsed().as_secs() + 1).ilog2() as usize;
    assert!((6..=6 + in_time).contains(&looked_at.count()));
}

async fn an_address_that_tries_many_accounts_waits(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    for account in 0..51 {
        let email = format!("guess{account}@a.example");
        let answer = sign_in(identity, &email, "wrong password");
        assert!(matches!(answer.await, Err(Error::Refused(_))), "{account}");
    }
    let answer = sign_in(identity, "zoe@a.example", PASSWORD);
    assert!(matches!(answer.await, Err(Error::Throttled { .. })));
    let mut elsewhere = client();
    elsewhere.origin.address = Some("203.0.113.9".to_owned());
    let password = PASSWORD.into();
    let answer = identity.sign_in(&elsewhere, "zoe@a.example", &password);
    assert!(matches!(answer.await, Ok(Step::SignedIn(_))));
}

async fn an_old_hash_becomes_a_new_one(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("zoe@a.example").await;
    let hash = async || {
        let users = PlatformTable::new("users").rows();
        let row = fresh.records.first(users.select().with_id(&user.id)).await;
        row.unwrap().unwrap().text("password_hash").unwrap()
    };
    assert!(hash().await.contains("m=64,t=1,p=1"));
    let dearer = Options {
        hashing: Hashing {
            passes: 2,
            ..options().hashing
        },
        ..options()
    };
    let dearer = Identity::new(fresh.records.clone(), dearer).unwrap();
    let wrong = sign_in(&dearer, "zoe@a.example", "wrong password");
    assert!(wrong.await.is_err());
    assert!(hash().await.contains("m=64,t=1,p=1"));
    let right = sign_in(&dearer, "zoe@a.example", PASSWORD);
    assert!(right.await.is_ok());
    assert!(hash().await.contains("m=64,t=2,p=1"));
    fresh.signed_in("zoe@a.example", PASSWORD).await;
}

async fn hostile_input_signs_nobody_in(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    let long = "x".repeat(100_000);
    for (email, password) in [
        ("' OR 1=1 --", PASSWORD),
        ("zoe@a.example' --", PASSWORD),
        ("zoe@a.example\0", PASSWORD),
        ("%", "%"),
        ("", ""),
        (long.as_str(), PASSWORD),
        ("zoe@a.example", long.as_str()),
        ("zoe@a.example", ""),
    ] {
        let answer = sign_in(&fresh.identity, email, password);
        let error = answer.await.unwrap_err();
        assert_eq!(error.word(), "refused", "{error:?}");
    }
}

async fn who_was_not_looked_at_has_not_failed(engine: &str) {
    let crowded = Options {
        hashing: Hashing {
            // Slow enough that all come while the first is looked at.
            memory: 64 * 1_024,
            at_once: 1,
            waiting: 0,
            ..options().hashing
        },
        ..options()
    };
    let fresh = fresh_with(engine, crowded).await;
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..20 {
        let identity = fresh.identity.clone();
        attempts.spawn(async move {
            let email = format!("person{number}@a.example");
            sign_in(&identity, &email, "wrong password")
                .await
                .unwrap_err()
        });
    }
    let answers = attempts.join_all().await;
    let busy = answers
        .iter()
        .filter(|error| matches!(error, Error::Busy(_)))
        .count();
    let refused = answers
        .iter()
        .filter(|error| matches!(error, Error::Refused(_)))
        .count();
    assert!(busy > 0 && busy + refused == 20, "{answers:?}");
    let throttles = PlatformTable::new("throttles").rows();
    let mut failures = 0;
    for row in fresh.records.all(throttles.select()).await.unwrap() {
        failures += row.int("failures").unwrap();
    }
    // Each failure is counted for its account from there, for the account and for the address.
    assert_eq!(failures, 3 * i64::try_from(refused).unwrap());
}

/// Guesses until none is looked at any more, from a network of its own each five.
async fn besiege(identity: &Identity, email: &str) -> usize {
    let mut guesses = 0;
    for network in 0.. {
        let client = client_at(&format!("203.0.113.{network}"));
        for _ in 0..5 {
            match identity.sign_in(&client, email, &"a guess".into()).await {
                Err(Error::Refused(_)) => guesses += 1,
                Err(Error::Throttled { .. }) => return guesses,
                other => panic!("{other:?}"),
            }
        }
    }
    unreachable!("the networks never end");
}

async fn guessing_from_elsewhere_keeps_nobody_out(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    besiege(identity, "zoe@a.example").await;
    fresh.set_time("throttles", "blocked_until", 1_000).await;
    // From where she signs in she is let in, again and again, and does not help who guesses.
    for _ in 0..3 {
        fresh.signed_in("zoe@a.example", PASSWORD).await;
    }
    assert_eq!(besiege(identity, "zoe@a.example").await, 0);
    // From elsewhere she waits, unless she comes with a link.
    let away = client_at("192.0.2.77");
    let from_away = async || {
        let password = PASSWORD.into();
        identity.sign_in(&away, "zoe@a.example", &password).await
    };
    assert!(matches!(from_away().await, Err(Error::Throttled { .. })));
    let link = identity.issue_reset(&operator(), &user.id).await.unwrap();
    identity
        .reset_password(&away, &token_of(&link), &PASSWORD.into())
        .await
        .unwrap();
    besiege(identity, "zoe@a.example").await;
    assert!(matches!(from_away().await, Ok(Step::SignedIn(_))));
    // Whoever guesses beside somebody waits as everybody does.
    fresh.person("amy@a.example").await;
    fresh.signed_in("amy@a.example", PASSWORD).await;
    let mut refused = 0;
    while let Err(Error::Refused(_)) = sign_in(identity, "amy@a.example", "a guess").await {
        refused += 1;
    }
    assert_eq!(refused, 6);
}

async fn whoever_is_wrong_learns_nobodys_places(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    // She signs in from the network where somebody tries to find that out.
    fresh.person("zoe@a.example").await;
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    fresh.person("elsewhere@a.example").await;
    fresh
        .set_time("familiar_places", "expires_at", -30 * 86_400)
        .await;
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let everybody = ["zoe@a.example", "elsewhere@a.example", "nobody@a.example"];
    let mut heard = Vec::new();
    for email in everybody {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(
                sign_in(identity, email, "a guess")
                    .await
                    .unwrap_err()
                    .word(),
            );
        }
        // From here on the account waits, which nobody knows who was not told.
        besiege(identity, email).await;
        lengthen(&fresh).await;
        for password in ["a guess", "x"] {
            let Err(Error::Throttled { retry_after }) = sign_in(identity, email, password).await
            else {
                panic!("{email}");
            };
            assert!(
                (500..=1_001).contains(&retry_after.as_secs()),
                "{retry_after:?}"
            );
        }
        heard.push(answers);
    }
    heard.dedup();
    assert_eq!(heard.len(), 1, "{heard:?}");
    // The right password is not let in elsewhere, and is at home, which ends nothing for who guesses.
    let refused = sign_in(identity, "elsewhere@a.example", PASSWORD).await;
    assert!(
        matches!(refused, Err(Error::Throttled { .. })),
        "{refused:?}"
    );
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let guess = identity
        .sign_in(
            &client_at("203.0.113.200"),
            "zoe@a.example",
            &PASSWORD.into(),
        )
        .await;
    assert!(matches!(guess, Err(Error::Throttled { .. })));
}

/// As if whoever waits had just begun to wait for a quarter of an hour or so.
async fn lengthen(fresh: &Fresh) {
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let until = write.now().as_microsecond() + 1_000_000_000;
    let set = [("blocked_until", Value::from(until))];
    let rows = PlatformTable::new("throttles").rows();
    let nothing: [Value; 0] = [];
    // Of accounts as a whole: behind twenty failures, and of no network.
    let lengthened = write
        .update_where(rows, "failures > 20", nothing, set)
        .await;
    assert!(lengthened.unwrap() >= 1);
    write.commit().await.unwrap();
}

async fn guesses_from_many_networks_are_counted_together(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    for email in ["zoe@a.example", "nobody@a.example"] {
        assert_eq!(besiege(&fresh.identity, email).await, 21, "{email}");
    }
}

async fn places_are_few_and_forgotten(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let places = PlatformTable::new("familiar_places").rows();
    let count = async || fresh.records.all(places.select()).await.unwrap().len();
    for network in 0..25 {
        let client = client_at(&format!("203.0.113.{network}"));
        let password = PASSWORD.into();
        let signed_in = identity.sign_in(&client, "zoe@a.example", &password).await;
        assert!(matches!(signed_in, Ok(Step::SignedIn(_))));
    }
    assert_eq!(count().await, 20);
    fresh
        .set_time("familiar_places", "expires_at", -30 * 86_400)
        .await;
    identity.sweep().await.unwrap();
    assert_eq!(count().await, 0);
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let certificate = identity.erase_user(&operator(), &user.id).await.unwrap();
    assert_eq!(certificate.rows["familiar_places"], 1);
}

async fn counts_are_bounded(engine: &str) {
    let few = Options {
        most_counts: 7,
        ..options()
    };
    let fresh = fresh_with(engine, few).await;
    for number in 0..20 {
        let email = format!("nobody{number}@a.example");
        let refused = sign_in(&fresh.identity, &email, "wrong password").await;
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
    fresh.identity.sweep().await.unwrap();
    let throttles = PlatformTable::new("throttles").rows();
    let rows = fresh.records.all(throttles.select()).await.unwrap();
    assert!((5..=7).contains(&rows.len()), "{}", rows.len());
    // What is in use stays: the network that all came from.
    assert!(rows.iter().any(|row| row.int("failures").unwrap() == 20));
}

/// With what a hash really costs, the time tells nothing of whether there is an account.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_there_takes_as_long() {
    let dear = Options {
        hashing: Hashing::default(),
        ..options()
    };
    let fresh = fresh_with("sqlite", dear).await;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..12 {
        fresh.person(&format!("known{round}@a.example")).await;
        for (at, who) in ["known", "unknown"].into_iter().enumerate() {
            let email = format!("{who}{round}@a.example");
            let begin = Instant::now();
            let answer = sign_in(&fresh.identity, &email, "wrong password");
            assert!(answer.await.is_err());
            times[at].push(begin.elapsed());
        }
    }
    // The fastest: whatever else the machine does can only add to it.
    let [known, unknown] = times.map(|times| {
        let fastest = times.into_iter().min().unwrap();
        SignedDuration::try_from(fastest).unwrap().as_secs_f64()
    });
    let ratio = known / unknown;
    assert!((0.5..2.0).contains(&ratio), "{known} {unknown}");
}
