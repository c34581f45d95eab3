use super::*;

const REJECT: Rules = Rules {
    keep_encoded_slash: false,
    refuse_dot_segments: false,
};
const KEEP: Rules = Rules {
    keep_encoded_slash: true,
    refuse_dot_segments: false,
};

fn normal(path: &str) -> String {
    normalise(path, REJECT).expect(path).into_owned()
}

fn refusal(path: &str) -> PathError {
    normalise(path, REJECT).expect_err(path)
}

#[test]
fn plain_paths_are_borrowed() {
    for path in [
        "/",
        "/catalog/items/42",
        "/a/",
        "/.well-known/acme-challenge/x_y-z~",
        "/a;v=1/b,c/@me/$x/(y)/*/a+b/'q'!/k=v&l:m",
        "/...",
        "/a.b",
        "/a%20b",
        "/%E2%82%AC",
    ] {
        let result = normalise(path, REJECT).expect(path);
        assert!(matches!(result, Cow::Borrowed(_)), "{path} was copied");
        assert_eq!(result, path);
    }
}

#[test]
fn equivalent_spellings_become_one() {
    for (path, expected) in [
        ("/%7euser/%41%2d%5F", "/~user/A-_"),
        ("/a%c3%a9", "/a%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/a|b\"<>^`{}[]", "/a%7Cb%22%3C%3E%5E%60%7B%7D%5B%5D"),
        ("/%7c%5b", "/%7C%5B"),
        ("//", "/"),
        ("/a//b///c//", "/a/b/c/"),
        ("/.", "/"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/a/b/../../c", "/c"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.%2e/b", "/b"),
        ("/a//../b", "/b"),
        ("/..a/b", "/..a/b"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/%3b%3a%40", "/%3B%3A%40"),
    ] {
        assert_eq!(normal(path), expected, "for {path}");
    }
}

#[test]
fn hostile_paths_are_refused_with_their_cause() {
    for (path, error) in [
        ("", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("a/b", PathError::NotAbsolute),
        ("http://x/", PathError::NotAbsolute),
        ("/%", PathError::InvalidEscape),
        ("/%4", PathError::InvalidEscape),
        ("/%g0", PathError::InvalidEscape),
        ("/%u002f", PathError::InvalidEscape),
        ("/%+1", PathError::InvalidEscape),
        ("/a%2fb", PathError::EncodedSlash),
        ("/a%2Fb", PathError::EncodedSlash),
        ("/a\\b", PathError::Backslash),
        ("/a%5cb", PathError::Backslash),
        ("/..\\..\\", PathError::Backslash),
        ("/a\0", PathError::ControlCharacter),
        ("/a%00", PathError::ControlCharacter),
        ("/a%0d%0ab", PathError::ControlCharacter),
        ("/a%7f", PathError::ControlCharacter),
        ("/a\tb", PathError::ControlCharacter),
        ("/a b", PathError::ControlCharacter),
        ("/a%C2%85", PathError::ControlCharacter),
        ("/a\u{85}", PathError::ControlCharacter),
        ("/%c0%af", PathError::InvalidUtf8),
        ("/%c0%ae%c0%ae/", PathError::InvalidUtf8),
        ("/%e0%80%af", PathError::InvalidUtf8),
        ("/%ff", PathError::InvalidUtf8),
        ("/%80", PathError::InvalidUtf8),
        ("/%c3", PathError::InvalidUtf8),
        ("/%c3x", PathError::InvalidUtf8),
        ("/%c3/%a9", PathError::InvalidUtf8),
        ("/%c3%zz", PathError::InvalidEscape),
        ("/%ed%a0%80", PathError::InvalidUtf8),
        ("/..", PathError::AboveRoot),
        ("/../a", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
        ("/a/..;x/b", PathError::DotParameter),
        ("/a/.;x", PathError::DotParameter),
        ("/a/%2e%2e;/b", PathError::DotParameter),
        ("/a/..%3b/b", PathError::DotParameter),
        ("/a#b", PathError::Delimiter),
        ("/a?b", PathError::Delimiter),
    ] {
        assert_eq!(refusal(path), error, "for {path:?}");
    }
}

#[test]
fn a_kept_encoded_slash_cannot_hide_a_segment() {
    let kept = normalise("/group%2fproject/x", KEEP).expect("a kept slash");
    assert_eq!(kept, "/group%2Fproject/x");
    for path in [
        "/a%2f..%2fb",
        "/a%2f..",
        "/..%2fb",
        "/.%2fb",
        "/a%2f%2e%2e",
        "/%2fb",
        "/a%2f",
        "/a%2f%2fb",
        "/a%2f..;x",
    ] {
        assert_eq!(
            normalise(path, KEEP),
            Err(PathError::HiddenSegment),
            "for {path}"
        );
    }
}

#[test]
fn dot_segments_can_be_refused_instead_of_resolved() {
    let rules = Rules {
        keep_encoded_slash: false,
        refuse_dot_segments: true,
    };
    for path in ["/a/..", "/a/./b", "/a/%2e%2e/b", "/."] {
        assert_eq!(normalise(path, rules), Err(PathError::DotSegment), "{path}");
    }
    assert_eq!(normalise("/a//b", rules).as_deref(), Ok("/a/b"));
}

#[test]
fn faults_of_a_segment_say_where() {
    let fault = normalise_segment("ab%zz", REJECT).expect_err("a bad escape");
    assert_eq!((fault.error, fault.at), (PathError::InvalidEscape, 2));
}

#[test]
fn a_query_that_would_end_the_request_line_is_refused() {
    assert_eq!(check_query("a=b&c=%20[x]|?/"), Ok(()));
    for query in ["a b", "a\r\nb", "a#b", "a\u{e9}", "\0"] {
        assert!(check_query(query).is_err(), "{query:?} was accepted");
    }
}

#[test]
fn a_query_is_escaped_as_a_path_is() {
    for (query, expected) in [
        ("q=é", Ok("q=%C3%A9")),
        ("€=%e2&a=[x]|?/", Ok("%E2%82%AC=%e2&a=[x]|?/")),
        ("\u{10ffff}", Ok("%F4%8F%BF%BF")),
        ("a=%zz", Ok("a=%zz")),
        ("", Ok("")),
        ("é#", Err(PathError::Delimiter)),
        ("é x", Err(PathError::ControlCharacter)),
        ("é\0", Err(PathError::ControlCharacter)),
        ("\u{85}", Err(PathError::ControlCharacter)),
        ("a b", Err(PathError::ControlCharacter)),
    ] {
        let found = normalise_query(query);
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{query:?}");
        if let Ok(found) = found {
            let again = normalise_query(&found).expect("a normalised query");
            assert!(matches!(again, Cow::Borrowed(_)), "{query:?}");
        }
    }
}

/// Text made of the pieces that path tricks are made of.
fn random_path(random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 34] = [
        "/",
        "/",
        "/",
        ".",
        "..",
        "a",
        "b",
        "%2e",
        "%2E",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        ";",
        "%3b",
        "%41",
        "%e2%82%ac",
        "%c0%af",
        "%",
        "%25",
        "25",
        "2e",
        "é",
        "€",
        "|",
        "%7C",
        "%00",
        "?",
        "#",
        " ",
        "~",
        "%c3",
        "*",
        "\u{85}",
    ];
    let mut path = String::from("/");
    for _ in 0..random.usize(0..12) {
        path.push_str(PIECES[random.usize(0..PIECES.len())]);
    }
    path
}

#[test]
fn random_paths_are_stable_and_keep_the_invariants() {
    let mut random = fastrand::Rng::with_seed(0x77_65_69_72);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let path = random_path(&mut random);
        for rules in [REJECT, KEEP] {
            let Ok(once) = normalise(&path, rules) else {
                continue;
            };
            accepted += 1;
            let twice = normalise(&once, rules).expect("a normalised path");
            assert!(
                matches!(twice, Cow::Borrowed(_)),
                "{path:?} → {once:?} → {twice:?}"
            );
            assert!(
                once.starts_with('/') && once.is_ascii(),
                "{path:?} → {once:?}"
            );
            assert!(!once.contains("//"), "{path:?} → {once:?}");
            let dotted = once.split('/').any(|segment| matches!(segment, "." | ".."));
            assert!(!dotted, "{path:?} → {once:?}");
            assert!(
                !once.contains(['\\', '?', '#', ' ', '|']),
                "{path:?} → {once:?}"
            );
        }
    }
    assert!(accepted > 10_000, "only {accepted} paths were accepted");
}

#[test]
fn random_text_does_not_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..50_000 {
        let text: String = (0..random.usize(0..16)).map(|_| random.char(..)).collect();
        let _ = normalise(&text, REJECT);
        let _ = normalise(&format!("/{text}"), KEEP);
        let _ = check_query(&text);
    }
}
