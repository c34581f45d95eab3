use std::time::{Duration, Instant};

use bytes::Bytes;

mod bounds;
mod templates;

use crate::{Budget, Escape, Fault, Input, Keys, Kind, Moment, Normalize, Path, Program, Stop};

fn budget() -> Budget {
    Budget {
        steps: 1_000_000,
        time: Duration::from_millis(500),
        memory: 64 << 20,
        output: 4 << 20,
        stack: 8 << 20,
    }
}

/// Runs on a stack as deep as those that long runs get.
fn run_with(program: &Program, input: &Input, budget: Budget) -> Result<String, Stop> {
    std::thread::scope(|scope| {
        let run = || program.run(input, &budget);
        let thread = std::thread::Builder::new().stack_size(crate::STACK);
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        let text = thread.join().expect("no panic")?;
        Ok(String::from_utf8(text.to_vec()).expect("UTF-8"))
    })
}

fn jq_on(source: &str, body: &str) -> Result<String, Stop> {
    let program = Program::jq(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    let input = Input {
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
        request: Some(Bytes::from_static(
            br#"{"method":"GET","headers":{"x-a":"1"}}"#,
        )),
        response: Some(Bytes::from_static(br#"{"status":200}"#)),
    };
    run_with(&program, &input, budget())
}

fn jq(source: &str, body: &str) -> String {
    jq_on(source, body).unwrap_or_else(|stop| panic!("{source} of {body}: {stop}"))
}

fn template(source: &str, escape: Escape, body: &str) -> Result<String, Stop> {
    let program = Program::template(source, escape).unwrap_or_else(|faults| panic!("{faults:?}"));
    let input = Input {
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
        ..Input::default()
    };
    run_with(&program, &input, budget())
}

#[test]
fn programs_do_what_they_do_elsewhere() {
    for (source, body, expected) in [
        (
            ".",
            r#"{"b":1,"a":[true,null,"x"]}"#,
            r#"{"b":1,"a":[true,null,"x"]}"#,
        ),
        (
            "{id, n: .name}",
            r#"{"id":1,"name":"A","z":2}"#,
            r#"{"id":1,"n":"A"}"#,
        ),
        (
            "[.[] | select(.a > 1) | .a]",
            r#"[{"a":1},{"a":2},{"a":3}]"#,
            "[2,3]",
        ),
        (
            "del(.a, .b.c)",
            r#"{"a":1,"b":{"c":2,"d":3},"e":4}"#,
            r#"{"b":{"d":3},"e":4}"#,
        ),
        (".a.b |= . + 1", r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#),
        (".a.b = 1", "{}", r#"{"a":{"b":1}}"#),
        (".a[1:3] = [9]", r#"{"a":[1,2,3,4]}"#, r#"{"a":[1,9,4]}"#),
        (".[-1], .[1:] | tostring | [.]", "[1]", "error"),
        ("map(. * 2) | add", "[1,2,3]", "12"),
        (
            "to_entries | map(.key) | join(\",\")",
            r#"{"b":1,"a":2}"#,
            r#""b,a""#,
        ),
        ("keys", r#"{"b":1,"a":2}"#, r#"["a","b"]"#),
        (
            "group_by(.k) | map({k: .[0].k, n: length})",
            r#"[{"k":2},{"k":1},{"k":2}]"#,
            r#"[{"k":1,"n":1},{"k":2,"n":2}]"#,
        ),
        ("sort_by(-.)", "[1,3,2]", "[3,2,1]"),
        ("[paths]", r#"{"a":[1]}"#, r#"[["a"],["a",0]]"#),
        (
            "walk(if type == \"number\" then . + 1 else . end)",
            r#"[1,{"a":2}]"#,
            r#"[2,{"a":3}]"#,
        ),
        ("test(\"^a+$\"), 1 | [.] | length", "\"aaa\"", "error"),
        (
            "gsub(\"(?<d>[0-9])\"; \"<\\(.d)>\")",
            "\"a1b2\"",
            r#""a<1>b<2>""#,
        ),
        (
            "split(\", \") | map(ascii_upcase)",
            "\"a, b\"",
            r#"["A","B"]"#,
        ),
        ("todate", "1700000000", r#""2023-11-14T22:13:20Z""#),
        ("fromdate", "\"2023-11-14T22:13:20Z\"", "1700000000"),
        (
            "strptime(\"%d.%m.%Y\") | mktime",
            "\"14.11.2023\"",
            "1699920000",
        ),
        ("tojson | fromjson", r#"{"a":[1.5]}"#, r#"{"a":[1.5]}"#),
        ("[.[] | tostring]", r#"[1,"1",[1]]"#, r#"["1","1","[1]"]"#),
        ("try error(\"x\") catch .", "null", r#""x""#),
        (".a // \"none\"", "{}", r#""none""#),
        ("[limit(3; repeat(1))]", "null", "[1,1,1]"),
        ("reduce .[] as $x (0; . + $x)", "[1,2,3]", "6"),
        ("[foreach .[] as $x (0; . + $x)]", "[1,2,3]", "[1,3,6]"),
        (". as [$a, {b: $b}] | $a + $b", r#"[1,{"b":2}]"#, "3"),
        ("indices(1)", "[0,1,2,1]", "[1,3]"),
        ("indices(\"b\")", "\"abcb\"", "[1,3]"),
        (
            "[.[] | length]",
            r#"[null,"äb",[1],{"a":1},-3]"#,
            "[0,2,1,1,3]",
        ),
        ("contains({a: [\"x\"]})", r#"{"a":["xyz"],"b":1}"#, "true"),
        (
            "{a: 1} * {a: {b: 2}} * {a: {c: 3}}",
            "null",
            r#"{"a":{"b":2,"c":3}}"#,
        ),
        (
            "@base64 + @uri + @html",
            "\"<a b>\"",
            r#""PGEgYj4=%3Ca%20b%3E&lt;a b&gt;""#,
        ),
        (
            "$request.method + $request.headers[\"x-a\"] + ($response.status | tostring)",
            "{}",
            r#""GET1200""#,
        ),
        ("7 / 2, 6 / 2 | [.] | .[0]", "null", "error"),
        ("[7 / 2, 6 / 2, 7 % 3, -7 % 3]", "null", "[3.5,3,1,-1]"),
        ("[.[] | floor]", "[1.7,-1.2]", "[1,-2]"),
        ("\"ab\" * 3", "null", r#""ababab""#),
        ("[splits(\", *\")]", "\"a,b, c\"", r#"["a","b","c"]"#),
        ("any(. > 2), all(. > 0) | [.] | .[0]", "[1,3]", "error"),
        ("getpath([\"a\",0])", r#"{"a":[5]}"#, "5"),
        ("[.[] as {a: $x} ?// [$x] | $x]", "[]", "error"),
    ] {
        if expected == "error" {
            let outcome = Program::jq(source).map(|_| jq_on(source, body));
            assert!(!matches!(outcome, Ok(Ok(_))), "{source}: {outcome:?}");
        } else {
            assert_eq!(jq(source, body), expected, "{source}");
        }
    }
}

#[test]
fn what_is_only_passed_on_stays_what_it_is() {
    for text in [
        "12345678901234567890123",
        "1.00",
        "-0",
        "-0.0",
        "1e400",
        "0.1",
        "9223372036854775807",
        "-9223372036854775808",
        "1E5",
        r#""\u0000\n\"\\é😀""#,
        r#"{"b":1,"a":{"":[]},"ä":{}}"#,
    ] {
        assert_eq!(jq(".", text), text);
        assert!(crate::is_json(text.as_bytes()), "{text}");
        assert_eq!(jq(".x", &format!("{{\"x\":{text}}}")), text);
    }
    let sum = jq(".[0] + .[1]", "[9223372036854775807,1]");
    assert_eq!(sum.parse(), Ok(9_223_372_036_854_775_808_f64));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "truefalse",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "+1",
        "1.",
        ".5",
        "NaN",
        "Infinity",
        "# x\n1",
        "1 2",
        "'a'",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "[1",
        "{\"a\" 1}",
        "b\"x\"",
        "\u{feff}1",
    ] {
        assert_eq!(jq_on(".", text), Err(Stop::NotJson), "{text:?}");
        assert!(!crate::is_json(text.as_bytes()), "{text:?}");
    }
    let program = Program::jq(".").expect("a program");
    let input = Input {
        body: Some(Bytes::from_static(b"\"\xff\"")),
        ..Input::default()
    };
    assert_eq!(run_with(&program, &input, budget()), Err(Stop::NotJson));
}

#[test]
fn mistakes_have_a_place() {
    let fault = |source: &str| -> Fault {
        Program::jq(source)
            .err()
            .unwrap_or_default()
            .into_iter()
            .next()
            .expect(source)
    };
    for (source, at, message) in [
        (". | foo", 4, "there is no function `foo`"),
        (
            ". | map(1; 2)",
            4,
            "there is no function `map` with 2 arguments",
        ),
        ("$x", 0, "there is no variable `$x`"),
        ("{a: (1}", 6, "expected closing parenthesis"),
        ("[1, 2", 5, "expected closing bracket"),
        ("if . then 1", 11, "expected else or end"),
        (". |", 3, "expected term"),
        ("1 & 2", 2, "expected token"),
        ("", 0, "expected term"),
    ] {
        let fault = fault(source);
        assert_eq!((fault.at, &*fault.message), (Some(at), message), "{source}");
    }
}

#[test]
fn errors_of_programs_are_told_shortly() {
    let Err(Stop::Failed(message)) = jq_on("error(\"a\\n\" + \"b\" * 1000)", "null") else {
        panic!("an error");
    };
    assert!(message.starts_with("ab") && message.len() == 120);
    assert_eq!(jq_on("empty", "null"), Err(Stop::failed("it made nothing")));
    assert_eq!(
        jq_on("1, 2", "null"),
        Err(Stop::failed("it made more than one value"))
    );
}

#[test]
fn normalisation_changes_what_is_there() {
    let path = |text: &str| Path::parse(text).expect(text);
    let normalize = Normalize {
        remove: vec![path("users[].password")],
        types: vec![
            (path("users[].id"), Kind::String),
            (path("users[].age"), Kind::Integer),
            (path("users[].score"), Kind::Number),
            (path("users[].isActive"), Kind::Boolean),
            (path("users[].tags"), Kind::Array),
        ],
        dates: vec![
            (path("users[].created"), Moment::Seconds),
            (path("users[].seen"), Moment::Milliseconds),
            (
                path("users[].born"),
                Moment::Format("%d.%m.%Y %H:%M".to_owned()),
            ),
        ],
        defaults: vec![(path("users[].role"), "{\"is\":[\"guest\"]}".to_owned())],
        rename: vec![
            (path("users[].mail"), "eMail".to_owned()),
            (path("users"), "people".to_owned()),
        ],
        keys: Some(Keys::SnakeCase),
    };
    let program = Program::jq(&normalize.to_jq()).expect("a program");
    let body = r#"{"users":[{"id":7,"password":"x","age":"42","score":" 1.50 ","isActive":"yes","tags":"a","created":1700000000,"seen":1700000000123,"born":"01.02.2003 04:05","mail":"m"},{"id":null},3],"n":1}"#;
    let input = Input {
        body: Some(Bytes::from_static(body.as_bytes())),
        ..Input::default()
    };
    assert_eq!(
        run_with(&program, &input, budget()).expect("JSON"),
        r#"{"people":[{"id":"7","age":42,"score":1.50,"is_active":true,"tags":["a"],"created":"2023-11-14T22:13:20Z","seen":"2023-11-14T22:13:20.123Z","born":"2003-02-01T04:05:00Z","e_mail":"m","role":{"is":["guest"]}},{"id":null,"role":{"is":["guest"]}},3],"n":1}"#
    );
    let input = Input {
        body: Some(Bytes::from_static(br#"{"users":[{"age":"4.5"}]}"#)),
        ..Input::default()
    };
    assert_eq!(
        run_with(&program, &input, budget()),
        Err(Stop::failed("age: not an integer"))
    );
}

#[test]
fn names_cannot_become_programs() {
    let hostile = r#"a"; halt_run; "\(halt_run)"#;
    let normalize = Normalize {
        rename: vec![(Path::parse("a").expect("a path"), hostile.to_owned())],
        dates: vec![(
            Path::parse("b").expect("a path"),
            Moment::Format("\\(halt_run)\"".to_owned()),
        )],
        ..Normalize::default()
    };
    let program = Program::jq(&normalize.to_jq()).expect("a program");
    let input = Input {
        body: Some(Bytes::from_static(br#"{"a":1}"#)),
        ..Input::default()
    };
    let text = run_with(&program, &input, budget()).expect("JSON");
    assert_eq!(text, r#"{"a\"; halt_run; \"\\(halt_run)":1}"#);
}
