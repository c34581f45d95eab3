//! A backup is one state of everything, and comes back on either engine.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::task::JoinSet;
use weir_core::{Id, TenantId};
use weir_store::audit::{Change, Entry, Query};
use weir_store::backup::{Summary, check};
use weir_store::records::{PlatformTable, Row, Scope, TenantTable, Value};
use weir_store::{Records, Result};

use crate::engines::{
    Fresh, ORGANIZATIONS, ROLES, USERS, empty, entry, fresh, on_both_engines, organization, role,
};

const TOKENS: PlatformTable = PlatformTable::new("one_time_tokens");
const SESSIONS: PlatformTable = PlatformTable::new("sessions");
const THROTTLES: PlatformTable = PlatformTable::new("throttles");
const OUTBOX: PlatformTable = PlatformTable::new("mail_outbox");
const INVITATIONS: TenantTable = TenantTable::new("invitations");
const LARGE: usize = 1024 * 1024;

on_both_engines! {
    everything_comes_back_on_either_engine,
    a_backup_while_others_write_is_one_state,
    a_backup_of_more_than_a_page_is_complete,
    what_belongs_to_its_moment_does_not_come_back,
}

pub(crate) async fn saved(records: &Records) -> (Summary, Vec<u8>) {
    records.backup(Vec::new(), |_| ()).await.unwrap()
}

pub(crate) async fn restored(engine: &str, file: &[u8]) -> Fresh {
    let target = empty(engine);
    target
        .records
        .restore(Cursor::new(file.to_vec()), |_| ())
        .await
        .unwrap();
    target
}

/// A tenant with one of everything: text of all sorts, nulls, bytes.
pub(crate) async fn furnish(records: &Records) -> Result<TenantId> {
    let tenant = organization(records, "acme").await?;
    let scope = Scope::Tenant(tenant.clone());
    let user = Id::new("usr");
    let mut write = records.write(&Scope::Platform).await?;
    write
        .insert(
            USERS.rows(),
            &user,
            [
                ("email", Value::from("zoë@example.org")),
                ("name", Value::from("")),
                ("password_hash", Value::Text(None)),
                ("email_verified_at", Value::Int(None)),
                ("suspended_at", Value::from(i64::MIN)),
            ],
        )
        .await?;
    write
        .commit(&Scope::Platform, &entry("user.create"))
        .await?;
    let mut write = records.write(&scope).await?;
    for (at, text) in [
        "Zoë \u{1f980} \u{10ffff} ' \" \\ ? $1 {text} \r\n\t\u{1}".to_owned(),
        "large ".repeat(LARGE / 6),
        String::new(),
    ]
    .into_iter()
    .enumerate()
    {
        let values = [
            ("name", Value::from(format!("role {at}"))),
            ("description", Value::from(text)),
            ("permissions", Value::from("[]")),
        ];
        write
            .insert(ROLES.of(&tenant), &Id::new("rol"), values)
            .await?;
    }
    let gone = Id::new("rol");
    let values = [
        ("name", Value::from("gone")),
        ("description", Value::from("")),
        ("permissions", Value::from("[]")),
    ];
    write.insert(ROLES.of(&tenant), &gone, values).await?;
    write.trash(ROLES.of(&tenant), &gone, None).await?;
    for (at, token) in [vec![], vec![0_u8], (0..=255).collect()]
        .into_iter()
        .enumerate()
    {
        let values = [
            ("email", Value::from(format!("{at}@example.org"))),
            ("role", Value::from("owner")),
            ("invited_by", Value::from(&user)),
            ("expires_at", Value::from(i64::MAX)),
        ];
        write
            .insert(INVITATIONS.of(&tenant), &Id::new("inv"), values)
            .await?;
        let values = [
            ("user_id", Value::from(&user)),
            ("token_hash", Value::from(token)),
            ("expires_at", Value::from(i64::MAX)),
            ("kind", Value::from("invitation")),
        ];
        write.insert(TOKENS.rows(), &Id::new("ott"), values).await?;
    }
    let after = json!({"description": "x".repeat(LARGE), "name": "\u{0} \u{1f980}"});
    let told = Entry {
        change: Change {
            after: after.as_object().cloned().unwrap_or_default(),
            ..Change::default()
        },
        request_id: Some(String::new()),
        ..entry("role.create")
    };
    write.commit(&scope, &told).await?;
    Ok(tenant)
}

/// Everything that a caller can read of what [`furnish`] wrote.
async fn contents(records: &Records, tenant: &TenantId) -> BTreeMap<String, Vec<String>> {
    let text = |row: &Row, column: &str| match column {
        "token_hash" => format!("{:?}", row.optional_bytes(column).unwrap()),
        "created_at" | "updated_at" | "deleted_at" | "version" | "expires_at" | "accepted_at"
        | "email_verified_at" | "suspended_at" => {
            format!("{:?}", row.optional_int(column).unwrap())
        }
        column => format!("{:?}", row.optional_text(column).unwrap()),
    };
    let common = [
        "id",
        "created_at",
        "updated_at",
        "deleted_at",
        "deleted_with",
        "version",
    ];
    let mut found = BTreeMap::new();
    for (name, select, columns) in [
        (
            "organizations",
            ORGANIZATIONS.rows().select(),
            vec![
                "slug",
                "name",
                "settings",
                "suspended_at",
                "suspension_reason",
            ],
        ),
        (
            "users",
            USERS.rows().select(),
            vec![
                "email",
                "email_verified_at",
                "name",
                "password_hash",
                "suspended_at",
            ],
        ),
        (
            "roles",
            ROLES.of(tenant).select(),
            vec!["name", "description", "permissions"],
        ),
        (
            "invitations",
            INVITATIONS.of(tenant).select(),
            vec!["email", "role", "invited_by", "expires_at", "accepted_at"],
        ),
        (
            "one_time_tokens",
            TOKENS.rows().select(),
            vec!["user_id", "token_hash", "expires_at", "kind"],
        ),
    ] {
        let rows = records
            .all(select.with_trashed().order(["id"]))
            .await
            .unwrap();
        let rows = rows.iter().map(|row| {
            let columns = common.iter().chain(&columns);
            columns
                .map(|column| text(row, column))
                .collect::<Vec<_>>()
                .join("|")
        });
        found.insert(name.to_owned(), rows.collect());
    }
    for scope in [Scope::Platform, Scope::Tenant(tenant.clone())] {
        let entries = records.audit(&scope, &Query::default(), 100).await.unwrap();
        let entries = entries.iter().map(|entry| format!("{entry:?}")).collect();
        found.insert(format!("audit of {}", scope.name()), entries);
    }
    found
}

async fn everything_comes_back_on_either_engine(engine: &str) {
    let source = fresh(engine).await;
    let tenant = furnish(&source.records).await.unwrap();
    let expected = contents(&source.records, &tenant).await;
    assert_eq!(expected["roles"].len(), 4);
    assert_eq!(expected["invitations"].len(), 3);
    let mut heard = Vec::new();
    let (summary, file) = source
        .records
        .backup(Vec::new(), |progress| heard.push(*progress))
        .await
        .unwrap();
    assert_eq!(summary.bytes, file.len() as u64);
    assert_eq!(summary.engine, source.records.engine().name());
    let last = heard.last().unwrap();
    assert_eq!(
        (last.rows, last.total_rows),
        (summary.rows(), summary.rows())
    );
    assert!(last.total_bytes() <= summary.bytes);
    assert_eq!(check(&file[..], |_| ()).unwrap(), summary);
    for other in ["sqlite", "postgres"] {
        let target = restored(other, &file).await;
        assert_eq!(contents(&target.records, &tenant).await, expected);
        assert!(target.records.schema().await.unwrap().pending.is_empty());
        // It goes on from there, and a backup of it has the same rows.
        role(&target.records, &tenant, "later").await.unwrap();
        let (again, _) = saved(&target.records).await;
        assert_eq!(again.rows(), summary.rows() + 2);
        let scope = Scope::Tenant(tenant.clone());
        let verified = target.records.verify_audit(&scope, |_| ()).await.unwrap();
        assert_eq!(verified.unwrap().entries, 2);
    }
}

/// Each writer adds a role to an organization of its own, and tells the platform as well.
async fn a_backup_while_others_write_is_one_state(engine: &str) {
    let source = fresh(engine).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    let mut tenants = Vec::new();
    for number in 0..8 {
        let records = source.records.clone();
        let tenant = organization(&records, &format!("org-{number}"))
            .await
            .unwrap();
        tenants.push(tenant.clone());
        let is_over = Arc::clone(&is_over);
        writers.spawn(async move {
            let mut written = 0;
            while !is_over.load(Ordering::Relaxed) {
                role(&records, &tenant, &format!("role-{written}"))
                    .await
                    .unwrap();
                written += 1;
            }
            written
        });
    }
    let mut copies = Vec::new();
    for _ in 0..4 {
        copies.push(saved(&source.records).await.1);
    }
    is_over.store(true, Ordering::Relaxed);
    let written: usize = writers.join_all().await.into_iter().sum();
    let mut sizes = Vec::new();
    for copy in copies {
        // The restore itself verifies the audit of each scope.
        let target = restored(engine, &copy).await;
        let mut roles = 0;
        for tenant in &tenants {
            let scope = Scope::Tenant(tenant.clone());
            let found = target.records.all(ROLES.of(tenant).select()).await.unwrap();
            let verified = target.records.verify_audit(&scope, |_| ()).await.unwrap();
            assert_eq!(verified.unwrap().entries, found.len() as i64);
            roles += found.len();
        }
        sizes.push(roles);
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert!(*sizes.last().unwrap() <= written);
    assert!(sizes.last() > sizes.first(), "nobody wrote: {sizes:?}");
}

async fn a_backup_of_more_than_a_page_is_complete(engine: &str) {
    let source = fresh(engine).await;
    let tenant = organization(&source.records, "acme").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    for batch in 0..2 {
        let mut write = source.records.write(&scope).await.unwrap();
        for number in 0..1_100 {
            let values = [
                ("name", Value::from(format!("{batch}-{number}"))),
                ("description", Value::from("")),
                ("permissions", Value::from("[]")),
            ];
            write
                .insert(ROLES.of(&tenant), &Id::new("rol"), values)
                .await
                .unwrap();
        }
        write.commit(&scope, &entry("role.create")).await.unwrap();
    }
    let (summary, file) = saved(&source.records).await;
    assert!(summary.tables.contains(&("roles".to_owned(), 2_200)));
    let target = restored(engine, &file).await;
    let names = async |records: &Records| {
        let rows = records
            .all(ROLES.of(&tenant).select().order(["id"]))
            .await
            .unwrap();
        let names = rows.iter().map(|row| row.text("name").unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&target.records).await, names(&source.records).await);
}

/// A link that was used and a session that was ended since would be good again.
async fn what_belongs_to_its_moment_does_not_come_back(engine: &str) {
    let source = fresh(engine).await;
    let user = Id::new("usr");
    let mut write = source.records.write(&Scope::Platform).await.unwrap();
    let values = [
        ("email", Value::from("a@example.org")),
        ("name", Value::from("")),
    ];
    write.insert(USERS.rows(), &user, values).await.unwrap();
    let bytes = Value::from(&[7_u8; 32][..]);
    let zero = Value::from(0_i64);
    let session = vec![
        ("user_id", Value::from(&user)),
        ("token_hash", bytes.clone()),
        ("expires_at", Value::from(i64::MAX)),
        ("last_seen_at", zero.clone()),
        ("is_two_factor", zero.clone()),
    ];
    let throttle = vec![
        ("subject", bytes.clone()),
        ("failures", zero.clone()),
        ("blocked_until", zero.clone()),
        ("forgotten_at", zero.clone()),
    ];
    let letter = vec![
        ("recipient", Value::from("a@example.org")),
        ("sealed_message", bytes.clone()),
        ("attempts", zero.clone()),
        ("next_attempt_at", zero),
    ];
    for (table, values) in [(SESSIONS, session), (THROTTLES, throttle), (OUTBOX, letter)] {
        write
            .insert(table.rows(), &Id::new("one"), values)
            .await
            .unwrap();
    }
    for kind in [
        "invitation",
        "setup",
        "verify_email",
        "reset_password",
        "second_factor",
    ] {
        let values = [
            ("kind", Value::from(kind)),
            ("token_hash", Value::from(kind.as_bytes())),
            ("expires_at", Value::from(i64::MAX)),
        ];
        write
            .insert(TOKENS.rows(), &Id::new("ott"), values)
            .await
            .unwrap();
    }
    write
        .commit(&Scope::Platform, &entry("user.create"))
        .await
        .unwrap();
    let (_, file) = saved(&source.records).await;
    let target = restored(engine, &file).await;
    let target = &target.records;
    for table in [SESSIONS, THROTTLES, OUTBOX] {
        let left = target.all(table.rows().select()).await.unwrap();
        assert!(left.is_empty(), "{table:?}");
    }
    let left = target.all(TOKENS.rows().select()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].text("kind").unwrap(), "invitation");
    assert_eq!(target.all(USERS.rows().select()).await.unwrap().len(), 1);
}
