//! Invitations, where mail does not leave: whoever invites hands the link over.

use weir_core::Secret;
use weir_identity::{BuiltIn, Error, Listing, NewMember, NewRole};

use crate::engines::{PASSWORD, built_in, by, client, fresh, on_both_engines, operator, token_of};

on_both_engines! {
    somebody_new_accepts,
    somebody_with_an_account_accepts,
    a_link_is_of_use_once_to_whom_it_was_sent,
    nobody_invites_to_more_than_they_have,
    an_invitation_goes_with_its_organization,
    nobody_joins_what_is_suspended_or_deleted,
}

fn new(password: &str) -> Option<NewMember> {
    Some(NewMember {
        name: "Zoë".to_owned(),
        password: password.into(),
    })
}

async fn somebody_new_accepts(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let invited = identity
        .invite(
            &operator(),
            &acme,
            "Zoe@a.example",
            &built_in(BuiltIn::Editor),
        )
        .await
        .unwrap();
    let token = token_of(&invited.link.unwrap());
    let offer = identity.offer(&token).await.unwrap();
    assert_eq!(
        (
            offer.email.as_str(),
            offer.organization.as_str(),
            offer.has_account
        ),
        ("zoe@a.example", "acme", false)
    );
    let weak = identity
        .accept_invitation(&client(), &token, new("short"))
        .await;
    assert!(matches!(
        weak,
        Err(Error::Invalid {
            field: "password",
            ..
        })
    ));
    let none = identity.accept_invitation(&client(), &token, None).await;
    assert!(matches!(
        none,
        Err(Error::Invalid {
            field: "password",
            ..
        })
    ));
    let accepted = identity
        .accept_invitation(&client(), &token, new(PASSWORD))
        .await;
    let (tenant, user) = accepted.unwrap();
    assert_eq!(tenant, acme);
    // Nobody showed that they read mail there.
    assert_eq!(user.email_verified_at, None);
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let belongings = identity.belongings(&user.id).await.unwrap();
    assert_eq!(belongings[0].role, built_in(BuiltIn::Editor));
    let invitation = identity
        .invitation(&acme, &invited.invitation.id)
        .await
        .unwrap();
    assert!(invitation.accepted_at.is_some());
    let again = identity
        .invite(
            &operator(),
            &acme,
            "zoe@a.example",
            &built_in(BuiltIn::Editor),
        )
        .await;
    assert!(matches!(again, Err(Error::Conflict(_))));
    assert_eq!(
        fresh.actions(&acme).await,
        ["organization.create", "invitation.create", "member.add"]
    );
}

async fn somebody_with_an_account_accepts(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (zoe, eve) = (
        fresh.person("zoe@a.example").await,
        fresh.person("eve@a.example").await,
    );
    let viewer = built_in(BuiltIn::Viewer);
    let invited = identity
        .invite(&operator(), &acme, "zoe@a.example", &viewer)
        .await;
    let token = token_of(&invited.unwrap().link.unwrap());
    assert!(identity.offer(&token).await.unwrap().has_account);
    // Not by who is not signed in, which would take the account over, nor by another account.
    let refused = identity
        .accept_invitation(&client(), &token, new("another password"))
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let refused = identity.accept_invitation(&by(&eve), &token, None).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    let (_, user) = identity
        .accept_invitation(&by(&zoe), &token, None)
        .await
        .unwrap();
    assert_eq!(user.id, zoe.id);
    assert_eq!(identity.belongings(&zoe.id).await.unwrap().len(), 1);
}

async fn a_link_is_of_use_once_to_whom_it_was_sent(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    let invite = async |email: &str| {
        let invited = identity.invite(&operator(), &acme, email, &viewer).await;
        let invited = invited.unwrap();
        (invited.invitation.id, token_of(&invited.link.unwrap()))
    };
    let accept = async |token: &Secret<String>| {
        identity
            .accept_invitation(&client(), token, new(PASSWORD))
            .await
    };
    let (id, first) = invite("one@a.example").await;
    assert!(matches!(
        identity
            .invite(&operator(), &acme, "ONE@a.example", &viewer)
            .await,
        Err(Error::Taken("email"))
    ));
    let resent = identity
        .resend_invitation(&operator(), &acme, &id)
        .await
        .unwrap();
    assert!(matches!(accept(&first).await, Err(Error::Refused(_))));
    let second = token_of(&resent.link.unwrap());
    accept(&second).await.unwrap();
    assert!(matches!(accept(&second).await, Err(Error::Refused(_))));
    assert!(matches!(
        identity.resend_invitation(&operator(), &acme, &id).await,
        Err(Error::Conflict(_))
    ));

    let (id, token) = invite("two@a.example").await;
    identity
        .revoke_invitation(&operator(), &acme, &id, Some(1))
        .await
        .unwrap();
    assert!(matches!(accept(&token).await, Err(Error::Refused(_))));
    let (_, token) = invite("three@a.example").await;
    fresh
        .set_time("one_time_tokens", "expires_at", -7 * 86_400 - 1)
        .await;
    assert!(matches!(accept(&token).await, Err(Error::Refused(_))));

    // By two at once.
    let (_, token) = invite("four@a.example").await;
    let (one, two) = tokio::join!(accept(&token), accept(&token));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let page = identity
        .invitations(&acme, None, &Listing::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 3);
}

async fn nobody_invites_to_more_than_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (admin, _) = fresh.member(&acme, "admin@a.example", BuiltIn::Admin).await;
    let owner = built_in(BuiltIn::Owner);
    let refused = identity
        .invite(&by(&admin), &acme, "x@a.example", &owner)
        .await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    // A role that is gone when the invitation is accepted gives nothing.
    let role = NewRole {
        name: "short".to_owned(),
        description: String::new(),
        permissions: Default::default(),
    };
    let role = identity
        .create_role(&operator(), &acme, role)
        .await
        .unwrap();
    let custom = weir_identity::Assigned::Custom(role.id.clone());
    let invited = identity
        .invite(&by(&admin), &acme, "x@a.example", &custom)
        .await;
    assert!(invited.unwrap().link.is_some());
    assert!(matches!(
        identity
            .delete_role(&operator(), &acme, &role.id, None)
            .await,
        Err(Error::Conflict(_))
    ));
}

async fn an_invitation_goes_with_its_organization(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    let invited = identity
        .invite(&operator(), &acme, "x@a.example", &viewer)
        .await;
    let token = token_of(&invited.unwrap().link.unwrap());
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    let refused = identity
        .accept_invitation(&client(), &token, new(PASSWORD))
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    identity
        .restore_organization(&operator(), &acme)
        .await
        .unwrap();
    identity
        .accept_invitation(&client(), &token, new(PASSWORD))
        .await
        .unwrap();
}

async fn nobody_joins_what_is_suspended_or_deleted(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    let invited = identity
        .invite(&operator(), &acme, "zoe@a.example", &viewer)
        .await;
    let token = token_of(&invited.unwrap().link.unwrap());
    let accept = async || {
        identity
            .accept_invitation(&client(), &token, new(PASSWORD))
            .await
    };
    identity
        .suspend_organization(&operator(), &acme, None, "unpaid")
        .await
        .unwrap();
    assert!(matches!(
        identity.offer(&token).await,
        Err(Error::Suspended)
    ));
    assert!(matches!(accept().await, Err(Error::Suspended)));
    identity
        .resume_organization(&operator(), &acme, None)
        .await
        .unwrap();
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    let gone = identity.offer(&token).await;
    assert!(matches!(gone, Err(Error::Conflict(_))), "{gone:?}");
    let gone = accept().await;
    assert!(matches!(gone, Err(Error::Conflict(_))), "{gone:?}");
    // Nobody was made, and the link waits.
    assert!(identity.user_by_email("zoe@a.example").await.is_err());
    identity
        .restore_organization(&operator(), &acme)
        .await
        .unwrap();
    accept().await.unwrap();
}
