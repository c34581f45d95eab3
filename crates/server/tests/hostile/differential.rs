//! What Weir forwards is understood alike by nginx, Node and gunicorn: one and the same request.

use std::collections::BTreeMap;

use crate::harness::http1::{Answer, Talk, talk};
use crate::harness::weir::Weir;

mod backend;
mod corpus;

use backend::{Backend, Understood};

/// What became of a case with one back end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// The requests that the back end understood, in order.
    understood: Vec<Understood>,
    /// Weir's own refusal. After it nothing more was understood.
    refused: Option<u16>,
    /// Whether the back end refused something that Weir had forwarded.
    refused_behind: bool,
}

impl Outcome {
    /// Whether two back ends understood the same. What one of them refused cannot be compared, but
    /// then it must not have understood anything that the other one did not.
    fn agrees(&self, other: &Self) -> bool {
        if self.refused_behind || other.refused_behind {
            let (shorter, longer) = if self.refused_behind {
                (self, other)
            } else {
                (other, self)
            };
            return longer.refused_behind
                || shorter
                    .understood
                    .iter()
                    .all(|request| longer.understood.contains(request));
        }
        self == other
    }
}

/// Ends each case: understood if and only if what stood in front of it was.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

fn outcome(talk: &Talk, mut understood: Vec<Understood>) -> Outcome {
    let is_own =
        |answer: &&Answer| answer.value("content-type") == Some("application/problem+json");
    let refused = talk.answers.iter().find(is_own).map(|answer| answer.status);
    let reported = understood.iter().any(|request| request.is_refusal);
    let answered = talk
        .answers
        .iter()
        .any(|answer| answer.status >= 400 && !is_own(&answer));
    understood.retain(|request| !request.is_refusal);
    Outcome {
        understood,
        refused,
        refused_behind: reported || answered,
    }
}

#[test]
fn back_ends_understand_one_and_the_same_request_or_weir_refused_it() {
    let mut sides: Vec<(Backend, Weir)> = [Backend::nginx(), Backend::node(), Backend::gunicorn()]
        .into_iter()
        .map(|backend| {
            let weir = Weir::in_front_of(backend.address);
            (backend, weir)
        })
        .collect();
    let cases = corpus::cases();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, bytes) in &cases {
        let mut bytes = bytes.clone();
        bytes.extend_from_slice(LAST);
        let outcomes: Vec<Outcome> = sides
            .iter_mut()
            .map(|(backend, weir)| {
                let talk = talk(weir.address, &bytes);
                outcome(&talk, backend.understood())
            })
            .collect();
        let agree = outcomes
            .iter()
            .all(|one| outcomes.iter().all(|other| one.agrees(other)));
        if !agree {
            let outcomes: Vec<String> = sides
                .iter()
                .zip(&outcomes)
                .map(|((backend, _), outcome)| format!("  {}: {outcome:?}", backend.name))
                .collect();
            faults.push(format!("{name}\n{}", outcomes.join("\n")));
        }
        let behind = sides
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.refused_behind);
        let behind: Vec<&str> = behind.map(|((backend, _), _)| backend.name).collect();
        if !behind.is_empty() {
            println!("refused by {}: {name}", behind.join(", "));
        }
        let first = &outcomes[0];
        let verdict = match (agree, first.refused, first.understood.len()) {
            (false, ..) => "understood differently",
            _ if behind.len() == sides.len() => "refused by all three",
            _ if !behind.is_empty() => "refused by some, understood alike by the others",
            (true, Some(_), 0) => "refused by Weir",
            (true, Some(_), _) => "understood alike, what follows refused by Weir",
            (true, None, _) => "understood alike by all three",
        };
        *counts.entry(verdict).or_default() += 1;
    }
    println!("{} cases", cases.len());
    for (verdict, count) in &counts {
        println!("{count:5} {verdict}");
    }
    assert!(cases.len() > 200);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
