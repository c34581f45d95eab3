//! What Consul's answers mean.

use std::collections::HashMap;

use serde::Deserialize;
use weir_config::model::Target;

/// An instance as `/v1/health/service` lists it; only what is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance {
    node: Node,
    service: Service,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
    #[serde(default)]
    meta: Option<HashMap<String, String>>,
    #[serde(default)]
    locality: Option<Locality>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    weights: Option<Weights>,
    #[serde(default)]
    meta: Option<HashMap<String, String>>,
    #[serde(default)]
    locality: Option<Locality>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locality {
    #[serde(default)]
    zone: String,
}

/// A service without an address of its own is at its node's.
pub(super) fn targets(instances: Vec<Instance>) -> Vec<Target> {
    let each = instances.into_iter().map(|instance| {
        let zone = zone(&instance);
        let Instance { node, service } = instance;
        Target {
            host: match service.address.is_empty() {
                true => node.address,
                false => service.address,
            },
            port: service.port,
            weight: service.weights.map_or(1, |weights| weights.passing),
            zone,
        }
    });
    each.collect()
}

/// What the metadata say, the service's before the node's; else the locality.
fn zone(instance: &Instance) -> Option<String> {
    let Instance { node, service } = instance;
    let stated = [&service.meta, &node.meta]
        .into_iter()
        .find_map(|meta| meta.as_ref()?.get("zone"));
    let located = [&service.locality, &node.locality]
        .into_iter()
        .find_map(|locality| Some(&locality.as_ref()?.zone).filter(|zone| !zone.is_empty()));
    stated.or(located).cloned()
}

/// The index for the next query after one that was sent with `sent`; `None` without blocking, since
/// the answer does not tell one.
///
/// The rules are those of Consul's "Blocking Queries": one that goes backwards begins anew, and 0
/// counts as 1, or the query would not block.
pub(super) fn next_index(sent: u64, told: Option<u64>) -> Option<u64> {
    match told? {
        backwards if backwards < sent => Some(0),
        index => Some(index.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_goes_on_or_begins_anew() {
        assert_eq!(next_index(0, Some(42)), Some(42));
        assert_eq!(next_index(42, Some(42)), Some(42));
        assert_eq!(next_index(42, Some(41)), Some(0));
        assert_eq!(next_index(42, Some(0)), Some(0));
        assert_eq!(next_index(0, Some(0)), Some(1));
        assert_eq!(next_index(42, None), None);
    }

    #[test]
    fn an_instance_is_where_its_service_or_its_node_is() {
        let text = r#"[
            {"Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": {"zone": "a"}},
             "Service": {"ID": "x", "Address": "", "Port": 80, "Weights": {"Passing": 3, "Warning": 1}},
             "Checks": []},
            {"Node": {"Address": "10.0.0.2", "Meta": {"zone": "a"}, "Locality": {"Region": "r", "Zone": "z"}},
             "Service": {"Address": "10.1.0.2", "Port": 81, "Meta": {"zone": "b"}}},
            {"Node": {"Address": "10.0.0.3", "Meta": null, "Locality": {"Zone": "z"}},
             "Service": {"Port": 82}}
        ]"#;
        let targets = targets(serde_json::from_str(text).unwrap());
        let shown: Vec<_> = targets
            .iter()
            .map(|target| {
                (
                    target.host.as_str(),
                    target.port,
                    target.weight,
                    target.zone.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("10.0.0.1", 80, 3, Some("a")),
            ("10.1.0.2", 81, 1, Some("b")),
            ("10.0.0.3", 82, 1, Some("z")),
        ];
        assert_eq!(shown, expected);
    }
}
