//! Requests that the package http-message-signatures of npm has signed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_signatures::{
    Algorithm, DigestChecker, Fault, Message, Required, RequiredComponent, VerifyingKey,
};

const BODY: &[u8] = b"{\"hello\": \"world\"}";
const NOW: u64 = 1_700_000_000;

/// What the client has for each algorithm, by name.
type Signed = BTreeMap<String, BTreeMap<String, String>>;

/// Where `tests/install.sh` puts packages of Node.
fn installed() -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let tools = home("WEIR_TEST_TOOLS")
        .or_else(|| home("XDG_CACHE_HOME").map(|cache| cache.join("weir")))
        .or_else(|| home("HOME").map(|home| home.join(".cache/weir")));
    let node = tools.unwrap_or_default().join("node");
    let package = node.join("node_modules/http-message-signatures");
    assert!(
        package.is_dir(),
        "{package:?} is not there: run tests/install.sh"
    );
    node
}

fn signed() -> Signed {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sign.cjs");
    let output = Command::new("node")
        .arg(script)
        .arg(installed())
        .output()
        .expect("node is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut signed = Signed::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let parts: Vec<&str> = line.splitn(3, '\t').collect();
        let of_algorithm = signed.entry(parts[0].to_owned()).or_default();
        of_algorithm.insert(parts[1].to_owned(), parts[2].to_owned());
    }
    signed
}

fn key(algorithm: Algorithm, text: &str) -> VerifyingKey {
    match algorithm {
        Algorithm::HmacSha256 => VerifyingKey::from_secret(text.as_bytes()).unwrap(),
        _ => VerifyingKey::from_pem(algorithm, &text.replace('|', "\n")).unwrap(),
    }
}

fn required() -> Required {
    let components = ["@method", "@authority", "@path", "@query", "content-type"];
    Required {
        components: components
            .iter()
            .flat_map(|component| RequiredComponent::parse(component))
            .collect(),
        require_nonce: true,
        tag: Some("interoperation".into()),
        ..Required::default()
    }
}

#[test]
fn what_an_independent_client_signs_is_accepted_with_every_algorithm() {
    let signed = signed();
    for algorithm in Algorithm::ALL {
        let sent = &signed[algorithm.as_str()];
        let key = key(algorithm, &sent["key"]);
        let verify = |path: &str| {
            let fields = [
                ("Content-Type", "application/json"),
                ("Cache-Control", "max-age=60,   no-store"),
                ("X-List", "one, two"),
                ("X-List", "three"),
                ("Content-Digest", &sent["content-digest"]),
                ("Signature-Input", &sent["signature-input"]),
                ("Signature", &sent["signature"]),
            ];
            let message = Message {
                method: "POST",
                scheme: "https",
                authority: "api.example.com",
                path,
                query: Some("city=S%C3%A3o+Paulo&x=%7e"),
                content_length: Some(BODY.len() as u64),
                has_body: true,
                fields: fields.iter().map(|(name, value)| (*name, value.as_bytes())),
            };
            let find = |key_id: &str| (key_id == "client").then_some(&key);
            let verified = required().verify(&message, find, NOW)?;
            let mut digest = DigestChecker::of(&message)?.expect("it is signed");
            digest.update(BODY);
            digest.finish()?;
            Ok(verified)
        };
        let verified = verify("/a%20b/c")
            .unwrap_or_else(|fault| panic!("{algorithm}: {fault}: {}", sent["signature-input"]));
        assert_eq!(
            (verified.algorithm, verified.label.as_str()),
            (algorithm, "client")
        );
        assert_eq!(verified.until, NOW + 60 + 30);
        assert_eq!(verify("/a%20b/d"), Err(Fault::Invalid), "{algorithm}");
    }
}
