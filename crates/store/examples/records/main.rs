//! How long records take: `cargo run --release -p weir-store --example records -- sqlite|postgres`.
//!
//! Fills a database with 1,000 organizations, 100,000 people and 1,000,000 entries of audit (more than
//! 1 GB), and prints as a table: opening it, pages of lists at any depth, and commits of eight writers
//! while nothing else happens and while a backup is written. `WEIR_BENCH_SCALE=0.1` makes it smaller;
//! `WEIR_BENCH_DIRECTORY` is where it goes.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "prints what it measured")]

mod memory;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use weir_core::{Id, Secret, TenantId};
use weir_store::Records;
use weir_store::audit::{Actor, Change, Entry, Origin, Query, Subject};
use weir_store::records::{
    Address, Options, PlatformTable, Row, Scope, Select, TenantTable, Value,
};
use weir_testkit::Postgres;

use memory::Memory;

const ORGANIZATIONS: PlatformTable = PlatformTable::new("organizations");
const USERS: PlatformTable = PlatformTable::new("users");
const ROLES: TenantTable = TenantTable::new("roles");
const MEMBERSHIPS: TenantTable = TenantTable::new("memberships");

const WRITERS: usize = 8;
const PAGE: i64 = 100;

fn main() {
    let engine = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&engine));
}

async fn measure(engine: &str) {
    let directory = match std::env::var_os("WEIR_BENCH_DIRECTORY") {
        Some(directory) => tempfile::tempdir_in(directory).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let filled = directory.path().join("weir.db");
    let begin = Instant::now();
    let tenants = fill(&filled).await;
    println!("filled in {:?}", begin.elapsed());
    let mut server = None;
    let options = match engine {
        "sqlite" => Options::new(Address::Sqlite(filled.clone())),
        "postgres" => {
            let server = server.insert(Postgres::start(&["fsync=on"]));
            let options = Options::new(Address::Postgres(Secret::new(server.database())));
            move_to(&filled, &options, directory.path()).await;
            options
        }
        _ => panic!("sqlite or postgres"),
    };
    let begin = Instant::now();
    let records = Records::open(&options).unwrap();
    records.migrate().await.unwrap();
    println!("open and migrate: {:?}", begin.elapsed());
    lists(&records, &tenants).await;
    for pause in [Duration::from_millis(50), Duration::ZERO] {
        backup(
            &records,
            &tenants,
            &directory.path().join("records.weir"),
            &filled,
            pause,
        )
        .await;
    }
    records.close().await;
    let begin = Instant::now();
    let file = std::fs::File::open(directory.path().join("records.weir")).unwrap();
    let summary = weir_store::backup::check(std::io::BufReader::new(file), |_| ()).unwrap();
    println!("check of {} rows: {:?}", summary.rows(), begin.elapsed());
    let target = Options::new(Address::Sqlite(directory.path().join("restored.db")));
    let target = Records::open(&target).unwrap();
    let begin = Instant::now();
    let memory = Memory::watch();
    target
        .restore_from_file(&directory.path().join("records.weir"), |_| ())
        .await
        .unwrap();
    println!(
        "restore onto SQLite: {:?}, memory +{} MB",
        begin.elapsed(),
        memory.growth()
    );
    drop(server);
}

fn scaled(count: usize) -> usize {
    let scale = std::env::var("WEIR_BENCH_SCALE").map_or(1.0, |scale| scale.parse().unwrap());
    (count as f64 * scale) as usize
}

fn entry(action: &'static str, actor: Option<&Id>, subject: &Id) -> Entry {
    let change = json!({"name": "a name before", "description": "x".repeat(120)});
    Entry {
        actor: actor.map_or(Actor::System, |actor| Actor::User(actor.clone())),
        origin: Origin {
            name: Some("somebody@example.org".to_owned()),
            address: Some("2001:db8::1".to_owned()),
            agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101".to_owned()),
        },
        action,
        subject: Subject {
            kind: "user",
            id: Some(subject.clone()),
        },
        change: Change {
            after: change.as_object().unwrap().clone(),
            ..Change::default()
        },
        request_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        once: None,
    }
}

/// Half of the entries are the platform's.
async fn fill(path: &Path) -> Vec<TenantId> {
    let records = Records::open(&Options::new(Address::Sqlite(path.to_owned()))).unwrap();
    records.migrate().await.unwrap();
    let (organizations, users) = (scaled(1_000), scaled(100_000));
    let entries = scaled(1_000_000);
    let mut write = records.write(&Scope::Platform).await.unwrap();
    let mut tenants = Vec::new();
    for number in 0..organizations {
        let tenant = TenantId::generate();
        let values = [
            ("slug", Value::from(format!("org-{number}"))),
            ("name", Value::from(format!("Organization {number}"))),
            ("settings", Value::from("{}")),
        ];
        write
            .insert(ORGANIZATIONS.rows(), tenant.id(), values)
            .await
            .unwrap();
        write.open_scope(&tenant).await.unwrap();
        tenants.push(tenant);
    }
    let mut people = Vec::new();
    for number in 0..users {
        let id = Id::new("usr");
        let values = [
            ("email", Value::from(format!("user-{number}@example.org"))),
            ("name", Value::from(format!("Person {number}"))),
            (
                "password_hash",
                Value::from("$argon2id$v=19$m=19456,t=2,p=1$".repeat(3)),
            ),
        ];
        write.insert(USERS.rows(), &id, values).await.unwrap();
        let tenant = &tenants[number % organizations];
        let values = [
            ("user_id", Value::from(&id)),
            ("role", Value::from("owner")),
        ];
        write
            .insert(MEMBERSHIPS.of(tenant), &Id::new("mbr"), values)
            .await
            .unwrap();
        people.push(id);
    }
    const ACTIONS: [&str; 4] = [
        "user.create",
        "user.update",
        "role.update",
        "session.create",
    ];
    for number in 0..entries / 2 {
        let actor = &people[number % people.len().min(50)];
        let entry = entry(
            ACTIONS[number % 4],
            Some(actor),
            &people[number % people.len()],
        );
        write.tell(&Scope::Platform, &entry).await.unwrap();
    }
    let last = entry("platform.update", None, &people[0]);
    write.commit(&Scope::Platform, &last).await.unwrap();
    for (at, tenant) in tenants.iter().enumerate() {
        let scope = Scope::Tenant(tenant.clone());
        let mut write = records.write(&scope).await.unwrap();
        for number in 1..(entries / 2 / organizations) {
            let (actor, subject) = (&people[at], &people[(at + number) % people.len()]);
            write
                .tell(&scope, &entry(ACTIONS[number % 4], Some(actor), subject))
                .await
                .unwrap();
        }
        write
            .commit(&scope, &entry("role.create", None, &people[at]))
            .await
            .unwrap();
    }
    records.close().await;
    tenants
}

/// The same records on another engine, by the way that an installation takes.
async fn move_to(filled: &Path, options: &Options, directory: &Path) {
    let file: PathBuf = directory.join("move.weir");
    let source = Records::open(&Options::new(Address::Sqlite(filled.to_owned()))).unwrap();
    let begin = Instant::now();
    let summary = source.backup_to_file(&file, |_| ()).await.unwrap();
    println!(
        "backup of SQLite, nothing else going on: {:?}, {} bytes",
        begin.elapsed(),
        summary.bytes
    );
    let target = Records::open(options).unwrap();
    let begin = Instant::now();
    target.restore_from_file(&file, |_| ()).await.unwrap();
    println!("restore onto PostgreSQL: {:?}", begin.elapsed());
    target.close().await;
    source.close().await;
    std::fs::remove_file(file).unwrap();
}

/// Goes through a list page by page; the longest that one took.
async fn walk(records: &Records, name: &str, select: impl Fn() -> Select) {
    let mut after: Option<[Value; 2]> = None;
    let (mut longest, mut total, mut pages) = (Duration::ZERO, Duration::ZERO, 0);
    loop {
        let mut page = select().order(["created_at", "id"]).limit(PAGE);
        if let Some(after) = after.take() {
            page = page.after(after);
        }
        let begin = Instant::now();
        let rows = records.all(page).await.unwrap();
        longest = longest.max(begin.elapsed());
        total += begin.elapsed();
        pages += 1;
        let Some(last) = rows.last().filter(|_| rows.len() as i64 == PAGE) else {
            break;
        };
        let value = |row: &Row, column| Value::from(row.int(column).unwrap());
        after = Some([
            value(last, "created_at"),
            Value::from(last.text("id").unwrap()),
        ]);
    }
    told(name, pages, total, longest);
}

fn told(name: &str, pages: u32, total: Duration, longest: Duration) {
    let mean = total / pages.max(1);
    println!("{name}: {pages} pages, mean {mean:?}, longest {longest:?}");
}

async fn lists(records: &Records, tenants: &[TenantId]) {
    walk(records, "organizations", || ORGANIZATIONS.rows().select()).await;
    walk(records, "users", || USERS.rows().select()).await;
    let tenant = &tenants[tenants.len() / 2];
    walk(records, "members of one", || {
        MEMBERSHIPS.of(tenant).select()
    })
    .await;
    let all = records
        .audit(&Scope::Platform, &Query::default(), 1)
        .await
        .unwrap();
    let end = all[0].sequence;
    let oldest = Query {
        oldest_first: true,
        ..Query::default()
    };
    let first = records
        .audit(&Scope::Platform, &oldest, 1)
        .await
        .unwrap()
        .remove(0);
    let middle = Query {
        after: Some(end / 2),
        ..Query::default()
    };
    let middle = records
        .audit(&Scope::Platform, &middle, 1)
        .await
        .unwrap()
        .remove(0);
    let plain = Query::default;
    for (name, query) in [
        ("audit", plain()),
        (
            "audit of an actor",
            Query {
                actor: middle.actor_id.clone(),
                ..plain()
            },
        ),
        (
            "audit of a subject",
            Query {
                subject: middle.subject_id.clone(),
                ..plain()
            },
        ),
        (
            "audit of an action",
            Query {
                action: Some("user.update".to_owned()),
                ..plain()
            },
        ),
        (
            "audit of a rare action",
            Query {
                action: Some("platform.update".to_owned()),
                ..plain()
            },
        ),
        (
            "audit of no action",
            Query {
                action: Some("user.nothing".to_owned()),
                ..plain()
            },
        ),
        (
            "audit until the middle",
            Query {
                until: Some(middle.at),
                ..plain()
            },
        ),
        (
            "audit since the middle",
            Query {
                since: Some(middle.at),
                ..plain()
            },
        ),
        (
            "audit of an actor until the middle",
            Query {
                actor: middle.actor_id.clone(),
                until: Some(middle.at),
                ..plain()
            },
        ),
        (
            "audit before the first",
            Query {
                until: Some(first.at),
                ..plain()
            },
        ),
    ] {
        let (mut total, mut longest, mut pages) = (Duration::ZERO, Duration::ZERO, 0);
        // Through all of it, a page of each hundredth.
        for part in (0..=100).rev() {
            let query = Query {
                after: Some(end * part / 100 + 1),
                ..query.clone()
            };
            let begin = Instant::now();
            records.audit(&Scope::Platform, &query, PAGE).await.unwrap();
            longest = longest.max(begin.elapsed());
            total += begin.elapsed();
            pages += 1;
        }
        told(name, pages, total, longest);
    }
}

/// Commits of writers, each to an organization of its own, until told to stop: how long each took.
struct Writers {
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Duration>>,
}

impl Writers {
    fn start(records: &Records, tenants: &[TenantId], pause: Duration) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for (number, tenant) in tenants.iter().enumerate().take(WRITERS) {
            let (records, tenant) = (records.clone(), tenant.clone());
            let is_over = Arc::clone(&is_over);
            tasks.spawn(async move {
                let scope = Scope::Tenant(tenant.clone());
                let mut took = Vec::new();
                // Not all at the same moment.
                tokio::time::sleep(pause / WRITERS as u32 * number as u32).await;
                while !is_over.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    let id = Id::new("rol");
                    let mut write = records.write(&scope).await.unwrap();
                    let values = [
                        ("name", Value::from(&id)),
                        ("description", Value::from("")),
                        ("permissions", Value::from("[]")),
                    ];
                    write.insert(ROLES.of(&tenant), &id, values).await.unwrap();
                    write
                        .commit(&scope, &entry("role.create", None, &id))
                        .await
                        .unwrap();
                    took.push(begin.elapsed());
                    tokio::time::sleep(pause.saturating_sub(begin.elapsed())).await;
                }
                took
            });
        }
        Self { is_over, tasks }
    }

    async fn stop(self, name: &str) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut took: Vec<_> = self.tasks.join_all().await.into_iter().flatten().collect();
        took.sort_unstable();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        println!(
            "  {name}: {} commits, p50 {:?}, p99 {:?}, longest {:?}",
            took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

async fn backup(
    records: &Records,
    tenants: &[TenantId],
    file: &Path,
    database: &Path,
    pause: Duration,
) {
    println!("{WRITERS} writers, one commit each {pause:?}:");
    let calm = Duration::from_secs(15);
    let writers = Writers::start(records, tenants, pause);
    tokio::time::sleep(calm).await;
    writers.stop("calm").await;
    let log = database.with_extension("db-wal");
    let before = std::fs::metadata(&log).map_or(0, |log| log.len());
    let memory = Memory::watch();
    let writers = Writers::start(records, tenants, pause);
    let begin = Instant::now();
    let summary = records.backup_to_file(file, |_| ()).await.unwrap();
    let took = begin.elapsed();
    writers.stop("during a backup").await;
    let log = std::fs::metadata(&log).map_or(0, |log| log.len());
    println!(
        "  backup of {} rows: {took:?}, {} MB, memory +{} MB, log {} MB, before {} MB",
        summary.rows(),
        summary.bytes >> 20,
        memory.growth(),
        log >> 20,
        before >> 20
    );
    let writers = Writers::start(records, tenants, pause);
    tokio::time::sleep(calm).await;
    writers.stop("calm again").await;
}
