use super::*;

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn read(text: &str) -> Option<Context> {
    parse(text.as_bytes())
}

fn fields(name: &HeaderName, values: &[&str]) -> Fields {
    let mut fields = Fields::new();
    for value in values {
        fields.append(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    fields
}

fn state_of(values: &[&str]) -> bool {
    has_valid_state(&fields(&TRACESTATE, values))
}

#[test]
fn what_is_written_is_read_again() {
    let context = read(VALID).unwrap();
    assert_eq!(context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(context.span_id, 0xb7ad_6b71_6920_3331);
    assert!(context.is_sampled());
    assert_eq!(context.text(context.span_id), VALID.as_bytes());
}

#[test]
fn what_breaks_a_rule_is_no_parent() {
    for text in [
        "",
        "00",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01what",
        "00-0af7651916cd43dd8448eb211c80319cb7ad6b71692033310-01-",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(parent(&fields(&TRACEPARENT, &[VALID, VALID])), None);
    assert_eq!(parent(&fields(&TRACEPARENT, &[&"0".repeat(1 << 20)])), None);
    let long = format!("01{}-{}", &VALID[2..], "x".repeat(1 << 20));
    assert!(read(&long).is_some());
}

#[test]
fn later_versions_are_read_as_this_one() {
    for text in [
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-will-be",
    ] {
        let context = read(text).unwrap();
        assert_eq!(context.text(context.span_id), VALID.as_bytes());
    }
}

#[test]
fn flags_without_a_meaning_are_cleared() {
    let flags = |text: &str| read(&format!("{}{text}", &VALID[..53])).unwrap().flags;
    assert_eq!(
        [flags("00"), flags("01"), flags("ff"), flags("fe")],
        [0, 1, 3, 2]
    );
}

#[test]
fn every_attempt_has_a_span_of_its_own() {
    let context = read(VALID).unwrap();
    let spans: std::collections::HashSet<u64> =
        (1..1000).map(|number| context.attempt(number)).collect();
    assert_eq!(spans.len(), 999);
    assert!(!spans.contains(&context.span_id) && !spans.contains(&0));
}

#[test]
fn a_state_is_a_list_of_distinct_keys() {
    assert!(state_of(&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"]));
    assert!(state_of(&["a=1, \tb=2", "fw529a3039@dt=FfAAAA", ",,"]));
    assert!(state_of(&["1a@b=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"]));
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("k{at}=v"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert!(state_of(&[&many(32)]));
    for wrong in [
        "",
        "a",
        "=a",
        "a=",
        "a=1,a=2",
        "A=1",
        "1a=1",
        "a@=1",
        "@a=1",
        "a@b@c=1",
        "a@1b=1",
        "a=b=c",
        "a b=1",
        "a=\tb",
        &many(33),
        &format!("a={}", "v".repeat(257)),
        &format!("{}=v", "k".repeat(257)),
        &format!("a={}", "v,".repeat(1 << 19)),
    ] {
        assert!(!state_of(&[wrong]), "{}", &wrong[..wrong.len().min(60)]);
    }
    assert!(!state_of(&["a=1", "a=2"]));
}

#[test]
fn fields_of_one_state_are_joined() {
    let state = |values: &[&str]| state(&fields(&TRACESTATE, values));
    assert_eq!(state(&[]), None);
    assert_eq!(state(&["a=1"]).unwrap(), "a=1");
    assert_eq!(state(&["a=1", "b=2", "c=3"]).unwrap(), "a=1,b=2,c=3");
}
