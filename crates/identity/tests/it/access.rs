//! Access policies narrow what roles give, on every node, and give nothing themselves.

use std::net::IpAddr;

use jiff::Timestamp;
use weir_authorization::{Decision, Kind, Reason, Strength};
use weir_core::TenantId;
use weir_identity::{
    AccessPolicy, Asked, Asker, Author, BuiltIn, Error, Identity, Listing, Permission, Permissions,
    Result,
};

use crate::engines::{by, client_at, fresh, on_both_engines, operator, options, sign_in};

on_both_engines! {
    a_policy_lives,
    mistakes_are_refused_with_their_place,
    nobody_gives_a_right_by_a_policy,
    authors_do_not_lock_themselves_out,
    what_is_restored_is_judged_beside_what_is_there,
    many_authors_at_once_judge_what_there_is,
    every_node_asks_the_rules_of_now,
    rules_hold_where_they_are_from,
    owners_come_out_of_what_others_forbid,
    what_is_not_understood_any_more_lets_nobody_in,
    failures_are_risk,
}

const WRITES: &str = "@id(\"strong\") forbid (principal, action in Action::\"write\", resource) \
                      unless { context.level == 3 };";

async fn put(
    identity: &Identity,
    tenant: &TenantId,
    name: &str,
    text: &str,
) -> Result<(AccessPolicy, bool)> {
    identity
        .put_access_policy(&operator(), tenant, name, None, text, None)
        .await
}

fn asker() -> Asker<'static> {
    Asker {
        kind: Kind::User,
        id: "usr_1",
        name: Some("ada@a.example"),
        address: Some(IpAddr::from([192, 0, 2, 1])),
        strength: Strength::Password,
        now: Timestamp::UNIX_EPOCH,
    }
}

async fn ask(
    identity: &Identity,
    tenant: &TenantId,
    permission: Permission,
    strength: Strength,
) -> Decision {
    let rules = identity.access_rules(tenant).await.unwrap();
    rules.decide(&Asked {
        asker: Asker {
            strength,
            ..asker()
        },
        permission,
        organization: tenant,
        slug: "acme",
        rights: Permissions::from_iter([Permission::RouteRead, Permission::RouteWrite]),
        platform_rights: Permissions::default(),
        is_owner: false,
        risk: 0,
    })
}

async fn may_write(identity: &Identity, tenant: &TenantId) -> bool {
    ask(identity, tenant, Permission::RouteWrite, Strength::Password)
        .await
        .allowed
}

async fn a_policy_lives(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    assert!(may_write(identity, &acme).await);
    let denied = ask(identity, &acme, Permission::RoleRead, Strength::TwoFactor).await;
    assert_eq!(denied.reason, Reason::NoPermit, "roles do not give it");

    let (made, is_new) = put(identity, &acme, "strong", WRITES).await.unwrap();
    assert!(is_new && made.version == 1);
    let denied = ask(identity, &acme, Permission::RouteWrite, Strength::Password).await;
    assert_eq!(
        (denied.reason, &*denied.determining[0]),
        (Reason::Forbidden, "strong")
    );
    let allowed = ask(identity, &acme, Permission::RouteWrite, Strength::TwoFactor).await;
    assert_eq!((allowed.allowed, &*allowed.determining[0]), (true, "role"));
    assert!(
        ask(identity, &acme, Permission::RouteRead, Strength::Password)
            .await
            .allowed
    );

    let (changed, is_new) = put(identity, &acme, "strong", "// nothing").await.unwrap();
    assert!(!is_new && changed.version == 2 && changed.id == made.id);
    assert!(may_write(identity, &acme).await);
    let caller = operator();
    let stale = identity.put_access_policy(&caller, &acme, "strong", Some(1), WRITES, None);
    assert!(matches!(stale.await, Err(Error::Stale { version: 2 })));
    let nowhere = identity.put_access_policy(&caller, &acme, "other", Some(1), WRITES, None);
    assert!(matches!(nowhere.await, Err(Error::Missing(_))));
    put(identity, &acme, "strong", WRITES).await.unwrap();
    assert_eq!(
        identity.access_policy(&acme, "strong").await.unwrap().text,
        WRITES
    );
    let page = identity
        .access_policies(&acme, &Listing::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);

    identity
        .delete_access_policy(&operator(), &acme, "strong", None)
        .await
        .unwrap();
    assert!(may_write(identity, &acme).await);
    let trash = identity.trash(&acme, &Listing::default()).await.unwrap();
    assert_eq!(
        (trash.items[0].kind, trash.items[0].name.as_deref()),
        ("access_policy", Some("strong"))
    );
    let (editor, _) = fresh
        .member(&acme, "editor@a.example", BuiltIn::Editor)
        .await;
    let restored = identity.restore(&by(&editor), &acme, &made.id).await;
    assert!(
        matches!(restored, Err(Error::Forbidden(_))),
        "it takes the right to write one"
    );
    identity
        .restore(&operator(), &acme, &made.id)
        .await
        .unwrap();
    assert!(!may_write(identity, &acme).await);
    let actions = fresh.actions(&acme).await;
    let of_policies: Vec<_> = actions
        .iter()
        .filter(|action| action.starts_with("access_policy") || action.starts_with("trash"))
        .collect();
    assert_eq!(
        of_policies,
        [
            "access_policy.create",
            "access_policy.update",
            "access_policy.update",
            "access_policy.delete",
            "trash.restore"
        ]
    );
}

async fn mistakes_are_refused_with_their_place(engine: &str) {
    let fresh = fresh(engine).await;
    let acme = fresh.organization("acme").await;
    let text = "forbid (principal, action, resource)\nwhen { context.rsik > 5 };\n\
                forbid (principal, action == Action::\"route:wirte\", resource);";
    let Err(Error::InvalidPolicy(faults)) = put(&fresh.identity, &acme, "risky", text).await else {
        panic!("it is refused");
    };
    let places: Vec<_> = faults
        .iter()
        .map(|fault| (fault.policy.as_str(), fault.line, fault.column))
        .collect();
    assert_eq!(places, [("risky", 2, 8), ("risky", 3, 30)]);
    put(&fresh.identity, &acme, "strong", WRITES).await.unwrap();
    let twice = put(&fresh.identity, &acme, "again", WRITES).await;
    assert!(
        matches!(twice, Err(Error::InvalidPolicy(_))),
        "a name of two rules"
    );
    for name in ["", "A", "a b", "../x", &"a".repeat(64)] {
        let refused = put(&fresh.identity, &acme, name, "").await;
        assert!(
            matches!(refused, Err(Error::Invalid { field: "name", .. })),
            "{name}"
        );
    }
}

async fn nobody_gives_a_right_by_a_policy(engine: &str) {
    let fresh = fresh(engine).await;
    let acme = fresh.organization("acme").await;
    let text = "// mine\npermit (principal == User::\"usr_1\", action, resource);";
    let Err(Error::InvalidPolicy(faults)) = put(&fresh.identity, &acme, "mine", text).await else {
        panic!("it is refused");
    };
    assert_eq!(faults[0].line, 2);
    assert!(faults[0].text.contains("only forbids"));
    let role = "@id(\"role\") forbid (principal, action, resource);";
    let taken = put(&fresh.identity, &acme, "role", role).await;
    assert!(
        matches!(taken, Err(Error::InvalidPolicy(_))),
        "the name of what is always there"
    );
}

async fn authors_do_not_lock_themselves_out(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let author = Author {
        asker: asker(),
        slug: "acme",
        rights: Permissions::all(),
        risk: 0,
    };
    let strong = Author {
        asker: Asker {
            strength: Strength::TwoFactor,
            ..asker()
        },
        ..author
    };
    let caller = operator();
    let put = |author| identity.put_access_policy(&caller, &acme, "strong", None, WRITES, author);
    assert!(matches!(put(Some(&author)).await, Err(Error::Conflict(_))));
    assert!(matches!(
        identity.access_policy(&acme, "strong").await,
        Err(Error::Missing(_))
    ));
    put(Some(&strong)).await.unwrap();
    put(None).await.unwrap();
}

async fn what_is_restored_is_judged_beside_what_is_there(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (first, _) = put(identity, &acme, "first", WRITES).await.unwrap();
    let caller = operator();
    let delete = |name| identity.delete_access_policy(&caller, &acme, name, None);
    delete("first").await.unwrap();
    put(identity, &acme, "second", WRITES).await.unwrap();
    // Two rules of one name would make all of them useless.
    let restored = identity.restore(&caller, &acme, &first.id).await;
    assert!(
        matches!(&restored, Err(Error::InvalidPolicy(faults)) if !faults.is_empty()),
        "{restored:?}"
    );
    assert_eq!(
        ask(identity, &acme, Permission::RouteRead, Strength::Password)
            .await
            .reason,
        Reason::Permitted
    );
    let (editor, _) = fresh
        .member(&acme, "editor@a.example", BuiltIn::Editor)
        .await;
    let restored = identity.restore(&by(&editor), &acme, &first.id).await;
    assert!(
        matches!(restored, Err(Error::Forbidden(_))),
        "nor does it tell them what is wrong: {restored:?}"
    );
    delete("second").await.unwrap();
    put(identity, &acme, "first", "// nothing").await.unwrap();
    let restored = identity.restore(&caller, &acme, &first.id).await;
    assert!(matches!(restored, Err(Error::Taken("name"))));
    delete("first").await.unwrap();
    // Nor does anybody lock themselves out this way.
    let author = Author {
        asker: asker(),
        slug: "acme",
        rights: Permissions::all(),
        risk: 0,
    };
    let restore = |author| identity.restore_access_policy(&caller, &acme, &first.id, author);
    assert!(matches!(
        restore(Some(&author)).await,
        Err(Error::Conflict(_))
    ));
    assert!(may_write(identity, &acme).await);
    restore(None).await.unwrap();
    assert!(!may_write(identity, &acme).await);
    assert!(matches!(restore(None).await, Err(Error::Missing(_))));
}

async fn many_authors_at_once_judge_what_there_is(engine: &str) {
    let fresh = fresh(engine).await;
    let acme = fresh.organization("acme").await;
    let names = ["one", "two", "three", "four"];
    let all = names.map(|name| put(&fresh.identity, &acme, name, WRITES));
    let put = futures_util::future::join_all(all).await;
    let taken = put.iter().filter(|one| one.is_ok()).count();
    assert_eq!(taken, 1, "they have a rule of the same name: {put:?}");
    let others = put.iter().filter_map(|one| one.as_ref().err());
    for error in others {
        assert!(matches!(error, Error::InvalidPolicy(_) | Error::Busy(_)));
    }
    let decision = ask(
        &fresh.identity,
        &acme,
        Permission::RouteRead,
        Strength::Password,
    );
    assert_eq!(decision.await.reason, Reason::Permitted);
}

async fn every_node_asks_the_rules_of_now(engine: &str) {
    let fresh = fresh(engine).await;
    let acme = fresh.organization("acme").await;
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    for text in [WRITES, "// nothing", WRITES] {
        put(&fresh.identity, &acme, "strong", text).await.unwrap();
        assert_eq!(may_write(&other, &acme).await, text != WRITES);
        assert_eq!(may_write(&fresh.identity, &acme).await, text != WRITES);
    }
}

async fn rules_hold_where_they_are_from(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    identity.begin_setup().await.unwrap();
    let (acme, globex) = (
        fresh.organization("acme").await,
        fresh.organization("globex").await,
    );
    put(identity, &acme, "strong", WRITES).await.unwrap();
    assert!(!may_write(identity, &acme).await);
    assert!(may_write(identity, &globex).await && may_write(identity, &platform).await);
    // Who runs the installation is not kept out by an organization.
    let rules = identity.access_rules(&acme).await.unwrap();
    let mut asked = Asked {
        asker: asker(),
        permission: Permission::RouteWrite,
        organization: &acme,
        slug: "acme",
        rights: Permissions::all(),
        platform_rights: Permissions::all(),
        is_owner: false,
        risk: 0,
    };
    assert!(rules.decide(&asked).allowed);
    asked.platform_rights = Permissions::from_iter([Permission::RouteRead]);
    assert!(!rules.decide(&asked).allowed);

    put(identity, &platform, "strong", WRITES).await.unwrap();
    for tenant in [&acme, &globex, &platform] {
        assert!(!may_write(identity, tenant).await);
    }
    asked.platform_rights = Permissions::all();
    assert!(
        !identity
            .access_rules(&acme)
            .await
            .unwrap()
            .decide(&asked)
            .allowed
    );
}

async fn owners_come_out_of_what_others_forbid(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    identity.begin_setup().await.unwrap();
    let acme = fresh.organization("acme").await;
    let all = "forbid (principal, action, resource);";
    put(identity, &acme, "all", all).await.unwrap();
    let asked = async |permission, is_owner| {
        let rules = identity.access_rules(&acme).await.unwrap();
        let decision = rules.decide(&Asked {
            asker: asker(),
            permission,
            organization: &acme,
            slug: "acme",
            rights: Permissions::all(),
            platform_rights: Permissions::default(),
            is_owner,
            risk: 0,
        });
        decision.allowed
    };
    let ways_out = [Permission::AccessPolicyRead, Permission::AccessPolicyWrite];
    for permission in ways_out {
        assert!(asked(permission, true).await && !asked(permission, false).await);
    }
    assert!(
        !asked(Permission::RouteRead, true).await,
        "all else waits until the rule is changed"
    );
    put(
        identity,
        &TenantId::platform(),
        "every",
        &format!("@id(\"every\") {all}"),
    )
    .await
    .unwrap();
    for permission in ways_out {
        assert!(
            !asked(permission, true).await,
            "the platform's hold for everybody"
        );
    }
}

async fn what_is_not_understood_any_more_lets_nobody_in(engine: &str) {
    let fresh = fresh(engine).await;
    let acme = fresh.organization("acme").await;
    put(&fresh.identity, &acme, "strong", "// nothing")
        .await
        .unwrap();
    // As another version may have kept it.
    let rows = weir_store::records::TenantTable::new("access_policies");
    let policy = fresh.identity.access_policy(&acme, "strong").await.unwrap();
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let values = [(
        "rules",
        weir_store::records::Value::from("forbid (principal, action == Action::\"x\", resource);"),
    )];
    write
        .update(rows.of(&acme), &policy.id, None, values)
        .await
        .unwrap();
    write.commit().await.unwrap();
    let denied = ask(
        &fresh.identity,
        &acme,
        Permission::RouteRead,
        Strength::TwoFactor,
    )
    .await;
    assert_eq!((denied.allowed, denied.reason), (false, Reason::Failed));
    put(&fresh.identity, &acme, "strong", WRITES).await.unwrap();
    assert!(
        ask(
            &fresh.identity,
            &acme,
            Permission::RouteRead,
            Strength::TwoFactor
        )
        .await
        .allowed
    );
}

async fn failures_are_risk(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let ada = fresh.person("ada@a.example").await;
    let home = client_at("192.0.2.1");
    let risk = |address| identity.risk(Some(&ada.email), Some(address));
    assert_eq!(risk("192.0.2.1").await.unwrap(), 0);
    for _ in 0..3 {
        let failed = identity.sign_in(&home, &ada.email, &"wrong".into()).await;
        assert!(matches!(failed, Err(Error::Refused(_))), "{failed:?}");
    }
    assert_eq!(risk("192.0.2.1").await.unwrap(), 30);
    assert_eq!(
        risk("198.51.100.9").await.unwrap(),
        7,
        "the account as a whole"
    );
    assert_eq!(identity.risk(Some("eve@a.example"), None).await.unwrap(), 0);
    let of_address = identity.risk(None, Some("192.0.2.1")).await.unwrap();
    assert!(of_address > 0, "of who has no account, the address counts");
    assert_eq!(identity.risk(None, Some("203.0.113.9")).await.unwrap(), 0);
    sign_in(identity, &ada.email, crate::engines::PASSWORD)
        .await
        .unwrap();
    let text = "forbid (principal, action, resource) when { context.risk >= 30 };";
    let acme = fresh.organization("acme").await;
    put(identity, &acme, "calm", text).await.unwrap();
    assert!(identity.access_rules(&acme).await.unwrap().read_risk());
}
