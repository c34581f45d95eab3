//! What a look at a key costs PostgreSQL, however many keys there are: one statement, which reads one row of each table
//! by an index.

use weir_core::{ApiKeyText, Secret};
use weir_identity::{Caller, Identity, KeyOwner, NewApiKey, NewOrganization};
use weir_store::Records;
use weir_store::records::{Address, Options};
use weir_testkit::{Postgres, told, wasteful};

use crate::engines::options;

/// 100,000 keys of 1,000 people in one organization, and as many memberships and roles.
const FILL: &str = "
    INSERT INTO users (id, created_at, updated_at, version, email, name)
        SELECT 'usr_' || lpad(n::text, 26, '0'), n, n, 1, n || '@example.org', n
        FROM generate_series(1, 1000) AS n;
    INSERT INTO roles (id, tenant_id, created_at, updated_at, version, name, description, permissions)
        SELECT 'rol_' || lpad(n::text, 26, '0'), $tenant, n, n, 1, n, '', '[\"api_key:write\"]'
        FROM generate_series(1, 1000) AS n;
    INSERT INTO memberships (id, tenant_id, created_at, updated_at, version, user_id, role)
        SELECT 'mbr_' || lpad(n::text, 26, '0'), $tenant, n, n, 1, 'usr_' || lpad(n::text, 26, '0'),
            'rol_' || lpad(n::text, 26, '0')
        FROM generate_series(1, 1000) AS n;
    INSERT INTO api_keys (id, tenant_id, created_at, updated_at, version, name, user_id, public_part,
            key_hash, permissions, scopes)
        SELECT 'key_' || lpad(n::text, 26, '0'), $tenant, n, n, 1, n,
            'usr_' || lpad((n % 1000 + 1)::text, 26, '0'), lpad(n::text, 11, '0'),
            decode(repeat('00', 32), 'hex'), '[]', '[\"a\"]'
        FROM generate_series(1, 100000) AS n;
    ANALYZE;";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_by_one_look_at_an_index() {
    let server = Postgres::start(&[
        "fsync=off",
        "shared_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_timing=off",
    ]);
    let url = server.database();
    let mut settings = Options::new(Address::Postgres(Secret::new(url.clone())));
    // One, so that its statements are also planned for values that are not known yet.
    settings.connections = 1;
    let records = Records::open(&settings).unwrap();
    records.migrate().await.unwrap();
    let identity = Identity::new(records, options()).unwrap();
    identity.prepare().await.unwrap();
    let new = NewOrganization {
        slug: "acme".to_owned(),
        name: "Acme".to_owned(),
        settings: Default::default(),
    };
    let system = Caller::system();
    let tenant = identity.create_organization(&system, new).await.unwrap().id;
    let fill = FILL.replace("$tenant", &format!("'{tenant}'"));
    tokio::task::block_in_place(|| server.psql(&url, &fill));
    let own = NewApiKey {
        name: "own".to_owned(),
        ..NewApiKey::default()
    };
    let made = identity
        .create_api_key(&system, &tenant, KeyOwner::Organization, own)
        .await
        .unwrap();
    let made = ApiKeyText::parse(made.text.expose()).unwrap();

    let before = server.log().len();
    let public_parts = [made.public_part(), "00000050000", "00000099999", "none"];
    for _ in 0..7 {
        for public_part in public_parts {
            let holder = identity.find_api_key(public_part).await.unwrap();
            assert_eq!(holder.is_some(), public_part != "none");
            if let Some(holder) = holder.filter(|holder| holder.user.is_some()) {
                assert!(holder.refused.is_none() && holder.scopes.has("a"));
            }
        }
    }
    let log = server.log()[before..].to_owned();
    assert_eq!(told(&log), 7 * public_parts.len(), "one statement each");
    let wasteful = wasteful(&log, 1);
    assert!(wasteful.is_empty(), "{}", wasteful.join("\n"));
    assert!(
        log.contains("Index Scan using api_keys_by_public_part"),
        "{log}"
    );
}
