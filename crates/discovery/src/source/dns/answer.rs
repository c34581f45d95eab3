//! What DNS answers come to: how long they hold, which services are used, which addresses stand.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use weir_config::model::Target;

use crate::accept::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

/// What a name had of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    Some {
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    /// It has none: the name or the record does not exist.
    None,
    /// Nobody could say.
    Failed(String),
}

/// Where a service is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) weight: u32,
}

/// How long an answer is believed. A TTL of 0 would be a question without end.
pub(super) fn clamp(ttl: Duration, least: Duration, most: Duration) -> Duration {
    ttl.min(most).max(least).max(Duration::from_millis(100))
}

/// The records of the lowest priority (RFC 2782). Where all of them have weight 0 there is nothing
/// to select by, and all count alike; beside others, 0 takes no traffic.
pub(super) fn services_in_use(records: Vec<(u16, Service)>) -> Vec<Service> {
    let Some(lowest) = records.iter().map(|(priority, _)| *priority).min() else {
        return Vec::new();
    };
    let of_lowest = records
        .into_iter()
        .filter(|(priority, _)| *priority == lowest);
    let mut services: Vec<Service> = of_lowest.map(|(_, service)| service).collect();
    if services.iter().all(|service| service.weight == 0) {
        services.iter_mut().for_each(|service| service.weight = 1);
    }
    services
}

/// What each name was last known to have. Where one question of a round fails, what was known of
/// just that name and family stands.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Empty where a name has none.
    known: HashMap<(String, Family), Vec<IpAddr>>,
    /// What an earlier process knew. It stands for names and families that nobody has told of since;
    /// none is left after a round in which every question was answered.
    former: Vec<Target>,
    round: Round,
}

#[derive(Debug)]
struct Round {
    ttl: Duration,
    failures: Vec<String>,
    answers: usize,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            ttl: Duration::MAX,
            failures: Vec::new(),
            answers: 0,
        }
    }
}

/// What a round came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    pub(super) answer: Answer,
    pub(super) ttl: Duration,
}

/// How soon a question that failed is asked again although others were answered.
const AGAIN: Duration = Duration::from_secs(5);

impl Memory {
    pub(super) fn with(former: Vec<Target>) -> Self {
        Self {
            former,
            ..Self::default()
        }
    }

    /// Forgets what a round that was given up had begun.
    pub(super) fn begin(&mut self) {
        self.round = Round::default();
    }

    /// The round's answer holds no longer than this.
    pub(super) fn limit_ttl(&mut self, ttl: Duration) {
        self.round.ttl = self.round.ttl.min(ttl);
    }

    pub(super) fn note(&mut self, name: &str, family: Family, addresses: Addresses) {
        let key = (name.to_owned(), family);
        match addresses {
            Addresses::Some { addresses, ttl } => {
                self.round.answers += 1;
                self.limit_ttl(ttl);
                self.known.insert(key, addresses);
            }
            Addresses::None => {
                self.round.answers += 1;
                self.known.insert(key, Vec::new());
            }
            Addresses::Failed(error) => self.round.failures.push(error),
        }
    }

    /// The round's targets; an error if no question was answered.
    pub(super) fn gather(&mut self, services: &[Service]) -> Result<Gathered, String> {
        let round = std::mem::take(&mut self.round);
        let is_used = |name: &str| services.iter().any(|service| service.name == name);
        self.known.retain(|(name, _), _| is_used(name));
        let mut answer = Answer::default();
        for service in services {
            let mut count = 0;
            for family in [Family::V4, Family::V6] {
                let known = match self.known.get(&(service.name.clone(), family)) {
                    Some(known) => known.clone(),
                    None => self.former(service, family),
                };
                count += known.len();
                answer.targets.extend(known.iter().map(|address| Target {
                    host: address.to_string(),
                    port: service.port,
                    weight: service.weight,
                    zone: None,
                }));
            }
            if count == 0 {
                answer.left_out.unresolved += 1;
            }
        }
        if round.failures.is_empty() {
            self.former = Vec::new();
        }
        let mut failures = round.failures.into_iter();
        if let Some(first) = failures.next() {
            if round.answers == 0 || answer.targets.is_empty() {
                return Err(first);
            }
            let ttl = round.ttl.min(AGAIN);
            return Ok(Gathered { answer, ttl });
        }
        if answer.targets.is_empty() {
            // A question for one name without an answer is no target that was left out.
            let error = match services.len() {
                0 => "no SRV record names a server".to_owned(),
                1 => "no A or AAAA records".to_owned(),
                many => format!("none of {many} servers has A or AAAA records"),
            };
            return Err(error);
        }
        Ok(Gathered {
            answer,
            ttl: round.ttl,
        })
    }
}

impl Memory {
    /// What an earlier process knew of a service. Which of several names with one port an address was
    /// of is not known: too many are kept for a while rather than too few.
    fn former(&self, service: &Service, family: Family) -> Vec<IpAddr> {
        let addresses = self
            .former
            .iter()
            .filter(|target| target.port == service.port)
            .filter_map(|target| target.host.parse().ok());
        addresses
            .filter(|address: &IpAddr| address.is_ipv4() == (family == Family::V4))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::target;

    fn service(name: &str, weight: u32) -> Service {
        Service {
            name: name.to_owned(),
            port: 80,
            weight,
        }
    }

    fn some(addresses: &[&str], ttl: u64) -> Addresses {
        Addresses::Some {
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            ttl: Duration::from_secs(ttl),
        }
    }

    fn hosts(gathered: &Gathered) -> Vec<&str> {
        let targets = gathered.answer.targets.iter();
        targets.map(|target| target.host.as_str()).collect()
    }

    #[test]
    fn a_ttl_stays_within_its_bounds() {
        let seconds = Duration::from_secs;
        let clamped = |ttl| clamp(ttl, seconds(5), seconds(60));
        assert_eq!(clamped(seconds(0)), seconds(5));
        assert_eq!(clamped(seconds(30)), seconds(30));
        assert_eq!(clamped(seconds(86_400)), seconds(60));
        assert_eq!(clamped(Duration::MAX), seconds(60));
        assert!(clamp(seconds(0), seconds(0), seconds(60)) > Duration::ZERO);
    }

    #[test]
    fn only_the_lowest_priority_is_used() {
        let records = vec![
            (20, service("c", 9)),
            (10, service("a", 0)),
            (10, service("b", 3)),
        ];
        assert_eq!(services_in_use(records), [service("a", 0), service("b", 3)]);
        let records = vec![(0, service("a", 0)), (0, service("b", 0))];
        assert_eq!(services_in_use(records), [service("a", 1), service("b", 1)]);
        assert_eq!(services_in_use(Vec::new()), []);
    }

    #[test]
    fn both_families_are_used_for_the_shorter_ttl() {
        let mut memory = Memory::default();
        memory.note("a", Family::V4, some(&["10.0.0.1", "10.0.0.2"], 60));
        memory.note("a", Family::V6, some(&["fd00::1"], 20));
        let gathered = memory.gather(&[service("a", 1)]).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.1", "10.0.0.2", "fd00::1"]);
        assert_eq!(gathered.ttl, Duration::from_secs(20));
    }

    #[test]
    fn a_family_that_fails_keeps_what_it_had() {
        let mut memory = Memory::default();
        memory.note("a", Family::V4, some(&["10.0.0.1"], 60));
        memory.note("a", Family::V6, some(&["fd00::1"], 60));
        memory.gather(&[service("a", 1)]).unwrap();
        memory.note("a", Family::V4, some(&["10.0.0.9"], 60));
        memory.note("a", Family::V6, Addresses::Failed("refused".into()));
        let gathered = memory.gather(&[service("a", 1)]).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.9", "fd00::1"]);
        assert_eq!(gathered.ttl, AGAIN);
        // One that says that there is none has none.
        memory.note("a", Family::V4, some(&["10.0.0.9"], 60));
        memory.note("a", Family::V6, Addresses::None);
        let gathered = memory.gather(&[service("a", 1)]).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.9"]);
    }

    #[test]
    fn a_round_without_an_answer_is_a_failure_though_addresses_are_known() {
        let mut memory = Memory::default();
        memory.note("a", Family::V4, some(&["10.0.0.1"], 60));
        memory.note("a", Family::V6, Addresses::None);
        memory.gather(&[service("a", 1)]).unwrap();
        memory.note("a", Family::V4, Addresses::Failed("refused".into()));
        memory.note("a", Family::V6, Addresses::Failed("refused".into()));
        assert_eq!(memory.gather(&[service("a", 1)]), Err("refused".into()));
        memory.note("a", Family::V4, Addresses::None);
        memory.note("a", Family::V6, Addresses::None);
        let error = memory.gather(&[service("a", 1)]).unwrap_err();
        assert_eq!(error, "no A or AAAA records");
    }

    #[test]
    fn what_an_earlier_process_knew_stands_for_what_nobody_tells() {
        let former = ["10.0.0.1", "10.0.0.2", "fd00::1"].map(|host| target(host, 80));
        let others = [target("10.0.0.3", 81), target("a.example", 80)];
        let former = [former.as_slice(), &others].concat();
        let mut memory = Memory::with(former);
        let services = [service("a", 1)];
        memory.note("a", Family::V4, Addresses::Failed("cut off".into()));
        memory.note("a", Family::V6, some(&["fd00::9"], 60));
        let gathered = memory.gather(&services).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.1", "10.0.0.2", "fd00::9"]);
        assert_eq!(gathered.ttl, AGAIN, "it is asked again soon");
        // As soon as somebody tells, that holds, and holds from then on.
        memory.note("a", Family::V4, some(&["10.0.0.2"], 60));
        memory.note("a", Family::V6, Addresses::Failed("cut off".into()));
        let gathered = memory.gather(&services).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.2", "fd00::9"]);
        memory.note("a", Family::V4, Addresses::None);
        memory.note("a", Family::V6, Addresses::Failed("cut off".into()));
        assert_eq!(hosts(&memory.gather(&services).unwrap()), ["fd00::9"]);
        // A round without a failure ends it, for names that come later, too.
        memory.note("a", Family::V4, Addresses::None);
        memory.note("a", Family::V6, some(&["fd00::9"], 60));
        memory.gather(&services).unwrap();
        let services = [service("a", 1), service("b", 1)];
        memory.note("b", Family::V4, Addresses::Failed("cut off".into()));
        memory.note("b", Family::V6, Addresses::None);
        memory.note("a", Family::V4, Addresses::None);
        memory.note("a", Family::V6, some(&["fd00::9"], 60));
        assert_eq!(hosts(&memory.gather(&services).unwrap()), ["fd00::9"]);
    }

    #[test]
    fn a_service_whose_name_leads_nowhere_is_counted() {
        let mut memory = Memory::default();
        memory.limit_ttl(Duration::from_secs(7));
        memory.note("a", Family::V4, some(&["10.0.0.1"], 60));
        memory.note("a", Family::V6, Addresses::None);
        memory.note("b", Family::V4, Addresses::None);
        memory.note("b", Family::V6, Addresses::None);
        let gathered = memory.gather(&[service("a", 2), service("b", 1)]).unwrap();
        assert_eq!(hosts(&gathered), ["10.0.0.1"]);
        assert_eq!(gathered.answer.left_out.unresolved, 1);
        assert_eq!(gathered.ttl, Duration::from_secs(7));
    }
}
