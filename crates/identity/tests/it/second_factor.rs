//! A second factor: asked for, taken once, and replaced by a recovery code when it is lost.

use totp_rs::{Builder, Secret as TotpSecret, Totp};
use weir_core::Secret;
use weir_identity::{Enrolment, Error, Step, User};

use crate::engines::{
    Fresh, PASSWORD, by, client, fresh, on_both_engines, operator, proof, proof_with, sign_in,
};

on_both_engines! {
    a_code_is_asked_for_and_taken_once,
    a_recovery_code_is_taken_once,
    codes_cannot_be_guessed,
    an_authenticator_counts_once_it_was_shown,
    the_secret_is_sealed_at_rest,
    a_lost_one_is_removed_by_others,
    the_code_of_a_new_one_cannot_be_guessed,
}

pub(crate) fn authenticator(enrolment: &Enrolment) -> Totp {
    let secret = TotpSecret::try_from_base32(enrolment.secret.expose()).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

pub(crate) fn code(totp: &Totp, steps_from_now: i64) -> String {
    let now = jiff::Timestamp::now().as_second() + 30 * steps_from_now;
    totp.generate(u64::try_from(now).unwrap()).to_string()
}

/// Somebody with an authenticator, which has shown its code of the step before this one.
async fn enrolled(fresh: &Fresh, email: &str) -> (User, Totp, Secret<Vec<String>>) {
    let user = fresh.person(email).await;
    let enrolment = fresh
        .identity
        .enrol_totp(&by(&user), &user.id, &proof())
        .await
        .unwrap();
    let totp = authenticator(&enrolment);
    let shown = code(&totp, -1);
    let codes = fresh
        .identity
        .confirm_totp(&by(&user), &user.id, &shown)
        .await
        .unwrap();
    (user, totp, codes)
}

async fn challenge(fresh: &Fresh, email: &str) -> Secret<String> {
    let step = sign_in(&fresh.identity, email, PASSWORD);
    match step.await.unwrap() {
        Step::SecondFactor(token) => token,
        Step::SignedIn(_) => panic!("no second factor is asked for"),
    }
}

async fn a_code_is_asked_for_and_taken_once(engine: &str) {
    let fresh = fresh(engine).await;
    let (user, totp, _) = enrolled(&fresh, "zoe@a.example").await;
    let token = challenge(&fresh, "zoe@a.example").await;
    let second = async |token: &Secret<String>, code: &str| {
        fresh.identity.sign_in_second(&client(), token, code).await
    };
    // What opens the second step opens nothing else.
    assert!(
        fresh
            .identity
            .authenticate(token.expose())
            .await
            .unwrap()
            .is_none()
    );
    let code = code(&totp, 0);
    let signed_in = second(&token, &code).await.unwrap();
    assert_eq!(signed_in.session.user_id, user.id);
    assert!(signed_in.session.is_two_factor);
    // Both steps were right: neither the account nor the address has a failure to its name.
    let throttles = weir_store::records::PlatformTable::new("throttles").rows();
    for row in fresh.records.all(throttles.select()).await.unwrap() {
        assert_eq!(row.int("failures").unwrap(), 0);
    }
    // Neither the token nor the code are good for another one.
    assert!(matches!(
        second(&token, &code).await,
        Err(Error::Refused(_))
    ));
    let token = challenge(&fresh, "zoe@a.example").await;
    assert!(matches!(
        second(&token, &code).await,
        Err(Error::Refused(_))
    ));
}

async fn a_recovery_code_is_taken_once(engine: &str) {
    let fresh = fresh(engine).await;
    let (user, totp, codes) = enrolled(&fresh, "zoe@a.example").await;
    assert_eq!(codes.expose().len(), 10);
    let spare = codes.expose()[3].clone();
    let (one, two) = (
        challenge(&fresh, "zoe@a.example").await,
        challenge(&fresh, "zoe@a.example").await,
    );
    // By two at once: one is let in. However it is typed.
    let typed = format!(" {} ", spare.to_uppercase());
    let caller = client();
    let (first, second) = tokio::join!(
        fresh.identity.sign_in_second(&caller, &one, &spare),
        fresh.identity.sign_in_second(&caller, &two, &typed),
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let renewed = fresh
        .identity
        .renew_recovery_codes(&by(&user), &user.id, &proof_with(code(&totp, 0)))
        .await
        .unwrap();
    let token = challenge(&fresh, "zoe@a.example").await;
    let old = &codes.expose()[4];
    let answer = fresh.identity.sign_in_second(&client(), &token, old).await;
    assert!(matches!(answer, Err(Error::Refused(_))));
    let new = &renewed.expose()[0];
    let answer = fresh.identity.sign_in_second(&client(), &token, new).await;
    assert!(answer.is_ok());
}

async fn codes_cannot_be_guessed(engine: &str) {
    let fresh = fresh(engine).await;
    enrolled(&fresh, "zoe@a.example").await;
    let token = challenge(&fresh, "zoe@a.example").await;
    let mut refused = 0;
    loop {
        let guess = ["", "000000", "abc", "' OR 1=1 --", "９９９９９９"][refused % 5];
        match fresh
            .identity
            .sign_in_second(&client(), &token, guess)
            .await
        {
            Err(Error::Refused(_)) => refused += 1,
            Err(Error::Throttled { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    // With the right password before, which counted as well.
    assert_eq!(refused, 5);
    // The right password does not begin the count anew: guessing goes no faster by it.
    let step = sign_in(&fresh.identity, "zoe@a.example", PASSWORD).await;
    assert!(matches!(step, Err(Error::Throttled { .. })));
}

async fn an_authenticator_counts_once_it_was_shown(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let first = identity
        .enrol_totp(&by(&user), &user.id, &proof())
        .await
        .unwrap();
    let url = first.url.expose();
    assert!(
        url.starts_with("otpauth://totp/Weir:zoe@a.example?secret="),
        "{url}"
    );
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    // Another one in its place; the first one's codes are worth nothing.
    let second = identity
        .enrol_totp(&by(&user), &user.id, &proof())
        .await
        .unwrap();
    let old = code(&authenticator(&first), 0);
    let refused = identity.confirm_totp(&by(&user), &user.id, &old).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "code", .. })));
    let new = code(&authenticator(&second), 0);
    identity
        .confirm_totp(&by(&user), &user.id, &new)
        .await
        .unwrap();
    assert!(matches!(
        identity.enrol_totp(&by(&user), &user.id, &proof()).await,
        Err(Error::Conflict(_))
    ));
    challenge(&fresh, "zoe@a.example").await;
    let shown = proof_with(code(&authenticator(&second), 1));
    identity
        .remove_totp(&by(&user), &user.id, &shown)
        .await
        .unwrap();
    fresh.signed_in("zoe@a.example", PASSWORD).await;
}

async fn the_secret_is_sealed_at_rest(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.person("zoe@a.example").await;
    let enrolment = fresh
        .identity
        .enrol_totp(&by(&user), &user.id, &proof())
        .await
        .unwrap();
    let secret = TotpSecret::try_from_base32(enrolment.secret.expose()).unwrap();
    let rows = weir_store::records::PlatformTable::new("totp").rows();
    let row = fresh.records.first(rows.select()).await.unwrap().unwrap();
    let sealed = row.bytes("sealed_secret").unwrap();
    let secret: &[u8] = secret.as_ref();
    assert!(!sealed.windows(secret.len()).any(|window| window == secret));
    assert!(!format!("{enrolment:?}").contains(enrolment.secret.expose().as_str()));
}

async fn a_lost_one_is_removed_by_others(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (user, totp, _) = enrolled(&fresh, "zoe@a.example").await;
    let token = challenge(&fresh, "zoe@a.example").await;
    let session = identity
        .sign_in_second(&client(), &token, &code(&totp, 0))
        .await
        .unwrap();
    // Not by oneself, past the proof.
    let own = identity.remove_totp_of(&by(&user), &user.id).await;
    assert!(matches!(own, Err(Error::Forbidden(_))), "{own:?}");
    identity
        .remove_totp_of(&operator(), &user.id)
        .await
        .unwrap();
    let session = identity.authenticate(session.token.expose()).await;
    assert!(session.unwrap().is_none());
    assert!(!identity.has_second_factor(&user.id).await.unwrap());
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let none = identity.remove_totp_of(&operator(), &user.id).await;
    assert!(matches!(none, Err(Error::Missing(_))), "{none:?}");
    let told = fresh.audit(&weir_core::TenantId::platform()).await;
    let told = told.iter().rfind(|entry| entry.action == "totp.remove");
    assert_eq!(told.unwrap().actor_kind, "operator");
}

/// Whoever has only the session would get recovery codes by it.
async fn the_code_of_a_new_one_cannot_be_guessed(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    identity
        .enrol_totp(&by(&user), &user.id, &proof())
        .await
        .unwrap();
    let mut refused = 0;
    while let Err(Error::Invalid { .. }) =
        identity.confirm_totp(&by(&user), &user.id, "000000").await
    {
        refused += 1;
    }
    assert_eq!(refused, 6);
}
