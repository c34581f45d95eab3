//! The trash of organizations and of the platform.

use weir_core::{Id, TenantId};
use weir_identity::{
    Assigned, BuiltIn, Error, Listing, NewRole, Permission, Permissions, UserUpdate,
};

use crate::engines::{by, fresh, on_both_engines, operator};

on_both_engines! {
    pages_go_through_all_kinds,
    what_is_purged_is_gone,
    nobody_decides_on_who_may_more,
    nobody_purges_more_than_they_have,
}

async fn pages_go_through_all_kinds(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let acme = fresh.organization("acme").await;
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        let organization = fresh.organization(&format!("{name}{name}")).await;
        let user = fresh.user(&format!("{name}@a.example")).await;
        identity
            .delete_organization(&operator(), &organization, None)
            .await
            .unwrap();
        identity
            .delete_user(&operator(), &user.id, None)
            .await
            .unwrap();
        let (_, member) = fresh
            .member(&acme, &format!("m{at}@a.example"), BuiltIn::Viewer)
            .await;
        identity
            .remove_member(&operator(), &acme, &member, None)
            .await
            .unwrap();
    }
    for descending in [false, true] {
        let mut names = Vec::new();
        let mut listing = Listing {
            limit: 2,
            descending,
            after: None,
        };
        loop {
            let page = identity.trash(&platform, &listing).await.unwrap();
            names.extend(page.items.into_iter().filter_map(|one| one.name));
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        if descending {
            names.reverse();
        }
        let expected = [
            "aa",
            "a@a.example",
            "bb",
            "b@a.example",
            "cc",
            "c@a.example",
        ];
        assert_eq!(names, expected);
    }
    let own = identity.trash(&acme, &Listing::default()).await.unwrap();
    let names: Vec<_> = own
        .items
        .iter()
        .filter_map(|one| one.name.as_deref())
        .collect();
    assert_eq!(names, ["m0@a.example", "m1@a.example", "m2@a.example"]);
    assert!(own.items.iter().all(|one| one.purged_at > one.deleted_at));
}

async fn what_is_purged_is_gone(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let (acme, globex) = (
        fresh.organization("acme").await,
        fresh.organization("globex").await,
    );
    let user = fresh.user("person@a.example").await;
    let (_, member) = fresh
        .member(&acme, "member@a.example", BuiltIn::Viewer)
        .await;
    let missing = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::Missing(_))), "{result:?}");
    };
    // What is not in the trash is not removed.
    for (tenant, id) in [
        (&acme, &member),
        (&platform, &user.id),
        (&platform, globex.id()),
        (&platform, platform.id()),
    ] {
        missing(identity.purge_one(&operator(), tenant, id).await);
    }
    identity
        .remove_member(&operator(), &acme, &member, None)
        .await
        .unwrap();
    identity
        .delete_user(&operator(), &user.id, None)
        .await
        .unwrap();
    identity
        .delete_organization(&operator(), &globex, None)
        .await
        .unwrap();
    // Nor what is in another trash.
    missing(identity.purge_one(&operator(), &platform, &member).await);
    missing(identity.purge_one(&operator(), &acme, &user.id).await);
    missing(identity.purge_one(&operator(), &acme, globex.id()).await);
    for (tenant, id) in [
        (&acme, &member),
        (&platform, &user.id),
        (&platform, globex.id()),
    ] {
        identity.purge_one(&operator(), tenant, id).await.unwrap();
        missing(identity.restore(&operator(), tenant, id).await);
    }
    for tenant in [&acme, &platform] {
        let trash = identity.trash(tenant, &Listing::default()).await.unwrap();
        assert!(trash.items.is_empty());
    }
    fresh.audit(&acme).await;
    fresh.audit(&platform).await;
}

/// Who may change accounts could move an owner's to an address of their own.
async fn nobody_decides_on_who_may_more(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let acme = fresh.organization("acme").await;
    let role = NewRole {
        name: "accounts".to_owned(),
        description: String::new(),
        permissions: Permissions::from_iter([Permission::UserRead, Permission::UserWrite]),
    };
    let role = identity
        .create_role(&operator(), &platform, role)
        .await
        .unwrap();
    let clerk = fresh.user("clerk@a.example").await;
    identity
        .add_member(
            &operator(),
            &platform,
            &clerk.id,
            &Assigned::Custom(role.id),
        )
        .await
        .unwrap();
    let (owner, _) = fresh
        .member(&platform, "owner@a.example", BuiltIn::Owner)
        .await;
    let (viewer, _) = fresh
        .member(&acme, "viewer@a.example", BuiltIn::Viewer)
        .await;
    let nobody = fresh.user("nobody@a.example").await;
    let clerk = by(&clerk);
    let update = |id: Id| {
        let update = UserUpdate {
            email: Some(format!("moved-{id}@a.example").replace('_', "-")),
            name: None,
        };
        let clerk = &clerk;
        async move { identity.update_user(clerk, &id, None, update).await }
    };
    for above in [&owner, &viewer] {
        let id = &above.id;
        let refused = [
            update(id.clone()).await.err(),
            identity.suspend_user(&clerk, id, None, "x").await.err(),
            identity.resume_user(&clerk, id, None).await.err(),
            identity.delete_user(&clerk, id, None).await.err(),
            identity.erase_user(&clerk, id).await.err(),
            identity.revoke_sessions(&clerk, id, None).await.err(),
            identity.issue_reset(&clerk, id).await.err(),
            identity.remove_totp_of(&clerk, id).await.err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::Forbidden(_))), "{error:?}");
        }
    }
    update(nobody.id.clone()).await.unwrap();
    // How one signs in oneself takes a password, whatever else one may.
    let own = clerk.actor.id().unwrap();
    for error in [
        update(own.clone()).await.err(),
        identity.issue_reset(&clerk, own).await.err(),
        identity.remove_totp_of(&clerk, own).await.err(),
    ] {
        assert!(matches!(error, Some(Error::Forbidden(_))), "{error:?}");
    }
    // Nor does somebody come back with more than who brings them back has.
    identity
        .delete_user(&operator(), &viewer.id, None)
        .await
        .unwrap();
    let back = identity.restore(&clerk, &platform, &viewer.id).await;
    assert!(matches!(back, Err(Error::Forbidden(_))), "{back:?}");
    assert!(identity.user(&viewer.id).await.is_err());
    // Nor goes for good.
    for gone in [
        identity
            .purge_one(&clerk, &platform, &viewer.id)
            .await
            .err(),
        identity.erase_user(&clerk, &viewer.id).await.err(),
    ] {
        assert!(matches!(gone, Some(Error::Forbidden(_))), "{gone:?}");
    }
    identity
        .restore(&operator(), &platform, &viewer.id)
        .await
        .unwrap();
}

async fn nobody_purges_more_than_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let cleaner = NewRole {
        name: "cleaner".to_owned(),
        description: String::new(),
        permissions: Permissions::from_iter([Permission::TrashRead, Permission::TrashPurge]),
    };
    let cleaner = identity.create_role(&operator(), &acme, cleaner).await;
    let who = fresh.user("cleaner@a.example").await;
    let role = Assigned::Custom(cleaner.unwrap().id);
    identity
        .add_member(&operator(), &acme, &who.id, &role)
        .await
        .unwrap();
    fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (_, admin) = fresh.member(&acme, "admin@a.example", BuiltIn::Admin).await;
    identity
        .remove_member(&operator(), &acme, &admin, None)
        .await
        .unwrap();
    let (_, like) = fresh.member(&acme, "like@a.example", BuiltIn::Viewer).await;
    identity
        .set_member_role(&operator(), &acme, &like, None, &role)
        .await
        .unwrap();
    identity
        .remove_member(&operator(), &acme, &like, None)
        .await
        .unwrap();
    let refused = identity.purge_one(&by(&who), &acme, &admin).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    identity.purge_one(&by(&who), &acme, &like).await.unwrap();
}
