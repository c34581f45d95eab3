use super::*;

type Fields<'a> = Vec<(&'a str, &'a [u8])>;

fn with<'a>(
    fields: &'a Fields<'a>,
) -> Message<'a, impl Iterator<Item = (&'a str, &'a [u8])> + Clone> {
    Message {
        method: "GET",
        scheme: "https",
        authority: "WWW.Example.com:443",
        path: "/path",
        query: Some("param=value"),
        content_length: Some(18),
        has_body: false,
        fields: fields.iter().copied(),
    }
}

/// The base for what `list` covers, without its last line.
fn lines(fields: &[(&str, &str)], list: &str) -> Result<String, Fault> {
    let input = format!("sig={list}");
    let mut all: Fields<'_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    all.push(("Signature-Input", input.as_bytes()));
    all.push(("Signature", b"sig=:AA==:"));
    let message = with(&all);
    let inputs = Input::read(&message)?;
    let base = write(&message, &inputs[0])?;
    let (lines, last) = base.rsplit_once('\n').unwrap_or(("", &base));
    assert_eq!(last, format!("\"@signature-params\": {list}"));
    Ok(lines.to_owned())
}

fn fault(fields: &[(&str, &str)], list: &str) -> Fault {
    lines(fields, list).unwrap_err()
}

/// RFC 9421 §2.2.
#[test]
fn derived_components_have_the_values_of_the_standard() {
    let cases = [
        ("@method", "GET"),
        ("@target-uri", "https://www.example.com/path?param=value"),
        ("@authority", "www.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/path?param=value"),
        ("@path", "/path"),
        ("@query", "?param=value"),
        ("host", "WWW.Example.com:443"),
        ("content-length", "18"),
    ];
    for (name, value) in cases {
        assert_eq!(
            lines(&[], &format!("(\"{name}\")")),
            Ok(format!("\"{name}\": {value}"))
        );
    }
    assert_eq!(
        lines(&[], r#"("@query-param";name="param")"#).as_deref(),
        Ok(r#""@query-param";name="param": value"#)
    );
}

#[test]
fn an_empty_path_and_no_query_have_values_too() {
    let fields: Fields<'_> = vec![
        (
            "signature-input",
            br#"sig=("@path" "@query" "@target-uri")"#,
        ),
        ("signature", b"sig=:AA==:"),
    ];
    let mut message = with(&fields);
    (message.path, message.query) = ("", None);
    (message.scheme, message.authority) = ("http", "example.com:8080");
    let base = write(&message, &Input::read(&message).unwrap()[0]).unwrap();
    let expected = "\"@path\": /\n\"@query\": ?\n\"@target-uri\": http://example.com:8080/\n";
    assert!(base.starts_with(expected), "{base}");
}

/// RFC 9421 §2.1.
#[test]
fn lines_of_a_field_are_trimmed_and_joined() {
    let fields = [
        ("Cache-Control", "max-age=60"),
        ("X-OWS-Header", "  Leading and trailing whitespace.  \t"),
        ("cache-control", "   must-revalidate"),
        ("Empty", ""),
    ];
    assert_eq!(
        lines(&fields, r#"("cache-control" "x-ows-header" "empty")"#).as_deref(),
        Ok("\"cache-control\": max-age=60, must-revalidate\n\
            \"x-ows-header\": Leading and trailing whitespace.\n\
            \"empty\": ")
    );
}

/// RFC 9421 §2.1.1, §2.1.2.
#[test]
fn structured_fields_and_their_members_are_serialised_anew() {
    let fields = [("Example-Dict", "  a=1, b=2;x=1;y=2,    c=(a   b    c), d")];
    let members = [
        ("a", "1"),
        ("d", "?1"),
        ("b", "2;x=1;y=2"),
        ("c", "(a b c)"),
    ];
    for (key, value) in members {
        let identifier = format!("\"example-dict\";key=\"{key}\"");
        assert_eq!(
            lines(&fields, &format!("({identifier})")),
            Ok(format!("{identifier}: {value}"))
        );
    }
    assert_eq!(
        lines(
            &[("cache-control", "max-age=60,   no-store")],
            r#"("cache-control";sf)"#
        )
        .as_deref(),
        Ok(r#""cache-control";sf: max-age=60, no-store"#)
    );
    assert_eq!(
        fault(&fields, r#"("example-dict";key="e")"#),
        Fault::AbsentComponent
    );
    assert_eq!(
        fault(&fields, r#"("example-dict";sf)"#),
        Fault::BadComponentParameter
    );
    assert_eq!(
        fault(&[("priority", "u=")], r#"("priority";sf)"#),
        Fault::BadValue
    );
}

/// RFC 9421 §2.1.3.
#[test]
fn each_line_can_be_signed_as_bytes() {
    let apart = [
        ("example-header", "value, with, lots"),
        ("example-header", "of, commas"),
    ];
    assert_eq!(
        lines(&apart, r#"("example-header";bs)"#).as_deref(),
        Ok(r#""example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"#)
    );
    let together = [("example-header", "value, with, lots, of, commas")];
    assert_eq!(
        lines(&together, r#"("example-header";bs)"#).as_deref(),
        Ok(r#""example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"#)
    );
    assert!(lines(&[("name", "Zoë")], r#"("name";bs)"#).is_ok());
}

#[test]
fn what_no_request_has_is_refused_with_its_reason() {
    let cases = [
        (r#"("@status")"#, Fault::UnknownComponent),
        (r#"("@signature-params")"#, Fault::UnknownComponent),
        (r#"("@nonsense")"#, Fault::UnknownComponent),
        (r#"("Content-Type")"#, Fault::UnknownComponent),
        (r#"("")"#, Fault::UnknownComponent),
        (r#"("a b")"#, Fault::UnknownComponent),
        (r#"("trailer";tr)"#, Fault::TrailerComponent),
        (r#"("@method";req)"#, Fault::RequestComponent),
        (r#"("x";unknown)"#, Fault::BadComponentParameter),
        (r#"("x";sf=?0)"#, Fault::BadComponentParameter),
        (r#"("x";bs;sf)"#, Fault::BadComponentParameter),
        (r#"("x";name="a")"#, Fault::BadComponentParameter),
        (r#"("@method";sf)"#, Fault::BadComponentParameter),
        (r#"("@path";name="a")"#, Fault::BadComponentParameter),
        (r#"("@query-param")"#, Fault::UnknownComponent),
        (r#"("x")"#, Fault::AbsentComponent),
        (r#"("@query-param";name="x")"#, Fault::AbsentComponent),
        (r#"("@method" "@method")"#, Fault::DuplicateComponent),
        (
            r#"("d";key="a";sf "d";sf;key="a")"#,
            Fault::DuplicateComponent,
        ),
    ];
    for (list, expected) in cases {
        assert_eq!(fault(&[("d", "a=1")], list), expected, "{list}");
    }
}

#[test]
fn values_that_are_not_ascii_are_refused() {
    for value in ["Zoë", "a\u{7f}", "a\u{1}b"] {
        assert_eq!(fault(&[("name", value)], r#"("name")"#), Fault::BadValue);
    }
}

#[test]
fn the_base_is_bounded() {
    let large = "x".repeat(40 * 1024);
    let fields = [("a", large.as_str()), ("b", large.as_str())];
    assert_eq!(fault(&fields, r#"("a" "b")"#), Fault::TooLarge);
    assert_eq!(fault(&fields, r#"("a";bs "a")"#), Fault::TooLarge);
    assert_eq!(fault(&fields, r#"("a";key="x")"#), Fault::TooLarge);
}
