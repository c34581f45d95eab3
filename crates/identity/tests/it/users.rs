//! Accounts come, change, are suspended, go to the trash and come back.

use weir_identity::{BuiltIn, Error, Listing, NewUser, UserFilter, UserOrder, UserUpdate};

use crate::engines::{built_in, fresh, on_both_engines, operator};

on_both_engines! {
    an_account_lives,
    an_address_is_one_persons_however_it_is_written,
    accounts_are_found_by_the_beginning_of_their_address,
    an_account_goes_and_comes_back_with_its_memberships,
    members_and_invitations_are_found_by_the_beginning_of_their_address,
}

async fn an_account_lives(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let made = fresh.user("zoe@a.example").await;
    assert_eq!(identity.user(&made.id).await.unwrap(), made);
    assert!(!made.has_password && made.email_verified_at.is_none());
    let update = UserUpdate {
        name: Some("Zoë".to_owned()),
        ..Default::default()
    };
    let updated = identity
        .update_user(&operator(), &made.id, Some(1), update.clone())
        .await
        .unwrap();
    assert_eq!((updated.name.as_str(), updated.version), ("Zoë", 2));
    assert!(matches!(
        identity
            .update_user(&operator(), &made.id, Some(1), update)
            .await,
        Err(Error::Stale { version: 2 })
    ));
    let suspended = identity
        .suspend_user(&operator(), &made.id, None, "away")
        .await
        .unwrap();
    assert!(suspended.suspended_at.is_some());
    let filter = UserFilter {
        is_suspended: Some(true),
        ..Default::default()
    };
    let page = identity
        .users(&filter, UserOrder::Created, &Listing::default())
        .await
        .unwrap();
    assert_eq!(page.items, [suspended]);
    let resumed = identity
        .resume_user(&operator(), &made.id, None)
        .await
        .unwrap();
    assert_eq!(resumed.suspended_at, None);
}

async fn an_address_is_one_persons_however_it_is_written(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let new = |email: &str| NewUser {
        email: email.to_owned(),
        name: "Somebody".to_owned(),
    };
    let made = identity
        .create_user(&operator(), new(" Zoe@A.Example "))
        .await
        .unwrap();
    assert_eq!(made.email, "zoe@a.example");
    assert!(matches!(
        identity
            .create_user(&operator(), new("ZOE@a.example"))
            .await,
        Err(Error::Taken("email"))
    ));
    let other = fresh.user("other@a.example").await;
    let update = UserUpdate {
        email: Some("ZOE@A.EXAMPLE".to_owned()),
        ..Default::default()
    };
    assert!(matches!(
        identity
            .update_user(&operator(), &other.id, None, update)
            .await,
        Err(Error::Taken("email"))
    ));
    assert_eq!(identity.user_by_email("ZOE@A.example").await.unwrap(), made);
    for bad in [
        "zoe",
        "zoe@a\r\nBcc: all@a.example",
        "zoe@a.example\0",
        "<zoe@a.example>",
    ] {
        let refused = identity.create_user(&operator(), new(bad)).await;
        assert!(
            matches!(refused, Err(Error::Invalid { field: "email", .. })),
            "{bad:?}"
        );
    }
}

async fn accounts_are_found_by_the_beginning_of_their_address(engine: &str) {
    let fresh = fresh(engine).await;
    for name in ["anna", "ann", "bea", "an_x", "an%y"] {
        fresh.user(&format!("{name}@a.example")).await;
    }
    for (prefix, found) in [
        ("ann", vec!["ann@a.example", "anna@a.example"]),
        ("ANNA", vec!["anna@a.example"]),
        ("an_", vec!["an_x@a.example"]),
        ("an%", vec!["an%y@a.example"]),
        ("x", vec![]),
    ] {
        let filter = UserFilter {
            email: Some(prefix.to_owned()),
            ..Default::default()
        };
        let page = fresh
            .identity
            .users(&filter, UserOrder::Email, &Listing::default())
            .await
            .unwrap();
        let emails: Vec<_> = page.items.into_iter().map(|user| user.email).collect();
        assert_eq!(emails, found, "{prefix}");
    }
    let filter = UserFilter {
        email: Some("a\0".to_owned()),
        ..Default::default()
    };
    let page = fresh
        .identity
        .users(&filter, UserOrder::Email, &Listing::default())
        .await;
    assert!(matches!(page, Err(Error::Invalid { field: "email", .. })));
}

async fn an_account_goes_and_comes_back_with_its_memberships(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (acme, other) = (
        fresh.organization("acme").await,
        fresh.organization("other").await,
    );
    let (user, _) = fresh.member(&acme, "user@a.example", BuiltIn::Editor).await;
    let left = identity
        .add_member(&operator(), &other, &user.id, &built_in(BuiltIn::Viewer))
        .await
        .unwrap();
    identity
        .remove_member(&operator(), &other, &left.id, None)
        .await
        .unwrap();
    identity
        .delete_user(&operator(), &user.id, Some(1))
        .await
        .unwrap();
    assert!(matches!(
        identity.user(&user.id).await,
        Err(Error::Missing("user"))
    ));
    let members = identity
        .members(&acme, None, &Listing::default())
        .await
        .unwrap();
    assert!(members.items.is_empty());
    // The address is free meanwhile.
    let taker = fresh.user("user@a.example").await;
    assert!(matches!(
        identity.restore_user(&operator(), &user.id).await,
        Err(Error::Taken("email"))
    ));
    identity
        .delete_user(&operator(), &taker.id, None)
        .await
        .unwrap();
    identity.restore_user(&operator(), &user.id).await.unwrap();
    let belongings = identity.belongings(&user.id).await.unwrap();
    assert_eq!(belongings.len(), 1);
    assert_eq!(belongings[0].organization, acme);
    assert_eq!(
        fresh.actions(&acme).await,
        [
            "organization.create",
            "member.add",
            "member.remove",
            "member.restore"
        ]
    );
}

async fn members_and_invitations_are_found_by_the_beginning_of_their_address(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let other = fresh.organization("other").await;
    for name in ["anna", "bea", "ann", "an_x"] {
        let email = format!("{name}@a.example");
        fresh.member(&acme, &email, BuiltIn::Viewer).await;
        let invited = format!("new-{name}@a.example");
        for tenant in [&acme, &other] {
            identity
                .invite(&operator(), tenant, &invited, &built_in(BuiltIn::Viewer))
                .await
                .unwrap();
        }
    }
    let mut listing = Listing {
        limit: 1,
        ..Listing::default()
    };
    for (prefix, found) in [
        ("ANN", vec!["anna@a.example", "ann@a.example"]),
        ("an_", vec!["an_x@a.example"]),
        ("x", vec![]),
    ] {
        let (mut members, mut invited) = (Vec::new(), Vec::new());
        loop {
            let page = identity.members(&acme, Some(prefix), &listing).await;
            let page = page.unwrap();
            members.extend(page.items.into_iter().map(|one| one.email));
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        assert_eq!(members, found, "{prefix}");
        let new = format!("new-{prefix}");
        loop {
            let page = identity.invitations(&acme, Some(&new), &listing).await;
            let page = page.unwrap();
            invited.extend(page.items.into_iter().map(|one| one.email));
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        let found: Vec<_> = found.iter().map(|one| format!("new-{one}")).collect();
        assert_eq!(invited, found, "{prefix}");
    }
    let bad = identity.members(&acme, Some("a\0"), &listing).await;
    assert!(matches!(bad, Err(Error::Invalid { field: "email", .. })));
}
