//! A backup is one state of everything, comes back on either engine, and tells what befell it.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sqlx::Connection as _;
use tokio::task::JoinSet;
use weir_core::{Id, TenantId};
use weir_store::audit::{Change, Entry, Query};
use weir_store::backup::{Error, Summary, check};
use weir_store::records::{Address, PlatformTable, Row, Scope, TenantTable, Value};
use weir_store::{Records, Result};

use crate::engines::{
    Fresh, ORGANIZATIONS, ROLES, USERS, empty, entry, fresh, on_both_engines, organization, role,
};

const INVITATIONS: TenantTable = TenantTable::new("invitations");
const LARGE: usize = 1024 * 1024;

on_both_engines! {
    everything_comes_back_on_either_engine,
    a_backup_while_others_write_is_one_state,
    a_backup_of_more_than_a_page_is_complete,
    records_are_not_mixed_with_those_of_a_backup,
    a_schema_that_is_further_is_told_of,
    what_fails_leaves_the_database_empty,
    a_broken_audit_is_not_restored,
    a_writer_that_has_no_room_is_told_of,
}

async fn saved(records: &Records) -> (Summary, Vec<u8>) {
    records.backup(Vec::new(), |_| ()).await.unwrap()
}

async fn restored(engine: &str, file: &[u8]) -> Fresh {
    let target = empty(engine);
    target
        .records
        .restore(Cursor::new(file.to_vec()), |_| ())
        .await
        .unwrap();
    target
}

/// A tenant with one of everything: text of all sorts, nulls, bytes.
async fn furnish(records: &Records) -> Result<TenantId> {
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
            ("token_hash", Value::from(token)),
            ("expires_at", Value::from(i64::MAX)),
        ];
        write
            .insert(INVITATIONS.of(&tenant), &Id::new("inv"), values)
            .await?;
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
            vec![
                "email",
                "role",
                "invited_by",
                "token_hash",
                "expires_at",
                "accepted_at",
            ],
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

async fn records_are_not_mixed_with_those_of_a_backup(engine: &str) {
    let source = fresh(engine).await;
    organization(&source.records, "acme").await.unwrap();
    let (_, file) = saved(&source.records).await;
    let target = fresh(engine).await;
    let tenant = organization(&target.records, "mine").await.unwrap();
    let refused = target
        .records
        .restore(Cursor::new(file.clone()), |_| ())
        .await;
    assert!(matches!(refused, Err(Error::NotEmpty(_))), "{refused:?}");
    // A database that somebody else uses is not empty either.
    let foreign = empty(engine);
    tamper(&foreign, "CREATE TABLE others (number INTEGER)").await;
    let refused = foreign
        .records
        .restore(Cursor::new(file.clone()), |_| ())
        .await;
    assert!(
        matches!(&refused, Err(Error::NotEmpty(table)) if table == "others"),
        "{refused:?}"
    );
    // Nothing happened to what was there.
    role(&target.records, &tenant, "auditor").await.unwrap();
    assert_eq!(
        target
            .records
            .all(ORGANIZATIONS.rows().select())
            .await
            .unwrap()
            .len(),
        1
    );
    // A schema without records is empty.
    let target = fresh(engine).await;
    target
        .records
        .restore(Cursor::new(file), |_| ())
        .await
        .unwrap();
}

/// Changes a database behind Weir's back.
async fn tamper(fresh: &Fresh, sql: &str) {
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    match &fresh.options.address {
        Address::Sqlite(path) => {
            let path = path.to_str().unwrap();
            let mut connection = sqlx::SqliteConnection::connect(path).await.unwrap();
            sql.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Address::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            sql.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// As if the other steps were still to come.
async fn go_back_to_the_first_step(fresh: &Fresh) {
    let (_, file) = saved(&fresh.records).await;
    let summary = check(&file[..], |_| ()).unwrap();
    let later = summary.tables.iter().map(|(name, _)| name.as_str());
    let later: Vec<&str> = later
        .filter(|name| !["scopes", "audit"].contains(name))
        .collect();
    let mut script = String::new();
    // What refers to others comes behind them.
    for name in later.iter().rev() {
        script.push_str(&format!("DROP TABLE {name}; "));
    }
    script.push_str("DELETE FROM weir_migrations WHERE number > 1");
    tamper(fresh, &script).await;
}

async fn a_schema_that_is_further_is_told_of(engine: &str) {
    let source = fresh(engine).await;
    go_back_to_the_first_step(&source).await;
    let (summary, file) = saved(&source.records).await;
    assert_eq!(summary.tables.len(), 2);
    let refused = fresh(engine)
        .await
        .records
        .restore(Cursor::new(file.clone()), |_| ())
        .await;
    assert!(matches!(refused, Err(Error::Schema { .. })), "{refused:?}");
    // An empty database goes the way that the other one would have gone.
    let target = restored(engine, &file).await;
    assert!(target.records.schema().await.unwrap().pending.is_empty());
    organization(&target.records, "acme").await.unwrap();
    // A step that this program does not know.
    tamper(
        &target,
        "INSERT INTO weir_migrations SELECT 99, 'new', checksum, 0 FROM weir_migrations WHERE number = 1",
    )
    .await;
    assert!(target.records.backup(Vec::new(), |_| ()).await.is_err());
}

async fn what_fails_leaves_the_database_empty(engine: &str) {
    let source = fresh(engine).await;
    furnish(&source.records).await.unwrap();
    let (_, mut file) = saved(&source.records).await;
    let last = file.len() - 1;
    file[last] ^= 1;
    let target = empty(engine);
    let refused = target
        .records
        .restore(Cursor::new(file.clone()), |_| ())
        .await;
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    assert_eq!(target.records.schema().await.unwrap().applied, 0);
    file[last] ^= 1;
    // Damage that only shows when it is read for the second time.
    let changing = Changing {
        file: Cursor::new(file.clone()),
        rewinds: 0,
    };
    let refused = target.records.restore(changing, |_| ()).await;
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    assert_eq!(target.records.schema().await.unwrap().applied, 0);
    target
        .records
        .restore(Cursor::new(file), |_| ())
        .await
        .unwrap();
}

/// A file whose last byte is another one from the second reading on.
struct Changing {
    file: Cursor<Vec<u8>>,
    rewinds: usize,
}

impl io::Read for Changing {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl io::Seek for Changing {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.rewinds += 1;
        if self.rewinds == 2 {
            *self.file.get_mut().last_mut().unwrap() ^= 1;
        }
        self.file.seek(to)
    }
}

async fn a_broken_audit_is_not_restored(engine: &str) {
    let source = fresh(engine).await;
    let tenant = organization(&source.records, "acme").await.unwrap();
    role(&source.records, &tenant, "auditor").await.unwrap();
    tamper(
        &source,
        "UPDATE audit SET action = 'role.delete' WHERE action = 'role.create'",
    )
    .await;
    let (_, file) = saved(&source.records).await;
    let target = empty(engine);
    let refused = target.records.restore(Cursor::new(file), |_| ()).await;
    let Err(Error::Audit { scope, broken }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((scope.as_str(), broken.sequence), (tenant.as_str(), 1));
    assert_eq!(target.records.schema().await.unwrap().applied, 0);
}

/// A disk with room for this much.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn a_writer_that_has_no_room_is_told_of(engine: &str) {
    let source = fresh(engine).await;
    furnish(&source.records).await.unwrap();
    let (_, file) = saved(&source.records).await;
    // The time within it makes one a little shorter than another.
    for room in [0, 15, 16, 500, file.len() / 2, file.len() - 64] {
        let Err(Error::File(error)) = source.records.backup(Small(room), |_| ()).await else {
            panic!("a backup in {room} bytes");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    let room = Small(file.len() + 64);
    source.records.backup(room, |_| ()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_is_found() {
    let source = fresh("sqlite").await;
    let tenant = organization(&source.records, "acme").await.unwrap();
    for name in ["auditor", "editor", "owner"] {
        role(&source.records, &tenant, name).await.unwrap();
    }
    let (summary, file) = saved(&source.records).await;
    // Of a small file each byte: heads, digests, payloads of every kind of frame.
    for at in 0..file.len() {
        for bit in [0, 7] {
            let mut copy = file.clone();
            copy[at] ^= 1 << bit;
            let refused = check(&copy[..], |_| ());
            assert!(refused.is_err(), "byte {at} of {} may be any", file.len());
        }
        let refused = check(&file[..at], |_| ()).unwrap_err();
        assert!(
            matches!(refused, Error::Foreign | Error::CutOff(_)),
            "{at}: {refused}"
        );
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(matches!(
        check(&longer[..], |_| ()),
        Err(Error::GoesOn(end)) if end == summary.bytes
    ));
    assert!(matches!(
        check(&b"PGDMP and more of it"[..], |_| ()),
        Err(Error::Foreign)
    ));
    let mut newer = file.clone();
    newer[15] = 2;
    let error = check(&newer[..], |_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the backup is of format 2, which this version of weir does not know: use the version that made it, or a newer one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt as _;

    let source = fresh("sqlite").await;
    let tenant = furnish(&source.records).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.weir");
    let summary = source.records.backup_to_file(&path, |_| ()).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = std::fs::read(&path).unwrap();
    assert_eq!(check(&file[..], |_| ()).unwrap(), summary);

    // What fails leaves what was there before, and nothing beside it.
    tamper(
        &source,
        "DROP TABLE invitations; ALTER TABLE audit ADD COLUMN price REAL",
    )
    .await;
    source
        .records
        .backup_to_file(&path, |_| ())
        .await
        .unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), file);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let nowhere = directory.path().join("no/such/directory");
    let error = source
        .records
        .backup_to_file(&nowhere, |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::File(_)), "{error}");

    let target = empty("postgres");
    target
        .records
        .restore_from_file(&path, |_| ())
        .await
        .unwrap();
    let users = PlatformTable::new("users").rows().select();
    assert_eq!(target.records.all(users).await.unwrap().len(), 1);
    role(&target.records, &tenant, "later").await.unwrap();
}
