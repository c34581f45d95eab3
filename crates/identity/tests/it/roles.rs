//! Nobody gives a right that they do not have, and the last owner stays.

use tokio::task::JoinSet;
use weir_core::TenantId;
use weir_identity::{Assigned, BuiltIn, Error, Listing, NewRole, Permission, RoleUpdate};

use crate::engines::{built_in, by, fresh, on_both_engines, operator};

on_both_engines! {
    nobody_gives_more_than_they_have,
    the_last_owner_stays,
    two_owners_cannot_leave_at_once,
    a_role_lives_and_its_holders_feel_it,
    a_role_is_one_organizations,
}

fn role(name: &str, permissions: &[Permission]) -> NewRole {
    NewRole {
        name: name.to_owned(),
        description: String::new(),
        permissions: permissions.iter().copied().collect(),
    }
}

async fn nobody_gives_more_than_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (_, owners) = fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (admin, admins) = fresh.member(&acme, "admin@a.example", BuiltIn::Admin).await;
    let admin = by(&admin);
    let stranger = fresh.user("stranger@a.example").await;
    let forbidden = |error: Error| assert!(matches!(error, Error::Forbidden(_)), "{error:?}");

    let owner = built_in(BuiltIn::Owner);
    let give = identity.add_member(&admin, &acme, &stranger.id, &owner);
    forbidden(give.await.unwrap_err());
    let promote = identity.set_member_role(&admin, &acme, &admins, None, &owner);
    forbidden(promote.await.unwrap_err());
    let viewer = built_in(BuiltIn::Viewer);
    let demote = identity.set_member_role(&admin, &acme, &owners, None, &viewer);
    forbidden(demote.await.unwrap_err());
    forbidden(
        identity
            .remove_member(&admin, &acme, &owners, None)
            .await
            .unwrap_err(),
    );
    let delete = [Permission::OrganizationDelete];
    let create = identity.create_role(&admin, &acme, role("sly", &delete));
    forbidden(create.await.unwrap_err());
    // A role that is made harmless and then changed.
    let made = identity
        .create_role(&admin, &acme, role("sly", &[Permission::RouteRead]))
        .await
        .unwrap();
    let update = RoleUpdate {
        permissions: Some(delete.into_iter().collect()),
        ..Default::default()
    };
    let change = identity.update_role(&admin, &acme, &made.id, None, update.clone());
    forbidden(change.await.unwrap_err());
    identity
        .update_role(&operator(), &acme, &made.id, None, update)
        .await
        .unwrap();
    // What others made strong cannot be given, weakened, deleted or brought back either.
    let strong = Assigned::Custom(made.id.clone());
    let give = identity.add_member(&admin, &acme, &stranger.id, &strong);
    forbidden(give.await.unwrap_err());
    let weaken = RoleUpdate {
        permissions: Some(Default::default()),
        ..Default::default()
    };
    let weaken = identity.update_role(&admin, &acme, &made.id, None, weaken);
    forbidden(weaken.await.unwrap_err());
    forbidden(
        identity
            .delete_role(&admin, &acme, &made.id, None)
            .await
            .unwrap_err(),
    );
    identity
        .delete_role(&operator(), &acme, &made.id, None)
        .await
        .unwrap();
    forbidden(identity.restore(&admin, &acme, &made.id).await.unwrap_err());
    identity
        .restore(&operator(), &acme, &made.id)
        .await
        .unwrap();

    // What they have they may give.
    identity
        .add_member(&admin, &acme, &stranger.id, &built_in(BuiltIn::Admin))
        .await
        .unwrap();
    // Nobody at all may nothing.
    let nobody = by(&fresh.user("nobody@a.example").await);
    let give = identity.create_role(&nobody, &acme, role("x", &[Permission::RouteRead]));
    forbidden(give.await.unwrap_err());
}

async fn the_last_owner_stays(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (owner, membership) = fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (second, seconds) = fresh
        .member(&acme, "second@a.example", BuiltIn::Admin)
        .await;
    let conflict = |error: Error| match error {
        Error::LastOwner(slugs) => assert_eq!(slugs, ["acme"]),
        error => panic!("{error:?}"),
    };

    let caller = operator();
    let viewer = built_in(BuiltIn::Viewer);
    let demote = identity.set_member_role(&caller, &acme, &membership, None, &viewer);
    conflict(demote.await.unwrap_err());
    let remove = identity.remove_member(&caller, &acme, &membership, None);
    conflict(remove.await.unwrap_err());
    let delete = identity.delete_user(&caller, &owner.id, None);
    conflict(delete.await.unwrap_err());
    let suspend = identity.suspend_user(&caller, &owner.id, None, "why");
    conflict(suspend.await.unwrap_err());
    conflict(identity.erase_user(&caller, &owner.id).await.unwrap_err());
    // A second owner who cannot sign in is none.
    identity
        .set_member_role(
            &operator(),
            &acme,
            &seconds,
            None,
            &built_in(BuiltIn::Owner),
        )
        .await
        .unwrap();
    identity
        .suspend_user(&operator(), &second.id, None, "away")
        .await
        .unwrap();
    conflict(
        identity
            .remove_member(&operator(), &acme, &membership, None)
            .await
            .unwrap_err(),
    );
    identity
        .resume_user(&operator(), &second.id, None)
        .await
        .unwrap();
    // Everybody may leave, whoever they are.
    identity
        .remove_member(&by(&owner), &acme, &membership, None)
        .await
        .unwrap();
}

async fn two_owners_cannot_leave_at_once(engine: &str) {
    let fresh = fresh(engine).await;
    for round in 0..5 {
        let acme = fresh.organization(&format!("acme-{round}")).await;
        let mut leaving = JoinSet::new();
        for name in ["one", "two", "three"] {
            let email = format!("{name}-{round}@a.example");
            let (user, membership) = fresh.member(&acme, &email, BuiltIn::Owner).await;
            let (identity, acme) = (fresh.identity.clone(), acme.clone());
            leaving.spawn(async move {
                let user = by(&user);
                let gone = identity.remove_member(&user, &acme, &membership, None);
                gone.await.is_ok()
            });
        }
        let left = leaving.join_all().await.into_iter().filter(|left| *left);
        assert_eq!(left.count(), 2);
    }
}

async fn a_role_lives_and_its_holders_feel_it(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = identity
        .create_role(
            &operator(),
            &acme,
            role("router", &[Permission::RouteWrite]),
        )
        .await
        .unwrap();
    assert!(matches!(
        identity
            .create_role(&operator(), &acme, role("router", &[]))
            .await,
        Err(Error::Taken("name"))
    ));
    for name in ["owner", "", "a\nb"] {
        let refused = identity
            .create_role(&operator(), &acme, role(name, &[]))
            .await;
        assert!(matches!(refused, Err(Error::Invalid { field: "name", .. })));
    }
    let user = fresh.user("user@a.example").await;
    let custom = Assigned::Custom(made.id.clone());
    let member = identity
        .add_member(&operator(), &acme, &user.id, &custom)
        .await
        .unwrap();
    assert!(matches!(
        identity
            .add_member(&operator(), &acme, &user.id, &custom)
            .await,
        Err(Error::Taken("user"))
    ));
    let may = async |permission| {
        identity
            .authorize(&by(&user), &acme, permission)
            .await
            .is_ok()
    };
    assert!(may(Permission::RouteWrite).await && !may(Permission::PolicyWrite).await);
    let update = RoleUpdate {
        permissions: Some([Permission::PolicyWrite].into_iter().collect()),
        ..Default::default()
    };
    let updated = identity
        .update_role(&operator(), &acme, &made.id, Some(1), update)
        .await
        .unwrap();
    assert!(!may(Permission::RouteWrite).await && may(Permission::PolicyWrite).await);
    assert_eq!(identity.role(&acme, &made.id).await.unwrap(), updated);
    assert!(matches!(
        identity
            .delete_role(&operator(), &acme, &made.id, None)
            .await,
        Err(Error::Conflict(_))
    ));
    identity
        .remove_member(&operator(), &acme, &member.id, None)
        .await
        .unwrap();
    identity
        .delete_role(&operator(), &acme, &made.id, Some(2))
        .await
        .unwrap();
    let trash = identity.trash(&acme, &Listing::default()).await.unwrap();
    let kinds: Vec<_> = trash.items.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["member", "role"]);
    // A membership does not come back to a role that is not there.
    assert!(matches!(
        identity.restore(&operator(), &acme, &member.id).await,
        Err(Error::Conflict(_))
    ));
    identity
        .restore(&operator(), &acme, &made.id)
        .await
        .unwrap();
    identity
        .restore(&operator(), &acme, &member.id)
        .await
        .unwrap();
    assert!(may(Permission::PolicyWrite).await);
    let trash = identity.trash(&acme, &Listing::default()).await.unwrap();
    assert!(trash.items.is_empty());
    let roles = identity.roles(&acme, &Listing::default()).await.unwrap();
    assert_eq!(roles.items.len(), 1);
}

async fn a_role_is_one_organizations(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (mine, theirs) = (
        fresh.organization("mine").await,
        fresh.organization("theirs").await,
    );
    let made = identity
        .create_role(&operator(), &theirs, role("router", &[]))
        .await
        .unwrap();
    let user = fresh.user("user@a.example").await;
    for role in [
        Assigned::Custom(made.id.clone()),
        built_in(BuiltIn::Operator),
    ] {
        let refused = identity
            .add_member(&operator(), &mine, &user.id, &role)
            .await;
        assert!(matches!(refused, Err(Error::Invalid { field: "role", .. })));
    }
    let platform = TenantId::platform();
    let refused = identity
        .add_member(&operator(), &platform, &user.id, &built_in(BuiltIn::Admin))
        .await;
    assert!(matches!(refused, Err(Error::Invalid { field: "role", .. })));
    let refused = identity
        .create_role(&operator(), &mine, role("x", &[Permission::UserRead]))
        .await;
    assert!(matches!(
        refused,
        Err(Error::Invalid {
            field: "permissions",
            ..
        })
    ));
    assert!(matches!(
        identity
            .delete_role(&operator(), &mine, &made.id, None)
            .await,
        Err(Error::Missing("role"))
    ));
}
