//! Project Wycheproof's JSON web signatures: `tests/vectors/README.md` says where they are from.

use serde::Deserialize;
use serde_json::Value;
use weir_jose::{Key, KeySet, LONGEST_TOKEN, Token};

const VECTORS: &str = include_str!("../vectors/json_web_signature_test.json");

/// How many there are.
const CASES: usize = 401;

/// Cases that the project calls valid and this crate refuses, and why.
const STRICTER: [(u32, &str); 6] = [
    (
        346,
        "the key is for PS256, and the token is signed by PS384",
    ),
    (347, "P-521 is not offered"),
    (
        350,
        "the key is for PS256, and the token is signed by PS384",
    ),
    (351, "P-521 is not offered"),
    (372, "a question mark within base64url is not left out"),
    (373, "a question mark within base64url is not left out"),
];

/// Cases that the project calls invalid, and whose text is that of a valid one to the letter.
const SAME_AS_VALID: [(u32, u32); 2] = [(367, 357), (370, 357)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    public: Option<Value>,
    /// Only of shared secrets.
    private: Option<Value>,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    comment: String,
    jws: String,
    result: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Invalid,
}

impl Group {
    /// None if it is no key for signatures here.
    fn keys(&self) -> Option<KeySet> {
        let jwk = self.public.as_ref().or(self.private.as_ref()).unwrap();
        let key = Key::from_jwk(jwk.to_string().as_bytes()).ok()?;
        Some(KeySet::new(vec![key]).unwrap())
    }
}

impl Case {
    fn verdict(&self, keys: Option<&KeySet>) -> Verdict {
        let mut buffer = Vec::new();
        let token = Token::parse(&self.jws, LONGEST_TOKEN, &mut buffer).ok();
        let verified =
            token.is_some_and(|token| keys.is_some_and(|keys| token.verify(keys).is_ok()));
        match verified {
            true => Verdict::Valid,
            false => Verdict::Invalid,
        }
    }

    /// What is expected here, whatever the project says.
    fn expected(&self) -> Verdict {
        if STRICTER.iter().any(|(id, _)| *id == self.tc_id) {
            assert_eq!(self.result, Verdict::Valid, "{}", self.tc_id);
            return Verdict::Invalid;
        }
        if SAME_AS_VALID.iter().any(|(id, _)| *id == self.tc_id) {
            assert_eq!(self.result, Verdict::Invalid, "{}", self.tc_id);
            return Verdict::Valid;
        }
        self.result
    }
}

#[test]
fn every_case_is_judged_as_it_should_be() {
    let file: File = serde_json::from_str(VECTORS).unwrap();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for group in &file.test_groups {
        let keys = group.keys();
        for case in &group.tests {
            judged += 1;
            assert!(
                case.tc_id as usize >= judged,
                "in the order of the original"
            );
            let verdict = case.verdict(keys.as_ref());
            if verdict != case.expected() {
                wrong.push((case.tc_id, &case.comment, verdict));
            }
        }
    }
    assert_eq!((judged, file.number_of_tests), (CASES, CASES));
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_is_called_invalid_and_taken_is_a_valid_case() {
    let file: File = serde_json::from_str(VECTORS).unwrap();
    let cases: Vec<_> = file
        .test_groups
        .iter()
        .flat_map(|group| &group.tests)
        .collect();
    let of = |id: u32| cases.iter().find(|case| case.tc_id == id).unwrap();
    for (invalid, valid) in SAME_AS_VALID {
        assert_eq!(of(invalid).jws, of(valid).jws);
        assert_eq!(of(valid).result, Verdict::Valid);
    }
}
