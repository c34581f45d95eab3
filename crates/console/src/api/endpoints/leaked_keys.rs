//! Where whoever finds a key tells of it, in the form of GitHub's secret scanning partner programme.

mod signed;

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_config::model::{GithubReports, LeakedKeys};
use weir_identity::{Finder, LeakReport};

use crate::api::answer::told;
use crate::api::body;
use crate::api::guard::Visitor;
use crate::api::services::Services;
use crate::problem::{FieldError, Problem};

pub(in crate::api) use signed::SignedReports;
use signed::{Claimed, refused};

/// Keys and bytes of what anybody may report at once.
const ANYBODY: Bounds = Bounds {
    keys: 100,
    bytes: 1 << 20,
};
/// And of what GitHub signs.
const GITHUB: Bounds = Bounds {
    keys: 10_000,
    bytes: 8 << 20,
};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default().routes(routes!(report_leaked_keys))
}

/// How much one report may be.
struct Bounds {
    keys: usize,
    bytes: usize,
}

/// Something that looks like a key, and where it was found. Other members are left alone: scanners send more.
#[derive(Deserialize, ToSchema)]
struct FoundKey {
    /// All of it.
    #[schema(example = "weir_key_063UfDVRKBz00000000001LygHa16AHYF0005gOMDDhc1pgR8X")]
    token: String,
    /// As what it was known.
    #[serde(default, rename = "type")]
    #[schema(example = "weir_api_key")]
    kind: String,
    /// Where it was found.
    url: Option<String>,
}

/// What became of a report.
#[derive(Serialize, ToSchema)]
struct Verdict {
    /// SHA-256 of what was reported, in base64: the key itself is not sent back.
    token_hash: String,
    /// As it was reported.
    token_type: String,
    /// `true_positive` for a key of this installation, which does not work any more; `false_positive` for anything else.
    #[schema(example = "true_positive")]
    label: &'static str,
}

/// What was found, and by whom.
struct Found {
    keys: Vec<FoundKey>,
    finder: Finder,
}

impl FromRequest<Services> for Found {
    type Rejection = Problem;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Problem> {
        let leaked_keys = services
            .configuration()
            .running
            .borrow()
            .leaked_keys
            .clone();
        if let Some(github) = &leaked_keys.github
            && let Some(claimed) = Claimed::of(request.headers())?
        {
            return signed(request, services, &leaked_keys, github, &claimed).await;
        }
        if !leaked_keys.unsigned {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "signature_needed",
                "This installation takes reports of leaked keys only if they are signed.",
            ));
        }
        let text = body::read(request.into_body(), ANYBODY.bytes).await?;
        Ok(Self {
            keys: ANYBODY.hold(body::parse(&text)?)?,
            finder: Finder::ANYBODY,
        })
    }
}

/// A report that says that GitHub signed it.
async fn signed(
    request: Request,
    services: &Services,
    leaked_keys: &LeakedKeys,
    github: &GithubReports,
    claimed: &Claimed,
) -> Result<Found, Problem> {
    // Before the body: what names no key of theirs is not read at all. That it names one says little, for they are public.
    let signers = claimed.signers(&github.keys, Instant::now()).await?;
    let _place = services
        .signed_reports()
        .place(request.body(), ANYBODY.bytes as u64)?;
    let text = body::read(request.into_body(), GITHUB.bytes).await?;
    claimed.verify(&signers, &text)?;
    let keys = GITHUB.hold(body::parse(&text)?)?;
    // By the same keys GitHub signs what it tells others, who could send it on.
    let is_meant = keys
        .iter()
        .any(|key: &FoundKey| github.types.contains(&key.kind));
    match (is_meant, leaked_keys.unsigned) {
        (true, _) => Ok(Found {
            keys,
            finder: Finder {
                name: Some("github"),
                is_counted: !services.signed_reports().is_first(&text),
            },
        }),
        (false, true) => Ok(Found {
            keys: ANYBODY.hold(keys)?,
            finder: Finder::ANYBODY,
        }),
        (false, false) => Err(refused(
            "Nothing in the report has a type by which GitHub knows the keys of this installation.",
        )),
    }
}

impl Bounds {
    fn hold(&self, found: Vec<FoundKey>) -> Result<Vec<FoundKey>, Problem> {
        if found.len() <= self.keys {
            return Ok(found);
        }
        Err(Problem::invalid(vec![FieldError {
            pointer: String::new(),
            detail: format!("has more than {} items", self.keys),
        }]))
    }
}

/// Report keys that were found
///
/// Whoever can show a whole key could use it as well: it is revoked at once, the audit is told where it was found, and its
/// owner gets a letter. It takes no credential. Of 100 keys at most it takes no signature either, unless the configuration says
/// so; a report that is signed as GitHub signs it has up to 10,000.
#[utoipa::path(
    post,
    path = "/v1/leaked-keys",
    tag = "api-keys",
    security(()),
    params(
        ("Github-Public-Key-Identifier" = Option<String>, Header, description = "Which key of GitHub signed the body."),
        ("Github-Public-Key-Signature" = Option<String>, Header, description = "ECDSA on P-256 with SHA-256 over the body, as ASN.1 in base64."),
    ),
    request_body = Vec<FoundKey>,
    responses(
        (status = 200, description = "What became of each, in their order.", body = Vec<Verdict>),
        (status = 403, description = "The signature is not good, or one is needed."),
    )
)]
async fn report_leaked_keys(visitor: Visitor, found: Found) -> Result<Response, Problem> {
    let mut verdicts = Vec::with_capacity(found.keys.len());
    let mut reports = Vec::with_capacity(found.keys.len());
    for FoundKey { token, kind, url } in found.keys {
        verdicts.push(Verdict {
            token_hash: STANDARD.encode(digest(&SHA256, token.as_bytes())),
            token_type: kind,
            label: "false_positive",
        });
        reports.push(LeakReport { token, url });
    }
    let (identity, caller) = (visitor.identity(), visitor.caller());
    let are_keys = identity.report_leaked(caller, found.finder, &reports);
    for (verdict, is_key) in verdicts.iter_mut().zip(are_keys.await?) {
        if is_key {
            verdict.label = "true_positive";
        }
    }
    Ok(told(&verdicts))
}
