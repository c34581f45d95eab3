use super::*;

const OLD: &[u8] = b"whsec-old-0123456789abcdef";
const NEW: &[u8] = b"whsec-new-0123456789abcdef";
const BODY: &[u8] = b"{\"id\":\"evt_1\"}";
const NOW: u64 = 1_700_000_000;

fn mac(secret: &[u8], parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn stamp(secret: &[u8], time: u64) -> String {
    mac(secret, &[time.to_string().as_bytes(), b".", BODY])
}

fn check(
    form: &SimpleForm,
    fields: &[(&str, &str)],
    body: &[u8],
    now: u64,
) -> Result<SimplyVerified, Fault> {
    let message = Message {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/hooks",
        query: None,
        content_length: None,
        has_body: true,
        fields: fields.iter().map(|(name, value)| (*name, value.as_bytes())),
    };
    let secrets = Secrets::new([OLD, NEW]).unwrap();
    let mut check = form.begin(&message, &secrets, now)?;
    for chunk in body.chunks(3) {
        check.update(chunk);
    }
    check.finish()
}

fn stamped_form() -> SimpleForm {
    SimpleForm::Stamped {
        header: "x-signature".into(),
        tolerance: 300,
    }
}

fn timed_form() -> SimpleForm {
    SimpleForm::Timed {
        header: "x-signature".into(),
        timestamp: "x-timestamp".into(),
        tolerance: 300,
    }
}

fn body_form() -> SimpleForm {
    SimpleForm::Body {
        header: "x-hub-signature-256".into(),
    }
}

/// The example of GitHub's documentation on validating deliveries.
#[test]
fn the_published_example_of_the_body_form_is_accepted() {
    let fields = [(
        "X-Hub-Signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )];
    let message = Message {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/",
        query: None,
        content_length: None,
        has_body: true,
        fields: fields.iter().map(|(name, value)| (*name, value.as_bytes())),
    };
    let secrets = Secrets::new([&b"It's a Secret to Everybody"[..]]).unwrap();
    let mut check = body_form().begin(&message, &secrets, NOW).unwrap();
    check.update(b"Hello, World!");
    let verified = check.finish().unwrap();
    assert_eq!((verified.secret, verified.until), (0, None));
}

#[test]
fn each_secret_is_accepted_and_told_apart() {
    for (index, secret) in [OLD, NEW].into_iter().enumerate() {
        let value = format!("t={NOW},v1={}", stamp(secret, NOW));
        let verified = check(&stamped_form(), &[("x-signature", &value)], BODY, NOW).unwrap();
        assert_eq!((verified.secret, verified.until), (index, Some(NOW + 300)));

        let value = format!("sha256={}", stamp(secret, NOW).to_uppercase());
        let time = NOW.to_string();
        let fields = [("X-Signature", value.as_str()), ("X-Timestamp", &time)];
        assert_eq!(
            check(&timed_form(), &fields, BODY, NOW).unwrap().secret,
            index
        );
    }
    let other = b"whsec-other-0123456789abcdef";
    let value = format!("t={NOW},v1={}", stamp(other, NOW));
    assert_eq!(
        check(&stamped_form(), &[("x-signature", &value)], BODY, NOW),
        Err(Fault::Invalid)
    );
}

#[test]
fn one_of_several_signatures_is_enough() {
    let (other, own) = (mac(b"another", &[BODY]), stamp(NEW, NOW));
    let value = format!("t={NOW}, v0={other}, v1={other}, v1={own}");
    assert!(check(&stamped_form(), &[("x-signature", &value)], BODY, NOW).is_ok());
}

#[test]
fn the_time_is_signed_and_must_be_near() {
    let value = format!("t={NOW},v1={}", stamp(OLD, NOW));
    let fields = [("x-signature", value.as_str())];
    let at = |now| check(&stamped_form(), &fields, BODY, now).map(|_| ());
    assert_eq!(at(NOW + 300), Ok(()));
    assert_eq!(at(NOW + 301), Err(Fault::TooOld));
    assert_eq!(at(NOW - 300), Ok(()));
    assert_eq!(at(NOW - 301), Err(Fault::FromTheFuture));

    let moved = format!("t={},v1={}", NOW + 1, stamp(OLD, NOW));
    assert_eq!(
        check(&stamped_form(), &[("x-signature", &moved)], BODY, NOW),
        Err(Fault::Invalid)
    );
}

#[test]
fn every_changed_byte_is_refused() {
    let value = format!("sha256={}", mac(OLD, &[BODY]));
    let fields = [("x-hub-signature-256", value.as_str())];
    assert!(check(&body_form(), &fields, BODY, NOW).is_ok());
    for index in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[index] ^= 1;
        assert_eq!(
            check(&body_form(), &fields, &body, NOW),
            Err(Fault::Invalid)
        );
    }
    for index in "sha256=".len()..value.len() {
        let mut changed = value.clone().into_bytes();
        changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        let fields = [("x-hub-signature-256", changed.as_str())];
        assert_eq!(check(&body_form(), &fields, BODY, NOW), Err(Fault::Invalid));
    }
}

#[test]
fn hostile_fields_are_refused_with_their_reason() {
    let own = stamp(OLD, NOW);
    let cases = [
        (String::new(), Fault::SimpleMalformed),
        ("t=1".into(), Fault::SimpleMalformed),
        (format!("v1={own}"), Fault::NoCreated),
        (format!("t={NOW},t={NOW},v1={own}"), Fault::SimpleMalformed),
        (format!("t=+{NOW},v1={own}"), Fault::SimpleMalformed),
        (format!("t=,v1={own}"), Fault::SimpleMalformed),
        (format!("t={},v1={own}", u128::MAX), Fault::SimpleMalformed),
        (format!("t={NOW},v1={}", &own[1..]), Fault::SimpleMalformed),
        (
            format!("t={NOW},v1=zz{}", &own[2..]),
            Fault::SimpleMalformed,
        ),
        (format!("t={NOW},v0={own}"), Fault::SimpleMalformed),
        (
            format!("t={NOW}{}", format!(",v1={own}").repeat(5)),
            Fault::SimpleMalformed,
        ),
        (
            format!("t={NOW},{}", "a=".repeat(1024)),
            Fault::SimpleMalformed,
        ),
        (format!("t={NOW},v1=é{}", &own[2..]), Fault::SimpleMalformed),
    ];
    for (value, fault) in cases {
        let refused = check(&stamped_form(), &[("x-signature", &value)], BODY, NOW);
        assert_eq!(refused, Err(fault), "{value}");
    }
    let value = format!("t={NOW},v1={own}");
    let twice = [("x-signature", value.as_str()), ("X-Signature", &value)];
    assert_eq!(
        check(&stamped_form(), &twice, BODY, NOW),
        Err(Fault::SimpleMalformed)
    );
    assert_eq!(
        check(&stamped_form(), &[], BODY, NOW),
        Err(Fault::NoSignature)
    );
    let untimed = format!("sha256={own}");
    let untimed = [("x-signature", untimed.as_str())];
    assert_eq!(
        check(&timed_form(), &untimed, BODY, NOW),
        Err(Fault::NoCreated)
    );
}

#[test]
fn secrets_are_long_enough_and_few_and_not_shown() {
    assert_eq!(
        Secrets::new([&b"short"[..]]).unwrap_err(),
        KeyError::ShortSecret
    );
    assert_eq!(Secrets::new([OLD; 5]).unwrap_err(), KeyError::ManySecrets);
    let shown = format!("{:?}", Secrets::new([OLD]).unwrap());
    assert!(!shown.contains("whsec"), "{shown}");
}
