//! Sends a request to a target, and to another one where that is safe and allowed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use weir_config::model::{HostHeader, RetryCondition};

use crate::admission;
use crate::affinity;
use crate::backoff;
use crate::body::Body;
use crate::client::Client;
use crate::control::Notice;
use crate::failure::Failure;
use crate::grpc;
use crate::health::{Fault, passive};
use crate::hedge::Race;
use crate::message::{RequestHead, Version};
use crate::record::Recorder;
use crate::request::{Answer, Interim};
use crate::retry::Retries;
use crate::snapshot::{LocalSnapshot, Upstream};
use crate::sse;
use crate::timer::Timer;
use crate::trace::Context;
use crate::upstream::{
    Attempted, Deadlines, Fate, ForwardHead, InFlight, Member, Observation, View, Wish, attempt,
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
    /// What targets are told about the trace.
    pub(crate) trace: Option<Rc<Context>>,
}

/// The response's head and body; the body is still to be read from the target.
pub(crate) async fn forward(
    forward: &Forward<'_>,
    mut wish: Wish,
    head: &mut RequestHead,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Answer, Failure> {
    let upstream = &forward.snapshot.upstreams[forward.upstream];
    let model = upstream.model();
    let local = &forward.snapshot.local[forward.upstream];
    let mut deadlines = Deadlines {
        upstream: model.timeouts,
        body: forward.snapshot.timeouts.body,
        is_brief: false,
    };
    let mut total = model.timeouts.total;
    if let Some(call) = &record.call {
        call.stretch(&mut deadlines, &model.timeouts);
        total = call.total(total);
        body = call.keep(&model.retry.when, body);
    }
    let is_short = body.length().is_some_and(|length| length <= SHORT_BODY);
    let is_bodiless = body.is_end();
    if let Some(total) = total {
        timer.set_end(total.saturating_sub(record.elapsed()));
    }
    // How long the target was waited for matters to whoever judges it by that.
    let is_body_timed = !is_bodiless && (model.breaker.is_some() || model.timeouts.total.is_some());
    let mut admitted = admission::admit(forward.client, upstream, timer, record).await?;
    let now = forward.client.worker.pools.now();
    let mut retries = Retries::new(&model.retry, &local.budget, &head.method, now);
    let is_plain = !head.expects_continue && head.upgrade.is_none();
    let may_hedge = is_bodiless && head.method.is_idempotent() && is_plain;
    let mut hedges = match &model.hedge {
        Some(hedge) if may_hedge => hedge.attempts,
        _ => 0,
    };
    loop {
        // Anew for every attempt: what was just found out about a target counts.
        if let Some(call) = &record.call {
            call.pass_deadline(&mut head.fields, record.elapsed())?;
        }
        let head = &*head;
        let (mut view, mut at) = forward.pick(&wish).ok_or(Failure::NoTarget)?;
        let since = record.attempt(InFlight::begin(&view.pools[at]));
        let mut observation = Observation::begin(&view.pools[at], since, is_short);
        view.pools[at].counters().requests.add(1);
        admitted.begin(is_bodiless);
        record.timing.is_timed = is_body_timed;
        let mut raced = None;
        let outcome = if let Some(hedge) = model.hedge.filter(|_| hedges > 0) {
            let race = Race {
                forward,
                upstream,
                head,
                interim,
                timer,
                deadlines,
                hedge,
            };
            let first = (view, at, observation);
            let race = race.run(
                first,
                &mut wish,
                &mut hedges,
                &retries,
                &mut admitted,
                record,
            );
            // Boxed: only those who ask for it pay for its size.
            let ended = Box::pin(race).await;
            (view, at, observation) = (ended.view, ended.at, ended.observation);
            raced = Some(ended.took);
            ended.outcome
        } else {
            let wanted = forward.head(upstream, &view, at, head, record.attempts());
            attempt(
                &view.pools[at],
                &wanted,
                body,
                interim,
                timer,
                deadlines,
                &mut record.timing,
            )
            .await
        };
        let (member, pool) = (&view.plan.members[at], &view.pools[at]);
        let mut asked_wait = None;
        body = match outcome {
            Ok((mut response, exchange)) => {
                let answered = record.upstream_answered();
                let took = raced.unwrap_or(answered);
                let (status, answer) = grpc::verdict(record, &response);
                observation.answered(status, took);
                let waited = if is_bodiless {
                    took
                } else {
                    record.since_sent()
                };
                admitted.settle(Ok(status), waited);
                forward.judge(upstream, member, Ok(status.as_u16()));
                let is_at_hand = exchange.is_untouched() || record.has_body_again();
                let mut is_held_off = false;
                if retries.could_repeat_answer(answer) {
                    wish.tried.push(member.target.identity);
                    asked_wait = match &record.call {
                        Some(_) => grpc::pushback(&response.fields),
                        None => backoff::asked_wait(&response.fields, SystemTime::now),
                    };
                    // Whoever asks for more patience than there is is not asked again.
                    is_held_off = asked_wait.is_some_and(|wait| wait > retries.longest_pause())
                        && (asked_wait == Some(Duration::MAX) || forward.goes_back(&wish));
                }
                if is_held_off || !retries.answer_is_retried(answer, is_at_hand) {
                    let idle = match &record.call {
                        Some(_) => model.timeouts.stream_idle,
                        None => sse::idle(&response, &model.timeouts),
                    };
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
                let call = match answer {
                    RetryCondition::Grpc(status) => Some(status),
                    _ => None,
                };
                record.attempt_is_over(Ok(response.status.as_u16()), call);
                exchange
                    .into_untouched_body()
                    .or_else(|| record.body_again())
                    .ok_or(Failure::UpstreamReset("the body is gone"))?
            }
            Err(Attempted {
                failure,
                body: untouched,
                fate,
            }) => {
                let waited = match raced {
                    Some(took) => took,
                    None if is_bodiless => record.since_attempt(),
                    None => record.since_sent(),
                };
                let untouched = untouched.or_else(|| record.body_again());
                let charged = forward.charged(failure, waited);
                if charged.is_the_targets() && !matches!(fate, Fate::Stale | Fate::Spared) {
                    observation.failed();
                } else {
                    observation.forget();
                }
                let is_retried = untouched.is_some() && retries.failure_is_retried(failure, fate);
                // A kept connection that had ended says nothing about the target.
                if !is_retried || retries.has_moved_on {
                    forward.judge(upstream, member, Err(charged));
                    if charged.is_the_targets() {
                        admitted.settle(Err(charged), waited);
                    }
                }
                match untouched {
                    Some(untouched) if is_retried => {
                        record.attempt_is_over(Err(failure), None);
                        untouched
                    }
                    _ => {
                        pool.counters()
                            .failed
                            .add(u64::from(charged.is_the_targets()));
                        return Err(failure);
                    }
                }
            }
        };
        if retries.has_moved_on {
            pool.counters().failed.add(1);
            if !view.was_tried_at(at, &wish) {
                wish.tried.push(member.target.identity);
            }
            record.retried();
            let goes_back = forward.goes_back(&wish);
            let asked_wait = asked_wait.filter(|_| goes_back).unwrap_or_default();
            // What was asked for was within bounds when that was decided; it stays so.
            let asked_wait = asked_wait.min(retries.longest_pause());
            let pause = retries.pause(goes_back, fastrand::f64()).max(asked_wait);
            if !pause.is_zero() {
                // Boxed: rare.
                Box::pin(backoff::rest(pause, timer)).await?;
            }
        }
    }
}

impl Forward<'_> {
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.snapshot.upstreams[self.upstream]
    }

    /// A member for the request, with the newest view of all.
    pub(crate) fn pick(&self, wish: &Wish) -> Option<(Rc<View>, usize)> {
        let local = &self.snapshot.local[self.upstream];
        let balance = &self.snapshot.upstreams[self.upstream].model().balance;
        let pools = &self.client.worker.pools;
        let view = self.snapshot.view(self.upstream, pools);
        let at = view.pick(local, balance, wish)?;
        Some((view, at))
    }

    /// Whether a repeat goes to a target that failed the request before.
    fn goes_back(&self, wish: &Wish) -> bool {
        let pools = &self.client.worker.pools;
        !self.snapshot.view(self.upstream, pools).has_untried(wish)
    }

    /// What a failure says about the target. If the end of the whole exchange came first, the target
    /// was too slow only if half of the time was waited for it, and not for the client.
    pub(crate) fn charged(&self, failure: Failure, waited: Duration) -> Failure {
        let total = self.snapshot.upstreams[self.upstream]
            .model()
            .timeouts
            .total;
        match (failure, total) {
            (Failure::DeadlineExceeded(phase), Some(total))
                if waited >= total / 2 && phase.starts_with("upstream_") =>
            {
                Failure::UpstreamTimeout
            }
            _ => failure,
        }
    }

    pub(crate) fn head<'a>(
        &'a self,
        upstream: &Upstream,
        view: &'a View,
        at: usize,
        head: &'a RequestHead,
        attempt: u32,
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
            trace: self.trace.as_deref(),
            attempt,
            reads_ahead: head.version < Version::Http2 && self.client.appetite.is_large(),
            upgrade: head.upgrade.handshake(),
        }
    }

    /// Passive health: what came of an attempt counts for or against the target.
    pub(crate) fn judge(
        &self,
        upstream: &Upstream,
        member: &Member,
        outcome: Result<u16, Failure>,
    ) {
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
