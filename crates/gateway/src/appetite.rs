//! Whether a client takes what it is sent.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that a client's socket holds unsent before it takes no more, until the client has earned more.
/// Without a bound the system takes megabytes for a client that does not read, out of what all
/// connections of the machine share.
pub(crate) const FIRST_UNSENT: u32 = 64 * 1024;

/// The same for a client that reads: enough to keep a fast line busy while the worker does other things.
const EARNED_UNSENT: u32 = 256 * 1024;

/// Bytes that a client takes before it gets large pieces. More than the receive buffer of a client that
/// does not read.
const EARNED: usize = 256 * 1024;

/// Decides how large a piece of an answer may be that is held for a client.
///
/// Large pieces cost less for each byte, but one that is not taken stays in memory. So they are for
/// clients that were seen to take what they get, and no longer for those who let it lie.
#[derive(Debug)]
pub(crate) struct Appetite {
    /// Bytes that it has yet to take before it gets large pieces.
    owed: Cell<usize>,
    /// Bytes that its socket took since it was asked whether it takes more.
    unasked: Cell<usize>,
    has_earned: Cell<bool>,
}

impl Default for Appetite {
    fn default() -> Self {
        Self {
            owed: Cell::new(EARNED),
            unasked: Cell::new(0),
            has_earned: Cell::new(false),
        }
    }
}

impl Appetite {
    /// The socket took this many bytes.
    pub(crate) fn took(&self, bytes: usize, socket: &impl AsFd) {
        self.unasked.set(self.unasked.get().saturating_add(bytes));
        if self.is_large() {
            return;
        }
        self.owed.set(self.owed.get().saturating_sub(bytes));
        if self.is_large() && !self.has_earned.replace(true) {
            // Where that fails, the line may stand still now and then.
            let _ = SockRef::from(socket).set_tcp_notsent_lowat(EARNED_UNSENT);
        }
    }

    /// The socket takes no more.
    pub(crate) fn had_enough(&self) {
        self.owed.set(EARNED);
    }

    /// Whether it gets large pieces, as far as is known.
    pub(crate) fn is_large(&self) -> bool {
        self.owed.get() == 0
    }

    /// Makes sure that a large piece would not be left lying.
    pub(crate) fn ask(&self, socket: &impl AsFd) {
        // A system call for each large piece: small answers, and clients that get small pieces anyway,
        // do not get here.
        if self.is_large() && self.unasked.get() >= FIRST_UNSENT as usize {
            self.unasked.set(0);
            if !takes_more(socket) {
                self.had_enough();
            }
        }
    }
}

impl Appetite {
    /// Whether so much waits in the socket that nothing more is to be prepared for the client.
    pub(crate) fn is_full(&self, socket: &impl AsFd) -> bool {
        // As above: small answers seldom get here. A socket has room when no more than half of what it
        // holds is left.
        if self.unasked.get() < FIRST_UNSENT as usize / 2 {
            return false;
        }
        self.unasked.set(0);
        !takes_more(socket)
    }
}

/// Waits until less is left in the socket than it holds.
pub(crate) fn poll_room(socket: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
    while !takes_more(socket) {
        // The runtime believes that it does, as the last write was taken whole. Asking just now had the
        // system tell when there is room again.
        let blocked = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = socket.try_io(Interest::WRITABLE, blocked);
        if ready!(socket.poll_write_ready(context)).is_err() {
            // Whoever writes next finds out.
            break;
        }
    }
    Poll::Ready(())
}

/// Whether less waits in the socket than it holds: that is when poll(2) calls it writable.
fn takes_more(socket: &impl AsFd) -> bool {
    let mut watched = [PollFd::new(socket, PollFlags::OUT)];
    // A failure is found out by whoever writes next.
    poll(&mut watched, Some(&Timespec::default())) != Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::{Appetite, EARNED, FIRST_UNSENT, SockRef};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener)
            .set_tcp_notsent_lowat(FIRST_UNSENT)
            .unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, server)
    }

    /// Writes until nothing more is taken, in pieces of the size that the appetite says.
    fn fill(appetite: &Appetite, server: &mut TcpStream) -> usize {
        let mut lying = 0;
        loop {
            appetite.ask(server);
            let piece = if appetite.is_large() { 64 } else { 16 } * 1024;
            match server.write(&[0; 64 * 1024][..piece]) {
                Ok(written) => {
                    lying += written;
                    appetite.took(written, server);
                }
                Err(_) => {
                    appetite.had_enough();
                    return lying;
                }
            }
        }
    }

    #[test]
    fn large_pieces_are_for_those_who_were_seen_to_take_them() {
        let (mut client, mut server) = pair();
        let appetite = Appetite::default();
        let mut room = vec![0; EARNED];
        for _ in 0..EARNED / 4096 {
            assert!(!appetite.is_large());
            appetite.took(4096, &server);
        }
        assert!(appetite.is_large());
        // It reads on: a piece after the other is large.
        for _ in 0..10 {
            server.write_all(&[0; 64 * 1024]).unwrap();
            appetite.took(64 * 1024, &server);
            client.read_exact(&mut room[..64 * 1024]).unwrap();
            appetite.ask(&server);
            assert!(appetite.is_large());
        }
        // It stops, and starts again.
        let lying = fill(&appetite, &mut server);
        assert!(!appetite.is_large());
        client.read_exact(&mut vec![0; lying]).unwrap();
        assert!(!appetite.is_large());
        appetite.took(EARNED, &server);
        assert!(appetite.is_large());
    }

    #[test]
    fn little_is_held_for_a_client_that_never_reads() {
        let (client, mut server) = pair();
        SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        let lying = fill(&Appetite::default(), &mut server);
        assert!(lying < EARNED, "{lying} bytes");
    }

    #[test]
    fn small_answers_are_not_asked_about() {
        let appetite = Appetite::default();
        appetite.owed.set(0);
        let nothing = std::fs::File::open("/dev/null").unwrap();
        appetite.took(10_000, &nothing);
        appetite.ask(&nothing);
        assert_eq!(appetite.unasked.get(), 10_000);
    }
}
