use std::time::Duration;

use super::address::{is_host, listen, network, target};
use super::http::{
    changeable_header, header_name, header_value, host_text, location_template, method,
    path_prefix, path_template,
};
use super::quantity::{duration, integer, percentage, size};
use super::text::name;
use crate::codes;
use crate::reserved::{forbidden, forbidden_in_request};

#[test]
fn durations_need_a_unit_and_stay_below_ten_years() {
    assert_eq!(
        duration("250ms", false).unwrap(),
        Duration::from_millis(250)
    );
    assert_eq!(duration("15s", false).unwrap(), Duration::from_secs(15));
    assert_eq!(duration("2m", false).unwrap(), Duration::from_secs(120));
    assert_eq!(duration("1h", false).unwrap(), Duration::from_secs(3600));
    assert_eq!(
        duration("365d", false).unwrap(),
        Duration::from_secs(31_536_000)
    );
    assert_eq!(duration("0s", true).unwrap(), Duration::ZERO);
    for wrong in [
        "", "15", "s", "-1s", "1.5s", "1h30m", "15 s", "0s", "99999d", "1S", "٣s",
    ] {
        assert_eq!(
            duration(wrong, false).unwrap_err().code,
            codes::BAD_DURATION,
            "{wrong}"
        );
    }
    assert!(duration(&format!("{}s", u64::MAX), false).is_err());
    assert_eq!(duration("15sec", false).unwrap_err().at, Some(2));
}

#[test]
fn sizes_know_both_kinds_of_units() {
    assert_eq!(size("4096", 0, u64::MAX).unwrap(), 4096);
    assert_eq!(size("32KiB", 0, u64::MAX).unwrap(), 32_768);
    assert_eq!(size("10MB", 0, u64::MAX).unwrap(), 10_000_000);
    assert_eq!(size("2GiB", 0, u64::MAX).unwrap(), 2 << 30);
    for wrong in [
        "",
        "KiB",
        "1.5MB",
        "10 MB",
        "10mb",
        "-1",
        "99999999999GiB",
        "5",
    ] {
        assert_eq!(
            size(wrong, 10, u64::MAX).unwrap_err().code,
            codes::BAD_SIZE,
            "{wrong}"
        );
    }
}

#[test]
fn percentages_and_numbers_are_plain_decimals() {
    assert_eq!(percentage("20%", true).unwrap(), 20);
    for wrong in ["20", "%", "101%", "2.5%", "-1%", "020%"] {
        assert!(percentage(wrong, true).is_err(), "{wrong}");
    }
    assert_eq!(integer("0", 0, 10).unwrap(), 0);
    for wrong in ["", "010", "0x10", "1_000", "1e3", "+1", "-1", "11", "1.0"] {
        assert_eq!(
            integer(wrong, 0, 10).unwrap_err().code,
            codes::BAD_NUMBER,
            "{wrong}"
        );
    }
    let too_large = integer("99999999999999999999999", 0, 10).unwrap_err();
    assert!(too_large.message.contains("from 0 to 10"));
}

#[test]
fn listen_addresses_are_ip_addresses_with_help_for_what_people_write() {
    assert!(listen("0.0.0.0:8080").is_ok());
    assert!(listen("[::1]:0").is_ok());
    let help = |text| listen(text).unwrap_err().help.unwrap();
    assert!(help(":8080").contains("0.0.0.0:8080"));
    assert!(help("8080").contains("127.0.0.1:8080"));
    assert!(help("localhost:80").contains("127.0.0.1:80"));
    assert!(help("::1:80").contains("["));
    assert!(help("127.0.0.1").contains("port"));
    assert_eq!(listen("127.0.0.1:99999").unwrap_err().at, Some(10));
    assert!(listen("").is_err());
}

#[test]
fn targets_are_hosts_with_ports() {
    assert_eq!(
        target("Catalog.internal:80").unwrap(),
        ("catalog.internal".into(), 80)
    );
    assert_eq!(target("[::1]:9001").unwrap(), ("::1".into(), 9001));
    assert_eq!(target("10.0.0.1:1").unwrap(), ("10.0.0.1".into(), 1));
    for wrong in [
        "",
        ":80",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:+80",
        "http://h:80",
        "h:80/x",
        "::1:80",
        "[::1]",
        "[h]:80",
        "a b:80",
        "user@h:80",
        "1.2.3:80",
        "-h:80",
        "h..x:80",
    ] {
        assert_eq!(
            target(wrong).unwrap_err().code,
            codes::BAD_ADDRESS,
            "{wrong}"
        );
    }
}

#[test]
fn hosts_that_only_look_like_addresses_are_refused() {
    assert!(is_host("a_b.example"));
    assert!(!is_host("0x7f.1"));
    assert!(!is_host("127.1"));
    assert!(!is_host(&"a".repeat(64)));
    assert!(!is_host(""));
}

#[test]
fn networks_drop_host_bits() {
    assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
    let fault = network("10.1.2.3/8").unwrap_err();
    let help = "write `10.0.0.0/8` for the network, or `10.1.2.3` for the one address";
    assert_eq!(
        (fault.code, fault.help.as_deref()),
        (codes::BAD_NETWORK, Some(help))
    );
    assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
    assert_eq!(network("::1").unwrap().to_string(), "::1/128");
    for wrong in ["", "10.0.0.0/33", "10.0.0/8", "example.com", "10.0.0.0/"] {
        assert_eq!(
            network(wrong).unwrap_err().code,
            codes::BAD_NETWORK,
            "{wrong}"
        );
    }
}

#[test]
fn methods_are_upper_case_tokens() {
    assert!(method("PROPFIND").is_ok());
    assert!(method("get").unwrap_err().help.unwrap().contains("`GET`"));
    assert!(method("").is_err());
    assert!(method("GE T").is_err());
}

#[test]
fn headers_that_frame_messages_cannot_be_changed() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "host",
        "upgrade",
        "te",
    ] {
        assert_eq!(
            changeable_header(name, forbidden_in_request)
                .unwrap_err()
                .code,
            codes::RESERVED_HEADER,
            "{name}"
        );
    }
    assert!(changeable_header("x-request-id", forbidden_in_request).is_ok());
    assert!(changeable_header("content-length", forbidden).is_err());
    assert_eq!(header_name("x bad").unwrap_err().at, Some(1));
    assert!(header_name("").is_err());
}

#[test]
fn header_values_cannot_smuggle_lines_and_are_not_repeated() {
    for wrong in ["a\r\nb: c", "a\0", " padded", "tab\t"] {
        let fault = header_value(wrong).unwrap_err();
        assert_eq!(fault.code, codes::BAD_HEADER_VALUE);
        assert!(!fault.message.contains(wrong));
    }
    assert!(header_value("").is_ok());
}

#[test]
fn redirects_do_not_leave_the_host_by_accident() {
    assert!(location_template("https://example.com{request.path}").is_ok());
    assert!(location_template("/new").is_ok());
    assert!(location_template("{request.scheme}://{request.host}/new").is_ok());
    for wrong in [
        "",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://{request.header.x-host}/",
        "https://example.com{path.tail}",
        "{request.query}",
        "/a b",
        "/é",
        "/a\nb",
    ] {
        assert!(location_template(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn rewritten_paths_are_paths() {
    assert!(path_template("/items/{path.id}").is_ok());
    for wrong in ["", "items", "{path.tail}", "/a/../b", "/a b", "/é"] {
        assert_eq!(
            path_template(wrong).unwrap_err().code,
            codes::BAD_PATH,
            "{wrong}"
        );
    }
    assert!(path_prefix("/v2/").is_ok());
    for wrong in ["", "v2", "/a?b", "/a#b", "/a b", "/../x", "/a/.", "/a\\b"] {
        assert_eq!(
            path_prefix(wrong).unwrap_err().code,
            codes::BAD_PATH,
            "{wrong}"
        );
    }
}

#[test]
fn host_texts_are_hosts() {
    assert_eq!(
        host_text("catalog.internal:8080").unwrap(),
        "catalog.internal:8080"
    );
    assert_eq!(host_text("[::1]:80").unwrap(), "[::1]:80");
    for wrong in ["", "a b", "user@host", "http://x", "a/b", "a,b"] {
        assert_eq!(
            host_text(wrong).unwrap_err().code,
            codes::BAD_HOST,
            "{wrong}"
        );
    }
}

#[test]
fn names_are_safe_in_metrics_and_logs() {
    assert!(name("fair-use.v2_x").is_ok());
    for wrong in ["", "-a", "a b", "a/b", "é", "a\nb"] {
        assert_eq!(name(wrong).unwrap_err().code, codes::BAD_NAME, "{wrong}");
    }
    assert!(name(&"a".repeat(129)).is_err());
}
