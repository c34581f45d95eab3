use std::time::{Duration, Instant};

use bytes::Bytes;

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
fn a_program_that_does_not_end_is_stopped() {
    for source in [
        "def f: f; f",
        "def f: f; [f]",
        "def f: try f catch f; f",
        "def f: (f)?; f",
        "def f: ., f; f | empty",
        "last(repeat(1))",
        "[repeat(empty)]",
        "reduce range(1e12) as $x (0; 1)",
        "last(range(1e12))",
        "first(range(1e12) | select(. < 0))",
        "try last(range(1e12)) catch .",
        "[limit(1e12; repeat(1)) | empty]",
        "until(false; .)",
        "label $out | foreach repeat(1) as $x (0; . + 1; empty)",
        "while(true; .) | empty",
        "any(repeat(false))",
        "path(def f: if . == 1 then . else f end; f)",
        "null | (def f: if .x == 1 then . else .a | f end; f) |= 1",
        "skip(1e12; range(1e13))",
        "[.[] | try error(.) catch (def f: f; f)]",
    ] {
        let begun = Instant::now();
        let outcome = jq_on(source, "[1]");
        assert!(
            matches!(outcome, Err(Stop::Time | Stop::Memory | Stop::Depth)),
            "{source}: {outcome:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{source}");
    }
}

#[test]
fn a_program_that_makes_too_much_is_stopped() {
    for source in [
        "[range(1e9)]",
        "\"a\" * 1e9",
        "\"a\" * 1e300",
        "reduce range(100) as $i (\"a\"; . + .)",
        "reduce range(100) as $i ([1]; . + .)",
        "reduce range(100) as $i ([1]; [., .])",
        "reduce range(100) as $i ({a: 1}; {a: ., b: .}) | tojson",
        "reduce range(100) as $i ([1]; [., .]) | . == .",
        "[limit(1e9; repeat(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"))]",
        "def f: [f]; f",
        "def f: 1 + f; f",
        "def f: f | .; f",
        "reduce range(1e6) as $i (1; [.])",
        "reduce range(1e6) as $i (1; {a: .})",
        "last(recurse([.]))",
        "[range(300)] | combinations(20)",
        "reduce range(1e9) as $i ([]; . + [$i])",
        "reduce range(1e9) as $i ({}; .[$i | tostring] = $i)",
        "[range(1e5)] | map(tostring) | map(. * 1e5) | join(\"\")",
        "\"a\" * 1e6 | [limit(1000; repeat(. + \"b\"))]",
        "[.[0] | getpath([range(1e6) | \"a\"])] | path(getpath([range(1e6) | \"a\"]))",
        "\"a\" * 1e6 | test(\"(a{100}){100}b\")",
        "\"a\" * 1e6 | test(\"(a*)*b\")",
        "\"a\" * 1e7 | explode",
    ] {
        let begun = Instant::now();
        let outcome = jq_on(source, "[null]");
        assert!(
            outcome.is_err(),
            "{source}: {}",
            outcome.unwrap_or_default().len()
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{source}");
    }
}

/// The interpreter's lists are dropped by recursion, one call for each item.
#[test]
fn long_lists_of_the_interpreter_do_not_exhaust_the_stack() {
    for source in [
        "path(def f: if .x == 1 then . else .a | f end; f)",
        "[path(limit(1; def f: .a | f; f))]",
        "[limit(300000; def f: 1, f; f)] | length",
        "def f($n): if $n == 0 then 0 else f($n - 1) end; f(300000)",
        "def f(g): if . == 0 then g else . - 1 | f(g) end; 100000 | f(1)",
        "def f(g): if . == 0 then g else . - 1 | f(g | g) end; 100000 | f(1)",
        "[limit(100000; repeat(1))] | reduce .[] as $x (0; . + $x)",
    ] {
        let _ = jq_on(source, "null");
        // On a worker's own stack, where runs are brief.
        let brief = Budget {
            steps: 2_048,
            stack: 256 << 10,
            ..budget()
        };
        let program = Program::jq(source).expect("a program");
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let run = move || program.run(&Input::default(), &brief).is_ok();
        let thread = thread.spawn(run).expect("a thread");
        thread.join().expect("no panic");
    }
}

#[test]
fn input_is_bounded_as_well() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(jq_on(".", &deep), Err(Stop::Depth));
    assert!(!crate::is_json(deep.as_bytes()));
    let deep = "{\"a\":".repeat(201) + "1" + &"}".repeat(201);
    assert_eq!(jq_on(".", &deep), Err(Stop::Depth));
    let fine = "[".repeat(150) + &"]".repeat(150);
    assert_eq!(jq(".", &fine), fine);
    let wide = format!("[{}1]", "1,".repeat(4_000_000));
    assert!(jq_on(".", &wide).is_err());
}

#[test]
fn values_are_not_nested_deeper_than_anything_can_walk() {
    for source in [
        "reduce range(201) as $i (1; [.])",
        "reduce range(201) as $i (1; {a: .})",
        "setpath([range(201) | \"a\"]; 1)",
    ] {
        assert_eq!(jq_on(source, "null"), Err(Stop::Depth), "{source}");
    }
    assert_eq!(
        jq("reduce range(200) as $i (1; [.]) | flatten", "null"),
        "[1]"
    );
}

#[test]
fn output_is_bounded() {
    let program = Program::jq("\"a\" * 100").expect("a program");
    let small = Budget {
        output: 100,
        ..budget()
    };
    assert_eq!(
        run_with(&program, &Input::default(), small),
        Err(Stop::Output)
    );
    let enough = Budget {
        output: 102,
        ..budget()
    };
    assert!(run_with(&program, &Input::default(), enough).is_ok());
}

#[test]
fn nothing_of_the_machine_can_be_seen() {
    for source in [
        "env",
        "$ENV",
        "$ENV.PATH",
        "input",
        "inputs",
        "debug",
        "stderr",
        "halt",
        "halt_error",
        "input_filename",
        "localtime",
        "strflocaltime(\"%H\")",
        "$__loc__",
        "$__prog_args",
        "get_search_list",
        "input_line_number",
        "import \"a\" as a; .",
        "include \"a\"; .",
        "import \"/etc/passwd\" as $p; $p",
        "splits",
    ] {
        assert!(Program::jq(source).is_err(), "{source}");
    }
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
fn templates_make_text() {
    let body = r#"{"name":"<b>","items":[{"n":1},{"n":2.5}],"none":null}"#;
    let json = r#"{"name": {{ body.name }}, "all": [{% for i in body["items"] %}{{ i.n }}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
    assert_eq!(
        template(json, Escape::Json, body).expect("text"),
        r#"{"name": "<b>", "all": [1,2.5]}"#
    );
    assert_eq!(
        template("<p>{{ body.name }}</p>", Escape::Html, body).expect("text"),
        "<p>&lt;b&gt;</p>"
    );
    assert_eq!(
        template(
            "{{ body.name | upper | replace(\"B\", \"x\") }}",
            Escape::None,
            body
        )
        .expect("text"),
        "<x>"
    );
    assert_eq!(
        template(
            "{{ body[\"items\"] | map(attribute=\"n\") | join(\"+\") }}",
            Escape::None,
            body
        )
        .expect("text"),
        "1+2.5"
    );
    assert_eq!(
        template("{{ body.missing | default(\"-\") }}", Escape::None, body).expect("text"),
        "-"
    );
    assert!(
        matches!(template("\n{{ body.missing.x }}", Escape::None, body), Err(Stop::Failed(message)) if message.contains("line 2"))
    );
}

#[test]
fn templates_are_bounded() {
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 99999999 }}",
        "{{ ([body] * 1000000) | tojson }}",
        "{% set a = body | tojson %}{{ ([a] * 1000000) | join(',') }}",
        "{{ ([body] * 1000000) | map('tojson') | list | length }}",
        "{% for a in range(99999) %}{{ body | tojson }}{{ body | tojson }}{{ body | tojson }}{% endfor %}",
        "{{ ('a' * 9999) | replace('a', 'b' * 9999) }}",
        "{{ ('a' * 9999) | replace('', 'b' * 9999) }}",
    ] {
        let begun = Instant::now();
        let outcome = template(source, Escape::None, r#"{"a":[1,2,3]}"#);
        assert!(
            outcome.is_err(),
            "{source}: {}",
            outcome.unwrap_or_default().len()
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{source}");
    }
    for source in [
        "{% for a in [1] recursive %}{{ loop([a]) }}{% endfor %}",
        "{%- for a in ['ab'] recursive -%}{{ loop([a ~ a ~ a ~ a ~ a]) }}{% endfor %}",
        "{% set a %}{% for b in range(99999) %}{{ body }}{% endfor %}{% endset %}",
        "{% filter upper %}a{% endfilter %}",
        "{% macro f() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{{ 1 | nothing }}",
        "{{ namespace() }}{% if %}",
        "{% for %}",
        "a\n{{ body.",
    ] {
        let outcome = Program::template(source, Escape::None);
        assert!(outcome.is_err(), "{source}");
    }
    let faults = Program::template("a\n{{ body. }}", Escape::None).expect_err("a fault");
    assert_eq!(faults[0].at, Some(11), "{faults:?}");
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
