//! The first start.

use weir_core::{Secret, TenantId};
use weir_identity::{Error, FirstOwner, Permissions};

use crate::engines::{PASSWORD, by, client, fresh, on_both_engines, operator};

on_both_engines! {
    the_first_person_owns_the_platform,
    a_link_made_anew_ends_those_before_it,
    each_node_s_link_opens_until_one_was_used,
    of_many_at_once_one_becomes_owner,
}

fn owner(email: &str, password: &str) -> FirstOwner {
    FirstOwner {
        email: email.to_owned(),
        name: "Zoë".to_owned(),
        password: password.into(),
    }
}

async fn the_first_person_owns_the_platform(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let token = identity.begin_setup().await.unwrap().unwrap();
    let link = identity.link("setup", &token);
    assert!(
        link.expose()
            .starts_with("https://weir.example/setup?token=weir_once_")
    );
    // A password that is refused does not use the link up.
    let weak = identity
        .set_up(&client(), &token, owner("zoe@a.example", "short"))
        .await;
    assert!(matches!(
        weak,
        Err(Error::Invalid {
            field: "password",
            ..
        })
    ));
    let user = identity
        .set_up(&client(), &token, owner("zoe@a.example", PASSWORD))
        .await
        .unwrap();
    let platform = TenantId::platform();
    let permissions = identity.permissions(&by(&user), &platform).await.unwrap();
    assert_eq!(permissions, Permissions::all());
    fresh.signed_in("zoe@a.example", PASSWORD).await;
    assert!(identity.begin_setup().await.unwrap().is_none());
    let again = identity
        .set_up(&client(), &token, owner("eve@a.example", PASSWORD))
        .await;
    assert!(matches!(again, Err(Error::Refused(_))));
    let text = format!("{:?}", fresh.audit(&platform).await);
    assert!(!text.contains(token.expose()) && !text.contains(PASSWORD));
    // Still not when the owner is suspended or in the trash by somebody at the machine.
    assert!(
        identity
            .delete_user(&operator(), &user.id, None)
            .await
            .is_err()
    );
}

async fn a_link_made_anew_ends_those_before_it(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let first = identity.begin_setup().await.unwrap().unwrap();
    let second = identity.begin_setup_anew().await.unwrap().unwrap();
    for bad in [
        first,
        Secret::new("weir_once_".to_owned()),
        Secret::new(String::new()),
    ] {
        let refused = identity
            .set_up(&client(), &bad, owner("eve@a.example", PASSWORD))
            .await;
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
    fresh
        .set_time("one_time_tokens", "expires_at", -86_401)
        .await;
    let late = identity
        .set_up(&client(), &second, owner("zoe@a.example", PASSWORD))
        .await;
    assert!(matches!(late, Err(Error::Refused(_))));
}

async fn each_node_s_link_opens_until_one_was_used(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let first = identity.begin_setup().await.unwrap().unwrap();
    let second = identity.begin_setup().await.unwrap().unwrap();
    let ada = owner("ada@a.example", PASSWORD);
    identity.set_up(&client(), &first, ada).await.unwrap();
    let eve = owner("eve@a.example", PASSWORD);
    let late = identity.set_up(&client(), &second, eve).await;
    assert!(matches!(late, Err(Error::Refused(_))), "{late:?}");
}

async fn of_many_at_once_one_becomes_owner(engine: &str) {
    let fresh = fresh(engine).await;
    let token = fresh.identity.begin_setup().await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (identity, token) = (fresh.identity.clone(), token.clone());
        tasks.spawn(async move {
            let owner = owner(&format!("person{number}@a.example"), PASSWORD);
            identity.set_up(&client(), &token, owner).await.is_ok()
        });
    }
    let owners = tasks.join_all().await.into_iter().filter(|is| *is).count();
    assert_eq!(owners, 1);
}
