//! Routes that differ by who is calling.

use serde_json::{Value, json};
use weir_core::principal;

use super::reference::{expected, pick, random_request, random_route};
use super::*;

fn somebody(claims: &Value) -> Principal {
    Principal {
        method: principal::Method::Token,
        issuer: None,
        subject: "ada".into(),
        organization: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        claims: claims.as_object().expect("an object").clone(),
    }
}

const ROUTES: [&str; 6] = [
    "path=/a",
    "path=/a claim=tenant:acme",
    "path=/a claim=tenant:acme claim=plan:gold,silver",
    "path=/a claim=tenant:*",
    "path=/a claim=/realm/roles:7 header=x-h:1 header=x-i:1",
    "path=/*",
];

#[test]
fn more_claims_come_first_then_stated_values_then_what_asks_for_none() {
    let router = Router::compile(&routes(&ROUTES));
    let find = |request: &str, claims: Value| {
        let (sent, caller) = (Sent::parse(request), somebody(&claims));
        let found = router.find_as(&sent.request(), Caller::Known(&caller));
        found.map(|found| found.route)
    };
    let cases = [
        (json!({"tenant": "acme", "plan": "gold"}), 2),
        (json!({"tenant": ["x", "acme"], "plan": ["silver"]}), 2),
        (json!({"tenant": "acme", "plan": "iron"}), 1),
        (json!({"tenant": "other"}), 3),
        (json!({"tenant": "Acme"}), 3),
        (json!({"tenant": 1}), 3),
        (json!({"tenant": null}), 0),
        (json!({"Tenant": "acme"}), 0),
        (json!({"realm": {"roles": [7]}}), 0),
    ];
    for (claims, route) in cases {
        assert_eq!(find("GET h/a", claims.clone()), Ok(route), "{claims}");
    }
    // Claims count before what a client can say of itself.
    let both = json!({"tenant": "other", "realm": {"roles": ["x", 7]}});
    assert_eq!(find("GET h/a x-h:1 x-i:1", both), Ok(4));
    let neither = json!({});
    assert_eq!(find("GET h/a x-h:1 x-i:1", neither), Ok(0));
}

#[test]
fn nobody_goes_to_the_route_without_claims_and_to_none_of_another_path() {
    let plain = Router::compile(&routes(&ROUTES));
    let only = Router::compile(&routes(&ROUTES[1..]));
    let sent = Sent::parse("GET h/a");
    let request = sent.request();
    let stranger = somebody(&json!({"sub": "ada"}));
    let route = |router: &Router, caller| router.find_as(&request, caller).map(|found| found.route);
    assert_eq!(route(&plain, Caller::Nobody), Ok(0));
    assert_eq!(route(&only, Caller::Nobody), Err(Missed::NoCredential));
    assert_eq!(
        route(&only, Caller::Known(&stranger)),
        Err(Missed::NoRoute),
        "`/*` is not another door"
    );
    let found = only.find(&request).expect("claims are taken to hold");
    assert!(found.has_claims);
    let elsewhere = Sent::parse("GET h/b");
    let found = only.find(&elsewhere.request()).expect("a route");
    assert!(!found.has_claims);
}

#[test]
fn an_explanation_says_which_claim_is_missing_and_which_is_another() {
    let router = Router::compile(&routes(&[
        "path=/a claim=tenant:acme claim=plan:gold,silver",
        "path=/a claim=tenant:acme",
    ]));
    let sent = Sent::parse("GET h/a");
    let failed = |caller: Caller<'_>| {
        let explanation = router.explain(&sent.request(), caller);
        let considered = explanation.considered.into_iter();
        let failed = considered.flat_map(|one| one.failed).collect::<Vec<_>>();
        (explanation.outcome, failed.join("; "))
    };
    let nobody = "claim tenant needs a credential; claim plan needs a credential; claim tenant needs a credential";
    assert_eq!(
        failed(Caller::Nobody),
        (Outcome::NoCredential, nobody.to_owned())
    );
    let other = somebody(&json!({"plan": "canary"}));
    let said =
        "claim tenant is missing; claim plan is not among gold, silver; claim tenant is missing";
    assert_eq!(
        failed(Caller::Known(&other)),
        (Outcome::NoRoute, said.to_owned())
    );
}

/// The claims of a route, by the simplest reading.
fn hold(matcher: &Match, claims: &Value) -> bool {
    matcher.claims.iter().all(|rule| {
        let texts: Vec<String> = match &claims[&rule.claim.text] {
            Value::Null => return false,
            Value::Array(items) => items.iter().map(text).collect(),
            one => vec![text(one)],
        };
        rule.values.is_empty() || texts.iter().any(|text| rule.values.contains(text))
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // No value of a route looks like that.
        Value::Object(_) | Value::Array(_) | Value::Null => "{}".to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn the_router_agrees_with_the_written_rule_on_random_claims() {
    let mut random = fastrand::Rng::with_seed(0x63_6c_61_69);
    let said = [
        json!(null),
        json!("a"),
        json!("A"),
        json!(1),
        json!(true),
        json!(["b", 1]),
        json!(["a"]),
        json!([]),
        json!({"a": 1}),
    ];
    let (mut chosen, mut refused, mut fell) = (0, 0, 0);
    for _ in 0..1_500 {
        let mut places: Vec<String> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        for _ in 0..random.usize(2..14) {
            // Often the place of another one.
            let place = match places.is_empty() || random.u8(0..3) == 0 {
                true => random_route(&mut random, false),
                false => places[random.usize(0..places.len())].clone(),
            };
            let mut route = place.clone();
            for _ in 0..random.usize(0..3) {
                let name = pick(&mut random, &["t", "u"]);
                let values = pick(&mut random, &["*", "a", "1", "a,b", "true"]);
                route.push_str(&format!("claim={name}:{values} "));
            }
            places.push(place);
            words.push(route);
        }
        let texts: Vec<_> = words.iter().map(String::as_str).collect();
        let routes = routes(&texts);
        let router = Router::compile(&routes);
        for _ in 0..40 {
            let sent = random_request(&mut random, false);
            let mut value = || said[random.usize(0..said.len())].clone();
            let claims = json!({"t": value(), "u": value()});
            let principal = somebody(&claims);
            let is_known = random.bool();
            let caller = match is_known {
                true => Caller::Known(&principal),
                false => Caller::Nobody,
            };
            let found = router.find_as(&sent.request(), caller);
            let actual = found
                .as_ref()
                .map(|found| found.route)
                .map_err(Clone::clone);
            let by_rule = expected(&routes, &sent, |matcher| match is_known {
                true => hold(matcher, &claims),
                false => matcher.claims.is_empty(),
            });
            let first = router.find(&sent.request());
            let by_rule = by_rule.map_err(|missed| match first.is_ok() && !is_known {
                true => Missed::NoCredential,
                false => missed,
            });
            assert_eq!(
                actual,
                by_rule,
                "{claims} {is_known} {:?}\n{words:#?}",
                sent.request()
            );
            match (first.is_ok_and(|first| first.has_claims), found) {
                (true, Ok(found)) if found.has_claims => chosen += 1,
                (true, Ok(_)) => fell += 1,
                (true, Err(_)) => refused += 1,
                (false, _) => {}
            }
        }
    }
    assert!(
        chosen > 1_000 && refused > 1_000 && fell > 1_000,
        "{chosen} {refused} {fell}"
    );
}
