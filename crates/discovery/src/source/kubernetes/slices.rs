//! EndpointSlices (discovery.k8s.io/v1) and the targets that they come to.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_config::model::Target;

/// Endpoints that are kept beyond what the upstream accepts: of several slices, and of those that
/// are not ready.
const ROOM: usize = 10_000;

/// A slice as the API has it; only what is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slice {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    zone: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Conditions {
    #[serde(default)]
    ready: Option<bool>,
    #[serde(default)]
    serving: Option<bool>,
    #[serde(default)]
    terminating: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Port {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    protocol: Option<String>,
}

impl Slice {
    pub(super) fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

/// How an endpoint may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Ready,
    /// It is about to end, and still serves: better than nothing.
    LastResort,
    No,
}

impl Conditions {
    /// Unknown readiness counts as readiness, as the API's description asks of consumers.
    fn usage(self) -> Use {
        let is_terminating = self.terminating == Some(true);
        if self.ready != Some(false) && !is_terminating {
            return Use::Ready;
        }
        if is_terminating && self.serving == Some(true) {
            return Use::LastResort;
        }
        Use::No
    }
}

/// All slices of a service, by their names.
pub(super) struct Slices {
    /// Name or number of the port.
    port: Option<String>,
    most_endpoints: usize,
    slices: BTreeMap<String, Kept>,
}

/// What is kept of a slice.
struct Kept {
    ports: Vec<Port>,
    ready: Vec<Place>,
    last_resort: Vec<Place>,
}

struct Place {
    host: String,
    zone: Option<String>,
}

impl Slices {
    pub(super) fn new(port: Option<String>, most_targets: usize) -> Self {
        Self {
            port,
            most_endpoints: most_targets.saturating_mul(2).saturating_add(ROOM),
            slices: BTreeMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.slices.clear();
    }

    /// Adds a slice or replaces the one of its name; false if there is no room for it.
    pub(super) fn put(&mut self, slice: Slice) -> bool {
        let mut kept = Kept {
            ports: slice.ports.unwrap_or_default(),
            ready: Vec::new(),
            last_resort: Vec::new(),
        };
        for endpoint in slice.endpoints.unwrap_or_default() {
            let list = match endpoint.conditions.unwrap_or_default().usage() {
                Use::Ready => &mut kept.ready,
                Use::LastResort => &mut kept.last_resort,
                Use::No => continue,
            };
            // All of an endpoint's addresses lead to the same place; the first is the one to use.
            if let Some(host) = endpoint.addresses.into_iter().next() {
                let zone = endpoint.zone;
                list.push(Place { host, zone });
            }
        }
        self.slices.insert(slice.metadata.name, kept);
        let endpoints = self.slices.values();
        // A slice without endpoints takes room too.
        let count: usize = endpoints
            .map(|kept| 1 + kept.ready.len() + kept.last_resort.len() + kept.ports.len())
            .sum();
        count <= self.most_endpoints
    }

    pub(super) fn remove(&mut self, slice: &Slice) {
        self.slices.remove(&slice.metadata.name);
    }

    /// The ready endpoints of all slices; those that are about to end and still serve where there
    /// is no ready one.
    pub(super) fn targets(&self) -> Result<Vec<Target>, String> {
        let is_any_ready = self.slices.values().any(|kept| !kept.ready.is_empty());
        let mut targets = Vec::new();
        for kept in self.slices.values() {
            let places = match is_any_ready {
                true => &kept.ready,
                false => &kept.last_resort,
            };
            if places.is_empty() {
                continue;
            }
            let port = port(self.port.as_deref(), &kept.ports)?;
            targets.extend(places.iter().map(|place| Target {
                host: place.host.clone(),
                port,
                weight: 1,
                zone: place.zone.clone(),
            }));
        }
        Ok(targets)
    }
}

/// The port of a slice that is meant: by name, by number, or the only one.
fn port(wanted: Option<&str>, ports: &[Port]) -> Result<u16, String> {
    let is_tcp = |port: &&Port| port.protocol.as_deref().is_none_or(|name| name == "TCP");
    let numbered: Vec<(&str, u16)> = ports
        .iter()
        .filter(is_tcp)
        .filter_map(|port| Some((port.name.as_deref().unwrap_or_default(), port.port?)))
        .collect();
    let number = wanted.and_then(|wanted| wanted.parse::<u16>().ok());
    let found = match wanted {
        None if numbered.len() > 1 => {
            let listed = list(&numbered);
            return Err(format!(
                "the service has several ports, set `port` to one of {listed}"
            ));
        }
        None => numbered.first(),
        Some(wanted) => numbered
            .iter()
            .find(|(name, port)| *name == wanted || Some(*port) == number),
    };
    match (found, wanted) {
        (Some((_, port)), _) => Ok(*port),
        // A slice without ports allows all of them.
        (None, Some(wanted)) if numbered.is_empty() => {
            number.ok_or_else(|| format!("the service's endpoints name no port `{wanted}`"))
        }
        (None, Some(wanted)) => {
            let listed = list(&numbered);
            Err(format!(
                "the service has no TCP port `{wanted}`, it has {listed}"
            ))
        }
        (None, None) => Err("the service's endpoints name no TCP port, set `port`".to_owned()),
    }
}

fn list(ports: &[(&str, u16)]) -> String {
    let shown = ports.iter().take(10).map(|(name, port)| match *name {
        "" => port.to_string(),
        name => format!("{port} ({name})"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, endpoints: &str) -> Slice {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "resourceVersion": "1"}},
                 "addressType": "IPv4", "endpoints": [{endpoints}],
                 "ports": [{{"name": "http", "port": 8080, "protocol": "TCP"}},
                           {{"name": "dns", "port": 53, "protocol": "UDP"}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn endpoint(address: &str, conditions: &str) -> String {
        format!(
            r#"{{"addresses": ["{address}", "203.0.113.1"], "conditions": {{{conditions}}},
                 "zone": "eu-1a"}}"#
        )
    }

    fn hosts(slices: &Slices) -> Vec<String> {
        let targets = slices.targets().unwrap().into_iter();
        targets.map(|target| target.host).collect()
    }

    #[test]
    fn slices_are_merged_replaced_and_removed() {
        let mut slices = Slices::new(None, 10);
        slices.put(slice("a", &endpoint("10.0.0.1", r#""ready": true"#)));
        slices.put(slice("b", &endpoint("10.0.0.2", "")));
        assert_eq!(hosts(&slices), ["10.0.0.1", "10.0.0.2"]);
        let target = &slices.targets().unwrap()[0];
        assert_eq!((target.port, target.zone.as_deref()), (8080, Some("eu-1a")));
        slices.put(slice("a", &endpoint("10.0.0.3", r#""ready": true"#)));
        assert_eq!(hosts(&slices), ["10.0.0.3", "10.0.0.2"]);
        slices.remove(&slice("b", ""));
        assert_eq!(hosts(&slices), ["10.0.0.3"]);
    }

    #[test]
    fn only_ready_endpoints_are_used_unless_there_is_none() {
        let ready = endpoint("10.0.0.1", r#""ready": true, "serving": true"#);
        let unknown = endpoint("10.0.0.2", r#""ready": null"#);
        let unready = endpoint("10.0.0.3", r#""ready": false, "serving": false"#);
        let ending = r#""ready": false, "serving": true, "terminating": true"#;
        let ending = endpoint("10.0.0.4", ending);
        // With `publishNotReadyAddresses` everything is called ready.
        let published = endpoint("10.0.0.5", r#""ready": true, "terminating": true"#);
        let all = [&ready, &unknown, &unready, &ending, &published].map(String::as_str);
        let mut slices = Slices::new(None, 10);
        slices.put(slice("a", &all.join(",")));
        assert_eq!(hosts(&slices), ["10.0.0.1", "10.0.0.2"]);
        slices.put(slice("a", &all[2..].join(",")));
        assert_eq!(hosts(&slices), ["10.0.0.4"]);
        slices.put(slice("a", &unready));
        assert_eq!(hosts(&slices), [""; 0]);
    }

    #[test]
    fn a_port_is_meant_by_name_by_number_or_alone() {
        let tcp = |name: &str, port| Port {
            name: Some(name.to_owned()),
            port: Some(port),
            protocol: None,
        };
        let two = [tcp("http", 80), tcp("admin", 81)];
        assert_eq!(port(Some("admin"), &two), Ok(81));
        assert_eq!(port(Some("80"), &two), Ok(80));
        assert_eq!(
            port(None, &two),
            Err("the service has several ports, set `port` to one of 80 (http), 81 (admin)".into())
        );
        assert_eq!(
            port(Some("https"), &two),
            Err("the service has no TCP port `https`, it has 80 (http), 81 (admin)".into())
        );
        assert_eq!(port(None, &two[..1]), Ok(80));
        assert_eq!(port(Some("8080"), &[]), Ok(8080));
        assert!(port(Some("http"), &[]).is_err());
        assert!(port(None, &[]).is_err());
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut slices = Slices::new(None, 1);
        let many: Vec<String> = (0..9_000)
            .map(|number| endpoint(&format!("10.0.{}.{}", number / 250, number % 250), ""))
            .collect();
        assert!(slices.put(slice("a", &many.join(","))));
        assert!(!slices.put(slice("b", &many.join(","))));
    }
}
