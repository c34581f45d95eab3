//! What is no whole backup is refused, and what fails leaves nothing behind.

use std::io::{self, Cursor, Write};

use sqlx::Connection as _;
use weir_core::Id;
use weir_store::backup::{Error, check};
use weir_store::records::{Address, PlatformTable, Scope, Value};

use crate::backup::{furnish, restored, saved};
use crate::engines::{
    Fresh, ORGANIZATIONS, empty, entry, fresh, on_both_engines, organization, role,
};

on_both_engines! {
    records_are_not_mixed_with_those_of_a_backup,
    a_schema_that_is_further_is_told_of,
    what_fails_leaves_the_database_empty,
    a_broken_audit_is_not_restored,
    a_writer_that_has_no_room_is_told_of,
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
    // What a start makes by itself is nobody's: a node that was never set up is empty.
    let target = fresh(engine).await;
    let mut write = target.records.write(&Scope::Platform).await.unwrap();
    let platform = [
        ("slug", Value::from("platform")),
        ("name", Value::from("Platform")),
        ("settings", Value::from("{}")),
    ];
    let id = Id::new("org");
    write
        .insert(ORGANIZATIONS.rows(), &id, platform)
        .await
        .unwrap();
    let told = entry("organization.create");
    write.commit(&Scope::Platform, &told).await.unwrap();
    target
        .records
        .restore(Cursor::new(file), |_| ())
        .await
        .unwrap();
}

/// Changes a database behind Weir's back.
pub(crate) async fn tamper(fresh: &Fresh, sql: &str) {
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

    // A backup gives way to another. What is none stays: it may be the database, or its key.
    source.records.backup_to_file(&path, |_| ()).await.unwrap();
    let file = std::fs::read(&path).unwrap();
    let key = directory.path().join("installation.key");
    std::fs::write(&key, "the only one").unwrap();
    let refused = source.records.backup_to_file(&key, |_| ()).await;
    let is_there = io::ErrorKind::AlreadyExists;
    assert!(matches!(refused, Err(Error::File(error)) if error.kind() == is_there));
    assert_eq!(std::fs::read(&key).unwrap(), b"the only one");
    std::fs::remove_file(&key).unwrap();

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
