use std::time::Duration;

use super::*;

const SETTINGS: Concurrency = Concurrency {
    limit: 2,
    queue: 3,
    wait: Duration::from_secs(1),
};

fn place(entry: Entry) -> Place {
    match entry {
        Entry::Place(place) => place,
        other => panic!("{other:?}"),
    }
}

fn waiting(entry: Entry) -> Waiting {
    match entry {
        Entry::Wait(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

fn load(bulkhead: &Bulkhead) -> (u32, u32) {
    let load = bulkhead.load();
    (load.in_use, load.queued)
}

#[test]
fn places_go_round_in_the_order_of_arrival() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let enter = || bulkhead.enter(&SETTINGS);
    let (first, second) = (place(enter()), place(enter()));
    let mut queue: Vec<Waiting> = (0..3).map(|_| waiting(enter())).collect();
    assert!(matches!(enter(), Entry::Full));
    assert_eq!(load(&bulkhead), (2, 3));
    drop(first);
    assert_eq!(load(&bulkhead), (2, 2), "it went on at once");
    let handed = queue[0].place.try_recv().expect("a place");
    assert!(queue[1].place.try_recv().is_err(), "not its turn");
    drop(second);
    let next = queue[1].place.try_recv().expect("a place");
    drop(queue);
    assert_eq!(load(&bulkhead), (2, 0));
    drop((handed, next));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn whoever_leaves_the_queue_leaves_nothing_behind() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let enter = || bulkhead.enter(&SETTINGS);
    let (first, second) = (place(enter()), place(enter()));
    for _ in 0..1_000 {
        let (one, other) = (waiting(enter()), waiting(enter()));
        drop(one);
        assert_eq!(load(&bulkhead), (2, 1));
        drop(other);
    }
    // A place on its way to somebody who does not wait any more.
    let (gone, mut next) = (waiting(enter()), waiting(enter()));
    drop(first);
    drop(gone);
    let handed = next.place.try_recv().expect("it went on");
    drop((next, handed, second));
    assert_eq!(load(&bulkhead), (0, 0));
    assert!(bulkhead.queue().waiting.is_empty());
}

#[test]
fn who_is_sent_away_leaves_the_places_as_they_are() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let enter = || bulkhead.enter(&SETTINGS);
    let held = [place(enter()), place(enter())];
    let mut away: Vec<Waiting> = (0..3).map(|_| waiting(enter())).collect();
    bulkhead.turn_away();
    assert_eq!(load(&bulkhead), (2, 0));
    for waiting in &mut away {
        assert_eq!(
            waiting.place.try_recv().err(),
            Some(oneshot::error::TryRecvError::Closed)
        );
    }
    let mut next = waiting(enter());
    drop(away);
    assert_eq!(load(&bulkhead), (2, 1), "another one waits by now");
    drop(held);
    assert!(next.place.try_recv().is_ok());
}

#[test]
fn nobody_overtakes_those_that_wait() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let held = [
        place(bulkhead.enter(&SETTINGS)),
        place(bulkhead.enter(&SETTINGS)),
    ];
    let first = waiting(bulkhead.enter(&SETTINGS));
    drop(held);
    assert_eq!(load(&bulkhead), (1, 0), "it is on its way to the first");
    drop(first);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_new_limit_holds_for_those_that_are_there() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let with = |limit| Concurrency { limit, ..SETTINGS };
    let enter = || bulkhead.enter(&SETTINGS);
    let mut held = vec![place(enter()), place(enter())];
    let mut queue: Vec<Waiting> = (0..3).map(|_| waiting(enter())).collect();
    bulkhead.configure(Some(&with(4)));
    assert_eq!(load(&bulkhead), (4, 1));
    for waiting in &mut queue[..2] {
        held.push(waiting.place.try_recv().expect("a place"));
    }
    bulkhead.configure(Some(&with(1)));
    for left in [3, 2, 1] {
        assert!(queue[2].place.try_recv().is_err());
        held.pop();
        assert_eq!(load(&bulkhead), (left, 1));
    }
    held.pop();
    held.push(queue[2].place.try_recv().expect("a place"));
    bulkhead.configure(None);
    held.extend((0..100).map(|_| place(enter())));
    drop(held);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn the_limit_holds_between_threads_and_no_place_is_lost() {
    let bulkhead = Bulkhead::new(Some(&SETTINGS));
    let most = AtomicU64::new(0);
    let inside = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (bulkhead, most, inside) = (&bulkhead, &most, &inside);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..20_000 {
                    let held = match bulkhead.enter(&SETTINGS) {
                        Entry::Place(place) => Some(place),
                        Entry::Wait(_) if random.u8(..4) == 0 => None,
                        Entry::Wait(mut waiting) => runtime.block_on(waiting.place()),
                        Entry::Full => None,
                    };
                    if held.is_some() {
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    assert_eq!(load(&bulkhead), (0, 0));
    assert!(bulkhead.queue().waiting.is_empty());
}
