//! Letters reach a real mail server, however long that takes, and say nothing but what they should.

use std::time::Duration;

use weir_core::TenantId;
use weir_identity::{
    BuiltIn, Delivered, Error, MailTls, NewMember, NewOrganization, Options, OrganizationUpdate,
};
use weir_store::records::PlatformTable;

use crate::engines::{
    Fresh, PASSWORD, built_in, by, client, fresh_with, on_both_engines, operator, options, sign_in,
    token_of,
};
use crate::mail_server::{Place, link_in};

on_both_engines! {
    an_invitation_arrives_and_is_accepted,
    an_address_is_verified,
    a_forgotten_password_is_set_anew,
    an_address_that_is_nobodys_hears_nothing,
    asking_for_links_keeps_nobody_from_signing_in,
    a_server_that_is_down_loses_nothing,
    two_nodes_send_a_letter_once,
    what_waits_is_sealed,
}

async fn with_mail(engine: &str, place: &Place) -> Fresh {
    let options = Options {
        mail: Some(place.options()),
        ..options()
    };
    fresh_with(engine, options).await
}

async fn deliver(fresh: &Fresh) -> Delivered {
    fresh.identity.deliver_mail().await.unwrap()
}

async fn waiting(fresh: &Fresh) -> usize {
    let outbox = PlatformTable::new("mail_outbox").rows();
    fresh.records.all(outbox.select()).await.unwrap().len()
}

/// Letters that are sent along: that a password is another one now.
async fn drop_letters(fresh: &Fresh) {
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let outbox = PlatformTable::new("mail_outbox").rows();
    write.remove(outbox, "version > ?", [0_i64]).await.unwrap();
    write.commit().await.unwrap();
}

const SENT: Delivered = Delivered {
    sent: 1,
    deferred: 0,
    dropped: 0,
};

async fn an_invitation_arrives_and_is_accepted(engine: &str) {
    let place = Place::new(MailTls::StartTls, Some(("weir", "canary")));
    let mut server = place.start().await;
    let fresh = with_mail(engine, &place).await;
    let identity = &fresh.identity;
    // What looks like headers in a name is refused where names are given.
    let hostile = NewOrganization {
        slug: "acme".to_owned(),
        name: "Acme\r\nBcc: all@b.example".to_owned(),
        settings: Default::default(),
    };
    let refused = identity.create_organization(&operator(), hostile).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "name", .. })));
    let acme = fresh.organization("acme").await;
    let name = OrganizationUpdate {
        name: Some("Acmé: Bcc: =?utf-8?q?x?= <x@b.example>".to_owned()),
        settings: None,
    };
    identity
        .update_organization(&operator(), &acme, None, name)
        .await
        .unwrap();
    let viewer = built_in(BuiltIn::Viewer);
    let invited = identity
        .invite(&operator(), &acme, "zoe@a.example", &viewer)
        .await;
    assert!(
        invited.unwrap().link.is_none(),
        "the link is only in the letter"
    );
    assert_eq!(deliver(&fresh).await, SENT);
    let letter = server.letter().await;
    assert_eq!(letter["to"], serde_json::json!(["zoe@a.example"]));
    assert_eq!(letter["from"], "weir@weir.example");
    assert_eq!(
        (&letter["tls"], &letter["authenticated"]),
        (&true.into(), &true.into())
    );
    let content = letter["content"].as_str().unwrap();
    let (head, _) = content.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Subject: You are invited\r\n"), "{head}");
    assert!(!head.to_lowercase().contains("bcc:"), "{head}");
    let new = NewMember {
        name: "Zoë".to_owned(),
        password: PASSWORD.into(),
    };
    let token = token_of(&link_in(&letter));
    let accepted = identity
        .accept_invitation(&client(), &token, Some(new))
        .await;
    assert!(accepted.unwrap().1.email_verified_at.is_some());
    assert_eq!(deliver(&fresh).await, Delivered::default(), "sent once");
}

async fn an_address_is_verified(engine: &str) {
    let place = Place::new(MailTls::Implicit, Some(("weir", "canary")));
    let mut server = place.start().await;
    let fresh = with_mail(engine, &place).await;
    let identity = &fresh.identity;
    let user = fresh.user("zoe@a.example").await;
    identity
        .request_verification(&by(&user), &user.id)
        .await
        .unwrap();
    deliver(&fresh).await;
    let letter = server.letter().await;
    assert_eq!(
        (&letter["tls"], &letter["authenticated"]),
        (&true.into(), &true.into())
    );
    let token = token_of(&link_in(&letter));
    // What verifies an address opens nothing else.
    let refused = identity
        .reset_password(&client(), &token, &PASSWORD.into())
        .await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    assert_eq!(
        identity
            .verify_email(&client(), &token, None)
            .await
            .unwrap(),
        user.id
    );
    assert!(
        identity
            .user(&user.id)
            .await
            .unwrap()
            .email_verified_at
            .is_some()
    );
    let again = identity.verify_email(&client(), &token, None).await;
    assert!(matches!(again, Err(Error::Refused(_))));

    // A link to an address that was given up verifies nothing.
    let other = fresh.user("other@a.example").await;
    identity
        .request_verification(&by(&other), &other.id)
        .await
        .unwrap();
    deliver(&fresh).await;
    let token = token_of(&link_in(&server.letter().await));
    let moved = weir_identity::UserUpdate {
        email: Some("moved@a.example".to_owned()),
        name: None,
    };
    identity
        .update_user(&operator(), &other.id, None, moved)
        .await
        .unwrap();
    assert!(
        identity
            .verify_email(&client(), &token, None)
            .await
            .is_err()
    );
}

async fn a_forgotten_password_is_set_anew(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let mut server = place.start().await;
    let fresh = with_mail(engine, &place).await;
    let identity = &fresh.identity;
    let user = fresh.person("zoe@a.example").await;
    drop_letters(&fresh).await;
    let session = fresh.signed_in("zoe@a.example", PASSWORD).await;
    identity
        .request_reset(&client(), "ZOE@a.example")
        .await
        .unwrap();
    deliver(&fresh).await;
    let first = token_of(&link_in(&server.letter().await));
    identity
        .request_reset(&client(), "zoe@a.example")
        .await
        .unwrap();
    deliver(&fresh).await;
    let second = token_of(&link_in(&server.letter().await));
    let new = "another long password";
    assert!(
        identity
            .reset_password(&client(), &first, &new.into())
            .await
            .is_err()
    );
    identity
        .reset_password(&client(), &second, &new.into())
        .await
        .unwrap();
    let again = identity
        .reset_password(&client(), &second, &PASSWORD.into())
        .await;
    assert!(matches!(again, Err(Error::Refused(_))));
    // Whoever knew the old one is out.
    let session = identity.authenticate(session.token.expose()).await.unwrap();
    assert!(session.is_none());
    let old = sign_in(identity, "zoe@a.example", PASSWORD).await;
    assert!(matches!(old, Err(Error::Refused(_))));
    fresh.signed_in("zoe@a.example", new).await;
    deliver(&fresh).await;
    let notice = server.letter().await;
    assert!(
        notice["content"]
            .as_str()
            .unwrap()
            .contains("Your password was changed")
    );
    assert!(
        identity
            .user(&user.id)
            .await
            .unwrap()
            .email_verified_at
            .is_some()
    );
    let text = format!("{:?}", fresh.audit(&TenantId::platform()).await);
    for secret in [PASSWORD, new, second.expose(), "$argon2id"] {
        assert!(!text.contains(secret));
    }
}

async fn an_address_that_is_nobodys_hears_nothing(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let fresh = with_mail(engine, &place).await;
    let identity = &fresh.identity;
    let suspended = fresh.person("suspended@a.example").await;
    identity
        .suspend_user(&operator(), &suspended.id, None, "away")
        .await
        .unwrap();
    fresh.person("zoe@a.example").await;
    drop_letters(&fresh).await;
    for email in ["nobody@a.example", "suspended@a.example"] {
        identity.request_reset(&client(), email).await.unwrap();
        assert_eq!(waiting(&fresh).await, 0, "{email}");
    }
    // However often it is asked: somebody who has an account gets few letters, and the answer is the same.
    for email in ["nobody@a.example", "zoe@a.example"] {
        for _ in 0..8 {
            identity.request_reset(&client(), email).await.unwrap();
        }
    }
    assert_eq!(waiting(&fresh).await, 4);
    let tokens = PlatformTable::new("one_time_tokens").rows();
    let tokens = fresh.records.all(tokens.select()).await.unwrap();
    assert_eq!(
        tokens.len(),
        1,
        "one link of hers works, and none of nobody's is left"
    );
}

async fn asking_for_links_keeps_nobody_from_signing_in(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let fresh = with_mail(engine, &place).await;
    fresh.person("zoe@a.example").await;
    let mut asked = 0;
    loop {
        let email = format!("nobody{asked}@a.example");
        match fresh.identity.request_reset(&client(), &email).await {
            Ok(()) => asked += 1,
            Err(Error::Throttled { .. }) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(asked, 21);
    fresh.signed_in("zoe@a.example", PASSWORD).await;
}

async fn a_server_that_is_down_loses_nothing(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let fresh = with_mail(engine, &place).await;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    for name in ["one", "two", "refused"] {
        let email = format!("{name}@a.example");
        fresh
            .identity
            .invite(&operator(), &acme, &email, &viewer)
            .await
            .unwrap();
    }
    assert_eq!(deliver(&fresh).await.deferred, 3);
    assert_eq!(
        deliver(&fresh).await,
        Delivered::default(),
        "not at once again"
    );
    let mut server = place.start().await;
    fresh.set_time("mail_outbox", "next_attempt_at", -31).await;
    let delivered = deliver(&fresh).await;
    assert_eq!((delivered.sent, delivered.deferred), (2, 1));
    let mut to = [server.letter().await, server.letter().await];
    to.sort_by_key(|letter| letter["to"].to_string());
    assert_eq!(to[0]["to"][0], "one@a.example");
    assert_eq!(to[1]["to"][0], "two@a.example");
    // What the server refuses is tried for three days.
    let outbox = PlatformTable::new("mail_outbox").rows();
    let row = fresh.records.first(outbox.select()).await.unwrap().unwrap();
    assert_eq!(row.int("attempts").unwrap(), 2);
    assert!(row.text("last_error").unwrap().contains("no such mailbox"));
    fresh.set_time("mail_outbox", "next_attempt_at", -61).await;
    fresh
        .set_time("mail_outbox", "created_at", -3 * 86_400 - 1)
        .await;
    assert_eq!(deliver(&fresh).await.dropped, 1);
    assert_eq!(waiting(&fresh).await, 0);
}

async fn two_nodes_send_a_letter_once(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let mut server = place.start().await;
    let fresh = with_mail(engine, &place).await;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    for number in 0..8 {
        let email = format!("{number}@a.example");
        fresh
            .identity
            .invite(&operator(), &acme, &email, &viewer)
            .await
            .unwrap();
    }
    let (one, two) = tokio::join!(deliver(&fresh), deliver(&fresh));
    assert_eq!(one.sent + two.sent, 8);
    let mut to = Vec::new();
    for _ in 0..8 {
        to.push(server.letter().await["to"].to_string());
    }
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), 8);
}

async fn what_waits_is_sealed(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let fresh = with_mail(engine, &place).await;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    fresh
        .identity
        .invite(&operator(), &acme, "zoe@a.example", &viewer)
        .await
        .unwrap();
    let outbox = PlatformTable::new("mail_outbox").rows();
    let row = fresh.records.first(outbox.select()).await.unwrap().unwrap();
    let sealed = row.bytes("sealed_message").unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("weir_once_"));
    // It goes with the person.
    let user = fresh.user("zoe@a.example").await;
    let certificate = fresh
        .identity
        .erase_user(&operator(), &user.id)
        .await
        .unwrap();
    assert_eq!(certificate.rows["mail_outbox"], 1);
    assert_eq!(certificate.rows["invitations"], 1);
    assert_eq!(certificate.rows["one_time_tokens"], 1);
    let text = format!("{:?}", fresh.audit(&acme).await);
    assert!(!text.contains("zoe@a.example"), "{text}");
}

/// A server with another certificate gets neither password nor letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_who_it_says_gets_nothing() {
    let place = Place::new(MailTls::StartTls, Some(("weir", "canary")));
    let _server = place.start().await;
    let other = Place::new(MailTls::StartTls, None);
    let mut mail = place.options();
    mail.authority = other.options().authority;
    mail.timeout = Duration::from_secs(5);
    let options = Options {
        mail: Some(mail),
        ..options()
    };
    let fresh = fresh_with("sqlite", options).await;
    let user = fresh.user("zoe@a.example").await;
    fresh
        .identity
        .request_verification(&by(&user), &user.id)
        .await
        .unwrap();
    assert_eq!(deliver(&fresh).await.deferred, 1);
    let outbox = PlatformTable::new("mail_outbox").rows();
    let row = fresh.records.first(outbox.select()).await.unwrap().unwrap();
    let said = row.text("last_error").unwrap().to_lowercase();
    assert!(
        said.contains("certificate") && !said.contains("canary"),
        "{said}"
    );
}
