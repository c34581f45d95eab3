//! Who the client is.

use super::*;

#[test]
fn the_client_is_the_first_address_from_the_right_that_is_not_trusted() {
    let trusted = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    for (forwarded_for, expected) in [
        ("198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("1.1.1.1,198.51.100.1:4711 ,10.0.0.2:80", "198.51.100.1"),
        ("1.1.1.1, [2001:db9::1]:80, [2001:db8::5]", "2001:db9::1"),
        ("1.1.1.1, 2001:db9::1, ::ffff:10.0.0.9", "2001:db9::1"),
        // All trusted: the leftmost.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        // Garbage ends the walk.
        ("198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("198.51.100.1, ", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("198.51.100.1, 10.0.0.256", "10.0.0.1"),
        ("198.51.100.1\t10.0.0.1", "10.0.0.1"),
    ] {
        let message = fields(&[
            ("x-forwarded-for", forwarded_for),
            ("forwarded", "for=9.9.9.9"),
        ]);
        let client = client_address(&message, address("10.0.0.1"), &trusted);
        assert_eq!(client, address(expected), "{forwarded_for:?}");
    }
}

#[test]
fn repeated_lines_are_one_list_and_an_untrusted_peer_is_the_client() {
    let trusted = networks(&["10.0.0.0/8"]);
    let message = fields(&[
        ("x-forwarded-for", "1.1.1.1, 3.3.3.3"),
        ("x-forwarded-for", "2.2.2.2, 10.0.0.2"),
    ]);
    let client = |peer: &str| client_address(&message, address(peer), &trusted);
    assert_eq!(client("10.0.0.1"), address("2.2.2.2"));
    assert_eq!(client("::ffff:10.0.0.1"), address("2.2.2.2"));
    assert_eq!(client("192.0.2.7"), address("192.0.2.7"));
    assert_eq!(
        client_address(&Fields::new(), address("10.0.0.1"), &trusted),
        address("10.0.0.1")
    );
}

#[test]
fn forwarded_is_read_where_the_other_is_missing() {
    let trusted = networks(&["10.0.0.0/8"]);
    for (forwarded, expected) in [
        ("for=198.51.100.1", "198.51.100.1"),
        (
            "For=\"[2001:db9::1]:47\";proto=https, for=10.0.0.2",
            "2001:db9::1",
        ),
        (
            "host=\"a,b;c\";for=198.51.100.1 , FOR = 10.0.0.2",
            "198.51.100.1",
        ),
        ("for=198.51.100.1, for=_hidden", "10.0.0.1"),
        ("for=198.51.100.1, for=unknown", "10.0.0.1"),
        ("for=198.51.100.1, proto=https", "10.0.0.1"),
        ("for=198.51.100.1;for=10.0.0.3", "10.0.0.1"),
        ("for=\"198.51.100.1", "10.0.0.1"),
        ("for=\"198.51.\\100.1\"", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        let message = fields(&[("forwarded", forwarded)]);
        let client = client_address(&message, address("10.0.0.1"), &trusted);
        assert_eq!(client, address(expected), "{forwarded:?}");
    }
}
