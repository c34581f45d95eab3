//! Everything that can be read, by every filter and in every order that the document offers, where there is much of
//! everything: what PostgreSQL reads for a page does not grow with what there is.

use serde_json::Value;
use weir_testkit::{MEASURED, Postgres, told, wasteful};

use super::World;
use super::tenants::{Operation, Tenant};
use crate::harness::Setup;

/// Rows that a step of a plan may read for a page of two, of tables that have twenty times as many.
const MOST: u64 = 1_000;

/// People of one organization, of whom a third is in the trash and each five-hundredth is suspended, as many invitations and
/// roles, and sessions of one of them; resources and revisions; entries of the audit in both chains.
const FILL: &str = "
    CREATE FUNCTION pg_temp.gone(n INTEGER) RETURNS BIGINT LANGUAGE SQL
        AS 'SELECT CASE WHEN n % 3 = 0 THEN n END::BIGINT';
    CREATE FUNCTION pg_temp.id(prefix TEXT, n INTEGER) RETURNS TEXT LANGUAGE SQL
        AS 'SELECT prefix || ''_'' || lpad(n::text, 26, ''0'')';
    INSERT INTO users (id, created_at, updated_at, deleted_at, deleted_with, version, email, name, suspended_at)
        SELECT pg_temp.id('usr', n), n, n, pg_temp.gone(n), pg_temp.id('usr', n), 1, n || '@fill.example', n,
            CASE WHEN n % 500 = 1 THEN n END
        FROM generate_series(1, 20000) AS n;
    INSERT INTO roles (id, tenant_id, created_at, updated_at, deleted_at, deleted_with, version, name, description,
            permissions)
        SELECT pg_temp.id('rol', n), $tenant, n, n, pg_temp.gone(n), pg_temp.id('rol', n), 1, 'r' || n, '', '[]'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO memberships (id, tenant_id, created_at, updated_at, deleted_at, deleted_with, version, user_id, role)
        SELECT pg_temp.id('mbr', n), $tenant, n, n, pg_temp.gone(n), pg_temp.id('mbr', n), 1, pg_temp.id('usr', n),
            'viewer'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO invitations (id, tenant_id, created_at, updated_at, deleted_at, deleted_with, version, email, role,
            expires_at)
        SELECT pg_temp.id('inv', n), $tenant, n, n, pg_temp.gone(n), pg_temp.id('inv', n), 1, n || '@fill.example',
            'viewer', n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO sessions (id, created_at, updated_at, version, user_id, token_hash, expires_at, last_seen_at,
            is_two_factor)
        SELECT pg_temp.id('ses', n), n, n, 1, pg_temp.id('usr', n), n::text::bytea, n, n, 0
        FROM generate_series(1, 20000) AS n;
    INSERT INTO audit (scope, sequence, at, actor_kind, actor_id, action, subject_kind, subject_id, origin, change,
            origin_hash, change_hash, hash)
        SELECT scope, n, n * 1000000::BIGINT, 'user', 'usr_' || n / 1000, 'fill.' || n / 1000, 'user',
            'usr_' || n / 1000, '{}', '{\"before\":{},\"after\":{}}', '', '', ''
        FROM generate_series(1000, 20000) AS n, (VALUES ('platform'), ($tenant)) AS chains (scope);
    UPDATE scopes SET audit_sequence = 20000;
    INSERT INTO revisions (id, created_at, updated_at, version, number, author_kind, comment, changes, digest)
        SELECT pg_temp.id('rev', n), n, n, 1, n, 'system', '', 1, '' FROM generate_series(1000, 20000) AS n;
    ANALYZE;";

/// What is asked for by a parameter of this name.
fn values(name: &str, schema: &Value, tenant: &Tenant) -> Vec<String> {
    if let Some(all) = schema["enum"].as_array() {
        let all = all.iter().filter_map(|one| one.as_str());
        // An export is all of it.
        let pages = all.filter(|one| !matches!(*one, "ndjson" | "csv"));
        return pages.map(str::to_owned).collect();
    }
    let one: &str = match name {
        "suspended" | "deleted" => return ["true", "false"].map(str::to_owned).to_vec(),
        "actor" | "subject" | "user" => &tenant.user,
        "email" => "1000",
        "slug" => "ac",
        "name" => "r1",
        "action" => "role.create",
        "since" => "2026-01-01T00:00:00Z",
        "until" => "2096-01-01T00:00:00Z",
        "owner" => "api",
        "from" => "0",
        "version" => "3.0",
        // Told apart below; it goes with everything.
        "limit" | "cursor" => return Vec::new(),
        other => panic!("what does the parameter {other} take? say so here"),
    };
    vec![one.to_owned()]
}

/// The queries that an operation offers: each parameter by itself and with each order.
fn queries(operation: &Operation, tenant: &Tenant) -> Vec<String> {
    let of = |name: &str| {
        let parameter = operation.query.iter().find(|(known, _)| known == name);
        let values = parameter.map(|(name, schema)| values(name, schema, tenant));
        values.unwrap_or_default()
    };
    let mut orders: Vec<_> = of("sort")
        .iter()
        .map(|sort| format!("sort={sort}"))
        .collect();
    orders.push(String::new());
    let mut queries = orders.clone();
    for (name, _) in operation.query.iter().filter(|(name, _)| name != "sort") {
        for value in of(name) {
            let with = orders.iter().map(|order| format!("{name}={value}&{order}"));
            queries.extend(with);
        }
    }
    queries
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_costs_does_not_depend_on_how_much_there_is() {
    let server = Postgres::start(&["fsync=off"]);
    let url = server.database();
    let setup = Setup::new().environment("PGOPTIONS", MEASURED);
    let config = format!("routes: []\nrecords: {{ url: \"{url}\" }}\n");
    let world = World::begin_at(setup, &config).await;
    let tenant = Tenant::new(&world, "acme").await;
    let route = serde_json::json!({ "match": { "path": "/x" }, "respond": { "status": 200 } });
    let path = format!("/v1/config/routes/{}", tenant.own("name"));
    let made = world.owner.send("PUT", &path, Some(&route), "");
    assert_eq!(made.status(), 201, "{}", made.text());
    let policy = format!("/v1/access-policies/{}", tenant.own("policy"));
    let text = serde_json::json!({ "text": "// nothing" });
    let made = world.owner.send("PUT", &policy, Some(&text), "");
    assert_eq!(made.status(), 201, "{}", made.text());
    let fill = FILL.replace("$tenant", &format!("'{}'", tenant.id));
    tokio::task::block_in_place(|| server.psql(&url, &fill));
    let before = server.log().len();

    let (mut asked, mut failed) = (0, Vec::new());
    let operations = Operation::all(&world.owner);
    // One thing of one's own is found like one of an organization, and is not the owner's who asks here.
    let is_own = |one: &&Operation| one.path.starts_with("/v1/me/") && one.path.contains('{');
    let reads = operations.iter().filter(|one| one.method == "GET");
    let reads = reads.filter(|one| !is_own(one));
    for operation in reads {
        let path = operation.filled(|placeholder| tenant.own(placeholder));
        for query in queries(operation, &tenant) {
            let is_list = operation.query.iter().any(|(name, _)| name == "cursor");
            let mut address = match is_list {
                true => format!("{path}?limit=2&{query}"),
                false => format!("{path}?{query}"),
            };
            // The first page, and one behind it.
            for _ in 0..2 {
                let answer = world.owner.get(address.trim_end_matches(['&', '?']));
                asked += 1;
                if answer.status() != 200 {
                    failed.push(format!("{address}: {}", answer.text()));
                    break;
                }
                let Some(next) = is_list.then(|| answer.json()["next"].clone()) else {
                    break;
                };
                let Some(cursor) = next.as_str() else { break };
                address = format!("{path}?limit=2&cursor={cursor}&{query}");
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let log = server.log();
    let log = &log[before..];
    assert!(told(log) > asked, "{} plans of {asked} requests", told(log));
    let wasteful = wasteful(log, MOST);
    assert!(wasteful.is_empty(), "{}", wasteful.join("\n\n"));
    println!("{asked} requests for pages, {} plans", told(log));
}
