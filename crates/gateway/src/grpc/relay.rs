//! The answer to a call on its way to the client.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use weir_core::GrpcStatus;

use super::{Call, Dialect, GRPC_STATUS, web, write_status};
use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::fields::Fields;

/// Messages pass; the status behind them is noted. What goes wrong meanwhile becomes a status, too:
/// clients understand it better than a stream that is reset.
pub(crate) struct Relay {
    call: Rc<Call>,
    body: Body,
    /// The end, once it was made here.
    end: Option<Fields>,
    is_done: bool,
}

impl Relay {
    pub(super) fn new(call: Rc<Call>, body: Body) -> Self {
        Self {
            call,
            body,
            end: None,
            is_done: false,
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.is_done.then_some(0)
    }

    pub(crate) fn take_upload_progress(&mut self) -> bool {
        self.body.take_upload_progress()
    }

    /// Ends the call with a status for this failure, if the client can still be told.
    pub(crate) fn end_with(&mut self, failure: Failure) -> bool {
        let is_too_late = matches!(
            failure,
            Failure::ClientClosed | Failure::WriteTimeout | Failure::WriteTooSlow
        );
        if is_too_late || self.end.is_some() || self.is_done {
            return false;
        }
        self.call.failed(failure);
        self.call.failure.set(Some(failure));
        let mut fields = Fields::new();
        write_status(&mut fields, failure);
        self.end = Some(fields);
        // Whoever sends is not waited for any more.
        self.body = Body::Empty;
        true
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if let Some(fields) = self.end.take() {
            return Poll::Ready(Some(Ok(self.close(fields))));
        }
        let frame = match ready!(self.body.poll_frame(context)) {
            Some(Ok(Frame::Data(bytes))) => Ok(match self.call.dialect {
                Dialect::Grpc | Dialect::Web => Frame::Data(bytes),
                Dialect::WebText => Frame::Data(web::text(&bytes)),
            }),
            Some(Ok(Frame::Trailers(fields))) => {
                let status = fields.get(&GRPC_STATUS);
                let status = status.map_or(GrpcStatus::Unknown, |value| {
                    GrpcStatus::parse(value.as_bytes())
                });
                self.call.status.set(Some(status));
                self.call.ended_late.set(true);
                Ok(self.close(fields))
            }
            Some(Err(failure)) if self.end_with(failure) => {
                let fields = self.end.take().unwrap_or_default();
                Ok(self.close(fields))
            }
            Some(Err(failure)) => Err(failure),
            None => return Poll::Ready(self.close_without_status()),
        };
        Poll::Ready(Some(frame))
    }

    /// The target said nothing at the end. Clients of gRPC notice; those of gRPC-Web would wait for a
    /// frame that says so.
    fn close_without_status(&mut self) -> Option<Result<Frame, Failure>> {
        let status = self.call.status.get();
        if status.is_none() {
            self.call.status.set(Some(GrpcStatus::Unknown));
        }
        if self.call.dialect == Dialect::Grpc || status.is_some() {
            self.is_done = true;
            return None;
        }
        let mut fields = Fields::new();
        fields.append(GRPC_STATUS, http::HeaderValue::from_static("2"));
        Some(Ok(self.close(fields)))
    }

    fn close(&mut self, fields: Fields) -> Frame {
        self.is_done = true;
        match self.call.dialect {
            Dialect::Grpc => Frame::Trailers(fields),
            Dialect::Web => Frame::Data(web::trailers(&fields)),
            Dialect::WebText => Frame::Data(web::text(&web::trailers(&fields))),
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Relay({:?})", self.body)
    }
}
