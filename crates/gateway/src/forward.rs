//! Sends a request to a target, and to another one where that is safe and allowed.

use http::Method;
use weir_config::model::{HostHeader, Retry, RetryCondition};

use crate::body::Body;
use crate::failure::Failure;
use crate::message::{RequestHead, Version};
use crate::record::Recorder;
use crate::request::{Answer, Interim};
use crate::snapshot::LocalSnapshot;
use crate::timer::Timer;
use crate::upstream::{Attempted, Deadlines, Fate, ForwardHead, InFlight, LocalUpstream, attempt};

/// How often a request is sent anew because a kept connection turned out to have ended. That says
/// nothing about the target, so it is no repeat in the configuration's sense.
const MOST_STALE: u32 = 2;

/// What is sent where.
pub(crate) struct Forward<'a> {
    pub(crate) snapshot: &'a LocalSnapshot,
    /// Index of the upstream.
    pub(crate) upstream: usize,
    /// Path and query of a rewrite, in place of what was asked for.
    pub(crate) rewritten: Option<&'a str>,
    /// Normalised path that was asked for.
    pub(crate) path: &'a str,
    pub(crate) host: &'a HostHeader,
}

/// The response's head and body; the body is still to be read from the target.
pub(crate) async fn forward(
    forward: &Forward<'_>,
    head: &RequestHead,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Answer, Failure> {
    let upstream = &forward.snapshot.upstreams[forward.upstream];
    let local = &forward.snapshot.local[forward.upstream];
    let deadlines = Deadlines {
        upstream: upstream.timeouts,
        body: forward.snapshot.timeouts.body,
    };
    let (path, query) = match forward.rewritten {
        Some(rewritten) => (rewritten, None),
        None => (forward.path, head.query.as_deref()),
    };
    let mut retries = Retries::new(&upstream.retry, local, &head.method);
    loop {
        let at = local
            .pick(&upstream.balance, &upstream.schedule, retries.avoid)
            .ok_or(Failure::NoTarget)?;
        let pool = &local.pools[at];
        let authority = match forward.host {
            HostHeader::Preserve if !head.authority.is_empty() => &*head.authority,
            HostHeader::Literal(text) => text,
            HostHeader::Preserve | HostHeader::Target => &*pool.target.authority,
        };
        let wanted = ForwardHead {
            method: &head.method,
            path,
            query,
            scheme: upstream.scheme(),
            authority,
            fields: &head.fields,
            content_length: head.content_length,
            expects_continue: head.expects_continue,
            reads_ahead: head.version < Version::Http2,
        };
        record.attempt(InFlight::begin(pool));
        pool.counters().requests.add(1);
        let outcome = attempt(
            pool,
            &wanted,
            body,
            interim,
            timer,
            deadlines,
            &mut record.connecting,
        )
        .await;
        body = match outcome {
            Ok((response, exchange)) => {
                record.upstream_answered();
                let is_untouched = exchange.is_untouched();
                if !retries.answer_is_retried(response.status, is_untouched) {
                    let idle = upstream.timeouts.idle;
                    return Ok(Answer {
                        head: response,
                        body: exchange.into_body(),
                        idle,
                    });
                }
                exchange
                    .into_untouched_body()
                    .ok_or(Failure::UpstreamReset)?
            }
            Err(Attempted {
                failure,
                body: Some(untouched),
                fate,
            }) if retries.failure_is_retried(failure, fate) => untouched,
            Err(Attempted { failure, .. }) => {
                pool.counters().failed.add(1);
                return Err(failure);
            }
        };
        if retries.has_moved_on {
            pool.counters().failed.add(1);
            retries.avoid = Some(at);
            record.retried();
        }
    }
}

/// Decides about repeats. Only what is safe is repeated: nothing was sent yet, or the method is
/// idempotent (RFC 9110 §9.2.2) and the body is still at hand.
struct Retries<'a> {
    rules: &'a Retry,
    local: &'a LocalUpstream,
    is_idempotent: bool,
    made: u32,
    stale: u32,
    /// Whether the last decision was for a repeat that counts.
    has_moved_on: bool,
    /// The target that failed last.
    avoid: Option<usize>,
}

impl<'a> Retries<'a> {
    fn new(rules: &'a Retry, local: &'a LocalUpstream, method: &Method) -> Self {
        local.earn(rules.budget_percent);
        Self {
            rules,
            local,
            is_idempotent: method.is_idempotent(),
            made: 0,
            stale: 0,
            has_moved_on: false,
            avoid: None,
        }
    }

    fn answer_is_retried(&mut self, status: http::StatusCode, is_untouched: bool) -> bool {
        self.is_idempotent && is_untouched && self.repeat(RetryCondition::Status(status))
    }

    fn failure_is_retried(&mut self, failure: Failure, fate: Fate) -> bool {
        let had_no_effect = failure.is_before_sending() || fate == Fate::Refused;
        if !self.is_idempotent && !had_no_effect {
            return false;
        }
        if fate != Fate::Unknown && self.stale < MOST_STALE {
            self.stale += 1;
            self.has_moved_on = false;
            return true;
        }
        condition(failure).is_some_and(|condition| self.repeat(condition))
    }

    fn repeat(&mut self, condition: RetryCondition) -> bool {
        let allowed = self.rules.when.contains(&condition)
            && self.made < self.rules.attempts
            && self.local.spend();
        self.made += u32::from(allowed);
        self.has_moved_on = allowed;
        allowed
    }
}

fn condition(failure: Failure) -> Option<RetryCondition> {
    match failure {
        Failure::Resolve | Failure::Connect | Failure::ConnectTimeout | Failure::UpstreamTls => {
            Some(RetryCondition::Connect)
        }
        Failure::UpstreamReset => Some(RetryCondition::Reset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn rules(when: &[RetryCondition]) -> Retry {
        Retry {
            attempts: 2,
            when: when.to_vec(),
            budget_percent: 20,
            backoff: std::time::Duration::ZERO,
        }
    }

    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

    #[test]
    fn only_what_is_configured_and_safe_is_repeated() {
        let local = LocalUpstream::new(Vec::new(), 0);
        let rules = rules(&[RetryCondition::Connect, RetryCondition::Status(UNAVAILABLE)]);
        let mut get = Retries::new(&rules, &local, &Method::GET);
        assert!(
            !get.answer_is_retried(StatusCode::BAD_GATEWAY, true),
            "another status"
        );
        assert!(
            !get.answer_is_retried(UNAVAILABLE, false),
            "the body is gone"
        );
        assert!(
            !get.failure_is_retried(Failure::UpstreamReset, Fate::Unknown),
            "resets are not listed"
        );
        assert!(get.answer_is_retried(UNAVAILABLE, true));
        assert!(get.failure_is_retried(Failure::Connect, Fate::Unknown));
        assert!(
            !get.failure_is_retried(Failure::Connect, Fate::Unknown),
            "both attempts are used"
        );

        let mut post = Retries::new(&rules, &local, &Method::POST);
        assert!(
            !post.answer_is_retried(UNAVAILABLE, true),
            "it had an effect, perhaps"
        );
        assert!(
            !post.failure_is_retried(Failure::UpstreamReset, Fate::Stale),
            "it was sent, perhaps"
        );
        assert!(
            post.failure_is_retried(Failure::ConnectTimeout, Fate::Unknown),
            "nothing was sent"
        );
    }

    #[test]
    fn a_connection_that_ended_while_idle_is_not_counted_but_bounded() {
        let local = LocalUpstream::new(Vec::new(), 0);
        let rules = rules(&[]);
        let mut get = Retries::new(&rules, &local, &Method::GET);
        assert!(get.failure_is_retried(Failure::UpstreamReset, Fate::Stale) && !get.has_moved_on);
        assert!(get.failure_is_retried(Failure::UpstreamReset, Fate::Stale));
        assert!(!get.failure_is_retried(Failure::UpstreamReset, Fate::Stale));
    }

    #[test]
    fn repeats_end_with_their_budget() {
        let local = LocalUpstream::new(Vec::new(), 0);
        let rules = Retry {
            budget_percent: 0,
            ..rules(&[RetryCondition::Connect])
        };
        let made = (0..100)
            .filter(|_| {
                let mut get = Retries::new(&rules, &local, &Method::GET);
                get.failure_is_retried(Failure::Connect, Fate::Unknown)
            })
            .count();
        assert_eq!(made, 10, "the reserve, and nothing earned");
    }
}
