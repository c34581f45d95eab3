//! Keys that somebody has found where they do not belong.

use weir_core::{ApiKeyText, TenantId};
use weir_identity::{
    Caller, Error, Finder, Identity, KeyOwner, KeyRefusal, LeakReport, MadeApiKey, Permission,
};
use weir_store::audit::Actor;

use crate::api_keys::{new, refused, service_key, works};
use crate::engines::{client, client_at, fresh, on_both_engines, operator};

on_both_engines! {
    a_leaked_key_stays_revoked_through_the_trash,
    who_reports_an_old_key_again_and_again_has_to_wait,
    what_a_leaked_key_made_goes_with_it,
}

async fn report(identity: &Identity, made: &MadeApiKey) -> bool {
    let report = LeakReport {
        token: made.text.expose().clone(),
        url: None,
    };
    let told = identity
        .report_leaked(&client(), Finder::ANYBODY, &[report])
        .await;
    told.unwrap()[0]
}

async fn a_leaked_key_stays_revoked_through_the_trash(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let (leaked, other) = (
        service_key(identity, &acme, "leaked").await,
        service_key(identity, &acme, "other").await,
    );
    let operator = operator();
    let deleted = identity.delete_organization(&operator, &acme, None);
    deleted.await.unwrap();
    assert!(report(identity, &leaked).await && report(identity, &leaked).await);
    let restored = identity.restore_organization(&operator, &acme);
    restored.await.unwrap();
    assert_eq!(refused(identity, &leaked).await, Some(KeyRefusal::Revoked));
    assert!(works(identity, &other).await);
    let actions = fresh.actions(&acme).await;
    let leaks = actions.iter().filter(|action| *action == "api_key.leak");
    assert_eq!(leaks.count(), 1);
    let never = ApiKeyText::compose(1, [2, 3, 4]);
    let made_up = MadeApiKey {
        text: never,
        ..leaked
    };
    assert!(!report(identity, &made_up).await);
}

async fn who_reports_an_old_key_again_and_again_has_to_wait(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let acme = fresh.organization("acme").await;
    let scanner = client_at("203.0.113.9");
    let report = async |made: &MadeApiKey, copies: usize| {
        let report = LeakReport {
            token: made.text.expose().to_owned(),
            url: None,
        };
        identity
            .report_leaked(&scanner, Finder::ANYBODY, &vec![report; copies])
            .await
    };
    // Keys that work are worth every report.
    for number in 0..120 {
        let made = service_key(identity, &acme, &format!("key {number}")).await;
        assert_eq!(report(&made, 1).await.unwrap(), [true]);
    }
    let old = service_key(identity, &acme, "old").await;
    assert_eq!(report(&old, 100).await.unwrap(), vec![true; 100]);
    let mut reports = 0;
    let waits = loop {
        match report(&old, 1).await {
            Ok(_) => reports += 1,
            Err(error) => break error,
        }
        assert!(reports < 200, "nobody has to wait");
    };
    assert!(matches!(waits, Error::Throttled { .. }), "{waits}");
}

async fn what_a_leaked_key_made_goes_with_it(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let platform = TenantId::platform();
    identity.begin_setup().await.unwrap();
    let acme = fresh.organization("acme").await;
    let writes = [Permission::ApiKeyWrite];
    let make = async |caller: &Caller, tenant: &TenantId, name: &str| {
        let new = new(name, &writes, &["catalog:admin"]);
        let made = identity.create_api_key(caller, tenant, KeyOwner::Organization, new);
        made.await.unwrap()
    };
    let by_key = |made: &MadeApiKey| Caller {
        actor: Actor::ApiKey(made.key.id.clone()),
        ..client()
    };
    for (home, child_of) in [(&acme, &acme), (&platform, &acme)] {
        let leaked = make(&operator(), home, "leaked").await;
        let bystander = make(&operator(), child_of, "bystander").await;
        let child = make(&by_key(&leaked), child_of, "child").await;
        let grandchild = make(&by_key(&child), child_of, "grandchild").await;
        assert!(report(identity, &leaked).await);
        for gone in [&leaked, &child, &grandchild] {
            assert_eq!(refused(identity, gone).await, Some(KeyRefusal::Revoked));
        }
        assert!(works(identity, &bystander).await);
    }
}
