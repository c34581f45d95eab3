//! Organizations come, change, are suspended, go to the trash and come back.

use std::time::Duration;

use weir_core::TenantId;
use weir_identity::{
    BuiltIn, Error, Key, Listing, NewOrganization, OrganizationFilter, OrganizationOrder,
    OrganizationUpdate, standings,
};
use weir_store::records::{Notice, PlatformTable, Topic, Value};

use crate::engines::{Fresh, by, fresh, on_both_engines, operator};

on_both_engines! {
    an_organization_lives_and_its_audit_tells,
    the_installation_is_an_organization_that_stays,
    what_is_not_acceptable_changes_nothing,
    lists_go_on_where_they_ended,
    what_an_organization_has_goes_and_comes_back_with_it,
    after_its_time_an_organization_is_gone,
    limits_hold,
    nobody_elses_organization_is_there,
    who_carries_its_traffic_hears_of_a_change,
}

fn new(slug: &str) -> NewOrganization {
    NewOrganization {
        slug: slug.to_owned(),
        name: format!("{slug} Ltd"),
        settings: Default::default(),
    }
}

async fn an_organization_lives_and_its_audit_tells(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = identity
        .create_organization(&operator(), new("acme"))
        .await
        .unwrap();
    assert_eq!(identity.organization(&acme.id).await.unwrap(), acme);
    assert_eq!(identity.find_organization("acme").await.unwrap(), acme);
    let found = identity.find_organization(acme.id.as_str()).await.unwrap();
    assert_eq!(found, acme);
    assert!(matches!(
        identity.create_organization(&operator(), new("acme")).await,
        Err(Error::Taken("slug"))
    ));
    let settings = r##"{"branding":{"primary_color":"#00aaff"},"features":{"beta":true}}"##;
    let update = OrganizationUpdate {
        name: Some("  Acme  ".to_owned()),
        settings: Some(serde_json::from_str(settings).unwrap()),
    };
    let updated = identity
        .update_organization(&operator(), &acme.id, Some(1), update.clone())
        .await
        .unwrap();
    assert_eq!((updated.name.as_str(), updated.version), ("Acme", 2));
    assert!(updated.settings.features["beta"]);
    assert!(matches!(
        identity
            .update_organization(&operator(), &acme.id, Some(1), update)
            .await,
        Err(Error::Stale { version: 2 })
    ));
    let suspended = identity
        .suspend_organization(&operator(), &acme.id, None, "unpaid")
        .await
        .unwrap();
    assert!(suspended.suspended_at.is_some());
    let all = standings(&fresh.records).await.unwrap();
    assert!(all["acme"]);
    let resumed = identity
        .resume_organization(&operator(), &acme.id, Some(3))
        .await
        .unwrap();
    assert_eq!(resumed, identity.organization(&acme.id).await.unwrap());
    let all = standings(&fresh.records).await.unwrap();
    assert!(!all["acme"]);

    let told = [
        "organization.create",
        "organization.update",
        "organization.suspend",
        "organization.resume",
    ];
    let entries = fresh.audit(&acme.id).await;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, told);
    let change = entries[2].change.as_ref().unwrap();
    assert_eq!(change["after"]["suspension_reason"], "unpaid");
    assert_eq!(change["before"]["suspended"], false);
    assert_eq!(
        change["before"].as_object().unwrap().len(),
        2,
        "only what is different"
    );
    assert_eq!(entries[2].request_id.as_deref(), Some("4bf92f"));
    // The platform's chain tells the same, behind its own beginning.
    let platform = fresh.actions(&TenantId::platform()).await;
    assert_eq!(platform[1..], told);
}

async fn the_installation_is_an_organization_that_stays(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    // Once more, and by many at once, makes no second one.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let identity = identity.clone();
        tasks.spawn(async move { identity.prepare().await.unwrap() });
    }
    tasks.join_all().await;
    let platform = identity.find_organization("platform").await.unwrap();
    assert!(platform.is_platform());
    assert_eq!(fresh.actions(&platform.id).await, ["organization.create"]);
    for refused in [
        identity
            .suspend_organization(&operator(), &platform.id, None, "why")
            .await
            .map(drop),
        identity
            .delete_organization(&operator(), &platform.id, None)
            .await,
    ] {
        assert!(matches!(refused, Err(Error::Conflict(_))));
    }
}

async fn what_is_not_acceptable_changes_nothing(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    for slug in [
        "platform",
        "Acme",
        "a",
        "acme' OR 1=1 --",
        "a\0b",
        "xn--e1a",
    ] {
        let refused = identity.create_organization(&operator(), new(slug)).await;
        assert!(
            matches!(refused, Err(Error::Invalid { field: "slug", .. })),
            "{slug}"
        );
    }
    for nothing in ["", "a\0b", "org_", "' OR 1=1 --", "xn--e1a"] {
        let found = identity.find_organization(nothing).await;
        assert!(
            matches!(found, Err(Error::Missing("organization"))),
            "{nothing}"
        );
    }
    let acme = fresh.organization("acme").await;
    let mut settings = weir_identity::Settings::default();
    settings.branding.logo_url = Some("javascript:alert(1)".to_owned());
    let update = OrganizationUpdate {
        name: None,
        settings: Some(settings),
    };
    let refused = identity
        .update_organization(&operator(), &acme, None, update)
        .await;
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    let refused = identity
        .suspend_organization(&operator(), &acme, None, " ")
        .await;
    assert!(matches!(
        refused,
        Err(Error::Invalid {
            field: "reason",
            ..
        })
    ));
    assert_eq!(identity.organization(&acme).await.unwrap().version, 1);
    assert_eq!(fresh.actions(&acme).await, ["organization.create"]);
}

async fn lists_go_on_where_they_ended(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    for slug in ["b1", "a1", "a2", "c1", "a3"] {
        fresh.organization(slug).await;
    }
    let mut listing = Listing {
        limit: 2,
        ..Listing::default()
    };
    let mut slugs = Vec::new();
    loop {
        let page = identity
            .organizations(&Default::default(), OrganizationOrder::Slug, &listing)
            .await
            .unwrap();
        slugs.extend(page.items.into_iter().map(|one| one.slug));
        listing.after = page.next;
        if listing.after.is_none() {
            break;
        }
    }
    assert_eq!(slugs, ["a1", "a2", "a3", "b1", "c1", "platform"]);
    let filter = OrganizationFilter {
        slug: Some("a".to_owned()),
        ..Default::default()
    };
    let page = identity
        .organizations(&filter, OrganizationOrder::Created, &Listing::default())
        .await
        .unwrap();
    let slugs: Vec<_> = page.items.into_iter().map(|one| one.slug).collect();
    assert_eq!(slugs, ["a1", "a2", "a3"]);
    // What is no prefix of anything finds nothing, whatever it looks like.
    for slug in ["%", "_", "A", "a' OR '1'='1"] {
        let filter = OrganizationFilter {
            slug: Some(slug.to_owned()),
            ..Default::default()
        };
        let page = identity
            .organizations(&filter, OrganizationOrder::Created, &Listing::default())
            .await
            .unwrap();
        assert!(page.items.is_empty(), "{slug}");
    }
    for limit in [0, 201] {
        let listing = Listing {
            limit,
            ..Listing::default()
        };
        let page = identity
            .organizations(&Default::default(), OrganizationOrder::Slug, &listing)
            .await;
        assert!(matches!(page, Err(Error::Invalid { field: "limit", .. })));
    }
    let wrong = Listing {
        after: Some(weir_identity::Position {
            key: Key::Time(0),
            id: TenantId::platform().id().clone(),
        }),
        ..Listing::default()
    };
    let page = identity
        .organizations(&Default::default(), OrganizationOrder::Slug, &wrong)
        .await;
    assert!(matches!(
        page,
        Err(Error::Invalid {
            field: "cursor",
            ..
        })
    ));
}

async fn what_an_organization_has_goes_and_comes_back_with_it(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (owner, _) = fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    let (_, left) = fresh.member(&acme, "left@a.example", BuiltIn::Viewer).await;
    identity
        .remove_member(&operator(), &acme, &left, None)
        .await
        .unwrap();
    identity
        .delete_organization(&operator(), &acme, Some(1))
        .await
        .unwrap();
    assert!(matches!(
        identity.organization(&acme).await,
        Err(Error::Missing("organization"))
    ));
    assert!(identity.belongings(&owner.id).await.unwrap().is_empty());
    assert!(matches!(
        identity
            .add_member(&operator(), &acme, &owner.id, &"owner".parse().unwrap())
            .await,
        Err(Error::Missing("organization"))
    ));
    let deleted = OrganizationFilter {
        is_deleted: true,
        ..Default::default()
    };
    let page = identity
        .organizations(&deleted, OrganizationOrder::Created, &Listing::default())
        .await
        .unwrap();
    assert_eq!(page.items[0].id, acme);

    // Its slug stays its own meanwhile: routes that name it must not carry somebody else's traffic.
    let other = identity.create_organization(&operator(), new("acme")).await;
    assert!(
        matches!(other, Err(Error::TakenInTrash("slug"))),
        "{other:?}"
    );
    // It was not always so: whoever took one keeps it.
    let other = fresh.organization("other").await;
    rename(&fresh, &other, "acme").await;
    assert!(matches!(
        identity.restore_organization(&operator(), &acme).await,
        Err(Error::Taken("slug"))
    ));
    rename(&fresh, &other, "other").await;
    identity
        .restore_organization(&operator(), &acme)
        .await
        .unwrap();
    let members = identity
        .members(&acme, None, &Listing::default())
        .await
        .unwrap();
    let emails: Vec<_> = members.items.iter().map(|one| one.email.as_str()).collect();
    assert_eq!(
        emails,
        ["owner@a.example"],
        "who had left before stays away"
    );
    assert!(matches!(
        identity.restore_organization(&operator(), &acme).await,
        Err(Error::Missing("organization"))
    ));
}

/// Gives an organization another slug, which nobody can.
async fn rename(fresh: &Fresh, organization: &TenantId, slug: &str) {
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let rows = PlatformTable::new("organizations").rows();
    let set = [("slug", Value::from(slug))];
    let id = organization.id();
    write.update(rows, id, None, set).await.unwrap();
    write.commit().await.unwrap();
}

async fn after_its_time_an_organization_is_gone(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (acme, stays) = (
        fresh.organization("acme").await,
        fresh.organization("stays").await,
    );
    let (owner, _) = fresh.member(&acme, "owner@a.example", BuiltIn::Owner).await;
    fresh
        .member(&stays, "keeps@a.example", BuiltIn::Owner)
        .await;
    let (_, left) = fresh
        .member(&stays, "left@a.example", BuiltIn::Viewer)
        .await;
    identity
        .remove_member(&operator(), &stays, &left, None)
        .await
        .unwrap();
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    identity
        .delete_user(&operator(), &owner.id, None)
        .await
        .unwrap();
    let month = Duration::from_secs(30 * 86_400);
    let purged = identity.purge(&operator(), month).await.unwrap();
    assert_eq!(purged, Default::default(), "nothing is that old");
    let purged = identity.purge(&operator(), Duration::ZERO).await.unwrap();
    assert_eq!(
        (purged.organizations, purged.users, purged.others),
        (1, 1, 1)
    );
    assert!(matches!(
        identity.restore_organization(&operator(), &acme).await,
        Err(Error::Missing(_))
    ));
    assert!(identity.organization(&stays).await.is_ok());
    // Its audit stays, whole.
    assert!(!fresh.audit(&acme).await.is_empty());
    let purged = identity.purge(&operator(), Duration::ZERO).await.unwrap();
    assert_eq!(purged, Default::default());
}

async fn limits_hold(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let mut limited = new("acme");
    limited.settings.limits.members = Some(1);
    let acme = identity
        .create_organization(&operator(), limited)
        .await
        .unwrap()
        .id;
    fresh.member(&acme, "one@a.example", BuiltIn::Owner).await;
    let two = fresh.user("two@a.example").await;
    let refused = identity
        .add_member(&operator(), &acme, &two.id, &"viewer".parse().unwrap())
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

async fn nobody_elses_organization_is_there(engine: &str) {
    use weir_identity::Permission as P;

    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let (mine, theirs) = (
        fresh.organization("mine").await,
        fresh.organization("theirs").await,
    );
    let (me, my_membership) = fresh.member(&mine, "me@a.example", BuiltIn::Viewer).await;
    let me = by(&me);
    let nobody = TenantId::generate();
    for permission in P::ALL {
        for tenant in [&theirs, &nobody] {
            let answer = identity.authorize(&me, tenant, *permission).await;
            assert!(matches!(answer, Err(Error::Missing("organization"))));
        }
    }
    assert!(identity.authorize(&me, &mine, P::RouteRead).await.is_ok());
    assert!(matches!(
        identity.authorize(&me, &mine, P::RouteWrite).await,
        Err(Error::Forbidden(_))
    ));
    // A real identifier with the wrong tenant is one that is not there.
    assert!(matches!(
        identity.member(&theirs, &my_membership).await,
        Err(Error::Missing("member"))
    ));
    assert!(matches!(
        identity
            .remove_member(&operator(), &theirs, &my_membership, None)
            .await,
        Err(Error::Missing("member"))
    ));
    // The platform's members may act in every organization.
    let (runs, _) = fresh
        .member(&TenantId::platform(), "op@a.example", BuiltIn::Operator)
        .await;
    assert!(
        identity
            .authorize(&by(&runs), &theirs, P::RouteWrite)
            .await
            .is_ok()
    );
    assert!(
        identity
            .authorize(&by(&runs), &theirs, P::MemberWrite)
            .await
            .is_err()
    );
}

async fn who_carries_its_traffic_hears_of_a_change(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let mut notices = fresh.records.notices();
    assert_eq!(notices.next().await, Some(Notice::Anything));
    let acme = identity
        .create_organization(&operator(), new("acme"))
        .await
        .unwrap();
    // What its members and keys may do is another matter after each of these.
    let mut assert_heard = async || {
        for topic in [Topic::Organizations, Topic::Credentials] {
            assert_eq!(notices.next().await, Some(Notice::Changed(topic)));
        }
    };
    assert_heard().await;
    identity
        .suspend_organization(&operator(), &acme.id, None, "unpaid")
        .await
        .unwrap();
    assert_heard().await;
    identity
        .resume_organization(&operator(), &acme.id, None)
        .await
        .unwrap();
    assert_heard().await;
    identity
        .delete_organization(&operator(), &acme.id, None)
        .await
        .unwrap();
    assert_heard().await;
    identity
        .restore_organization(&operator(), &acme.id)
        .await
        .unwrap();
    assert_heard().await;
}
