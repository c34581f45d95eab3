use serde_json::{Map, json};
use weir_store::audit::{Actor, Change, Origin, Subject};

use super::super::{Action, members};
use super::*;

fn entry(name: &str) -> Entry {
    Entry {
        actor: Actor::Operator,
        origin: Origin::default(),
        action: Action::BanLift.name(),
        subject: Subject {
            kind: Action::BanLift.kind(),
            id: None,
        },
        change: Change {
            before: members(json!({ "address": name })),
            after: Map::new(),
        },
        request_id: Some(name.to_owned()),
        once: None,
    }
}

fn append(kept: &Kept, name: &str) -> u64 {
    let number = kept.number();
    kept.append(number, &entry(name), Timestamp::now()).unwrap();
    number
}

fn names(found: &[Found]) -> Vec<String> {
    let names = found.iter().filter_map(|one| one.entry.request_id.clone());
    names.collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join(DIRECTORY)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// As if the process had been killed: its locks are gone, and its files are there.
fn killed(kept: Kept) {
    let mut kept = std::mem::ManuallyDrop::new(kept);
    kept.files.get_mut().unwrap().all.clear();
}

#[test]
fn what_a_killed_process_has_left_is_taken_over_once() {
    let data = tempfile::tempdir().unwrap();
    let first = Kept::new(data.path());
    assert!(first.take_over().unwrap().is_empty());
    let numbers = ["one", "two", "three"].map(|name| append(&first, name));
    first.forget(numbers[0]).unwrap();
    let beside = Kept::new(data.path());
    assert!(beside.take_over().unwrap().is_empty(), "it still lives");
    killed(first);

    let second = Kept::new(data.path());
    let found = second.take_over().unwrap();
    // What was told is told again, and known by its key: a line is not taken out of a file.
    assert_eq!(names(&found), ["one", "two", "three"]);
    assert!(second.take_over().unwrap().is_empty());
    assert!(beside.take_over().unwrap().is_empty());
    found[..2]
        .iter()
        .for_each(|one| second.forget(one.number).unwrap());
    assert_eq!(files(data.path()).len(), 1);
    second.forget(found[2].number).unwrap();
    assert_eq!(files(data.path()).len(), 0);
}

#[test]
fn a_file_is_used_again_and_does_not_grow_without_end() {
    let data = tempfile::tempdir().unwrap();
    let kept = Kept::new(data.path());
    for _ in 0..2 {
        let number = append(&kept, "one");
        assert_eq!(files(data.path()).len(), 1);
        assert!(fs::metadata(&files(data.path())[0]).unwrap().len() > 0);
        kept.forget(number).unwrap();
        assert_eq!(fs::metadata(&files(data.path())[0]).unwrap().len(), 0);
    }
    // Always one is left.
    let mut last = append(&kept, "first");
    for _ in 0..2 * MOST_LINES {
        let next = append(&kept, "next");
        kept.forget(last).unwrap();
        last = next;
    }
    assert_eq!(files(data.path()).len(), 1);
    drop(kept);
    let next = Kept::new(data.path());
    assert_eq!(names(&next.take_over().unwrap()).last().unwrap(), "next");
    let fresh = tempfile::tempdir().unwrap();
    let kept = Kept::new(fresh.path());
    kept.forget(append(&kept, "one")).unwrap();
    drop(kept);
    assert!(files(fresh.path()).is_empty(), "nothing is left of nothing");
}

#[test]
fn damaged_lines_keep_nothing_else_from_being_read() {
    let data = tempfile::tempdir().unwrap();
    let kept = Kept::new(data.path());
    append(&kept, "one");
    let path = files(data.path()).remove(0);
    let mut text = b"\xff\xfe\n{}\n\n".to_vec();
    text.extend(fs::read(&path).unwrap());
    text.extend(b"{\"at\":\"2026-11-");
    killed(kept);
    fs::write(&path, text).unwrap();
    fs::write(path.with_extension("txt"), "somebody's").unwrap();
    // It comes first, and cannot be read.
    fs::create_dir(path.with_file_name("a.jsonl")).unwrap();
    let found = Kept::new(data.path()).take_over().unwrap();
    assert_eq!(names(&found), ["one"]);
}
