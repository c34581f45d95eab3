use super::*;

fn rules(are_masked: bool) -> Rules {
    Rules {
        are_masked,
        may_compress: false,
        checks_text: true,
        max_frame: u64::MAX,
        max_message: u64::MAX,
    }
}

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(short as u8),
        middle @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The same of a client.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let plain = frame(first, payload);
    let at = plain.len() - payload.len();
    let mask = [1, 2, 3, 4];
    let mut masked = plain[..at].to_vec();
    masked[1] |= 0x80;
    masked.extend(mask);
    masked.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    masked
}

/// What comes of a whole input, handed over in pieces of this size: messages, payload, close codes.
fn follow(
    rules: Rules,
    input: &[u8],
    piece: usize,
) -> Result<(u64, u64, Vec<Option<u16>>), Violation> {
    let mut frames = Frames::new(rules);
    let (mut messages, mut bytes, mut closes) = (0, 0, Vec::new());
    let (mut at, mut end) = (0, 0);
    while end < input.len() {
        end = (end + piece).min(input.len());
        loop {
            match frames.read(&input[at..end])? {
                Step::More => break,
                Step::Data {
                    length,
                    payload,
                    ends_message,
                } => {
                    at += length;
                    bytes += payload;
                    messages += u64::from(ends_message);
                }
                Step::Close { length, code } => {
                    at += length;
                    closes.push(code);
                }
                Step::Ping { length } | Step::Pong { length } => at += length,
            }
        }
    }
    assert_eq!(at, input.len(), "everything is let through");
    assert!(frames.are_between());
    Ok((messages, bytes, closes))
}

fn rule(rules: Rules, input: &[u8]) -> &'static str {
    let whole = follow(rules, input, usize::MAX).expect_err("may not pass");
    let bytewise = follow(rules, input, 1).expect_err("may not pass");
    assert_eq!(whole, bytewise);
    whole.rule
}

#[test]
fn frames_are_followed_however_they_are_cut() {
    for are_masked in [false, true] {
        let make = if are_masked { masked } else { frame };
        let mut input = Vec::new();
        input.extend(make(0x81, b""));
        input.extend(make(0x81, b"text"));
        input.extend(make(0x82, &[7; 125]));
        input.extend(make(0x82, &[7; 126]));
        input.extend(make(0x82, &[7; 70_000]));
        input.extend(make(0x89, b"are you there"));
        // In fragments, with a ping in between; the middle one is empty.
        input.extend(make(0x01, b"ab"));
        input.extend(make(0x89, &[0; 125]));
        input.extend(make(0x00, b""));
        input.extend(make(0x8A, b""));
        input.extend(make(0x80, b"cd"));
        input.extend(make(0x88, &[0x03, 0xE8, b'o', b'k']));
        for piece in [1, 2, 3, 7, 1000, usize::MAX] {
            let followed = follow(rules(are_masked), &input, piece);
            let bytes = 4 + 125 + 126 + 70_000 + 4;
            assert_eq!(followed, Ok((6, bytes, vec![Some(1000)])), "{piece}");
        }
    }
}

#[test]
fn what_breaks_the_protocol_does_not_pass() {
    let (server, client) = (rules(false), rules(true));
    assert_eq!(
        rule(client, &frame(0x81, b"hi")),
        "a client's frame without a mask"
    );
    assert_eq!(
        rule(server, &masked(0x81, b"hi")),
        "a server's frame with a mask"
    );
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        assert_eq!(
            rule(server, &frame(0x80 | opcode, b"")),
            "an unknown opcode"
        );
    }
    for reserved in [0x40, 0x20, 0x10] {
        let refused = rule(server, &frame(0x81 | reserved, b"hi"));
        assert_eq!(refused, "a reserved bit that was not agreed on");
        let refused = rule(server, &frame(0x89 | reserved, b""));
        assert_eq!(refused, "a reserved bit in a control frame");
    }
    for opcode in [0x8, 0x9, 0xA] {
        assert_eq!(
            rule(server, &frame(opcode, b"")),
            "a control frame in fragments"
        );
        let refused = rule(server, &frame(0x80 | opcode, &[0; 126]));
        assert_eq!(refused, "a control frame that is too long");
    }
    assert_eq!(
        rule(server, &frame(0x80, b"hi")),
        "a continuation without a message"
    );
    let mut nested = frame(0x01, b"a");
    nested.extend(frame(0x81, b"b"));
    assert_eq!(rule(server, &nested), "a message within a message");
    let mut over = frame(0x81, b"a");
    over.extend(frame(0x80, b"b"));
    assert_eq!(rule(server, &over), "a continuation without a message");
}

#[test]
fn lengths_have_one_spelling() {
    let wrong = "a length that is not written as it must be";
    assert_eq!(rule(rules(false), &[0x82, 126, 0, 125]), wrong);
    assert_eq!(
        rule(rules(false), &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        wrong
    );
    assert_eq!(
        rule(rules(false), &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        wrong
    );
}

#[test]
fn close_codes_are_those_that_may_be_sent() {
    let close = |payload: &[u8]| follow(rules(false), &frame(0x88, payload), usize::MAX);
    assert_eq!(close(b"").unwrap().2, [None]);
    for code in [1000_u16, 1001, 1003, 1007, 1014, 3000, 4999] {
        assert_eq!(close(&code.to_be_bytes()).unwrap().2, [Some(code)]);
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let refused = close(&code.to_be_bytes()).unwrap_err();
        assert_eq!(refused.rule, "a close code that is not allowed", "{code}");
    }
    assert_eq!(close(&[3]).unwrap_err().rule, "half a close code");
    let masked = masked(0x88, &[0x03, 0xE9]);
    let followed = follow(rules(true), &masked, 1).unwrap();
    assert_eq!(followed.2, [Some(1001)]);
}

#[test]
fn a_message_may_be_compressed_if_that_was_agreed_on() {
    let agreed = Rules {
        may_compress: true,
        ..rules(false)
    };
    let mut input = frame(0x41, b"a");
    input.extend(frame(0x80, b"b"));
    assert!(follow(agreed, &input, 1).is_ok());
    let mut input = frame(0x01, b"a");
    input.extend(frame(0xC0, b"b"));
    let refused = follow(agreed, &input, 1).unwrap_err();
    assert_eq!(refused.rule, "a reserved bit that was not agreed on");
    assert!(follow(agreed, &frame(0xC9, b""), 1).is_err());
}

#[test]
fn frames_and_messages_have_their_limits() {
    let limited = Rules {
        max_frame: 10,
        max_message: 25,
        ..rules(false)
    };
    let message = |frames: &[usize]| {
        let last = frames.len() - 1;
        let mut input = Vec::new();
        for (at, length) in frames.iter().enumerate() {
            let opcode = u8::from(at == 0) | if at == last { 0x80 } else { 0 };
            input.extend(frame(opcode, &vec![0; *length]));
        }
        follow(limited, &input, usize::MAX)
    };
    assert!(message(&[10, 10, 5]).is_ok());
    let refused = message(&[11]).unwrap_err();
    assert_eq!(refused, too_big("a frame is too large"));
    let refused = message(&[10, 10, 6]).unwrap_err();
    assert_eq!(refused, too_big("a message is too large"));
    // A length alone is enough: nothing of the frame has to come.
    let mut frames = Frames::new(limited);
    assert!(
        frames
            .read(&[0x82, 127, 0x7F, 0, 0, 0, 0, 0, 0, 0])
            .is_err()
    );
    // No sum of lengths goes around.
    let unlimited = Rules {
        max_message: 25,
        ..rules(false)
    };
    let mut frames = Frames::new(unlimited);
    assert!(frames.read(&frame(0x02, &[0; 20])[..2]).is_ok());
    assert!(frames.read(&[0; 20]).is_ok());
    let huge = [0x00, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(frames.read(&huge).unwrap_err().code, TOO_BIG);
}

#[test]
fn own_frames_are_what_they_should_be() {
    let mut out = Vec::new();
    write_close(&mut out, 1001, false);
    assert_eq!(out, [0x88, 2, 0x03, 0xE9]);
    for is_masked in [false, true] {
        let mut out = Vec::new();
        write_ping(&mut out, b"12345678", is_masked);
        let mut frames = Frames::new(rules(is_masked));
        let length = out.len();
        assert_eq!(frames.read(&out), Ok(Step::Ping { length }));
        assert_eq!(&*payload(&out), b"12345678");
    }
}

#[test]
fn text_is_utf8_however_it_is_cut() {
    let texts: [(&[u8], bool); 12] = [
        ("Grüße, 世界, 🦀".as_bytes(), true),
        (b"", true),
        (&[b'a'; 3000], true),
        ("é".repeat(1200).as_bytes().to_vec().leak(), true),
        (b"\xff", false),
        (b"abc\xc3", false),
        (b"\xc3(", false),
        // In two bytes what needs one, a surrogate, and beyond the last character.
        (b"\xc0\xaf", false),
        (b"\xed\xa0\x80", false),
        (b"\xf4\x90\x80\x80", false),
        (b"\xf0\x9f\xa6", false),
        ([&[b'a'; 2000][..], b"\x80"].concat().leak(), false),
    ];
    for (text, is_valid) in texts {
        for cut in [0, 1, text.len() / 2, text.len().saturating_sub(1)] {
            let (front, back) = text.split_at(cut.min(text.len()));
            for are_masked in [true, false] {
                let write = if are_masked { masked } else { frame };
                let parts = [write(0x01, front), write(0x89, b"\xff"), write(0x80, back)];
                let whole = [write(0x81, text), write(0x82, b"\xff")];
                for input in [parts.concat(), whole.concat()] {
                    for piece in [1, 7, input.len()] {
                        let outcome = follow(rules(are_masked), &input, piece);
                        let code = outcome.map_or_else(|violation| violation.code, |_| 0);
                        let expected = if is_valid { 0 } else { NOT_TEXT };
                        assert_eq!(code, expected, "{text:?} cut at {cut}, by {piece}");
                    }
                }
            }
        }
    }
    let unchecked = Rules {
        checks_text: false,
        ..rules(false)
    };
    assert!(follow(unchecked, &frame(0x81, b"\xff"), 9).is_ok());
    let compressed = Rules {
        may_compress: true,
        ..rules(false)
    };
    assert!(follow(compressed, &frame(0xC1, b"\xff"), 9).is_ok());
    assert_eq!(
        follow(compressed, &frame(0x81, b"\xff"), 9)
            .unwrap_err()
            .code,
        NOT_TEXT
    );
}

#[test]
fn a_text_that_is_none_stays_none() {
    let mut frames = Frames::new(rules(false));
    let input = frame(0x81, b"ab\xffcd");
    assert!(frames.read(&input[..2]).is_ok());
    // Whoever asks again, because other bytes had to go first, hears the same.
    for end in [5, 5, 7] {
        let violation = frames.read(&input[2..end]).unwrap_err();
        assert_eq!(violation.code, NOT_TEXT);
    }
}

#[test]
fn the_reason_of_a_close_frame_is_utf8() {
    let code = |reason: &[u8]| {
        let input = frame(0x88, &[&[0x03, 0xe8], reason].concat());
        follow(rules(false), &input, 99).map_or_else(|violation| violation.code, |_| 0)
    };
    assert_eq!(code("tschüß".as_bytes()), 0);
    assert_eq!(code(b"\xfc"), NOT_TEXT);
}
