//! Policies that say who may call.

use super::{codes_of, loaded, refused};
use crate::model::{
    Action, CertificateFact, CertificateName, IdentityFact, Keys, PolicyKind, TokenPlace,
};

const EC: &str = "{kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}";

fn text(policies: &str, listed: &str) -> String {
    let policies = policies.replace("$KEYS", &format!("{{keys: [{EC}]}}"));
    format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\npolicies:\n{policies}routes: [{{name: r, policies: [{listed}], respond: {{status: 200}}}}]\n"
    )
}

const JWT: &str = "  t: {jwt: {issuer: https://a.test, audience: [one, two], jwks: $KEYS}}\n";

#[test]
fn a_token_policy_has_defaults_and_a_key_its_one_algorithm() {
    let config = loaded(&text(JWT, "t")).config;
    let PolicyKind::Jwt(jwt) = &config.policies[0].kind else {
        panic!("{:?}", config.policies[0]);
    };
    assert_eq!(jwt.place, TokenPlace::Bearer);
    assert_eq!(jwt.leeway.as_secs(), 30);
    assert!(!jwt.is_strict && jwt.credential.is_required && jwt.credential.is_forwarded);
    let audiences = jwt.issuers[0].audiences.as_deref().unwrap();
    assert_eq!(audiences, ["one", "two"]);
    assert_eq!(jwt.claims.roles[1].steps, ["realm_access", "roles"]);
    assert!(matches!(config.routes[0].action, Action::Respond(_)));
}

#[test]
fn any_audience_must_be_asked_for() {
    let any = text("  t: {jwt: {issuer: a, audience: '*', jwks: $KEYS}}\n", "t");
    let config = loaded(&any).config;
    let PolicyKind::Jwt(jwt) = &config.policies[0].kind else {
        panic!("{:?}", config.policies[0]);
    };
    assert_eq!(jwt.issuers[0].audiences, None);
    let missing = text("  t: {jwt: {issuer: a, jwks: $KEYS}}\n", "t");
    assert_eq!(codes_of(&refused(&missing)), ["WR0102"]);
    let both = text(
        "  t: {jwt: {issuer: a, audience: [a, '*'], jwks: $KEYS}}\n",
        "t",
    );
    assert_eq!(codes_of(&refused(&both)), ["WR0205"]);
}

#[test]
fn mistakes_of_token_policies_are_named() {
    let cases = [
        ("{issuer: a, audience: a, jwks: {keys: []}}", "WR0321"),
        ("{issuer: a, audience: a, jwks: {}}", "WR0206"),
        ("{issuer: a, audience: a, jwks: https//a}", "WR0301"),
        (
            "{issuer: a, audience: a, jwks: $KEYS, algorithms: [RS256]}",
            "WR0321",
        ),
        (
            "{issuer: a, audience: a, jwks: $KEYS, algorithms: [none]}",
            "WR0114",
        ),
        (
            "{issuer: a, audience: a, jwks: $KEYS, algorithms: [HS256]}",
            "WR0114",
        ),
        (
            "{issuer: a, audience: a, jwks: $KEYS, leeway: 1h}",
            "WR0105",
        ),
        (
            "{issuer: a, audience: a, jwks: $KEYS, header: x-t, cookie: t}",
            "WR0205",
        ),
        (
            "{issuer: a, audience: a, jwks: $KEYS, scopes: /a//b}",
            "WR0121",
        ),
        (
            "{issuer: a, issuers: [{issuer: a, audience: a, jwks: $KEYS}]}",
            "WR0205",
        ),
        (
            "{issuers: [{issuer: a, audience: a, jwks: $KEYS}, {issuer: a, audience: b, jwks: $KEYS}]}",
            "WR0211",
        ),
        ("{issuers: []}", "WR0119"),
    ];
    for (jwt, code) in cases {
        let report = refused(&text(&format!("  t: {{jwt: {jwt}}}\n"), "t"));
        assert!(codes_of(&report).contains(&code), "{jwt}: {report}");
    }
}

/// What is asked where, by whom and for whom.
const ASKED: &str = "endpoint: https://a.test/introspect, client_id: weir, audience: one, client_secret: env:SECRET";

#[test]
fn mistakes_of_introspection_policies_are_named() {
    for (introspection, code) in [
        (ASKED.replace("https:", "http:"), "WR0109"),
        (ASKED.replace("a.test", "a.test@b.test"), "WR0109"),
        (ASKED.replace("introspect,", "introspect#a,"), "WR0109"),
        (ASKED.replace("https://", "ftp://"), "WR0109"),
        (ASKED.replace("env:SECRET", "in-the-file"), "WR0301"),
        (ASKED.replace("audience: one, ", ""), "WR0102"),
        (format!("{ASKED}, header: x-t, cookie: t"), "WR0205"),
        (format!("{ASKED}, timeout: 1m"), "WR0105"),
        (format!("{ASKED}, cache: 2h"), "WR0105"),
        (format!("{ASKED}, stale: 2d"), "WR0105"),
        (format!("{ASKED}, at_once: 0"), "WR0107"),
    ] {
        let policies = format!("  t: {{introspection: {{{introspection}}}}}\n");
        let report = refused(&text(&policies, "t"));
        assert!(
            codes_of(&report).contains(&code),
            "{introspection}: {report}"
        );
    }
}

#[test]
fn several_ways_are_ways_to_say_who_one_is() {
    let policies = format!(
        "{JWT}  u: {{jwt: {{issuer: b, audience: b, jwks: $KEYS}}}}\n  e: {{any_of: {{policies: [t, u]}}}}\n"
    );
    let config = loaded(&text(&policies, "e")).config;
    let PolicyKind::AnyOf(any) = &config.policies[0].kind else {
        panic!("{:?}", config.policies[0]);
    };
    let names: Vec<_> = any
        .policies
        .iter()
        .map(|at| &*config.policies[*at].name)
        .collect();
    assert_eq!(names, ["t", "u"]);
    assert!(any.is_required);
    for (listed, code) in [
        ("[t]", "WR0119"),
        ("[t, t]", "WR0211"),
        ("[t, nobody]", "WR0202"),
        ("[t, e]", "WR0205"),
        ("[t, c]", "WR0205"),
    ] {
        let policies =
            format!("{JWT}  c: {{compress: {{}}}}\n  e: {{any_of: {{policies: {listed}}}}}\n");
        let report = refused(&text(&policies, "e, c"));
        assert!(codes_of(&report).contains(&code), "{listed}: {report}");
    }
}

#[test]
fn what_a_newcomer_writes_is_answered_with_what_to_write() {
    let help = |policies: &str, used: &str| {
        let report = refused(&text(policies, used));
        let all: Vec<_> = report.diagnostics.iter().collect();
        assert_eq!(all.len(), 1, "{report}");
        (all[0].code, all[0].help.clone().unwrap_or_default(), report)
    };
    let jwt = "{issuer: a, audience: a, jwks: $KEYS, algorithms: [HS256]}";
    let (_, said, _) = help(&format!("  t: {{jwt: {jwt}}}\n"), "t");
    let choices = "`RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`";
    assert_eq!(
        said,
        format!("shared secrets are not known here: {choices}")
    );
    // The policy that stands there is not called unused.
    let (code, said, _) = help(&format!("{JWT}  e: {{any_of: [t]}}\n"), "e");
    assert_eq!(
        (code, &*said),
        ("WR0101", "write `any_of: { policies: [t] }`")
    );
    let (code, said, report) = help("  b: {basic: {users: \"ada:CANARY\"}}\n", "b");
    let line = "write the line to a file, hashed by `weir password-hash ada`, and name that: `file:users.htpasswd`";
    assert_eq!((code, &*said), ("WR0301", line));
    assert!(!format!("{report} {}", report.to_json()).contains("CANARY"));
    for (time, most) in [("cache: 2h", "1h"), ("stale: 2d", "1d")] {
        let policy = format!("  i: {{introspection: {{{ASKED}, {time}}}}}\n");
        let report = refused(&text(&policy, "i")).to_string();
        assert!(
            report.contains(&format!("write at most `{most}`")),
            "{report}"
        );
    }
}

#[test]
fn what_is_about_the_caller_needs_somebody_who_finds_out_who_that_is() {
    for about in ["require: {scopes: a}", "identity: {}"] {
        let policies = format!("{JWT}  about: {{{about}}}\n");
        assert_eq!(
            codes_of(&refused(&text(&policies, "about"))),
            ["WR0505", "WR0205"]
        );
        loaded(&text(&policies, "t, about"));
    }
    let nothing = format!("{JWT}  about: {{require: {{}}}}\n");
    assert_eq!(codes_of(&refused(&text(&nothing, "t, about"))), ["WR0206"]);
}

#[test]
fn a_file_of_rules_without_its_prefix_is_taken_for_one() {
    let with_rules = |cedar: &str| {
        let policies = format!("{JWT}  r: {{require: {{cedar: '{cedar}'}}}}\n");
        refused(&text(&policies, "t, r"))
    };
    let report = with_rules("rules/shop.cedar");
    assert_eq!(codes_of(&report), ["WR0143"]);
    let said = report.to_string();
    assert!(
        said.contains("rules of a file are written `file:rules/shop.cedar`"),
        "{said}"
    );
    let said = with_rules("permit (principal);").to_string();
    assert!(
        said.contains("here:1:") && !said.contains("file:"),
        "{said}"
    );
}

#[test]
fn templates_about_the_caller_need_somebody_who_finds_out_who_that_is() {
    let rules = "{request: {set: {x-user: \"{principal.subject}\", x-plan: \"{claims./a/plan}\"}}}";
    let policies = format!("{JWT}  about: {{headers: {rules}}}\n");
    loaded(&text(&policies, "t, about"));
    assert_eq!(
        codes_of(&refused(&text(&policies, "about"))),
        ["WR0505", "WR0205"]
    );
    let own = |listed: &str| {
        let of_route = format!("respond: {{status: 200}}, headers: {rules}");
        text(JWT, listed).replace("respond: {status: 200}", &of_route)
    };
    loaded(&own("t"));
    let report = refused(&own(""));
    assert_eq!(codes_of(&report), ["WR0505", "WR0205", "WR0205"]);
    assert!(
        report.to_string().contains("`{claims./a/plan}`"),
        "{report}"
    );
}

#[test]
fn facts_have_fields_of_their_own() {
    let policies =
        format!("{JWT}  who: {{identity: {{subject: x-user, claims: {{x-mail: email}}}}}}\n");
    let config = loaded(&text(&policies, "t, who")).config;
    let PolicyKind::Identity(identity) = &config.policies[1].kind else {
        panic!("{:?}", config.policies[1]);
    };
    assert_eq!(identity.fields[0].0, "x-user");
    assert!(matches!(&identity.fields[6].1, IdentityFact::Claim(claim) if claim.text == "email"));
    for (identity, code) in [
        ("{subject: x-a, issuer: x-a}", "WR0211"),
        ("{subject: host}", "WR0120"),
        ("{claims: {connection: email}}", "WR0120"),
        ("{token: {}}", "WR0102"),
        ("{token: {audience: a, header: x-weir-subject}}", "WR0211"),
        ("{token: {audience: a, header: host}}", "WR0120"),
        ("{token: {audience: a, lifetime: 1h}}", "WR0105"),
        ("{token: {audience: a, lifetime: 1s}}", "WR0105"),
        ("{token: {audience: a, issuer: b}}", "WR0205"),
        ("{token: {audience: a, key: in-the-file}}", "WR0301"),
    ] {
        let policies = format!("{JWT}  who: {{identity: {identity}}}\n");
        assert_eq!(
            codes_of(&refused(&text(&policies, "t, who"))),
            [code],
            "{identity}"
        );
    }
}

#[test]
fn certificates_are_listed_by_what_they_say() {
    let fingerprint = "AB:".repeat(31) + "CD";
    let policies = format!(
        "  m: {{mtls: {{fingerprints: '{fingerprint}', names: ['dns:A.test', 'uri:spiffe://a/b', 'ip:192.0.2.1'], subject: uri}}}}\n"
    );
    let loaded = loaded(&text(&policies, "m"));
    let PolicyKind::Mtls(mtls) = &loaded.config.policies[0].kind else {
        panic!("{:?}", loaded.config.policies[0]);
    };
    assert_eq!(mtls.fingerprints, ["ab".repeat(31) + "cd"]);
    assert_eq!(mtls.names[0], CertificateName::Dns("a.test".to_owned()));
    assert_eq!(mtls.subject, CertificateFact::Uri);
    // The only listener of this file asks for none.
    let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["WR0510"]);
    for (mtls, code) in [
        ("{fingerprints: abc}", "WR0121"),
        ("{names: billing.test}", "WR0121"),
        ("{names: 'ip:billing'}", "WR0121"),
        ("{names: 'dns:'}", "WR0121"),
        ("{subject: serial}", "WR0114"),
    ] {
        let report = refused(&text(&format!("  m: {{mtls: {mtls}}}\n"), "m"));
        assert!(codes_of(&report).contains(&code), "{mtls}: {report}");
    }
}

#[test]
fn mistakes_of_policies_about_messages_are_named() {
    let key = |key: &str| format!("signature: {{keys: {{a: {{{key}}}}}}}");
    let cases = [
        ("signature: {keys: {}}".to_owned(), "WR0206"),
        (key("algorithm: ed25519, secret: env:A"), "WR0205"),
        (key("algorithm: hmac-sha256, key: file:a"), "WR0205"),
        (
            key("algorithm: hmac-sha256, secret: canary-in-the-file"),
            "WR0301",
        ),
        (key("algorithm: ed25519"), "WR0102"),
        (key("algorithm: none"), "WR0114"),
        (
            "signature: {keys: {a: {algorithm: ed25519, key: file:a}}, components: '@nothing'}"
                .to_owned(),
            "WR0121",
        ),
        (
            "signature: {keys: {a: {algorithm: ed25519, key: file:a}}, remembered: 0}".to_owned(),
            "WR0107",
        ),
        (
            "signature: {keys: {a: {algorithm: ed25519, key: file:a}}, remembered: 10000001}"
                .to_owned(),
            "WR0107",
        ),
        ("hmac: {secrets: env:A}".to_owned(), "WR0102"),
        (
            "hmac: {header: x-s, secrets: canary-in-the-file}".to_owned(),
            "WR0301",
        ),
        ("hmac: {header: x-s, secrets: []}".to_owned(), "WR0206"),
        (
            "hmac: {header: x-s, secrets: env:A, form: timed}".to_owned(),
            "WR0102",
        ),
        (
            "hmac: {header: x-s, secrets: env:A, timestamp_header: x-t}".to_owned(),
            "WR0205",
        ),
        (
            "hmac: {header: x-s, secrets: env:A, form: body, tolerance: 1m}".to_owned(),
            "WR0205",
        ),
    ];
    for (policy, code) in cases {
        let report = refused(&text(&format!("  s: {{{policy}}}\n"), "s"));
        assert!(codes_of(&report).contains(&code), "{policy}: {report}");
        assert!(!report.to_string().contains("canary"), "{report}");
    }
}

#[test]
fn a_session_policy_sends_to_a_path_of_the_same_host() {
    let load = |session: &str| {
        let policies = format!("  s: {{session: {session}}}\n");
        let mut config = loaded(&text(&policies, "s")).config;
        match config.policies.remove(0).kind {
            PolicyKind::Session(session) => session,
            other => panic!("{other:?}"),
        }
    };
    let usual = load("{}");
    assert_eq!(usual.sign_in.as_deref(), Some("/sign-in"));
    assert!(!usual.needs_second_factor && !usual.credential.is_forwarded);
    assert!(usual.credential.is_required && usual.organization.is_none());
    let other = load(
        "{sign_in: '/in?organization=acme', organization: acme, strength: second_factor, required: false, forward: true}",
    );
    assert_eq!(other.sign_in.as_deref(), Some("/in?organization=acme"));
    assert!(other.needs_second_factor && other.credential.is_forwarded);
    assert_eq!(other.organization.as_deref(), Some("acme"));
    assert_eq!(load("{redirect: never}").sign_in, None);
    for (session, code) in [
        ("{sign_in: //evil.example}", "WR0116"),
        ("{sign_in: 'https://evil.example/sign-in'}", "WR0116"),
        ("{sign_in: '/\\evil.example'}", "WR0116"),
        ("{redirect: always}", "WR0114"),
        ("{strength: mfa}", "WR0114"),
        ("{organization: 'A B'}", "WR0118"),
    ] {
        let policies = format!("  s: {{session: {session}}}\n");
        let report = refused(&text(&policies, "s"));
        assert!(codes_of(&report).contains(&code), "{session}: {report}");
    }
}

#[test]
fn identity_is_told_in_fields_that_have_no_other_meaning() {
    let with = |fields: &str| text(&format!("{JWT}  who: {{identity: {fields}}}\n"), "t, who");
    for taken in [
        "{subject: authorization}",
        "{claims: {cookie: email}}",
        "{claims: {Via: email}}",
        "{roles: x-forwarded-for}",
        "{claims: {content-language: locale}}",
    ] {
        assert_eq!(codes_of(&refused(&with(taken))), ["WR0120"], "{taken}");
    }
    let usual =
        "{subject: x-forwarded-user, roles: x-auth-request-groups, claims: {remote-user: email}}";
    let config = loaded(&with(usual)).config;
    let PolicyKind::Identity(identity) = &config.policies[1].kind else {
        panic!("{:?}", config.policies[1]);
    };
    assert_eq!(identity.fields[0].0, "x-forwarded-user");
}

#[test]
fn keys_that_come_over_the_open_net_without_tls_are_warned_of() {
    let warned = |jwks: &str, issuer: &str| {
        let policy = format!("  t: {{jwt: {{issuer: '{issuer}', audience: a, jwks: {jwks}}}}}\n");
        let loaded = loaded(&text(&policy, "t"));
        let codes = loaded.warnings.iter().map(|warning| warning.code);
        codes.filter(|code| *code == "WR0512").count()
    };
    for open in [
        "'http://issuer.example/jwks.json'",
        "{url: 'http://issuer.example:8080/jwks.json'}",
        "'http://203.0.113.7/jwks.json'",
        "'http://user@issuer.example/'",
        "'http://[2001:db8::1]/jwks.json'",
    ] {
        assert_eq!(warned(open, "a"), 1, "{open}");
    }
    assert_eq!(warned("discover", "http://issuer.example"), 1);
    assert_eq!(warned("discover", "https://issuer.example"), 0);
    for near in [
        "'https://issuer.example/jwks.json'",
        "'http://127.0.0.1:8080/jwks.json'",
        "'http://localhost/jwks.json'",
        "'http://[::1]/jwks.json'",
        "'http://10.1.2.3/jwks.json'",
        "'http://keycloak:8080/jwks.json'",
        "'http://keycloak.auth.svc/jwks.json'",
        "'http://issuer.internal/jwks.json'",
    ] {
        assert_eq!(warned(near, "a"), 0, "{near}");
    }
}

#[test]
fn this_installation_is_an_issuer_that_names_itself() {
    let own = text(
        "  t: {jwt: {audience: https://api.test, jwks: weir}}\n",
        "t",
    );
    let config = loaded(&own).config;
    let PolicyKind::Jwt(jwt) = &config.policies[0].kind else {
        panic!("{:?}", config.policies[0]);
    };
    assert!(matches!(jwt.issuers[0].keys, Keys::Own(None)));
    let both = format!(
        "{{issuers: [{{audience: a, jwks: weir}}, {{issuer: b, audience: a, jwks: {{keys: [{EC}]}}}}]}}"
    );
    loaded(&text(&format!("  t: {{jwt: {both}}}\n"), "t"));
    for (jwt, code) in [
        ("{issuer: a, audience: a, jwks: weir}", "WR0205"),
        ("{jwks: weir}", "WR0102"),
        ("{audience: a, jwks: $KEYS}", "WR0102"),
        ("{issuers: [{audience: a, jwks: $KEYS}]}", "WR0102"),
        (
            "{issuers: [{audience: a, jwks: weir}, {audience: b, jwks: weir}]}",
            "WR0211",
        ),
    ] {
        let report = refused(&text(&format!("  t: {{jwt: {jwt}}}\n"), "t"));
        assert!(codes_of(&report).contains(&code), "{jwt}: {report}");
    }
}
