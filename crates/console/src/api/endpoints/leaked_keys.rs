//! Where whoever finds a key tells of it, in the form of GitHub's secret scanning partner programme.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::LeakReport;

use crate::api::answer::told;
use crate::api::body::Body;
use crate::api::guard::Visitor;
use crate::api::services::Services;
use crate::problem::{FieldError, Problem};

/// Reports of one request.
const MOST: usize = 100;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default().routes(routes!(report_leaked_keys))
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

/// Report keys that were found
///
/// Whoever can show a whole key could use it as well: it is revoked at once, the audit is told where it was found, and its
/// owner gets a letter. It takes no credential, nor a signature.
#[utoipa::path(
    post,
    path = "/v1/leaked-keys",
    tag = "api-keys",
    security(()),
    request_body = Vec<FoundKey>,
    responses((status = 200, description = "What became of each, in their order.", body = Vec<Verdict>))
)]
async fn report_leaked_keys(
    visitor: Visitor,
    Body(found): Body<Vec<FoundKey>>,
) -> Result<Response, Problem> {
    if found.len() > MOST {
        return Err(Problem::invalid(vec![FieldError {
            pointer: String::new(),
            detail: format!("has more than {MOST} items"),
        }]));
    }
    let mut verdicts = Vec::with_capacity(found.len());
    let mut reports = Vec::with_capacity(found.len());
    for FoundKey { token, kind, url } in found {
        verdicts.push(Verdict {
            token_hash: STANDARD.encode(digest(&SHA256, token.as_bytes())),
            token_type: kind,
            label: "false_positive",
        });
        reports.push(LeakReport { token, url });
    }
    let identity = visitor.identity();
    let are_keys = identity.report_leaked(visitor.caller(), &reports).await?;
    for (verdict, is_key) in verdicts.iter_mut().zip(are_keys) {
        if is_key {
            verdict.label = "true_positive";
        }
    }
    Ok(told(&verdicts))
}
