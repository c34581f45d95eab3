use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::v2::{Crc32c, SIGNATURE};
use super::*;

const PROXY: u8 = 0x21;
const LOCAL: u8 = 0x20;
const INET_STREAM: u8 = 0x11;
const INET6_STREAM: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

/// 192.0.2.1:4321 to 198.51.100.7:443.
const INET_ADDRESSES: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0x10, 0xe1, 0x01, 0xbb];

fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

fn endpoints(source: &str, destination: &str) -> Header {
    Header {
        source: address(source),
        destination: address(destination),
        ..Header::default()
    }
}

fn version_2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes
}

fn inet_with(extensions: &[Vec<u8>]) -> Vec<u8> {
    version_2(
        PROXY,
        INET_STREAM,
        &[INET_ADDRESSES, &extensions.concat()].concat(),
    )
}

/// A header whose checksum, the last extension, is right.
fn with_checksum(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inet_with(&[extensions.concat(), extension(0x03, &[0; 4])]);
    let mut checksum = Crc32c::new();
    checksum.update(&bytes);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&checksum.finish().to_be_bytes());
    bytes
}

fn done(bytes: &[u8]) -> Header {
    match parse(bytes) {
        Ok(Parsed::Done { header, length }) => {
            assert_eq!(length, bytes.len());
            header
        }
        other => panic!("{} gave {other:?}", bytes.escape_ascii()),
    }
}

fn refusal(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(error) => error.to_string(),
        Ok(parsed) => panic!("{} was taken: {parsed:?}", bytes.escape_ascii()),
    }
}

fn valid_headers() -> Vec<Vec<u8>> {
    let ssl = extension(
        0x20,
        &[[1, 0, 0, 0, 0].as_slice(), &extension(0x21, b"TLSv1.3")].concat(),
    );
    vec![
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(),
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n".to_vec(),
        b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::1 1 0\r\n".to_vec(),
        version_2(LOCAL, 0x00, &[]),
        version_2(LOCAL, 0xff, &[7; 40]),
        version_2(PROXY, 0x00, &[7; 9]),
        version_2(PROXY, INET6_STREAM, &[9; 36]),
        version_2(PROXY, UNIX_STREAM, &[b'a'; 216]),
        inet_with(&[]),
        with_checksum(&[extension(0x02, b"api.example.com"), ssl, extension(0x04, &[])]),
    ]
}

#[test]
fn the_specifications_longest_lines_are_read() {
    let headers = valid_headers();
    assert_eq!(headers[0].len(), 56);
    assert_eq!(headers[1].len(), 104);
    assert_eq!(headers[2].len(), 107);
    assert_eq!(
        done(&headers[0]),
        endpoints("255.255.255.255:65535", "255.255.255.255:65535")
    );
    let highest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    assert_eq!(done(&headers[1]), endpoints(highest, highest));
    assert_eq!(done(&headers[2]), Header::default());
    assert_eq!(done(&headers[3]), Header::default());
}

#[test]
fn every_truncation_asks_for_more_and_what_follows_is_left_alone() {
    for header in valid_headers() {
        for length in 0..header.len() {
            let parsed = parse(&header[..length]);
            assert!(
                matches!(parsed, Ok(Parsed::NeedMore)),
                "{length} bytes of {} gave {parsed:?}",
                header.escape_ascii()
            );
        }
        let alone = done(&header);
        for rest in [&b"\x16\x03\x01"[..], b"\r\n", b"PROXY UNKNOWN\r\n", b"\0"] {
            let Ok(Parsed::Done {
                header: read,
                length,
            }) = parse(&[&header, rest].concat())
            else {
                panic!("{} was refused", header.escape_ascii());
            };
            assert_eq!((read, length), (alone.clone(), header.len()));
        }
    }
}

#[test]
fn a_text_header_has_one_spelling() {
    for line in [
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX",
        "PROXY UNKNOWN\n\r\n",
        "PROXY UNKNOWN \rx\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +80 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 080 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 00 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -0 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 0x50 2\r\n",
        "PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY TCP6 1::2::3 ::1 1 2\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 \u{664} 2\r\n",
    ] {
        assert!(refusal(line.as_bytes()).contains("malformed"), "{line:?}");
    }
}

#[test]
fn a_line_without_an_end_is_refused_at_107_bytes() {
    let mut line = b"PROXY UNKNOWN ".to_vec();
    line.resize(106, b'x');
    assert!(matches!(parse(&line), Ok(Parsed::NeedMore)));
    line.push(b'x');
    assert_eq!(
        refusal(&line),
        "the PROXY protocol header is longer than 107 bytes"
    );
    line[106] = b'\r';
    line.push(b'\n');
    assert!(matches!(parse(&line), Err(ProxyError::TooLong(107))));
}

#[test]
fn another_protocol_is_refused_at_its_first_wrong_byte() {
    for start in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0",
        b"proxy ",
        b"PROXY\t",
        b"\r\n\r\n\0\r\nQUIX",
        b"\n",
    ] {
        assert!(
            matches!(parse(start), Err(ProxyError::NotProxy)),
            "{}",
            start.escape_ascii()
        );
    }
}

#[test]
fn a_binary_header_gives_addresses_and_extensions() {
    let plain = endpoints("192.0.2.1:4321", "198.51.100.7:443");
    assert_eq!(done(&inet_with(&[])), plain);
    let headers = valid_headers();
    assert_eq!(
        done(headers.last().unwrap()),
        Header {
            authority: Some("api.example.com".to_owned()),
            tls: true,
            ..plain.clone()
        }
    );
    // The bits say that the client did not use TLS.
    assert_eq!(
        done(&inet_with(&[extension(0x20, &[6, 0, 0, 0, 0])])),
        plain
    );
}

#[test]
fn local_and_unspecified_headers_leave_the_connections_own_address() {
    let local = Header {
        local: true,
        ..Header::default()
    };
    assert_eq!(done(&version_2(LOCAL, INET_STREAM, INET_ADDRESSES)), local);
    assert_eq!(done(&version_2(LOCAL, 0x00, &[])), local);
    assert_eq!(done(&version_2(PROXY, 0x00, &[1, 2, 3])), Header::default());
    assert_eq!(
        done(&version_2(PROXY, UNIX_STREAM, &[0; 216])),
        Header::default()
    );
}

#[test]
fn mapped_addresses_become_ipv4_so_that_address_rules_hold() {
    let expected = endpoints("192.0.2.1:4321", "198.51.100.7:443");
    assert_eq!(
        done(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 4321 443\r\n"),
        expected
    );
    let mapped = |octets: [u8; 4]| [&[0; 10][..], &[0xff; 2], &octets].concat();
    let payload = [
        mapped([192, 0, 2, 1]),
        mapped([198, 51, 100, 7]),
        INET_ADDRESSES[8..].to_vec(),
    ];
    assert_eq!(
        done(&version_2(PROXY, INET6_STREAM, &payload.concat())),
        expected
    );
}

#[test]
fn binary_headers_that_break_a_rule_are_refused() {
    let cases = [
        (
            version_2(0x11, INET_STREAM, INET_ADDRESSES),
            "the version is not 2",
        ),
        (
            version_2(0x22, INET_STREAM, INET_ADDRESSES),
            "unknown command",
        ),
        (version_2(PROXY, 0x10, INET_ADDRESSES), "unknown family"),
        (version_2(PROXY, 0x01, INET_ADDRESSES), "unknown family"),
        (version_2(PROXY, 0x41, INET_ADDRESSES), "unknown family"),
        (version_2(PROXY, 0x13, INET_ADDRESSES), "unknown family"),
        (
            version_2(PROXY, 0x12, INET_ADDRESSES),
            "unsupported datagram",
        ),
        (
            version_2(PROXY, INET_STREAM, &INET_ADDRESSES[..11]),
            "too short",
        ),
        (version_2(PROXY, INET6_STREAM, &[0; 35]), "too short"),
        (version_2(PROXY, UNIX_STREAM, &[0; 215]), "too short"),
        (inet_with(&[vec![4]]), "truncated extension"),
        (inet_with(&[vec![4, 0]]), "truncated extension"),
        (inet_with(&[vec![4, 0, 1]]), "truncated extension"),
        (inet_with(&[vec![4, 0xff, 0xff, 0]]), "truncated extension"),
        (inet_with(&[extension(0x02, &[0xff])]), "not UTF-8"),
        (
            inet_with(&[extension(0x02, b"a"), extension(0x02, b"b")]),
            "repeated authority",
        ),
        (inet_with(&[extension(0x03, &[0; 3])]), "not of four bytes"),
        (inet_with(&[extension(0x03, &[0; 4])]), "wrong checksum"),
        (
            inet_with(&[extension(0x20, &[1, 0, 0, 0])]),
            "truncated TLS",
        ),
        (
            inet_with(&[extension(0x20, &[1; 5]), extension(0x20, &[0; 5])]),
            "repeated TLS",
        ),
    ];
    for (bytes, expected) in cases {
        let text = refusal(&bytes);
        assert!(
            text.contains(expected),
            "{text:?} does not say {expected:?}"
        );
    }
}

#[test]
fn extensions_beyond_4_kib_are_refused_when_announced() {
    let padding = |length: usize| extension(0x04, &vec![0; length - 3]);
    assert!(matches!(
        parse(&inet_with(&[padding(4096)])),
        Ok(Parsed::Done { .. })
    ));
    let announced = inet_with(&[padding(4097)]);
    assert!(matches!(
        parse(&announced[..16]),
        Err(ProxyError::TooLong(_))
    ));
    let local = version_2(LOCAL, 0, &[0; 4097]);
    assert!(matches!(parse(&local[..16]), Err(ProxyError::TooLong(_))));
}

#[test]
fn the_checksum_is_crc_32c_and_guards_every_bit() {
    let mut checksum = Crc32c::new();
    checksum.update(b"123456789");
    assert_eq!(checksum.finish(), 0xe306_9283);

    let whole = with_checksum(&[extension(0x02, b"api.example.com")]);
    done(&whole);
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(Parsed::Done { header, .. }) = parse(&changed) {
            // LOCAL and UNSPEC are whole without their payload, and a changed extension type may
            // hide the checksum, which is no less than a header without one.
            let unread = header.source.is_none();
            assert!(
                unread || bit / 8 == whole.len() - 7,
                "bit {bit} went unnoticed"
            );
        }
    }
}

/// What must hold for any bytes whatever.
fn check_invariants(bytes: &[u8]) {
    let Ok(Parsed::Done { header, length }) = parse(bytes) else {
        return;
    };
    assert!(length <= bytes.len() && length <= MAXIMUM_LENGTH);
    assert_eq!(header.source.is_some(), header.destination.is_some());
    assert!(matches!(parse(&bytes[..length - 1]), Ok(Parsed::NeedMore)));
    assert_eq!(done(&bytes[..length]), header);
}

#[test]
fn changed_headers_keep_the_invariants() {
    for header in valid_headers() {
        for bit in 0..header.len() * 8 {
            let mut changed = header.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check_invariants(&changed);
        }
    }
}

#[test]
fn random_bytes_keep_the_invariants() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let alphabet = b"\r\n 0123456789.:afTCP46UNKNOWN+";
    for _ in 0..50_000 {
        let length = random.usize(..200);
        let mut bytes: Vec<u8> = match random.u8(..3) {
            0 => b"PROXY TCP4 ".to_vec(),
            1 => [SIGNATURE, &[PROXY, INET_STREAM, 0]].concat(),
            _ => Vec::new(),
        };
        let text = bytes.first() == Some(&b'P');
        bytes.extend((0..length).map(|_| {
            if text {
                alphabet[random.usize(..alphabet.len())]
            } else {
                random.u8(..)
            }
        }));
        check_invariants(&bytes);
    }
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn reading_takes_the_header_and_not_one_byte_more() {
    let mut headers = valid_headers();
    headers.push(inet_with(&[extension(0x04, &[0; 4093])]));
    for header in headers {
        let (mut client, mut server) = connected().await;
        client
            .write_all(&[&header, &b"\x16\x03\x01hello"[..]].concat())
            .await
            .unwrap();
        drop(client);
        assert_eq!(read_header(&mut server).await.unwrap(), done(&header));
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"\x16\x03\x01hello");
    }
}

#[tokio::test]
async fn reading_waits_for_a_header_in_pieces() {
    for header in valid_headers() {
        let (mut client, mut server) = connected().await;
        client.set_nodelay(true).unwrap();
        let write = async {
            for piece in header.chunks(5) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(read_header(&mut server), write);
        assert_eq!(read.unwrap(), done(&header));
    }
}

#[tokio::test]
async fn an_end_within_the_header_is_told_from_other_faults() {
    let (mut client, mut server) = connected().await;
    client.write_all(b"PROXY TC").await.unwrap();
    drop(client);
    assert!(matches!(
        read_header(&mut server).await,
        Err(ProxyError::Closed)
    ));

    let (mut client, mut server) = connected().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(
        read_header(&mut server).await,
        Err(ProxyError::NotProxy)
    ));
}
