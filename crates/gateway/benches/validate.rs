//! What checking a body of 2 KiB by a JSON Schema costs, and reading it strictly alone:
//! `cargo bench -p weir-gateway --bench validate`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_contract::{Contract, Documents, Fault, Json, Request, Schema, SchemaOptions};

const ROUNDS: u32 = 20_000;
/// The best of so many runs counts: the rest is the machine's.
const RUNS: u32 = 10;

fn main() -> Result<(), Fault> {
    let order = body();
    let contract = contract()?;
    let request = Request {
        method: "POST",
        path: "/orders",
        query: None,
        content_type: Some("application/json"),
        has_body: true,
        field: &|_| None,
    };
    let read = measure(|| Json::parse(black_box(order.as_bytes())).is_ok());
    let check = measure(|| {
        let judgement = contract.judge(black_box(&request));
        let rule = judgement.body;
        rule.is_some_and(|rule| {
            contract
                .check_body(rule, black_box(order.as_bytes()))
                .is_ok()
        })
    });
    println!("body {} bytes", order.len());
    println!("read  {:>8.2} µs", read.as_secs_f64() * 1e6);
    println!("check {:>8.2} µs", check.as_secs_f64() * 1e6);
    Ok(())
}

fn measure(mut run: impl FnMut() -> bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        let mut all = true;
        for _ in 0..ROUNDS {
            all &= black_box(run());
        }
        assert!(all, "the body is right");
        best = best.min(started.elapsed() / ROUNDS);
    }
    best
}

/// An order with lines, as shops have them.
fn body() -> String {
    let line = |number: u32| {
        json!({
            "sku": format!("AB-{number:04}"),
            "title": "A thing that is made of wood and brass",
            "quantity": number % 7 + 1,
            "price": {"amount": f64::from(number) * 1.25, "currency": "EUR"},
            "tags": ["new", "fragile"],
        })
    };
    let order = json!({
        "id": "2f1d0a9c-8d4b-4f0e-9a53-0c6a7f3d2b11",
        "customer": {"name": "Ada Lovelace", "email": "ada@example.com", "since": "2019-05-01"},
        "paid": true,
        "note": null,
        "lines": (1..=13).map(line).collect::<Vec<_>>(),
    });
    order.to_string()
}

fn contract() -> Result<Contract, Fault> {
    let schema = json!({
        "type": "object",
        "required": ["id", "customer", "lines"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "customer": {"$ref": "#/$defs/customer"},
            "paid": {"type": "boolean"},
            "note": {"type": ["string", "null"], "maxLength": 500},
            "lines": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"$ref": "#/$defs/line"}},
        },
        "$defs": {
            "customer": {
                "type": "object",
                "required": ["name", "email"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "email": {"type": "string", "format": "email"},
                    "since": {"type": "string", "format": "date"},
                },
            },
            "line": {
                "type": "object",
                "required": ["sku", "quantity", "price"],
                "additionalProperties": false,
                "properties": {
                    "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
                    "title": {"type": "string", "maxLength": 200},
                    "quantity": {"type": "integer", "minimum": 1, "maximum": 1000},
                    "price": {
                        "type": "object",
                        "required": ["amount", "currency"],
                        "properties": {
                            "amount": {"type": "number", "exclusiveMinimum": 0},
                            "currency": {"enum": ["EUR", "USD", "GBP"]},
                        },
                    },
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
                },
            },
        },
    });
    let documents = Documents::gather("order.json", schema, &mut |path| Err(path.to_owned()))?;
    let schema = Schema::compile(&documents, SchemaOptions { formats: true })?;
    Ok(Contract::of_schemas(Some(schema), None))
}
