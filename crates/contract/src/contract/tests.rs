use serde_json::json;

use super::*;
use crate::{Documents, SchemaOptions};

fn contract() -> Contract {
    let schema = |text| {
        let documents = Documents::gather("s.json", text, &mut |_| panic!("no files")).unwrap();
        Schema::compile(&documents, SchemaOptions { formats: true }).unwrap()
    };
    Contract::of_schemas(
        Some(schema(json!({"required": ["sku"]}))),
        Some(schema(json!({"required": ["id"]}))),
    )
}

fn judge(method: &str, content_type: Option<&str>, has_body: bool) -> (bool, Vec<Place>) {
    let contract = contract();
    let judgement = contract.judge(&Request {
        method,
        path: "/",
        query: None,
        content_type,
        has_body,
        field: &|_| None,
    });
    let places = judgement
        .violations
        .iter()
        .map(|violation| violation.place)
        .collect();
    (judgement.body.is_some(), places)
}

#[test]
fn requests_about_a_body_have_one_of_json() {
    assert_eq!(
        judge("POST", Some("application/json"), true),
        (true, vec![])
    );
    assert_eq!(
        judge("POST", Some("text/plain"), true),
        (false, vec![Place::ContentType])
    );
    assert_eq!(judge("POST", None, true), (false, vec![Place::ContentType]));
    assert_eq!(
        judge("PUT", Some("application/json"), false),
        (false, vec![Place::Body])
    );
    assert_eq!(judge("GET", None, false), (false, vec![]));
    assert_eq!(
        judge("DELETE", Some("application/json"), true),
        (true, vec![])
    );
}

#[test]
fn responses_with_success_are_judged() {
    let contract = contract();
    let judge = |status, content_type, body: &'static [u8]| {
        let response = Response {
            operation: None,
            status,
            content_type,
            body: Some(body),
        };
        let violations = contract.judge_response(&response).err().unwrap_or_default();
        violations
            .into_iter()
            .map(|violation| violation.place)
            .collect::<Vec<_>>()
    };
    assert_eq!(judge(200, Some("application/json"), br#"{"id": 1}"#), []);
    assert_eq!(judge(201, Some("application/json"), b"{}"), [Place::Body]);
    assert_eq!(judge(200, Some("application/json"), b"{"), [Place::Body]);
    assert_eq!(judge(200, Some("text/html"), b"{}"), [Place::ContentType]);
    assert_eq!(judge(404, Some("text/html"), b""), []);
    assert_eq!(judge(204, None, b""), []);
}
