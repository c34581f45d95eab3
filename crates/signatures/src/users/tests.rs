use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Of the reference implementation's own tests: "password" with the salt "somesalt".
const ARGON2ID: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
/// Of libxcrypt: "correct horse".
const BCRYPT: &str = "$2y$08$abcdefghijklmnopqrstuubAvJmxpQuyV3jn7x.SUSPxe.DearCPe";

fn basic(name: &str, password: &str) -> Basic {
    let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    Basic::parse(value.as_bytes()).unwrap().unwrap()
}

fn mistakes(text: &str) -> Vec<(usize, BadUser)> {
    UsersFile::parse(text).unwrap_err().0
}

#[test]
fn hashes_that_others_made_are_accepted_with_their_password_only() {
    let text = format!("# staff\n\nann:{ARGON2ID}\r\n  bob:{BCRYPT}\n");
    let users = UsersFile::parse(&text).unwrap();
    assert_eq!(users.len(), 2);
    assert!(users.verify(&basic("ann", "password")));
    assert!(users.verify(&basic("bob", "correct horse")));
    for (name, password) in [
        ("ann", "correct horse"),
        ("bob", "password"),
        ("Ann", "password"),
        ("ann", ""),
        ("", "password"),
        ("eve", "password"),
        ("eve", "correct horse"),
    ] {
        assert!(!users.verify(&basic(name, password)), "{name}");
    }
}

/// bcrypt reads 72 bytes: what follows would not count.
#[test]
fn what_bcrypt_does_not_read_is_not_taken_for_right() {
    let long = "x".repeat(72);
    let hash = bcrypt::hash(&long, 8).unwrap();
    let users = UsersFile::parse(&format!("ann:{hash}")).unwrap();
    assert!(users.verify(&basic("ann", &long)));
    assert!(!users.verify(&basic("ann", &format!("{long}y"))));
}

#[test]
fn unknown_users_cost_as_much_as_known_ones() {
    let users = UsersFile::parse(&format!("ann:{ARGON2ID}")).unwrap();
    let least = |name: &str| -> Duration {
        let took = || {
            let begun = Instant::now();
            assert!(!users.verify(&basic(name, "wrong")));
            begun.elapsed()
        };
        (0..3).map(|_| took()).min().unwrap()
    };
    let (known, unknown) = (least("ann"), least("eve"));
    assert!(
        unknown > known / 4,
        "{unknown:?} for an unknown user, {known:?} for a known one"
    );
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    let text = format!(
        "ann:{BCRYPT}\nann:{BCRYPT}\nnobody\n:{BCRYPT}\nsha:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n\
         md5:$apr1$abcdefgh$ojJ1tVAXpXpQFRoT.kyUk1\ndes:rqXexS6ZhobKA\nsha2:$6$salt$hash\n\
         plain:hunter2-hunter2\ncut:{}\ncheap:{}\ndear:{}\nargon:{}\ncut2:{}\n",
        &BCRYPT[..50],
        BCRYPT.replace("$08$", "$04$"),
        BCRYPT.replace("$08$", "$31$"),
        ARGON2ID.replace("m=65536", "m=4194304"),
        &ARGON2ID[..40],
    );
    let expected = vec![
        (2, BadUser::Twice("ann".into())),
        (3, BadUser::NoColon),
        (4, BadUser::Name),
        (5, BadUser::Weak("SHA-1 without salt")),
        (6, BadUser::Weak("MD5")),
        (7, BadUser::Weak("DES crypt, or no hash at all")),
        (8, BadUser::Weak("SHA-2 crypt")),
        (9, BadUser::Unknown),
        (10, BadUser::Damaged),
        (11, BadUser::Cost),
        (12, BadUser::Cost),
        (13, BadUser::Cost),
        (14, BadUser::Damaged),
    ];
    assert_eq!(mistakes(&text), expected);
    let said = UsersFile::parse(&text).unwrap_err().to_string();
    assert!(
        said.starts_with("line 2: \"ann\" stands there twice"),
        "{said}"
    );
    assert!(
        said.contains("line 6: the password is hashed with MD5; hash it anew with bcrypt"),
        "{said}"
    );
    assert!(
        !said.contains("hunter2") && !said.contains("rqXexS6ZhobKA"),
        "{said}"
    );
}

#[test]
fn a_file_without_users_is_refused() {
    for text in ["", "# nobody\n", "\n\n"] {
        assert_eq!(mistakes(text), [(1, BadUser::Nobody)]);
    }
}

#[test]
fn a_line_that_was_made_is_one_that_is_read() {
    let line = UsersFile::line("ann", "correct: horse").unwrap();
    assert!(line.starts_with("ann:$argon2id$") && !line.contains("horse"));
    assert_ne!(
        line,
        UsersFile::line("ann", "correct: horse").unwrap(),
        "salted"
    );
    let users = UsersFile::parse(&line).unwrap();
    assert!(users.verify(&basic("ann", "correct: horse")));
    assert!(!users.verify(&basic("ann", "correct: hors")));
    for name in ["", "a:b", " ann", "#ann", "a\nb"] {
        assert_eq!(
            UsersFile::line(name, "password"),
            Err(BadUser::Name),
            "{name}"
        );
    }
}
