use std::time::{Duration, Instant};

use super::{BASE, options, try_load};
use crate::{DEFAULT, explanations, load_text};

/// Mutations per seed text. A fuzzer does the same for longer.
const ROUNDS: usize = 400;

#[test]
fn no_text_makes_the_loader_panic() {
    let mut generator = fastrand::Rng::with_seed(0x7e1f);
    let pages = explanations().iter().map(|explanation| explanation.text);
    let seeds: Vec<String> = pages
        .chain([DEFAULT])
        .map(|text| text.replace("#   ", ""))
        .collect();
    for round in 0..ROUNDS {
        let seed = &seeds[round % seeds.len()];
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..generator.usize(1..8) {
            mutate(&mut text, &mut generator);
        }
        let text: String = text.into_iter().collect();
        let mut options = options();
        options.strict = generator.bool();
        options.environment = generator.bool().then(|| "production".into());
        match load_text(&text, "weir.yaml", "".as_ref(), &options) {
            Ok(loaded) => assert_eq!(loaded.digest.len(), 64),
            Err(report) => {
                assert!(!report.diagnostics.is_empty());
                assert!(report.render(true).contains("error"));
            }
        }
    }
}

fn mutate(text: &mut Vec<char>, generator: &mut fastrand::Rng) {
    const PIECES: [&str; 24] = [
        "\t",
        "\r",
        "\n",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "é漢🙂",
        "\u{0}",
        "\u{feff}",
        "---\n",
        "null",
        "{path.x}",
        "env:X",
        "99999999999999999999",
        "%",
    ];
    let at = generator.usize(0..=text.len());
    match generator.usize(0..4) {
        0 => {
            let piece = PIECES[generator.usize(0..PIECES.len())].chars();
            text.splice(at..at, piece);
        }
        1 => {
            let end = (at + generator.usize(0..20)).min(text.len());
            text.drain(at..end);
        }
        2 => text.truncate(at),
        _ => {
            let end = (at + generator.usize(0..200)).min(text.len());
            let copy: Vec<char> = text[at..end].to_vec();
            text.splice(at..at, copy);
        }
    }
}

#[test]
fn ten_thousand_routes_load_quickly() {
    let mut text = format!("{BASE}upstreams:\n");
    for index in 0..1000 {
        text.push_str(&format!(
            "  u{index}: {{targets: ['a{index}:80', 'b{index}:80']}}\n"
        ));
    }
    text.push_str("routes:\n");
    for index in 0..10_000 {
        text.push_str(&format!(
            "  - name: r{index}\n    match: {{host: h{index}.example.com, path: '/a{index}/{{id}}', \
             methods: [GET]}}\n    upstream: u{}\n",
            index % 1000
        ));
    }
    let begin = Instant::now();
    assert_eq!(try_load(&text).unwrap().config.routes.len(), 10_000);
    // Generous, for a debug build on a busy machine: what this catches is quadratic.
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_file_of_nothing_but_mistakes_is_refused_quickly() {
    let begin = Instant::now();
    let routes = "- {name: x y, upstream: nowhere, wrong: 1}\n".repeat(5000);
    let upstreams: String = (0..2000)
        .map(|index| format!("  nowhre{index}: {{targets: ['a:1']}}\n"))
        .collect();
    assert!(try_load(&format!("{BASE}upstreams:\n{upstreams}routes:\n{routes}")).is_err());
    let one_line = format!(
        "{{{}}}",
        (0..50_000)
            .map(|index| format!("é{index}: 1, "))
            .collect::<String>()
    );
    assert!(try_load(&one_line).is_err());
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}
