//! Changes to a request on its way to a target, and to the response on its way back.

use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use http::header::{LOCATION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderName, HeaderValue, StatusCode};
use weir_config::model::Rewrite;
use weir_config::template::Template;
use weir_core::RequestId;

use crate::altered::Alteration;
use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::{Fields, unique};
use crate::hop::{self, ForwardingInfo};
use crate::message::{RequestHead, ResponseHead};
use crate::record::Recorder;
use crate::render::RenderContext;
use crate::request::Answer;
use crate::rewrite;
use crate::router::PathCaptures;
use crate::shaping;
use crate::snapshot::{LocalSnapshot, Route};

/// Joins a request's log line, its error answer and what the target logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How often a request may pass through Weir: a chain of gateways is legitimate, a loop is not.
const MOST_PASSES: usize = 8;

/// The identifier that a request states, if it is one and of Weir's own form.
pub(crate) fn stated_request_id(fields: &Fields) -> Option<RequestId> {
    let name = REQUEST_ID;
    let mut values = fields.get_all(&name);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    RequestId::parse(value.as_bytes())
}

/// A request that found its route.
pub(crate) struct Matched<'a> {
    pub(crate) client: &'a Rc<Client>,
    pub(crate) snapshot: &'a Rc<LocalSnapshot>,
    pub(crate) route: &'a Route,
    pub(crate) host: &'a str,
    pub(crate) path: &'a ByteString,
    pub(crate) captures: PathCaptures<'a>,
}

impl<'a> Matched<'a> {
    fn context<'b>(&'b self, head: &'b RequestHead, record: &'b Recorder) -> RenderContext<'b>
    where
        'a: 'b,
    {
        let tls = self.client.tls.as_ref();
        RenderContext {
            client_address: record.client_address,
            request_id: record.id,
            method: &head.method,
            scheme: self.client.scheme(),
            host: self.host,
            path: self.path,
            query: head.query.as_deref(),
            fields: &head.fields,
            route_name: &self.route.name,
            upstream_name: record
                .upstream
                .map_or("", |at| &self.snapshot.upstreams[at].name),
            captures: self.captures,
            tls_server_name: tls.and_then(|tls| tls.server_name.as_deref()),
            tls_client_subject: tls.and_then(|tls| tls.client_subject.as_deref()),
            tls_client_fingerprint: tls.and_then(|tls| tls.client_fingerprint.as_deref()),
            principal: record.known.as_deref().map(|known| &known.principal),
        }
    }

    /// Changes the request's fields into what the target gets.
    pub(crate) fn transform_request(
        &self,
        head: &mut RequestHead,
        record: &mut Recorder,
        is_trusted: bool,
    ) -> Result<(), Failure> {
        hop::strip_hop_by_hop(&mut head.fields)
            .map_err(|_| Failure::Malformed("The Connection field names too many options."))?;
        self.snapshot.forbidden.strip(&mut head.fields);
        hop::check_via_loop(&head.fields, MOST_PASSES).map_err(|_| Failure::Loop)?;
        hop::rebuild_forwarding(
            &mut head.fields,
            &ForwardingInfo {
                peer: self.client.peer.ip(),
                trusted: is_trusted,
                scheme: self.client.scheme(),
                host: &head.authority,
                received_version: head.version.into(),
            },
            &mut self.client.forwarding.borrow_mut(),
        );
        // After what others claim was taken out: some of the names are those by which proxies say the same.
        if let Some(access) = &self.route.access {
            let worker = &self.client.worker;
            access.show(worker, record, &mut head.fields)?;
        }
        // A trusted proxy's identifier is the record's as well, unless it has another form.
        let is_foreign = is_trusted
            && head.fields.contains(&REQUEST_ID)
            && stated_request_id(&head.fields).is_none();
        if !is_foreign && let Ok(id) = HeaderValue::from_bytes(&record.id.to_text()) {
            head.fields.set(REQUEST_ID, unique(id));
        }
        if let Some(trace) = &record.trace {
            trace.show(&mut head.fields);
        }
        let mut scratch = Vec::new();
        for rules in &self.route.request_headers {
            let rendered = rules.render(&self.context(head, record), &mut scratch);
            self.count_dropped(rendered.apply(&mut head.fields));
            record.altered(Alteration::Headers);
        }
        if let Some(trace) = &mut record.trace {
            trace.settle(&mut head.fields);
        }
        Ok(())
    }

    fn count_dropped(&self, dropped: usize) {
        if dropped > 0 {
            self.client
                .worker
                .counters
                .header_values_dropped
                .add(dropped as u64);
        }
    }

    /// The path and query to forward, if they are others than were asked for.
    pub(crate) fn rewrite(
        &self,
        rule: Option<&Rewrite>,
        head: &RequestHead,
        record: &Recorder,
    ) -> Result<Option<String>, Failure> {
        let Some(rule) = rule else {
            return Ok(None);
        };
        let mut rewritten = String::new();
        rewrite::rewrite(rule, &self.context(head, record), &mut rewritten)
            .map_err(|error| Failure::BadPath(error.reason()))?;
        record.altered(Alteration::Rewrite);
        Ok(Some(rewritten))
    }

    /// The path and query of a request that is made for this one: all of it is the template's.
    pub(crate) fn path_of_part(
        &self,
        rule: &Rewrite,
        head: &RequestHead,
        record: &Recorder,
    ) -> Result<String, Failure> {
        let mut path = String::new();
        rewrite::rewrite_alone(rule, &self.context(head, record), &mut path)
            .map_err(|error| Failure::BadPath(error.reason()))?;
        Ok(path)
    }

    /// Changes the response's fields into what the client gets.
    pub(crate) fn transform_response(
        &self,
        answer: &mut ResponseHead,
        head: &RequestHead,
        record: &Recorder,
    ) -> Result<(), Failure> {
        hop::strip_hop_by_hop(&mut answer.fields)
            .map_err(|_| Failure::UpstreamMalformed("connection names too many options"))?;
        shaping::mark(self.route, record, &mut answer.fields);
        let mut scratch = Vec::new();
        for rules in &self.route.response_headers {
            let rendered = rules.render(&self.context(head, record), &mut scratch);
            self.count_dropped(rendered.apply(&mut answer.fields));
            record.altered(Alteration::Headers);
        }
        add_hsts(self.client, self.snapshot, &mut answer.fields);
        Ok(())
    }

    /// The answer of a route that redirects.
    pub(crate) fn redirect(
        &self,
        to: &Template,
        status: StatusCode,
        head: &RequestHead,
        record: &mut Recorder,
    ) -> Result<Answer, Failure> {
        let location = rewrite::location(to, &self.context(head, record))
            .map_err(|error| Failure::BadPath(error.reason()))?;
        record.decided("redirect", None);
        let mut fields = Fields::with_capacity(4);
        fields.append(LOCATION, location);
        let mut answer = ResponseHead {
            status,
            content_length: Some(0),
            fields,
        };
        self.transform_response(&mut answer, head, record)?;
        Ok(Answer {
            head: answer,
            body: Body::Empty,
            idle: Duration::ZERO,
        })
    }
}

/// Adds `Strict-Transport-Security` on listeners that state it; never on a plain connection
/// (RFC 6797 §7.2).
pub(crate) fn add_hsts(client: &Client, snapshot: &LocalSnapshot, fields: &mut Fields) {
    let Some(_) = &client.tls else {
        return;
    };
    let listener = snapshot.listeners.get(&client.listener);
    if let Some(hsts) = listener.and_then(|listener| listener.hsts.as_ref()) {
        fields.set(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}
