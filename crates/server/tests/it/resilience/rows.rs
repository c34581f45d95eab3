//! Each row of the table is a test, and each test is a row of the table.

use std::time::Duration;

use super::bench::{Case, Link, measure};
use super::page;
use crate::faulty::{Answer, Behaviour};

/// A test for each row, and the list of all.
macro_rules! rows {
    ($($name:ident: $failure:literal => $case:expr;)*) => {
        const ROWS: &[&str] = &[$($failure),*];

        $(
            #[test]
            fn $name() {
                check($failure, &$case);
            }
        )*
    };
}

rows! {
    refused: "refused" => http1(Behaviour::Refuse);
    // The broadcast address of loopback: the system knows that nobody can be there.
    unreachable: "unreachable" => Case::elsewhere("127.255.255.255:9");
    slow_connect: "slow connect" => http1(Behaviour::Unreachable).slow();
    name_gone: "DNS gone" => Case::elsewhere("gone.invalid:80");
    expired: "TLS: certificate expired" => tls(Behaviour::TlsExpired);
    wrong_name: "TLS: another name" => tls(Behaviour::TlsWrongName);
    alert: "TLS: refused" => tls(Behaviour::TlsAlert);
    garbage: "TLS: not spoken" => tls(Behaviour::TlsGarbage);
    tls_close: "TLS: closed" => tls(Behaviour::TlsClose);
    tls_silence: "TLS: silence" => tls(Behaviour::TlsSilence).slow();
    close_before_head: "closed before head" => http1(Behaviour::CloseBeforeHead);
    reset_before_head: "reset before head" => http1(Behaviour::ResetBeforeHead);
    close_in_head: "closed in head" => http1(Behaviour::CloseInHead);
    slow_head: "slow head" => http1(Behaviour::SlowHead(Duration::from_millis(20))).slow();
    no_head: "no head" => http1(Behaviour::NoHead).slow();
    never_read: "request never read" => http1(Behaviour::NeverRead).slow();
    malformed_head: "malformed head" => http1(Behaviour::MalformedHead(3));
    endless_head: "endless head" => http1(Behaviour::EndlessHead);
    endless_interims: "endless interim responses" => http1(Behaviour::EndlessInterims).slow();
    server_error: "5xx" => http1(Behaviour::Answer(Answer::status(503)));
    close_in_body: "closed in body" => http1(Behaviour::CloseInBody);
    cut_chunk: "closed in chunk" => http1(Behaviour::CutChunk);
    reset_in_body: "reset in body" => http1(Behaviour::ResetInBody);
    malformed_body: "malformed body" => http1(Behaviour::MalformedBody);
    slow_body: "slow body" => http1(Behaviour::SlowBody).slow();
    goaway_before: "HTTP/2 GOAWAY before the request" => http2(Behaviour::GoawayBefore);
    goaway_error: "HTTP/2 GOAWAY before it, with an error" => http2(Behaviour::GoawayError);
    goaway_after: "HTTP/2 GOAWAY after the request" => http2(Behaviour::GoawayAfter);
    goaway_close: "HTTP/2 GOAWAY after it, then closed" => http2(Behaviour::GoawayClose);
    refused_stream: "HTTP/2 REFUSED_STREAM" => http2(Behaviour::RefusedStream);
    stream_error: "HTTP/2 INTERNAL_ERROR" => http2(Behaviour::StreamError);
    http2_close: "HTTP/2 closed before head" => http2(Behaviour::CloseBeforeHead);
    http2_no_head: "HTTP/2 no head" => http2(Behaviour::NoHead).slow();
    http2_malformed_head: "HTTP/2 malformed head" => http2(Behaviour::MalformedHead(2));
    http2_endless_head: "HTTP/2 endless head" => http2(Behaviour::EndlessHead);
    http2_interims: "HTTP/2 endless interim responses" => http2(Behaviour::EndlessInterims).slow();
    http2_reset_in_body: "HTTP/2 reset in body" => http2(Behaviour::ResetInBody);
    http2_close_in_body: "HTTP/2 closed in body" => http2(Behaviour::CutChunk);
    http2_slow_body: "HTTP/2 slow body" => http2(Behaviour::SlowBody).slow();
    http2_freeze: "HTTP/2 PING not answered" => Case::on(Link::Http2Pinged, Behaviour::Freeze);
}

fn http1(behaviour: Behaviour) -> Case {
    Case::on(Link::Http1, behaviour)
}

fn http2(behaviour: Behaviour) -> Case {
    Case::on(Link::Http2, behaviour)
}

fn tls(behaviour: Behaviour) -> Case {
    Case::on(Link::Tls, behaviour)
}

fn check(failure: &str, case: &Case) {
    let measured = measure(failure, case);
    let documented = page::rows()
        .into_iter()
        .find(|row| row.failure == failure)
        .unwrap_or_else(|| panic!("not in the table:\n{measured}"));
    assert!(
        documented == measured,
        "the page says\n{documented}\nand what happens is\n{measured}"
    );
}

#[test]
fn every_row_of_the_page_is_run() {
    let documented: Vec<String> = page::rows().into_iter().map(|row| row.failure).collect();
    assert_eq!(documented, ROWS);
}
