use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::command::top::{screen, table};

/// A sample so many seconds after the first, with counters that have grown as many times.
fn sample(start: Instant, second: u64) -> Sample {
    let route = |name: &str, total: u64, errors: u64, durations: [u64; 4]| {
        json!({
            "name": name,
            "requests": { "total": total * second, "4xx": 0, "5xx": errors * second },
            "durations": durations.map(|count| count * second),
        })
    };
    let routes = json!({
        "duration_bounds_ms": [1.0, 10.0, 100.0],
        "routes": [
            route("quiet", 0, 0, [0; 4]),
            route("busy", 1_000, 10, [500, 490, 0, 10]),
            route("slow", 10, 0, [0, 0, 10, 0]),
        ],
        "unrouted": { "requests": { "total": 0, "4xx": 0, "5xx": 0 }, "durations": [0, 0, 0, 0] },
    });
    let target = |state: &str, latency: Option<f64>| {
        json!({
            "in_flight": 2, "latency_ms": latency, "requests": 500 * second, "failed": second,
            "health": { "state": state },
        })
    };
    let upstreams = json!([
        {
            "name": "catalog", "panic": false, "breaker": { "state": "closed" },
            "targets": [target("healthy", Some(4.0)), target("ejected", Some(6.0)), target("healthy", None)],
        },
        { "name": "none", "panic": false, "targets": [] },
    ]);
    let status = json!({
        "version": "0.1.0", "stage": "ready", "revision": { "number": 7 }, "uptime_seconds": 3_725.0,
        "cpu_seconds": second as f64 * 0.5, "memory_bytes": 67_108_864.0,
        "connections": { "open": 1_234, "refused": 0 }, "event_loop_delay_ms": 0.2,
    });
    Sample {
        at: start + Duration::from_secs(second),
        status: serde_json::from_value(status).expect("a status"),
        routes: serde_json::from_value(routes).expect("routes"),
        upstreams: serde_json::from_value(upstreams).expect("upstreams"),
    }
}

fn view(seconds: u64) -> View {
    let start = Instant::now();
    let mut view = View::new(sample(start, 1));
    for second in 2..=seconds {
        view.add(sample(start, second));
    }
    view
}

fn names(view: &View) -> Vec<String> {
    view.routes().into_iter().map(|row| row.name).collect()
}

fn press(view: &mut View, code: KeyCode) -> Wish {
    view.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn rates_and_shares_are_of_what_came_between() {
    let view = view(5);
    let routes = view.routes();
    assert_eq!(names(&view), ["busy", "slow", "quiet"]);
    let busy = &routes[0];
    assert_eq!((busy.rate, busy.server_errors), (1_000.0, 1.0));
    // Half of them within the first class, and the last hundredth in the one without an end.
    let [median, p95, p99] = busy.quantiles.expect("requests");
    assert_eq!((median, p99), (1.0, 10.0));
    assert!((p95 - 9.27).abs() < 0.01, "{p95}");
    assert_eq!(routes[2].quantiles, None);
    let whole = view.whole();
    assert_eq!((whole.rate, whole.cpu), (1_010.0, 50.0));
    let catalog = &view.upstreams()[0];
    assert_eq!((catalog.takes_traffic, catalog.targets), (2, 3));
    assert_eq!((catalog.rate, catalog.failures), (1_500.0, 3.0));
    assert_eq!((catalog.in_flight, catalog.latency), (6, Some(5.0)));
    assert_eq!(catalog.trouble.as_deref(), Some("1 out"));
    assert_eq!(view.upstreams()[1].trouble.as_deref(), Some("no targets"));
    assert_eq!(view.course(None), [1_010; 4]);
}

#[test]
fn another_process_begins_anew() {
    let mut view = view(5);
    let later = Instant::now() + Duration::from_secs(60);
    view.add(sample(later, 1));
    assert_eq!(view.whole().rate, 0.0);
    view.add(sample(later, 2));
    assert_eq!(view.whole().rate, 1_010.0);
}

#[test]
fn keys_sort_filter_choose_and_end() {
    let mut view = view(3);
    press(&mut view, KeyCode::Char('s'));
    assert_eq!(
        (view.order, names(&view)),
        (
            Order::Errors,
            vec!["busy".into(), "quiet".into(), "slow".into()]
        )
    );
    press(&mut view, KeyCode::Char('s'));
    assert_eq!((view.order, &*names(&view)[0]), (Order::Slowness, "slow"));
    press(&mut view, KeyCode::Char('s'));
    assert_eq!(names(&view), ["busy", "quiet", "slow"]);
    for _ in 0..9 {
        press(&mut view, KeyCode::Down);
    }
    assert_eq!(view.chosen, 2);
    // What is written is no command.
    for code in [
        KeyCode::Char('/'),
        KeyCode::Char('q'),
        KeyCode::Char('x'),
        KeyCode::Backspace,
    ] {
        assert_eq!(press(&mut view, code), Wish::GoOn);
    }
    assert_eq!((names(&view), view.chosen), (vec!["quiet".to_owned()], 0));
    press(&mut view, KeyCode::Enter);
    assert_eq!(view.filter, "q");
    assert_eq!(press(&mut view, KeyCode::Char('q')), Wish::End);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.press(interrupt), Wish::End);
}

#[test]
fn while_paused_nothing_changes() {
    let mut view = view(3);
    press(&mut view, KeyCode::Char(' '));
    let before = view.latest().at;
    view.add(sample(Instant::now() + Duration::from_secs(99), 9));
    assert_eq!(view.latest().at, before);
}

#[test]
fn the_screen_shows_all_of_it() {
    let mut view = view(5);
    view.fault = Some("no Weir answers".to_owned());
    let mut terminal = Terminal::new(TestBackend::new(100, 20)).expect("a terminal");
    terminal
        .draw(|frame| screen::draw(frame, &view))
        .expect("drawn");
    insta::assert_snapshot!(terminal.backend());
}

#[test]
fn a_screen_of_any_size_will_do() {
    let view = view(3);
    for (width, height) in [(1, 1), (10, 3), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal
            .draw(|frame| screen::draw(frame, &view))
            .expect("drawn");
    }
}

#[test]
fn text_has_the_same() {
    let output = crate::output::Output::new(crate::cli::ColorChoice::Never, false);
    insta::assert_snapshot!(table::text(&view(5), &output));
}
