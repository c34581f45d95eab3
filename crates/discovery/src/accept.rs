//! What is believed of an answer: the decision, without any I/O.

use std::net::IpAddr;

use ipnet::IpNet;
use weir_config::model::Target;

/// Largest weight, as in the configuration.
const LARGEST_WEIGHT: u32 = 1_000_000;
/// Characters of a zone.
const ZONE_LENGTH: usize = 128;

/// What an upstream accepts from its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Networks that targets may be in; empty allows every one.
    pub(crate) networks: Vec<IpNet>,
    /// An answer with more is refused.
    pub(crate) most_targets: usize,
}

/// What a source said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// In any order, and perhaps more than once.
    pub(crate) targets: Vec<Target>,
    /// What the source itself could not make targets of.
    pub(crate) left_out: LeftOut,
}

impl From<Vec<Target>> for Answer {
    fn from(targets: Vec<Target>) -> Self {
        Self {
            targets,
            left_out: LeftOut::default(),
        }
    }
}

/// Targets of an answer that were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Outside of the upstream's `networks`.
    pub outside_networks: usize,
    /// Names where `networks` asks for addresses: a name could lead anywhere.
    pub names: usize,
    /// Nothing to connect to: no host, port 0, a multicast or unspecified address.
    pub unusable: usize,
    /// Names that DNS has no address for.
    pub unresolved: usize,
}

impl LeftOut {
    /// Each reason with its word and number.
    pub fn reasons(&self) -> [(&'static str, usize); 4] {
        [
            ("outside_networks", self.outside_networks),
            ("name", self.names),
            ("unusable", self.unusable),
            ("unresolved", self.unresolved),
        ]
    }

    /// All together.
    pub fn total(&self) -> usize {
        self.reasons().iter().map(|(_, number)| number).sum()
    }
}

/// Targets that may be used: sorted, each address once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) targets: Vec<Target>,
    pub(crate) left_out: LeftOut,
}

/// An answer that is not believed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the answer has {count} targets, {most} are allowed; raise `max_targets` if it is right"
    )]
    TooMany { count: usize, most: usize },
    #[error("no target of the answer takes traffic: every weight is 0")]
    NoWeight,
}

/// Holds an answer against an upstream's bounds.
pub(crate) fn accept(answer: Answer, bounds: &Bounds) -> Result<Accepted, Refusal> {
    let Answer {
        mut targets,
        mut left_out,
    } = answer;
    targets.iter_mut().for_each(normalise);
    // Of those with one address the one with the largest weight stays.
    targets.sort_unstable_by(|left, right| {
        let by_address =
            (host_key(&left.host), left.port).cmp(&(host_key(&right.host), right.port));
        by_address
            .then(right.weight.cmp(&left.weight))
            .then_with(|| left.zone.cmp(&right.zone))
    });
    targets.dedup_by(|later, first| later.host == first.host && later.port == first.port);
    if targets.len() > bounds.most_targets {
        return Err(Refusal::TooMany {
            count: targets.len(),
            most: bounds.most_targets,
        });
    }
    targets.retain(|target| {
        let Some(count) = reason(target, bounds, &mut left_out) else {
            return true;
        };
        *count += 1;
        false
    });
    if !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
        return Err(Refusal::NoWeight);
    }
    Ok(Accepted { targets, left_out })
}

/// What stays of targets that were known before. Bounds may have become narrower since: targets outside
/// of them are no longer wanted. That they are many is no reason to have none.
pub(crate) fn still_wanted(mut known: Vec<Target>, bounds: &Bounds) -> Vec<Target> {
    known.retain(|target| reason(target, bounds, &mut LeftOut::default()).is_none());
    known
}

/// Why a target is left out, as the counter of that reason.
fn reason<'l>(
    target: &Target,
    bounds: &Bounds,
    left_out: &'l mut LeftOut,
) -> Option<&'l mut usize> {
    if target.port == 0 {
        return Some(&mut left_out.unusable);
    }
    match target.host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => {
            Some(&mut left_out.unusable)
        }
        Ok(address) => {
            let networks = &bounds.networks;
            let is_inside =
                networks.is_empty() || networks.iter().any(|network| network.contains(&address));
            (!is_inside).then_some(&mut left_out.outside_networks)
        }
        Err(_) if !weir_config::is_target_host(&target.host) => Some(&mut left_out.unusable),
        Err(_) => (!bounds.networks.is_empty()).then_some(&mut left_out.names),
    }
}

/// One spelling for each address: an IPv4 address in IPv6 dress (RFC 4291 §2.5.5.2) is the IPv4
/// address, or `networks` could be passed by.
fn normalise(target: &mut Target) {
    if let Ok(address) = target.host.parse::<IpAddr>() {
        target.host = address.to_canonical().to_string();
    } else {
        target.host.make_ascii_lowercase();
    }
    target.weight = target.weight.min(LARGEST_WEIGHT);
    let is_zone = |zone: &String| {
        !zone.is_empty() && zone.len() <= ZONE_LENGTH && !zone.chars().any(char::is_control)
    };
    target.zone = target.zone.take().filter(is_zone);
}

/// Addresses by number, then names by letter.
fn host_key(host: &str) -> (bool, Option<IpAddr>, &str) {
    match host.parse() {
        Ok(address) => (false, Some(address), ""),
        Err(_) => (true, None, host),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn target(host: &str, port: u16) -> Target {
        Target {
            host: host.into(),
            port,
            weight: 1,
            zone: None,
        }
    }

    fn bounds(networks: &[&str], most_targets: usize) -> Bounds {
        Bounds {
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            most_targets,
        }
    }

    fn hosts(accepted: &Accepted) -> Vec<&str> {
        let targets = accepted.targets.iter();
        targets.map(|target| target.host.as_str()).collect()
    }

    #[test]
    fn an_answer_is_sorted_and_each_address_is_there_once() {
        let heavy = Target {
            weight: 5,
            ..target("10.0.0.9", 80)
        };
        let answer = vec![
            target("b.example", 80),
            target("10.0.0.10", 80),
            target("10.0.0.9", 80),
            heavy.clone(),
            target("A.example", 80),
            target("10.0.0.9", 79),
            target("::ffff:10.0.0.9", 79),
        ];
        let accepted = accept(answer.into(), &bounds(&[], 10)).unwrap();
        assert_eq!(
            hosts(&accepted),
            [
                "10.0.0.9",
                "10.0.0.9",
                "10.0.0.10",
                "a.example",
                "b.example"
            ]
        );
        assert_eq!(accepted.targets[1], heavy);
        assert_eq!(accepted.left_out, LeftOut::default());
    }

    #[test]
    fn what_lies_outside_of_the_networks_is_left_out_and_counted() {
        let answer = vec![
            target("10.1.2.3", 80),
            target("169.254.169.254", 80),
            target("::ffff:127.0.0.1", 80),
            target("::ffff:10.0.0.7", 80),
            target("localhost", 80),
            target("0x7f000001", 80),
            target("fd00::1", 80),
        ];
        let accepted = accept(answer.into(), &bounds(&["10.0.0.0/8", "fd00::/8"], 10)).unwrap();
        assert_eq!(hosts(&accepted), ["10.0.0.7", "10.1.2.3", "fd00::1"]);
        let expected = LeftOut {
            outside_networks: 2,
            names: 2,
            ..LeftOut::default()
        };
        assert_eq!(accepted.left_out, expected);
        assert_eq!(accepted.left_out.total(), 4);
    }

    #[test]
    fn nothing_that_cannot_be_connected_to_is_taken() {
        let answer = vec![
            target("10.0.0.1", 0),
            target("0.0.0.0", 80),
            target("::", 80),
            target("224.0.0.1", 80),
            target("", 80),
            target("a b", 80),
            target("10.0.0", 80),
            target("evil.example/path", 80),
        ];
        let accepted = accept(answer.into(), &bounds(&[], 10)).unwrap();
        assert_eq!(hosts(&accepted), [""; 0]);
        assert_eq!(accepted.left_out.unusable, 8);
    }

    #[test]
    fn too_many_are_refused_as_a_whole_before_any_is_left_out() {
        let flood: Vec<Target> = (0..10_000u32)
            .map(|number| {
                target(
                    &std::net::Ipv4Addr::from(0xc000_0000 + number).to_string(),
                    80,
                )
            })
            .collect();
        let expected = Refusal::TooMany {
            count: 10_000,
            most: 1_000,
        };
        let bounds = bounds(&["10.0.0.0/8"], 1_000);
        assert_eq!(accept(flood.into(), &bounds), Err(expected));
        let same = vec![target("10.0.0.1", 80); 10_000];
        assert_eq!(accept(same.into(), &bounds).unwrap().targets.len(), 1);
    }

    #[test]
    fn weights_and_zones_are_kept_within_what_the_configuration_allows() {
        let wild = Target {
            weight: u32::MAX,
            zone: Some("a\nb".into()),
            ..target("10.0.0.1", 80)
        };
        let accepted = accept(vec![wild].into(), &bounds(&[], 1)).unwrap();
        assert_eq!(accepted.targets[0].weight, LARGEST_WEIGHT);
        assert_eq!(accepted.targets[0].zone, None);
        let idle = Target {
            weight: 0,
            ..target("10.0.0.1", 80)
        };
        assert_eq!(
            accept(vec![idle].into(), &bounds(&[], 1)),
            Err(Refusal::NoWeight)
        );
    }
}
