//! Whose API keys are, and what they may therefore do.

use weir_core::TenantId;
use weir_identity::{
    BuiltIn, Caller, CredentialKind, Error, KeyOwner, KeyRefusal, NewApiKey, Permission,
    Permissions, UserUpdate,
};
use weir_store::audit::Actor;

use crate::api_keys::{new, refused, rights, service_key, works};
use crate::engines::{built_in, by, fresh, on_both_engines, operator};

on_both_engines! {
    nobody_makes_a_key_with_more_than_they_have,
    a_key_never_does_more_than_its_owner_can,
    whoever_leaves_takes_their_keys_along,
    a_suspended_organization_has_no_keys,
    a_key_does_not_decide_on_its_owner,
    an_erased_persons_keys_are_gone,
}

async fn nobody_makes_a_key_with_more_than_they_have(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (admin, _) = fresh.member(&acme, "admin@a.example", BuiltIn::Admin).await;
    let (viewer, _) = fresh
        .member(&acme, "viewer@a.example", BuiltIn::Viewer)
        .await;
    let stranger = fresh.user("stranger@a.example").await;
    let make = async |caller: &Caller, owner: KeyOwner<'_>, new: NewApiKey| {
        identity.create_api_key(caller, &acme, owner, new).await
    };
    let own = KeyOwner::Organization;
    // No right that one does not have; not even an administrator gives the owner's.
    for (caller, right) in [
        (&by(&admin), Permission::OrganizationDelete),
        (&by(&viewer), Permission::RouteWrite),
        (&by(&stranger), Permission::RouteRead),
    ] {
        let made = make(caller, own, new("a", &[right], &[])).await;
        assert!(matches!(made, Err(Error::Forbidden(_))), "{right}");
    }
    make(
        &by(&admin),
        own,
        new("a", &[Permission::RouteWrite], &["catalog:write"]),
    )
    .await
    .unwrap();
    // Scopes are for those to give who may write keys.
    let viewers = KeyOwner::Member(&viewer.id);
    let scoped = make(&by(&viewer), viewers, new("a", &[], &["catalog:write"])).await;
    assert!(matches!(scoped, Err(Error::Forbidden(_))));
    make(
        &by(&viewer),
        viewers,
        new("a", &[Permission::RouteRead], &[]),
    )
    .await
    .unwrap();
    // A key of somebody else's would be somebody else.
    for caller in [&by(&admin), &operator(), &Caller::system()] {
        let made = make(caller, viewers, new("a", &[], &[])).await;
        assert!(matches!(made, Err(Error::Forbidden(_))));
    }
    let strangers = make(
        &by(&stranger),
        KeyOwner::Member(&stranger.id),
        new("a", &[], &[]),
    )
    .await;
    assert!(matches!(strangers, Err(Error::Missing(_))));
    // What only means something to the platform's members is none of an organization's.
    let platform = make(&operator(), own, new("a", &[Permission::UserRead], &[])).await;
    assert!(matches!(
        platform,
        Err(Error::Invalid {
            field: "permissions",
            ..
        })
    ));
}

async fn a_key_never_does_more_than_its_owner_can(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (zoe, member) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let all = new(
        "all",
        &[Permission::RouteRead, Permission::RouteWrite],
        &["catalog:write"],
    );
    let made = identity
        .create_api_key(&by(&zoe), &acme, KeyOwner::Member(&zoe.id), all)
        .await
        .unwrap();
    let holder = async || {
        let holder = identity.authenticate_key(made.text.expose(), None).await;
        holder.unwrap().unwrap()
    };
    let caller = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    let before = holder().await;
    assert!(before.permissions.has(Permission::RouteWrite) && before.scopes.has("catalog:write"));
    let seen = identity.latest_change().await.unwrap();
    identity
        .set_member_role(
            &operator(),
            &acme,
            &member,
            None,
            &built_in(BuiltIn::Viewer),
        )
        .await
        .unwrap();
    let after = holder().await;
    assert_eq!(after.permissions, rights(&[Permission::RouteRead]));
    assert!(after.scopes.is_empty());
    let present = identity.permissions(&caller, &acme).await.unwrap();
    assert_eq!(present, after.permissions);
    // Nodes that kept what the key could do hear of it.
    let changes = identity.changes_since(seen).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change.kind == CredentialKind::User && change.subject == zoe.id.as_str())
    );
}

async fn whoever_leaves_takes_their_keys_along(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (zoe, member) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let made = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            KeyOwner::Member(&zoe.id),
            new("own", &[], &[]),
        )
        .await
        .unwrap();
    let services = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            KeyOwner::Organization,
            new("service", &[], &[]),
        )
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .suspend_user(&operator(), &zoe.id, None, "away")
        .await
        .unwrap();
    assert_eq!(refused(identity, &made).await, Some(KeyRefusal::Owner));
    assert!(!works(identity, &made).await);
    identity
        .resume_user(&operator(), &zoe.id, None)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .delete_user(&operator(), &zoe.id, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity.restore_user(&operator(), &zoe.id).await.unwrap();
    assert!(works(identity, &made).await);
    // Who comes back as a member later has to make new ones.
    identity
        .remove_member(&operator(), &acme, &member, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity
        .add_member(&operator(), &acme, &zoe.id, &built_in(BuiltIn::Admin))
        .await
        .unwrap();
    assert_eq!(refused(identity, &made).await, Some(KeyRefusal::Revoked));
    // The organization's own stays.
    assert!(works(identity, &services).await);
}

async fn a_suspended_organization_has_no_keys(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let made = service_key(identity, &acme, "import").await;
    identity
        .suspend_organization(&operator(), &acme, None, "unpaid")
        .await
        .unwrap();
    assert_eq!(
        refused(identity, &made).await,
        Some(KeyRefusal::Organization)
    );
    assert!(!works(identity, &made).await);
    identity
        .resume_organization(&operator(), &acme, None)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    assert!(!works(identity, &made).await);
    identity
        .restore_organization(&operator(), &acme)
        .await
        .unwrap();
    assert!(works(identity, &made).await);
}

async fn a_key_does_not_decide_on_its_owner(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    let (root, _) = fresh
        .member(&platform, "root@a.example", BuiltIn::Owner)
        .await;
    let everything = NewApiKey {
        permissions: Permissions::all(),
        ..new("all", &[], &[])
    };
    let owner = KeyOwner::Member(&root.id);
    let made = identity
        .create_api_key(&by(&root), &platform, owner, everything)
        .await
        .unwrap();
    let key = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    let other_address = UserUpdate {
        email: Some("thief@b.example".to_owned()),
        ..Default::default()
    };
    // Otherwise whoever steals a key has the account, and all that it may ever do.
    let stolen = identity
        .update_user(&key, &root.id, None, other_address.clone())
        .await;
    assert!(matches!(stolen, Err(Error::Forbidden(_))));
    assert!(matches!(
        identity.issue_reset(&key, &root.id).await,
        Err(Error::Forbidden(_))
    ));
    // On others with no more rights it decides as its owner would.
    let zoe = fresh.user("zoe@a.example").await;
    identity
        .update_user(&key, &zoe.id, None, other_address)
        .await
        .unwrap();
    let entry = fresh.audit(&platform).await.pop().unwrap();
    assert_eq!(
        (entry.action.as_str(), entry.actor_kind.as_str()),
        ("user.update", "api_key")
    );
    // A revoked one decides on nobody.
    identity
        .revoke_api_key(&operator(), &platform, &made.key.id, None)
        .await
        .unwrap();
    assert_eq!(
        identity.permissions(&key, &platform).await.unwrap(),
        Permissions::default()
    );
}

async fn an_erased_persons_keys_are_gone(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (zoe, _) = fresh.member(&acme, "zoe@a.example", BuiltIn::Admin).await;
    let owner = KeyOwner::Member(&zoe.id);
    let made = identity
        .create_api_key(
            &by(&zoe),
            &acme,
            owner,
            new("laptop of zoe", &[Permission::RoleWrite], &[]),
        )
        .await
        .unwrap();
    // What was done with it names where the person was.
    let mut key = Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..Caller::system()
    };
    key.origin.address = Some("203.0.113.9".to_owned());
    let role = weir_identity::NewRole {
        name: "releaser".to_owned(),
        description: String::new(),
        permissions: Permissions::default(),
    };
    identity.create_role(&key, &acme, role).await.unwrap();
    let seen = identity.latest_change().await.unwrap();
    let certificate = identity.erase_user(&operator(), &zoe.id).await.unwrap();
    assert_eq!(certificate.users, std::slice::from_ref(&zoe.id));
    assert_eq!(certificate.rows["api_keys"], 1);
    assert!(!works(identity, &made).await);
    let told = format!("{:?}", fresh.audit(&acme).await);
    assert!(
        !told.contains("203.0.113.9") && !told.contains("laptop of zoe"),
        "{told}"
    );
    let changes = identity.changes_since(seen).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change.subject == zoe.id.as_str())
    );
}
