//! Credentials that are about the whole message: signatures of it (RFC 9421), and of its body.
//!
//! They are looked at before all others, and nothing is remembered of them: each is good for one request. What the
//! fields say is judged first; a body is read only for somebody whose fields are good, to its end, before any of it
//! is forwarded.

use bytes::Bytes;
use weir_signatures::{DigestChecker, Fault, Message, SimpleCheck, Verified};

use super::{Access, Told, Verdict, seconds, token};
use crate::body::Body;
use crate::client::Client;
use crate::deny::Denial;
use crate::failure::Failure;
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::timer::Timer;
use crate::whole::{gather, gather_of_stranger};

/// Bytes that are added up without letting others of the worker take their turn.
const AT_ONCE: usize = 256 << 10;

/// A message whose fields are good.
pub(super) enum Open {
    Signature {
        verified: Verified,
        /// `None` if the body is not signed.
        digest: Option<DigestChecker>,
    },
    Simple(SimpleCheck),
}

impl Access {
    /// Finds out whom messages themselves are from, for [`Access::admit`]; reads their body if it is signed.
    ///
    /// # Errors
    /// For a body that cannot be read: 408, 413 and 503. Whether a signature is good is judged there, beside other
    /// ways.
    pub(crate) async fn read_message(
        &self,
        client: &Client,
        head: &mut RequestHead,
        mut body: Body,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<(Body, Told), Denial> {
        let mut told = Told::nothing(client);
        for way in self.ways() {
            if told.of(way.id).is_some() || !way.is_in(&head.fields) {
                continue;
            }
            told.wait_in_line(&client.worker, record).await?;
            // What comes behind a handshake is no body.
            let has_body = head.upgrade.is_none() && !body.is_end();
            let open = match way.open(&signable(client, head, has_body), seconds()) {
                None => continue,
                Some(Ok(open)) => open,
                Some(Err(fault)) => {
                    told.push(way.id, refused(fault));
                    continue;
                }
            };
            let mut bytes = Bytes::new();
            let is_stranger = open.is_strangers();
            if let Some(most) = way.body_bytes().filter(|_| has_body && open.needs_body()) {
                let silence = record.snapshot.timeouts.body;
                let worker = &client.worker;
                let whole = match is_stranger {
                    true => {
                        let address = record.client_address;
                        gather_of_stranger(worker, address, body, most, silence, timer).await
                    }
                    false => gather(worker, body, most, silence, timer).await,
                };
                let whole = whole.map_err(|unread| {
                    timer.blame(unread.of_request(Failure::BodyTooLargeToCheck))
                })?;
                record.has_waited = true;
                bytes = whole.bytes.clone();
                // Reading it has asked the client to send it.
                head.expects_continue = false;
                head.content_length = Some(bytes.len() as u64);
                body = whole.into();
            }
            let open = open.with(&bytes).await;
            let verdict = way.close(open, seconds());
            if let (Verdict::Good(_), Body::Whole(whole)) = (&verdict, &mut body) {
                whole.room.vouch();
            }
            told.push(way.id, verdict);
        }
        Ok((body, told))
    }
}

impl Open {
    fn needs_body(&self) -> bool {
        !matches!(self, Self::Signature { digest: None, .. })
    }

    /// Whether the fields alone do not say whose message it is: anybody can send such.
    const fn is_strangers(&self) -> bool {
        matches!(self, Self::Simple(_))
    }

    /// After this body.
    async fn with(mut self, body: &Bytes) -> Self {
        for piece in body.chunks(AT_ONCE) {
            match &mut self {
                Self::Simple(check) => check.update(piece),
                Self::Signature {
                    digest: Some(digest),
                    ..
                } => digest.update(piece),
                Self::Signature { digest: None, .. } => {}
            }
            if piece.len() == AT_ONCE {
                tokio::task::yield_now().await;
            }
        }
        self
    }
}

/// A request as its sender saw it: nothing of its head has been changed but a query with letters outside of ASCII,
/// which cannot be signed as it is.
fn signable<'a>(
    client: &Client,
    head: &'a RequestHead,
    has_body: bool,
) -> Message<'a, impl Iterator<Item = (&'a str, &'a [u8])> + Clone> {
    let fields = head.fields.iter();
    Message {
        method: head.method.as_str(),
        scheme: client.scheme(),
        authority: &head.authority,
        path: &head.path,
        query: head.query.as_deref(),
        content_length: head.content_length,
        has_body,
        fields: fields.map(|(name, value)| (name.as_str(), value.as_bytes())),
    }
}

/// What a fault means; whether there is such a key is nobody's to know.
pub(super) fn refused(fault: Fault) -> Verdict {
    match fault.is_passing() {
        true => Verdict::Unavailable(fault.as_str()),
        false => Verdict::Bad(token::bad(fault.as_str(), fault.told().sentence())),
    }
}
