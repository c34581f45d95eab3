use super::*;

const STATED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn settings(sample: u32, parent: TrustedParent) -> Tracing {
    Tracing {
        sample: Share::of_millionths(sample).unwrap(),
        parent,
        errors: true,
        slow: None,
    }
}

fn fields(parent: &str, state: &str) -> Fields {
    let mut fields = Fields::new();
    fields.append(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
    fields.append(TRACESTATE, HeaderValue::from_str(state).unwrap());
    fields
}

fn begin(settings: &Tracing, fields: &Fields, is_trusted: bool) -> (Box<Trace>, RequestId) {
    let id = RequestId::generate();
    let trace = Trace::begin(settings, fields, is_trusted, id, Instant::now());
    (trace, id)
}

#[test]
fn only_those_who_are_trusted_are_followed() {
    let fields = fields(STATED, "a=1");
    for (parent, is_trusted, is_followed) in [
        (TrustedParent::Proxies, true, true),
        (TrustedParent::Proxies, false, false),
        (TrustedParent::All, false, true),
        (TrustedParent::Nobody, true, false),
    ] {
        let (trace, id) = begin(&settings(0, parent), &fields, is_trusted);
        assert_eq!(
            trace.parent.is_some(),
            is_followed,
            "{parent:?} {is_trusted}"
        );
        assert_eq!(trace.state.is_some(), is_followed);
        // Its decision holds as well.
        assert_eq!(trace.context.is_sampled(), is_followed);
        assert_eq!(trace.context.trace_id == id.number(), !is_followed);
    }
}

#[test]
fn the_callers_decision_is_not_changed_by_a_share() {
    let unsampled = STATED.replace("-01", "-00");
    let (mut trace, _) = begin(
        &settings(1_000_000, TrustedParent::All),
        &fields(&unsampled, "a=1"),
        false,
    );
    trace.sample(Share::ALL);
    assert!(!trace.context.is_sampled());
    let (mut trace, _) = begin(
        &settings(1_000_000, TrustedParent::All),
        &Fields::new(),
        false,
    );
    assert!(trace.context.is_sampled());
    trace.sample(Share::of_millionths(0).unwrap());
    assert!(!trace.context.is_sampled());
}

#[test]
fn an_invalid_state_goes_and_the_parent_stays() {
    let mut fields = fields(STATED, "a=1,a=2");
    let (mut trace, _) = begin(&settings(0, TrustedParent::All), &fields, false);
    assert!(trace.parent.is_some() && trace.state.is_none());
    trace.show(&mut fields);
    assert!(!fields.contains(&TRACESTATE));
    trace.settle(&mut fields);
    assert!(trace.outgoing().is_some() && fields.is_empty());
}

#[test]
fn header_rules_have_the_last_word_on_what_targets_are_told() {
    let (mut trace, _) = begin(&settings(0, TrustedParent::Nobody), &Fields::new(), false);
    let mut removed = Fields::new();
    trace.show(&mut removed);
    removed.remove(&TRACEPARENT);
    trace.settle(&mut removed);
    assert!(trace.outgoing().is_none());
    let mut changed = fields(STATED, "a=1");
    trace.settle(&mut changed);
    assert!(trace.outgoing().is_none());
    assert_eq!(changed.get(&TRACEPARENT).unwrap(), STATED);
}
