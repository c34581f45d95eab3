//! Zones, end to end.

use std::collections::HashSet;

use super::{ask, named};
use crate::harness::{Upstream, Weir};

fn config(zone: &str, keys: &str, targets: &[(&Upstream, &str)]) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|(target, zone)| format!("{{ address: \"{}\", zone: {zone} }}", target.address))
        .collect();
    format!(
        "{zone}\nupstreams:\n  up: {{ {keys} targets: [{}] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n",
        targets.join(", ")
    )
}

fn answering(weir: &Weir) -> HashSet<String> {
    (0..16).map(|_| ask(weir, "/", "").text()).collect()
}

#[test]
fn traffic_stays_in_the_nodes_own_zone() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let targets = [(&a, "east"), (&b, "east"), (&c, "west")];
    let set =
        |names: &[&str]| -> HashSet<String> { names.iter().map(ToString::to_string).collect() };
    let weir = Weir::start(&config("zone: east", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b"]));
    weir.reload(&config("zone: west", "", &targets));
    assert_eq!(answering(&weir), set(&["c"]));
    weir.reload(&config("zone: north", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b", "c"]), "nobody is near");
    weir.reload(&config("", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b", "c"]), "no zone");
    let anywhere = config("zone: east", "zones: { prefer_own: false },", &targets);
    weir.reload(&anywhere);
    assert_eq!(answering(&weir), set(&["a", "b", "c"]));
}
