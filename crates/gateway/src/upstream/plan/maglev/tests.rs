use super::*;

/// Names as those of targets.
fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("10.0.{}.{}:8080", at / 256, at % 256))
        .collect()
}

fn table(names: &[String]) -> Maglev {
    Maglev::build(names.iter().map(|name| (name.as_str(), 1)))
}

fn weighted(weights: &[u32]) -> Maglev {
    let names = names(weights.len());
    Maglev::build(
        names
            .iter()
            .map(String::as_str)
            .zip(weights.iter().copied()),
    )
}

fn places(table: &Maglev, members: usize) -> Vec<usize> {
    let mut places = vec![0; members];
    for member in &table.0 {
        places[usize::from(*member)] += 1;
    }
    places
}

/// Share of the places whose member has another name.
fn moved(before: (&Maglev, &[String]), after: (&Maglev, &[String])) -> f64 {
    let name =
        |(table, names): (&Maglev, &[String]), at: usize| names[usize::from(table.0[at])].clone();
    let moved = (0..PLACES).filter(|at| name(before, *at) != name(after, *at));
    moved.count() as f64 / PLACES as f64
}

/// §3.4: with a table more than 100 times as large as there are members, the largest share is at most
/// 1% above the smallest. With equal weights they differ by one place, however many there are.
#[test]
fn shares_differ_by_one_place() {
    for count in [1, 2, 3, 10, 100, 655, 1_000, 10_000] {
        let places = places(&table(&names(count)), count);
        let (most, least) = (places.iter().max(), places.iter().min());
        let (most, least) = (*most.expect("one"), *least.expect("one"));
        assert!(most - least <= 1, "{count} members: {least} to {most}");
        if count * 100 < PLACES {
            assert!(most as f64 / least as f64 <= 1.0101, "{least} to {most}");
        }
    }
}

/// What has to move when one of n members joins or leaves is 1/n. Maglev moves more than that; Envoy's
/// documentation names about twice as much as the ring, which moves 1/n.
#[test]
fn few_keys_move_when_a_member_joins_or_leaves() {
    for count in [2, 3, 5, 10, 20, 50, 100] {
        let all = names(count);
        let whole = table(&all);
        let mut worst: f64 = 0.0;
        for left in [0, count / 2, count - 1] {
            let mut rest = all.clone();
            rest.remove(left);
            let share = moved((&whole, &all), (&table(&rest), &rest));
            worst = worst.max(share);
            assert!(share >= 0.99 / count as f64, "its own keys: {share}");
        }
        println!(
            "one of {count}: {:.2}%, ideal {:.2}%",
            worst * 100.0,
            100.0 / count as f64
        );
        assert!(worst <= 2.0 / count as f64, "one of {count}: {worst}");
    }
}

/// Nodes learn of targets in any order, and agree.
#[test]
fn the_order_of_members_does_not_matter() {
    let all = names(20);
    let mut turned = all.clone();
    turned.reverse();
    turned.swap(3, 11);
    let share = moved((&table(&all), &all), (&table(&turned), &turned));
    assert_eq!(share, 0.0);
}

#[test]
fn weights_are_kept_to_a_place() {
    for weights in [
        &[1, 2, 3][..],
        &[100, 1],
        &[7, 7, 0, 1],
        &[4_294_967_295, 1_000_000_000],
    ] {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let places = places(&weighted(weights), weights.len());
        assert_eq!(places.iter().sum::<usize>(), PLACES);
        for (weight, places) in weights.iter().zip(places) {
            let fair = PLACES as f64 * f64::from(*weight) / total as f64;
            assert!(
                (places as f64 - fair).abs() <= weights.len() as f64,
                "{weights:?}: {places} in place of {fair}"
            );
        }
    }
}

/// A weight that changes moves about as much as it changed.
#[test]
fn a_changed_weight_moves_few_keys() {
    let all = names(10);
    let mut weights = [10; 10];
    let before = weighted(&weights);
    weights[4] = 5;
    let share = moved((&before, &all), (&weighted(&weights), &all));
    // From 10% to 5.3% of all.
    assert!((0.045..0.10).contains(&share), "{share}");
}

/// Keys that are alike are spread as evenly as chance does: within five standard deviations.
#[test]
fn similar_keys_are_spread_evenly() {
    const KEYS: usize = 100_000;
    let count = 10;
    let table = table(&names(count));
    let mut keys = vec![0_usize; count];
    for key in 0..KEYS {
        let hash = hash(format!("user-{key}").as_bytes(), 0);
        keys[usize::from(table.get(hash))] += 1;
    }
    let fair = KEYS as f64 / count as f64;
    let deviation = (fair * (1.0 - 1.0 / count as f64)).sqrt();
    for (member, keys) in keys.iter().enumerate() {
        let off = (*keys as f64 - fair).abs();
        assert!(off < 5.0 * deviation + 0.001 * fair, "{member}: {keys}");
    }
}

/// Every node and version places keys alike: the hash never changes.
#[test]
fn the_hash_is_for_ever() {
    assert_eq!(hash(b"", 0), 0xefd0_1f60_ba99_2926);
    assert_eq!(hash(b"ada", 0), 0x21a5_12b9_376a_50e9);
}

#[test]
fn hostile_lists_fill_a_table() {
    // One target many times is one target.
    let mut same = vec!["10.0.0.1:80".to_owned(); 60_000];
    same.push("10.0.0.2:80".to_owned());
    let places = places(&table(&same), same.len());
    assert_eq!(places[0] + places[60_000], PLACES);
    assert!(places[60_000] <= 2, "its weight is one in 60,001");
    let mut weights = vec![1; 10_000];
    weights[0] = u32::MAX;
    assert!(weighted(&weights).0.iter().all(|member| *member != EMPTY));
    let most = usize::from(u16::MAX);
    assert!(table(&names(most)).0.iter().all(|member| *member != EMPTY));
    let more = table(&names(most + 1_000));
    assert!(more.0.iter().all(|member| *member != EMPTY));
}
