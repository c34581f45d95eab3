//! What no program can do, whatever it is given.

use super::*;

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
