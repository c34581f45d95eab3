use std::sync::Arc;
use std::sync::mpsc::channel;

use super::*;

fn table(directory: &Path, networks: &[&str], most_targets: usize) -> Table {
    let writer = Writer::new("weir-files", |_, _| {});
    table_with(writer, directory, networks, most_targets)
}

fn table_with(writer: Writer, directory: &Path, networks: &[&str], most_targets: usize) -> Table {
    let bounds = Bounds {
        networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        most_targets,
    };
    let token = Some(Secret::new("canary-7f3a".to_owned()));
    Table::open(
        Table::path(directory, "catalog"),
        writer,
        Duration::from_secs(30),
        token,
        bounds,
    )
}

fn at(address: &str) -> Registration {
    Registration {
        address: address.to_owned(),
        weight: 1,
        zone: None,
    }
}

fn ids(table: &Table, now: Instant) -> Vec<String> {
    let each = table.list(now).into_iter();
    each.map(|registered| registered.id).collect()
}

#[test]
fn a_lease_lasts_as_long_as_it_is_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let table = table(directory.path(), &[], 10);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let (is_new, registered) = table.register("a", &at("10.0.0.1:80"), start).unwrap();
    assert!(is_new);
    assert_eq!(registered.expires_in, Duration::from_secs(30));
    table.register("b", &at("10.0.0.2:80"), start).unwrap();
    assert!(
        !table
            .register("b", &at("10.0.0.2:80"), after(20))
            .unwrap()
            .0
    );
    let left = table.sweep(after(29));
    assert_eq!((left.targets.len(), left.next), (2, Some(after(30))));
    let left = table.sweep(after(30));
    assert_eq!((left.targets.len(), left.next), (1, Some(after(50))));
    assert!(matches!(
        table.renew("a", after(31)),
        Err(RegistrationError::NotRegistered)
    ));
    table.renew("b", after(40)).unwrap();
    assert_eq!(table.sweep(after(69)).targets.len(), 1);
    let left = table.sweep(after(70));
    assert!(left.targets.is_empty() && !left.emptied);
}

#[test]
fn the_last_one_to_take_its_leave_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let table = table(directory.path(), &[], 10);
    let start = Instant::now();
    table.register("a", &at("10.0.0.1:80"), start).unwrap();
    table.deregister("a").unwrap();
    assert!(table.sweep(start).emptied);
    assert!(matches!(
        table.deregister("a"),
        Err(RegistrationError::NotRegistered)
    ));
    table.register("a", &at("10.0.0.1:80"), start).unwrap();
    assert!(!table.sweep(start).emptied);
}

#[test]
fn the_last_ones_can_be_taken_out_after_they_expired() {
    let directory = tempfile::tempdir().unwrap();
    let table = table(directory.path(), &[], 10);
    let start = Instant::now();
    let later = start + Duration::from_secs(31);
    table.register("a", &at("10.0.0.1:80"), start).unwrap();
    table.register("b", &at("10.0.0.2:80"), start).unwrap();
    let left = table.sweep(later);
    assert_eq!((left.targets.len(), left.expired.len()), (0, 2));
    assert_eq!(ids(&table, later), ["a", "b"]);
    assert_eq!(table.list(later)[0].expires_in, Duration::ZERO);
    assert!(matches!(
        table.renew("a", later),
        Err(RegistrationError::NotRegistered)
    ));
    table.deregister("a").unwrap();
    let left = table.sweep(later);
    assert_eq!((left.expired.len(), left.emptied), (1, false));
    table.deregister("b").unwrap();
    assert!(table.sweep(later).emptied);
    assert!(matches!(
        table.deregister("b"),
        Err(RegistrationError::NotRegistered)
    ));
    // Where others are, what has expired is gone.
    table.register("a", &at("10.0.0.1:80"), start).unwrap();
    table.sweep(later);
    table.register("c", &at("10.0.0.3:80"), later).unwrap();
    table.sweep(later);
    assert_eq!(ids(&table, later), ["c"]);
}

#[test]
fn registrations_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = table(directory.path(), &[], 10);
    let now = Instant::now();
    let zoned = Registration {
        zone: Some("a".into()),
        weight: 3,
        ..at("[::1]:80")
    };
    first.register("a", &zoned, now).unwrap();
    first.register("b", &at("10.0.0.2:80"), now).unwrap();
    first.deregister("b").unwrap();
    let before = first.list(now);
    drop(first);
    let second = table(directory.path(), &[], 10);
    let after = second.list(now);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].target, before[0].target);
}

#[test]
fn what_cannot_be_kept_is_not_registered() {
    let directory = tempfile::tempdir().unwrap();
    // A file where the directory would be.
    std::fs::write(directory.path().join("discovery"), "").unwrap();
    let table = table(directory.path(), &[], 10);
    let now = Instant::now();
    let outcome = table.register("a", &at("10.0.0.1:80"), now);
    assert!(matches!(outcome, Err(RegistrationError::Storage(_))));
    assert_eq!(ids(&table, now), [""; 0]);
}

#[test]
fn a_slow_disk_holds_up_nobody_but_whoever_waits_for_it() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let directory = tempfile::tempdir().unwrap();
    // The disk stands still while the writer tells of a file that it cannot write.
    let blocked = directory.path().join("blocked");
    std::fs::create_dir_all(blocked.join("full")).unwrap();
    let (told, heard) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let writer = Writer::new("weir-files", move |_, _: &std::io::Error| {
        told.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    });
    let table = table_with(writer.clone(), directory.path(), &[], 10);
    let table = Arc::new(table);
    let now = Instant::now();
    table.register("a", &at("10.0.0.1:80"), now).unwrap();
    drop(writer.replace(&blocked, Vec::new()));
    heard.recv_timeout(PATIENCE).unwrap();
    let (registered, done) = channel();
    let waiting = Arc::clone(&table);
    std::thread::spawn(move || {
        waiting.register("b", &at("10.0.0.2:80"), now).unwrap();
        registered.send(()).unwrap();
    });
    // As soon as the disk has been asked, the others go on: to end leases, too.
    while table.list(now).len() < 2 {
        std::thread::yield_now();
    }
    table.renew("a", now).unwrap();
    assert!(!table.register("a", &at("10.0.0.1:80"), now).unwrap().0);
    let later = now + Duration::from_secs(31);
    assert_eq!(table.sweep(later).targets, []);
    assert!(
        done.try_recv().is_err(),
        "it was confirmed before it was kept"
    );
    release.send(()).unwrap();
    done.recv_timeout(PATIENCE).unwrap();
    assert!(writer.flush(PATIENCE));
    assert!(load(&Table::path(directory.path(), "catalog")).is_empty());
}

#[test]
fn only_the_token_opens() {
    let directory = tempfile::tempdir().unwrap();
    let table = table(directory.path(), &[], 10);
    assert!(table.authorise("canary-7f3a").is_ok());
    for wrong in ["", "canary-7f3b", "canary-7f3a "] {
        let outcome = table.authorise(wrong);
        assert!(matches!(outcome, Err(RegistrationError::Unauthorised)));
    }
}

#[test]
fn hostile_registrations_are_refused() {
    use RegistrationError::{Address, Full, Id, OutsideNetworks, Weight, Zone};
    let directory = tempfile::tempdir().unwrap();
    let table = table(directory.path(), &["10.0.0.0/8"], 1);
    let now = Instant::now();
    let refused =
        |id: &str, registration: Registration| table.register(id, &registration, now).unwrap_err();
    assert!(matches!(refused("", at("10.0.0.1:80")), Id));
    assert!(matches!(refused("../a", at("10.0.0.1:80")), Id));
    assert!(matches!(refused("a", at("10.0.0.1")), Address));
    assert!(matches!(refused("a", at("10.0.0.1:0")), Address));
    assert!(matches!(refused("a", at("127.0.0.1:80")), OutsideNetworks));
    assert!(matches!(
        refused("a", at("[::ffff:127.0.0.1]:80")),
        OutsideNetworks
    ));
    assert!(matches!(refused("a", at("localhost:80")), OutsideNetworks));
    let heavy = Registration {
        weight: 1_000_001,
        ..at("10.0.0.1:80")
    };
    assert!(matches!(refused("a", heavy), Weight));
    let zone = Registration {
        zone: Some("a\r\nb".into()),
        ..at("10.0.0.1:80")
    };
    assert!(matches!(refused("a", zone), Zone));
    table.register("a", &at("10.0.0.1:80"), now).unwrap();
    assert!(matches!(refused("b", at("10.0.0.2:80")), Full(1)));
    // Who is in may move.
    table.register("a", &at("10.0.0.3:80"), now).unwrap();
}

#[test]
fn many_at_once_are_all_there() {
    let directory = tempfile::tempdir().unwrap();
    let table = Arc::new(table(directory.path(), &[], 1000));
    let threads = (0..8u8).map(|thread| {
        let table = Arc::clone(&table);
        std::thread::spawn(move || {
            for number in 0..10 {
                let id = format!("{thread}-{number}");
                let address = format!("10.0.{thread}.{number}:80");
                table.register(&id, &at(&address), Instant::now()).unwrap();
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    assert_eq!(ids(&table, Instant::now()).len(), 80);
    assert_eq!(load(&Table::path(directory.path(), "catalog")).len(), 80);
}
