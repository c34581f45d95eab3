//! Sends a request to a target, and to another one where that is safe and allowed.

use std::rc::Rc;
use std::sync::Arc;

use weir_config::model::HostHeader;

use crate::affinity;
use crate::body::Body;
use crate::client::Client;
use crate::control::Notice;
use crate::failure::Failure;
use crate::health::{Fault, passive};
use crate::message::{RequestHead, Version};
use crate::record::Recorder;
use crate::request::{Answer, Interim};
use crate::retry::Retries;
use crate::snapshot::{LocalSnapshot, Upstream};
use crate::timer::Timer;
use crate::upstream::{
    Attempted, Deadlines, Fate, ForwardHead, InFlight, Member, Observation, View, attempt,
};

/// Bodies up to this length arrive with their head, or nearly so: the time to the answer is the
/// target's. With longer ones it is mostly the client's.
const SHORT_BODY: u64 = 16 * 1024;

/// What is sent where.
pub(crate) struct Forward<'a> {
    pub(crate) client: &'a Rc<Client>,
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
    head: &mut RequestHead,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Answer, Failure> {
    let upstream = &forward.snapshot.upstreams[forward.upstream];
    let model = upstream.model();
    let local = &forward.snapshot.local[forward.upstream];
    let pools = &forward.client.worker.pools;
    let deadlines = Deadlines {
        upstream: model.timeouts,
        body: forward.snapshot.timeouts.body,
    };
    let is_short = body.length().is_some_and(|length| length <= SHORT_BODY);
    let mut wish = affinity::wish(model, head, forward.path, record.client_address);
    let head = &*head;
    let mut retries = Retries::new(&model.retry, &local.budget, &head.method);
    loop {
        // Anew for every attempt: what was just found out about a target counts.
        let view = forward.snapshot.view(forward.upstream, pools);
        let at = view
            .pick(local, &model.balance, &wish)
            .ok_or(Failure::NoTarget)?;
        let (member, pool) = (&view.plan.members[at], &view.pools[at]);
        let wanted = forward.head(upstream, &view, at, head);
        let since = record.attempt(InFlight::begin(pool));
        let observation = Observation::begin(pool, since, is_short);
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
            Ok((mut response, exchange)) => {
                let took = record.upstream_answered();
                observation.answered(response.status, took);
                forward.judge(upstream, member, Ok(response.status.as_u16()));
                let is_untouched = exchange.is_untouched();
                if !retries.answer_is_retried(response.status, is_untouched) {
                    let idle = model.timeouts.idle;
                    if let Some(sticky) = &model.sticky
                        && let Some(token) = view.plan.token(at)
                        && wish.token != Some(token)
                    {
                        let is_secure = affinity::is_secure(forward.client, &head.fields);
                        affinity::remember(sticky, token, is_secure, &mut response);
                    }
                    return Ok(Answer {
                        head: response,
                        body: exchange.into_body(),
                        idle,
                    });
                }
                exchange
                    .into_untouched_body()
                    .ok_or(Failure::UpstreamReset("the body is gone"))?
            }
            Err(Attempted {
                failure,
                body: untouched,
                fate,
            }) => {
                if failure.is_the_targets() && !matches!(fate, Fate::Stale | Fate::Spared) {
                    observation.failed();
                } else {
                    observation.forget();
                }
                let is_retried = untouched.is_some() && retries.failure_is_retried(failure, fate);
                // A kept connection that had ended says nothing about the target.
                if !is_retried || retries.has_moved_on {
                    forward.judge(upstream, member, Err(failure));
                }
                match untouched {
                    Some(untouched) if is_retried => untouched,
                    _ => {
                        pool.counters()
                            .failed
                            .add(u64::from(failure.is_the_targets()));
                        return Err(failure);
                    }
                }
            }
        };
        if retries.has_moved_on {
            pool.counters().failed.add(1);
            wish.tried.push(member.target.identity);
            record.retried();
        }
    }
}

impl Forward<'_> {
    fn head<'a>(
        &'a self,
        upstream: &Upstream,
        view: &'a View,
        at: usize,
        head: &'a RequestHead,
    ) -> ForwardHead<'a> {
        let (path, query) = match self.rewritten {
            Some(rewritten) => (rewritten, None),
            None => (self.path, head.query.as_deref()),
        };
        let authority = match self.host {
            HostHeader::Preserve if !head.authority.is_empty() => &*head.authority,
            HostHeader::Literal(text) => text,
            HostHeader::Preserve | HostHeader::Target => &*view.pools[at].target.authority,
        };
        ForwardHead {
            method: &head.method,
            path,
            query,
            scheme: upstream.settings.speech.scheme(),
            authority,
            fields: &head.fields,
            content_length: head.content_length,
            expects_continue: head.expects_continue,
            reads_ahead: head.version < Version::Http2,
        }
    }

    /// Passive health: what came of an attempt counts for or against the target.
    fn judge(&self, upstream: &Upstream, member: &Member, outcome: Result<u16, Failure>) {
        let Some(check) = &upstream.model().health.passive else {
            return;
        };
        let fault = match outcome {
            Ok(status) if check.statuses.contains(&status) => Fault::Status(status),
            Ok(_) => return member.state.succeeded(),
            Err(failure) if !failure.is_the_targets() => return,
            Err(failure) => Fault::Failure(failure),
        };
        member.target.counters[self.client.worker.index]
            .faults
            .add(1);
        let failures = member.state.failed();
        let most = check.consecutive_failures;
        if most == 0 || !failures.is_multiple_of(most) {
            return;
        }
        let (cluster, identity) = (&upstream.cluster, member.target.identity);
        if !passive::settle(cluster, identity, failures, fault) {
            let _ = self.client.worker.shared.control.send(Notice::Failing {
                cluster: Arc::clone(cluster),
                identity,
                failures,
                last: fault,
            });
        }
    }
}
