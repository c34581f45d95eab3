//! What the credential of a request would say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_config::model::ClaimPath;
use weir_core::Principal;
use weir_core::principal::Method;

/// A claim with one value; another one with the same name makes a list of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// As in `match.claims`.
    pub(super) name: String,
    pub(super) value: String,
}

/// `NAME=VALUE`
pub(super) fn parse(text: &str) -> Result<Claim, &'static str> {
    let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
    let claim = Claim {
        name: name.trim().to_owned(),
        value: value.to_owned(),
    };
    path(&claim)?;
    Ok(claim)
}

/// Somebody with a good credential that says this; `None` without any claim: nobody. Which claim is wrong, and how,
/// if one is.
pub(super) fn principal(claims: &[Claim]) -> Result<Option<Principal>, (usize, &'static str)> {
    if claims.is_empty() {
        return Ok(None);
    }
    let mut said = Map::new();
    for (index, claim) in claims.iter().enumerate() {
        let path = path(claim).map_err(|why| (index, why))?;
        put(&mut said, &path.steps, &claim.value).map_err(|why| (index, why))?;
    }
    let subject = said.get("sub").and_then(Value::as_str).unwrap_or_default();
    Ok(Some(Principal {
        method: Method::Token,
        issuer: None,
        subject: subject.into(),
        organization: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        claims: said,
    }))
}

fn path(claim: &Claim) -> Result<ClaimPath, &'static str> {
    let path = ClaimPath::of(&claim.name).filter(|_| !claim.name.is_empty());
    path.ok_or("is no name of a claim, nor a JSON Pointer such as `/realm_access/roles`")
}

fn put(claims: &mut Map<String, Value>, steps: &[String], value: &str) -> Result<(), &'static str> {
    let Some((first, rest)) = steps.split_first() else {
        return Ok(());
    };
    let value = match rest {
        [] => Value::from(value),
        _ => {
            let below = claims.entry(first).or_insert_with(|| Map::new().into());
            let below = below.as_object_mut().ok_or("has a value by itself")?;
            return put(below, rest, value);
        }
    };
    match claims.get_mut(first) {
        None => {
            claims.insert(first.clone(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(Value::Object(_)) => return Err("has values below it"),
        Some(former) => *former = Value::Array(vec![former.take(), value]),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(claims: &[&str]) -> Result<Value, (usize, &'static str)> {
        let claims: Vec<Claim> = claims.iter().filter_map(|text| parse(text).ok()).collect();
        let principal = principal(&claims)?;
        Ok(principal.map_or(Value::Null, |principal| principal.claims.into()))
    }

    #[test]
    fn claims_are_texts_lists_and_members_and_without_any_there_is_nobody() {
        assert_eq!(said(&[]), Ok(Value::Null));
        let claims = ["tenant=acme", "plan=gold", "/a/roles=x", "plan=a=b"];
        let expected = json!({"tenant": "acme", "plan": ["gold", "a=b"], "a": {"roles": "x"}});
        assert_eq!(said(&claims), Ok(expected));
        assert_eq!(said(&["a=1", "/a/b=2"]), Err((1, "has a value by itself")));
        assert_eq!(said(&["/a/b=1", "a=2"]), Err((1, "has values below it")));
        for text in ["tenant", "=acme", "/a//b=c"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
