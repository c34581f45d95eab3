//! How somebody signs in is theirs to change: a session alone, which can be stolen, changes nothing of it.

use serde_json::Value as Json;
use totp_rs::{Builder, Secret as TotpSecret};
use weir_core::TenantId;
use weir_identity::{EmailChange, Error, MailTls, Options, Proof, User};

use crate::engines::{
    Fresh, PASSWORD, by, client, fresh, fresh_with, on_both_engines, operator, options, proof,
    proof_with, sign_in, token_of,
};
use crate::mail_server::{MailServer, Place, link_in};

on_both_engines! {
    a_session_alone_changes_nothing,
    another_address_counts_once_its_link_was_opened,
    a_new_password_takes_the_wish_back,
    whether_an_address_is_taken_is_not_told,
    without_mail_an_address_is_changed_at_once,
    wishes_are_counted,
}

/// An authenticator's codes, of which each is good once.
async fn enrol(fresh: &Fresh, user: &User) -> impl Fn(i64) -> String {
    let enrolment = fresh
        .identity
        .enrol_totp(&by(user), &user.id, &proof())
        .await
        .unwrap();
    let secret = TotpSecret::try_from_base32(enrolment.secret.expose()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let code = move |steps: i64| {
        let at = jiff::Timestamp::now().as_second() + 30 * steps;
        totp.generate(u64::try_from(at).unwrap()).to_string()
    };
    fresh
        .identity
        .confirm_totp(&by(user), &user.id, &code(-1))
        .await
        .unwrap();
    code
}

/// What each change that takes a proof comes to.
async fn changes(fresh: &Fresh, user: &User, proof: &Proof) -> Vec<Option<Error>> {
    let (identity, caller, id) = (&fresh.identity, &by(user), &user.id);
    let new = "another long password".into();
    let email = "thief@a.example";
    vec![
        identity
            .change_password(caller, id, None, proof, &new)
            .await
            .err(),
        identity
            .change_email(caller, id, None, email, proof)
            .await
            .err(),
        identity.renew_recovery_codes(caller, id, proof).await.err(),
        identity.remove_totp(caller, id, proof).await.err(),
    ]
}

async fn a_session_alone_changes_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let wrong = Proof {
        password: "a guess".into(),
        code: None,
    };
    let refused = identity.enrol_totp(&by(&user), &user.id, &wrong).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let code = enrol(&fresh, &user).await;
    for error in changes(&fresh, &user, &proof()).await {
        let is_asked = matches!(error, Some(Error::Invalid { field: "code", .. }));
        assert!(is_asked, "{error:?}");
    }
    for error in changes(&fresh, &user, &proof_with("000000")).await {
        assert!(matches!(error, Some(Error::Refused(_))), "{error:?}");
    }
    fresh.set_time("throttles", "blocked_until", -1_000).await;
    // The right code with the wrong password is not even used up.
    let now = code(0);
    let wrong = Proof {
        code: Some(now.clone()),
        ..wrong
    };
    let refused = identity.remove_totp(&by(&user), &user.id, &wrong).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let told = fresh.actions(&TenantId::platform()).await;
    let doubts = told.iter().filter(|action| *action == "account.refuse");
    assert_eq!(doubts.count(), 1 + 4 + 1);
    fresh.set_time("throttles", "blocked_until", -1_000).await;
    identity
        .renew_recovery_codes(&by(&user), &user.id, &proof_with(now))
        .await
        .unwrap();
    assert_eq!(identity.user(&user.id).await.unwrap(), user);
}

async fn with_mail(engine: &str) -> (Fresh, MailServer) {
    let place = Place::new(MailTls::None, None);
    let server = place.start().await;
    let options = Options {
        mail: Some(place.options()),
        ..options()
    };
    (fresh_with(engine, options).await, server)
}

/// So many letters, by whom they are for.
async fn letters(fresh: &Fresh, server: &mut MailServer, count: u64) -> Vec<(String, Json)> {
    let delivered = fresh.identity.deliver_mail().await.unwrap();
    assert_eq!(delivered.sent, count);
    let mut letters = Vec::new();
    for _ in 0..count {
        let letter = server.letter().await;
        letters.push((letter["to"][0].as_str().unwrap().to_owned(), letter));
    }
    letters.sort_by(|one, other| one.0.cmp(&other.0));
    letters
}

fn says(letter: &Json, subject: &str) -> bool {
    let content = letter["content"].as_str().unwrap();
    content.contains(&format!("Subject: {subject}\r\n"))
}

async fn another_address_counts_once_its_link_was_opened(engine: &str) {
    let (fresh, mut server) = with_mail(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let kept = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let other = fresh.signed_in("zoe@a.example", PASSWORD).await;
    letters(&fresh, &mut server, 1).await;
    let change = identity
        .change_email(&by(&user), &user.id, None, "New@a.example", &proof())
        .await;
    assert_eq!(change.unwrap(), EmailChange::Pending);
    let pending = identity.pending_email(&user.id).await.unwrap();
    assert_eq!(pending.as_deref(), Some("new@a.example"));
    let sent = letters(&fresh, &mut server, 2).await;
    assert_eq!(sent[0].0, "new@a.example");
    assert!(says(&sent[0].1, "Confirm your new e-mail address"));
    assert_eq!(sent[1].0, "zoe@a.example");
    assert!(says(&sent[1].1, "Your e-mail address is to be changed"));
    let text = sent[1].1["content"].as_str().unwrap();
    assert!(!text.contains("weir_once_"), "{text}");
    // Until then nothing is different.
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    assert!(sign_in(identity, "new@a.example", PASSWORD).await.is_err());
    let token = token_of(&link_in(&sent[0].1));
    identity
        .verify_email(&client(), &token, Some(&kept.session.id))
        .await
        .unwrap();
    let after = identity.user(&user.id).await.unwrap();
    assert_eq!(after.email, "new@a.example");
    assert!(after.email_verified_at.is_some());
    assert_eq!(identity.pending_email(&user.id).await.unwrap(), None);
    let is_alive = async |token: &str| identity.authenticate(token).await.unwrap().is_some();
    assert!(is_alive(kept.token.expose()).await);
    assert!(!is_alive(other.token.expose()).await);
    fresh.signed_in("new@a.example", PASSWORD).await;
    assert!(sign_in(identity, "zoe@a.example", PASSWORD).await.is_err());
    let again = identity.verify_email(&client(), &token, None).await;
    assert!(matches!(again, Err(Error::Refused(_))), "{again:?}");
    let sent = letters(&fresh, &mut server, 1).await;
    assert_eq!(sent[0].0, "zoe@a.example");
    assert!(says(&sent[0].1, "Your e-mail address was changed"));
    let told = fresh.audit(&TenantId::platform()).await;
    let told = told.iter().find(|entry| entry.action == "email.change");
    let change = told.unwrap().change.clone().unwrap();
    assert_eq!(change["before"]["email"], "zoe@a.example");
    assert_eq!(change["after"]["email"], "new@a.example");
}

async fn a_new_password_takes_the_wish_back(engine: &str) {
    let (fresh, mut server) = with_mail(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    letters(&fresh, &mut server, 1).await;
    let wish = async || {
        let wish = identity
            .change_email(&by(&user), &user.id, None, "new@a.example", &proof())
            .await;
        assert_eq!(wish.unwrap(), EmailChange::Pending);
    };
    let mut tokens = Vec::new();
    wish().await;
    tokens.push(token_of(&link_in(
        &letters(&fresh, &mut server, 2).await[0].1,
    )));
    // The next one takes the place of the one before.
    wish().await;
    tokens.push(token_of(&link_in(
        &letters(&fresh, &mut server, 2).await[0].1,
    )));
    identity
        .withdraw_email_change(&by(&user), &user.id)
        .await
        .unwrap();
    let none = identity.withdraw_email_change(&by(&user), &user.id).await;
    assert!(matches!(none, Err(Error::Missing(_))), "{none:?}");
    wish().await;
    tokens.push(token_of(&link_in(
        &letters(&fresh, &mut server, 2).await[0].1,
    )));
    identity
        .change_password(&by(&user), &user.id, None, &proof(), &PASSWORD.into())
        .await
        .unwrap();
    assert_eq!(identity.pending_email(&user.id).await.unwrap(), None);
    for token in tokens {
        let refused = identity.verify_email(&client(), &token, None).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
}

async fn whether_an_address_is_taken_is_not_told(engine: &str) {
    let (fresh, mut server) = with_mail(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    fresh.user("taken@a.example").await;
    letters(&fresh, &mut server, 1).await;
    for (email, subject) in [
        ("free@a.example", "Confirm your new e-mail address"),
        (
            "taken@a.example",
            "Your e-mail address was given for an account",
        ),
    ] {
        let wish = identity
            .change_email(&by(&user), &user.id, None, email, &proof())
            .await;
        assert_eq!(wish.unwrap(), EmailChange::Pending, "{email}");
        let pending = identity.pending_email(&user.id).await.unwrap();
        assert_eq!(pending.as_deref(), Some(email));
        let sent = letters(&fresh, &mut server, 2).await;
        assert_eq!(sent[0].0, email);
        assert!(says(&sent[0].1, subject), "{:?}", sent[0].1);
        let text = sent[0].1["content"].as_str().unwrap();
        assert_eq!(text.contains("weir_once_"), email == "free@a.example");
    }
    // Taken while its link was under way: its reader is told.
    let wish = identity
        .change_email(&by(&user), &user.id, None, "late@a.example", &proof())
        .await;
    assert!(wish.is_ok());
    let token = token_of(&link_in(&letters(&fresh, &mut server, 2).await[0].1));
    fresh.user("late@a.example").await;
    let late = identity.verify_email(&client(), &token, None).await;
    assert!(matches!(late, Err(Error::Taken("email"))), "{late:?}");
    assert_eq!(
        identity.user(&user.id).await.unwrap().email,
        "zoe@a.example"
    );
}

async fn without_mail_an_address_is_changed_at_once(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    fresh.user("taken@a.example").await;
    let kept = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let other = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let session = Some(&kept.session.id);
    let change = async |email: &str| {
        identity
            .change_email(&by(&user), &user.id, session, email, &proof())
            .await
    };
    let same = change("ZOE@a.example").await;
    assert!(matches!(same, Err(Error::Conflict(_))), "{same:?}");
    let taken = change("taken@a.example").await;
    assert!(matches!(taken, Err(Error::Taken("email"))), "{taken:?}");
    assert_eq!(change("new@a.example").await.unwrap(), EmailChange::Done);
    let after = identity.user(&user.id).await.unwrap();
    assert_eq!(after.email, "new@a.example");
    assert_eq!(after.email_verified_at, None);
    let is_alive = async |token: &str| identity.authenticate(token).await.unwrap().is_some();
    assert!(is_alive(kept.token.expose()).await);
    assert!(!is_alive(other.token.expose()).await);
    let told = fresh.actions(&TenantId::platform()).await;
    assert!(told.contains(&"email.change_unverified".to_owned()));
    // Nobody takes the proof for others.
    let others = identity.user_by_email("taken@a.example").await.unwrap();
    let update = weir_identity::UserUpdate {
        email: Some("mine@a.example".to_owned()),
        name: None,
    };
    let own = identity
        .update_user(&by(&after), &after.id, None, update.clone())
        .await;
    assert!(matches!(own, Err(Error::Forbidden(_))), "{own:?}");
    identity
        .update_user(&operator(), &others.id, None, update)
        .await
        .unwrap();
}

async fn wishes_are_counted(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("zoe@a.example").await;
    let mut changed = 0;
    loop {
        let email = format!("zoe{changed}@a.example");
        let change = fresh
            .identity
            .change_email(&by(&user), &user.id, None, &email, &proof())
            .await;
        match change {
            Ok(_) => changed += 1,
            Err(Error::Throttled { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(changed, 6);
}
