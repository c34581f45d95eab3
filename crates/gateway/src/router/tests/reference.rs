//! The written rule as a plain scan over all routes, compared with the router on random sets.

use std::cmp::Reverse;

use super::*;

/// Steps 1 to 6 of the rule in order; the least is the winner.
type Precedence = (
    (u8, Reverse<usize>),
    Vec<(u8, Reverse<usize>)>,
    u8,
    (Reverse<usize>, Reverse<usize>),
    (Reverse<usize>, Reverse<usize>, Reverse<usize>),
    usize,
    usize,
);

fn host_precedence(hosts: &[HostPattern], host: &str) -> Option<(u8, Reverse<usize>)> {
    if hosts.is_empty() {
        return Some((2, Reverse(0)));
    }
    let each = hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(exact) => (exact == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(suffix) => {
            let front = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
            (!front.is_empty()).then_some((1, Reverse(suffix.len())))
        }
    });
    each.min()
}

fn path_precedence(pattern: &PathPattern, path: &str) -> Option<Vec<(u8, Reverse<usize>)>> {
    let mut rest: Vec<&str> = path[1..].split('/').collect();
    let mut precedence = Vec::new();
    for segment in &pattern.segments {
        if rest.is_empty() {
            return None;
        }
        let word = rest.remove(0);
        match segment {
            Segment::Literal(text) if text == word => precedence.push((0, Reverse(0))),
            Segment::Capture(_) if !word.is_empty() => precedence.push((1, Reverse(0))),
            _ => return None,
        }
    }
    match &pattern.tail {
        None => rest.is_empty().then_some(precedence),
        Some(prefix) => {
            if !rest.first()?.starts_with(prefix.as_str()) {
                return None;
            }
            precedence.push((2, Reverse(prefix.len())));
            Some(precedence)
        }
    }
}

fn method_precedence(methods: &[Method], method: &Method) -> Option<u8> {
    if methods.is_empty() {
        return Some(2);
    }
    if methods.contains(method) {
        return Some(0);
    }
    (*method == Method::HEAD && methods.contains(&Method::GET)).then_some(1)
}

fn value_holds(condition: &ValueMatch, values: &[String]) -> bool {
    match condition {
        ValueMatch::Present => !values.is_empty(),
        ValueMatch::Absent => values.is_empty(),
        ValueMatch::Exact(expected) => values.contains(expected),
        ValueMatch::Prefix(expected) => values.iter().any(|value| value.starts_with(expected)),
    }
}

fn conditions_hold(matcher: &Match, sent: &Sent) -> bool {
    let headers = matcher.headers.iter().all(|(name, condition)| {
        let values: Vec<String> = sent
            .fields
            .get_all(name)
            .map(|value| value.to_str().expect("ASCII").to_owned())
            .collect();
        value_holds(condition, &values)
    });
    let query = matcher.query.iter().all(|(name, condition)| {
        let values: Vec<String> = sent
            .query
            .iter()
            .flat_map(|query| query.split('&'))
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(parameter, _)| parameter == name)
            .map(|(_, value)| value.to_owned())
            .collect();
        value_holds(condition, &values)
    });
    headers && query
}

/// `takes` says whether a route's claims hold.
pub(super) fn expected(
    routes: &[Route],
    sent: &Sent,
    takes: impl Fn(&Match) -> bool,
) -> Result<usize, Missed> {
    let mut ranked: Vec<Precedence> = Vec::new();
    let mut allowed: Vec<Method> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let matcher = &route.matcher;
        let Some(host) = host_precedence(&matcher.hosts, &sent.host) else {
            continue;
        };
        let mut paths: Vec<_> = matcher
            .paths
            .iter()
            .enumerate()
            .filter_map(|(place, pattern)| Some((path_precedence(pattern, &sent.path)?, place)))
            .collect();
        if matcher.paths.is_empty() {
            paths.push((vec![(3, Reverse(0))], 0));
        }
        let Some((path, place)) = paths.into_iter().min() else {
            continue;
        };
        if !conditions_hold(matcher, sent) {
            continue;
        }
        let Some(method) = method_precedence(&matcher.methods, &sent.method) else {
            allowed.extend(matcher.methods.iter().cloned());
            continue;
        };
        let conditions: Vec<_> = matcher
            .headers
            .iter()
            .map(|(_, condition)| condition)
            .chain(matcher.query.iter().map(|(_, condition)| condition))
            .collect();
        let count = |kind: fn(&ValueMatch) -> bool| {
            Reverse(
                conditions
                    .iter()
                    .filter(|condition| kind(condition))
                    .count(),
            )
        };
        let more = (
            Reverse(conditions.len()),
            count(|condition| matches!(condition, ValueMatch::Exact(_))),
            count(|condition| matches!(condition, ValueMatch::Prefix(_))),
        );
        let stated = matcher.claims.iter().filter(|rule| !rule.values.is_empty());
        let claims = (Reverse(matcher.claims.len()), Reverse(stated.count()));
        ranked.push((host, path, method, claims, more, index, place));
    }
    ranked.sort();
    if let Some((host, path, ..)) = ranked.first() {
        // Claims choose among routes of one host and path.
        let mut near = ranked.iter().filter(|one| one.0 == *host && one.1 == *path);
        let winner = near.find(|one| takes(&routes[one.5].matcher));
        return winner.map(|one| one.5).ok_or(Missed::NoRoute);
    }
    if allowed.is_empty() {
        return Err(Missed::NoRoute);
    }
    if allowed.contains(&Method::GET) {
        allowed.push(Method::HEAD);
    }
    allowed.sort_by_key(ToString::to_string);
    allowed.dedup();
    Err(Missed::Method(allowed))
}

pub(super) fn pick<'a>(random: &mut fastrand::Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(0..words.len())]
}

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PURGE", "BAN"];

/// Few words, so that patterns collide often.
fn random_pattern(random: &mut fastrand::Rng) -> String {
    let mut pattern = String::new();
    let depth = random.usize(1..5);
    for level in 0..depth {
        let is_last = level + 1 == depth;
        pattern.push('/');
        match random.usize(0..10) {
            0..4 => pattern.push_str(pick(random, &["a", "b", "ab", "abc"])),
            4..7 => pattern.push_str(&format!("{{{}{level}}}", pick(random, &["x", "y"]))),
            7 if is_last => {}
            8.. if is_last => {
                pattern.push_str(pick(random, &["", "a", "ab", "b"]));
                pattern.push('*');
            }
            _ => pattern.push_str(pick(random, &["a", "b"])),
        }
    }
    pattern
}

pub(super) fn random_route(random: &mut fastrand::Rng, wide: bool) -> String {
    let mut words = String::new();
    let mut add = |key: &str, value: &str| {
        words.push_str(&format!("{key}={value} "));
    };
    const HOSTS: [&str; 6] = ["a.com", "b.com", "x.a.com", "*.com", "*.a.com", "*.x.a.com"];
    for _ in 0..random.usize(0..3) {
        add("host", pick(random, &HOSTS));
    }
    for _ in 0..random.usize(0..3) {
        // Many siblings, so that the hashed form of a node is used too.
        let pattern = match wide && random.bool() {
            true => format!(
                "/w{}{}",
                random.u8(0..40),
                pick(random, &["", "*", "/{id}"])
            ),
            false => random_pattern(random),
        };
        add("path", &pattern);
    }
    for _ in 0..random.usize(0..3) {
        add("method", pick(random, &METHODS));
    }
    const CONDITIONS: [&str; 5] = ["?", "!", "1", "12", "1*"];
    for _ in 0..random.usize(0..2) {
        let name = pick(random, &["x-p", "x-q"]);
        add("header", &format!("{name}:{}", pick(random, &CONDITIONS)));
    }
    for _ in 0..random.usize(0..2) {
        let name = pick(random, &["p", "q"]);
        add("query", &format!("{name}:{}", pick(random, &CONDITIONS)));
    }
    words
}

pub(super) fn random_request(random: &mut fastrand::Rng, wide: bool) -> Sent {
    const HOSTS: [&str; 7] = ["a.com", "b.com", "x.a.com", "y.x.a.com", "com", "other", ""];
    let mut path = String::new();
    if wide && random.bool() {
        let below = pick(random, &["", "/1", "/1/2", "x"]);
        path = format!("/w{}{below}", random.u8(0..44));
    } else {
        for _ in 0..random.usize(1..6) {
            path.push('/');
            path.push_str(pick(random, &["a", "b", "ab", "abc", "abcd", "z"]));
        }
        if random.u8(0..5) == 0 {
            path.push('/');
        }
    }
    let query = match random.u8(0..3) {
        0 => "",
        1 => "?p=1",
        _ => "?q=123&p=12&q",
    };
    let fields = pick(
        random,
        &["", "x-p:1", "x-p:12 x-q:1", "x-q:123 x-p:0 x-q:1"],
    );
    let method = pick(random, &METHODS);
    Sent::parse(&format!(
        "{method} {}{path}{query} {fields}",
        pick(random, &HOSTS)
    ))
}

#[test]
fn the_router_agrees_with_the_written_rule_on_random_sets() {
    let mut random = fastrand::Rng::with_seed(0x72_6f_75_74);
    let (mut found, mut refused, mut missed) = (0, 0, 0);
    for round in 0..1_500 {
        let wide = round % 5 == 0;
        let count = if wide {
            random.usize(50..120)
        } else {
            random.usize(1..14)
        };
        let words: Vec<String> = (0..count)
            .map(|_| random_route(&mut random, wide))
            .collect();
        let texts: Vec<_> = words.iter().map(String::as_str).collect();
        let routes = routes(&texts);
        let router = Router::compile(&routes);
        for _ in 0..40 {
            let sent = random_request(&mut random, wide);
            let request = sent.request();
            let actual = router.find(&request).map(|found| found.route);
            let expected = expected(&routes, &sent, |_| true);
            assert_eq!(actual, expected, "{request:?}\n{words:#?}");
            let outcome = router.explain(&request, Caller::Unasked).outcome;
            match (expected, outcome) {
                (Ok(route), Outcome::Found { index, .. }) if route == index => found += 1,
                (Err(Missed::Method(_)), Outcome::Method { .. }) => refused += 1,
                (Err(Missed::NoRoute), Outcome::NoRoute) => missed += 1,
                (expected, outcome) => panic!("{expected:?} was explained as {outcome:?}"),
            }
        }
    }
    assert!(
        found > 10_000 && refused > 1_000 && missed > 1_000,
        "{found} {refused} {missed}"
    );
}
