//! Passwords are changed by who knows the present one, and handed over as links.

use weir_identity::{Error, Proof};

use crate::engines::{PASSWORD, by, client, fresh, on_both_engines, operator, token_of};

on_both_engines! {
    who_knows_the_password_changes_it,
    a_link_that_was_handed_over_sets_one,
    where_no_mail_leaves_none_is_promised,
}

fn shown(password: &str) -> Proof {
    Proof {
        password: password.into(),
        code: None,
    }
}

async fn who_knows_the_password_changes_it(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    let kept = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let ended = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let new = "another long password";
    let change = async |present: &str, new: &str| {
        let session = Some(&kept.session.id);
        identity
            .change_password(&by(&user), &user.id, session, &shown(present), &new.into())
            .await
    };
    for weak in [
        "short",
        "zoe@a.example",
        "passwordpassword",
        &"x".repeat(257),
    ] {
        let refused = change(PASSWORD, weak).await;
        assert!(
            matches!(
                refused,
                Err(Error::Invalid {
                    field: "password",
                    ..
                })
            ),
            "{weak}"
        );
    }
    assert!(matches!(
        change("wrong password", new).await,
        Err(Error::Refused(_))
    ));
    change(PASSWORD, new).await.unwrap();
    let is_alive = async |token: &str| identity.authenticate(token).await.unwrap().is_some();
    assert!(is_alive(kept.token.expose()).await);
    assert!(!is_alive(ended.token.expose()).await);
    fresh.signed_in("zoe@a.example", new).await;
    // Whoever sits at an open session cannot guess either.
    let mut refused = 0;
    while let Err(Error::Refused(_)) = change("wrong password", PASSWORD).await {
        refused += 1;
    }
    assert_eq!(refused, 6);
}

async fn a_link_that_was_handed_over_sets_one(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let user = fresh.user("zoe@a.example").await;
    let link = identity.issue_reset(&operator(), &user.id).await.unwrap();
    let token = token_of(&link);
    let weak = identity
        .reset_password(&client(), &token, &"short".into())
        .await;
    assert!(matches!(weak, Err(Error::Invalid { .. })));
    identity
        .reset_password(&client(), &token, &PASSWORD.into())
        .await
        .unwrap();
    // It shows nothing about who reads mail there.
    assert_eq!(
        identity.user(&user.id).await.unwrap().email_verified_at,
        None
    );
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    // Who is suspended gets in by no link.
    let link = identity.issue_reset(&operator(), &user.id).await.unwrap();
    identity
        .suspend_user(&operator(), &user.id, None, "away")
        .await
        .unwrap();
    let refused = identity
        .reset_password(&client(), &token_of(&link), &PASSWORD.into())
        .await;
    assert!(matches!(refused, Err(Error::Refused(_))));
}

async fn where_no_mail_leaves_none_is_promised(engine: &str) {
    let fresh = fresh(engine).await;
    let user = fresh.user("zoe@a.example").await;
    let asked = fresh
        .identity
        .request_reset(&client(), "zoe@a.example")
        .await;
    assert!(matches!(asked, Err(Error::NoMail)));
    let asked = fresh
        .identity
        .request_verification(&by(&user), &user.id)
        .await;
    assert!(matches!(asked, Err(Error::NoMail)));
    // Whoever asks of somebody who is not there hears no more.
    let stranger = fresh
        .identity
        .request_reset(&client(), "nobody@a.example")
        .await;
    assert!(matches!(stranger, Err(Error::NoMail)));
}
