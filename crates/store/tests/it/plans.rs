//! How PostgreSQL answers the queries that people wait for: by an index that is in the order of the
//! answer, however much there is and however far back it lies.
//!
//! The server itself tells the plan of each query as it was sent, and how many rows it looked at in vain
//! (`auto_explain`).

use std::collections::BTreeMap;

use weir_core::{Id, Secret, TenantId};
use weir_store::Records;
use weir_store::audit::Query;
use weir_store::records::{Address, Options, PlatformTable, Scope, Select, TenantTable, Value};
use weir_testkit::Postgres;

use crate::engines::{ORGANIZATIONS, RESOURCES, ROLES, USERS, organization};

const SESSIONS: PlatformTable = PlatformTable::new("sessions");
const ONE_TIME_TOKENS: PlatformTable = PlatformTable::new("one_time_tokens");
const THROTTLES: PlatformTable = PlatformTable::new("throttles");
const FAMILIAR_PLACES: PlatformTable = PlatformTable::new("familiar_places");
const MEMBERSHIPS: TenantTable = TenantTable::new("memberships");
const INVITATIONS: TenantTable = TenantTable::new("invitations");
const PAGE: i64 = 50;

/// 20,000 organizations and people; these are all of one organization, which has as many roles and
/// invitations; the platform has as many resources. A third of each is in the trash. 100,000 entries of the platform's audit, one a second, each action for 25,000 on
/// end.
const FILL: &str = "
    CREATE FUNCTION pg_temp.gone(n INTEGER) RETURNS BIGINT LANGUAGE SQL
        AS 'SELECT CASE WHEN n % 3 = 0 THEN n END::BIGINT';
    INSERT INTO organizations (id, created_at, updated_at, deleted_at, version, slug, name, settings)
        SELECT 'org_' || lpad(n::text, 26, '0'), n, n, pg_temp.gone(n), 1, 'slug-' || n, n, '{}'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO users (id, created_at, updated_at, deleted_at, version, email, name)
        SELECT 'usr_' || lpad(n::text, 26, '0'), n, n, pg_temp.gone(n), 1, n || '@example.org', n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO roles
        (id, tenant_id, created_at, updated_at, deleted_at, version, name, description, permissions)
        SELECT 'rol_' || lpad(n::text, 26, '0'), $tenant, n, n, pg_temp.gone(n), 1, n, '', '[]'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO memberships
        (id, tenant_id, created_at, updated_at, deleted_at, version, user_id, role)
        SELECT 'mbr_' || lpad(n::text, 26, '0'), $tenant, n, n, pg_temp.gone(n), 1,
            'usr_' || lpad(n::text, 26, '0'), 'owner'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO invitations (id, tenant_id, created_at, updated_at, deleted_at, version, email, role,
            invited_by, expires_at)
        SELECT 'inv_' || lpad(n::text, 26, '0'), $tenant, n, n, pg_temp.gone(n), 1,
            n || '@example.org', 'owner', 'usr_' || lpad('1', 26, '0'), n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO sessions (id, created_at, updated_at, version, user_id, token_hash, expires_at,
            last_seen_at, is_two_factor)
        SELECT 'ses_' || lpad(n::text, 26, '0'), n, n, 1, 'usr_' || lpad(n::text, 26, '0'),
            n::text::bytea, n, n, 0
        FROM generate_series(1, 20000) AS n;
    INSERT INTO one_time_tokens (id, created_at, updated_at, version, kind, token_hash, user_id,
            expires_at)
        SELECT 'otk_' || lpad(n::text, 26, '0'), n, n, 1, 'setup', n::text::bytea,
            'usr_' || lpad(n::text, 26, '0'), n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO throttles (id, created_at, updated_at, version, subject, failures, blocked_until,
            forgotten_at)
        SELECT 'thr_' || lpad(n::text, 26, '0'), n, n, 1, n::text::bytea, 1, n, n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO familiar_places (id, created_at, updated_at, version, user_id, place_hash, expires_at)
        SELECT 'plc_' || lpad(n::text, 26, '0'), n, n, 1, 'usr_' || lpad(n::text, 26, '0'), n::text::bytea, n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO resources (id, tenant_id, created_at, updated_at, deleted_at, version, kind, name, document,
            revision)
        SELECT 'res_' || lpad(n::text, 26, '0'), 'org_00000000000000000000000000', n, n, pg_temp.gone(n), 1,
            'route', n, '{}', n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO revisions (id, created_at, updated_at, version, number, author_kind, comment, changes, digest)
        SELECT 'rev_' || lpad(n::text, 26, '0'), n, n, 1, n, 'system', '', 1, ''
        FROM generate_series(1, 20000) AS n;
    INSERT INTO revision_changes (id, created_at, updated_at, version, revision, kind, name)
        SELECT 'rvc_' || lpad(n::text, 26, '0'), n, n, 1, n, 'route', n
        FROM generate_series(1, 20000) AS n;
    INSERT INTO audit (scope, sequence, at, actor_kind, actor_id, action, subject_kind, subject_id,
            origin_hash, change_hash, hash)
        SELECT 'platform', n, n * 1000000::BIGINT, 'user', 'actor-' || n / 10000, 'action-' || n / 25000, 'user',
            'subject-' || n / 1000, '', '', ''
        FROM generate_series(2, 100000) AS n;
    ANALYZE;";

async fn filled(server: &Postgres) -> (Records, TenantId) {
    let url = server.database();
    let mut options = Options::new(Address::Postgres(Secret::new(url.clone())));
    // One, so that its statements are also planned for values that are not known yet.
    options.connections = 1;
    let records = Records::open(&options).unwrap();
    records.migrate().await.unwrap();
    let tenant = organization(&records, "acme").await.unwrap();
    let fill = FILL.replace("$tenant", &format!("'{tenant}'"));
    tokio::task::block_in_place(|| server.psql(&url, &fill));
    (records, tenant)
}

/// The lists of one table: live and in the trash, from the beginning and from the middle.
fn lists(select: impl Fn() -> Select) -> Vec<Select> {
    let mut lists = Vec::new();
    for descending in [false, true] {
        for (select, order) in [
            (select(), ["created_at", "id"]),
            (select().trashed(), ["deleted_at", "id"]),
        ] {
            let list = select.order(order).descending(descending).limit(PAGE);
            let middle = [Value::from(10_000_i64), Value::from("zzz")];
            lists.extend([list.clone(), list.after(middle)]);
        }
    }
    lists
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_looks_at_more_than_it_answers() {
    let server = Postgres::start(&[
        "fsync=off",
        "shared_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_timing=off",
    ]);
    let (records, tenant) = filled(&server).await;
    let before = server.log().len();
    let user = format!("usr_{:026}", 10_001);
    let id: Id = user.parse().unwrap();
    let mut selects = lists(|| ORGANIZATIONS.rows().select());
    selects.extend(lists(|| USERS.rows().select()));
    for table in [ROLES, MEMBERSHIPS, INVITATIONS] {
        selects.extend(lists(|| table.of(&tenant).select()));
    }
    let users = PlatformTable::new("users");
    let members = MEMBERSHIPS
        .of(&tenant)
        .select()
        .also("users.email")
        .join(&users, "users.id = base.user_id")
        .order(["base.created_at", "base.id"])
        .limit(PAGE);
    let middle = [Value::from(10_000_i64), Value::from("mbr")];
    selects.extend([
        members.clone(),
        members.after(middle),
        USERS.rows().select().with_id(&id),
        USERS
            .rows()
            .select()
            .filter("email = ?", ["10001@example.org"]),
        ORGANIZATIONS
            .rows()
            .select()
            .filter("slug = ?", ["slug-100"]),
        ROLES.of(&tenant).select().filter("name = ?", ["10001"]),
        MEMBERSHIPS
            .of(&tenant)
            .select()
            .filter("user_id = ?", [&user]),
        // What each request of somebody who has signed in asks.
        SESSIONS
            .rows()
            .select()
            .filter("token_hash = ?", [b"10001".to_vec()]),
        MEMBERSHIPS
            .select_everywhere()
            .join(&ORGANIZATIONS, "organizations.id = base.tenant_id")
            .filter("base.user_id = ?", [&user]),
        SESSIONS.rows().select().filter("user_id = ?", [&user]),
        ONE_TIME_TOKENS
            .rows()
            .select()
            .filter("token_hash = ?", [b"10001".to_vec()]),
        THROTTLES
            .rows()
            .select()
            .filter("subject = ?", [b"10001".to_vec()]),
        // What each attempt to sign in asks.
        FAMILIAR_PLACES.rows().select().filter(
            "place_hash = ? AND expires_at > ?",
            [Value::from(b"10001".to_vec()), Value::from(1_i64)],
        ),
        // What an erasure asks of invitations.
        INVITATIONS
            .select_everywhere()
            .with_trashed()
            .filter("email = ?", ["10001@example.org"]),
        USERS
            .rows()
            .select()
            .filter("email >= ? AND email < ?", ["10001@", "10001@\u{10ffff}"])
            .order(["email", "id"])
            .limit(51),
        INVITATIONS
            .of(&tenant)
            .select()
            .filter("email = ? AND accepted_at IS NULL", ["10001@example.org"]),
    ]);
    let platform = TenantId::platform();
    let resources = RESOURCES.of(&platform);
    let resources = || resources.select().filter("kind = ?", ["route"]);
    let revisions = PlatformTable::new("revisions");
    let latest = revisions.rows().select().order(["number"]);
    let latest = latest.descending(true).limit(PAGE);
    let changes = PlatformTable::new("revision_changes");
    selects.extend([
        resources().order(["name"]).limit(PAGE),
        resources()
            .filter("name >= ?", ["5"])
            .order(["name"])
            .limit(PAGE),
        resources().filter("name = ?", ["10001"]),
        resources()
            .trashed()
            .order(["deleted_at", "id"])
            .descending(true)
            .limit(PAGE),
        latest.clone(),
        latest.after([Value::from(10_000_i64)]),
        revisions.rows().select().filter("number = ?", [10_000_i64]),
        changes
            .rows()
            .select()
            .filter("revision > ? AND revision <= ?", [10_000_i64, 10_010])
            .order(["revision", "kind", "name"]),
    ]);
    let mut asked = selects.len();
    for select in selects {
        // Often enough that the server may settle for one plan for all values.
        for _ in 0..7 {
            records.all(select.clone()).await.unwrap();
        }
    }
    let at = |second: i64| Some(jiff::Timestamp::from_second(second).unwrap());
    for (actor, subject, action) in [
        (None, None, None),
        (Some("actor-2"), None, None),
        (None, Some("subject-20"), None),
        (None, None, Some("action-0")),
        (None, None, Some("action-9")),
    ] {
        for (since, until) in [
            (None, None),
            (at(60_000), None),
            (None, at(30_000)),
            (at(1), at(20)),
        ] {
            for (oldest_first, after) in [
                (false, None),
                (true, None),
                (false, Some(50_000)),
                (true, Some(50_000)),
            ] {
                let query = Query {
                    actor: actor.map(str::to_owned),
                    subject: subject.map(str::to_owned),
                    action: action.map(str::to_owned),
                    since,
                    until,
                    oldest_first,
                    after,
                };
                asked += 1;
                for _ in 0..7 {
                    // What was put there is no chain, and its texts are empty; only the plan matters.
                    let _ = records.audit(&Scope::Platform, &query, PAGE).await;
                }
            }
        }
    }
    records.close().await;
    let log = server.log();
    let plans: Vec<&str> = log[before..].split(" plan:\n").skip(1).collect();
    assert!(
        plans.len() >= asked * 7,
        "{} plans of {asked} queries",
        plans.len()
    );
    let mut costly = BTreeMap::new();
    for plan in plans {
        let plan = plan.split(" LOG: ").next().unwrap();
        let query = plan.lines().next().unwrap();
        let is_costly = ["Seq Scan", "Sort", "Bitmap"]
            .iter()
            .any(|step| plan.contains(step));
        let is_vain = plan
            .split("Rows Removed by Filter: ")
            .skip(1)
            .any(|removed| {
                let removed: i64 = removed.split_whitespace().next().unwrap().parse().unwrap();
                removed > PAGE
            });
        if is_costly || is_vain {
            costly.insert(query, plan);
        }
    }
    let plans: Vec<_> = costly.into_values().collect();
    assert!(plans.is_empty(), "{}", plans.join("\n"));
}
