//! Replacing the running binary without refusing a connection.
//!
//! The successor is started with the listening sockets as inherited descriptors and accepts from
//! the same queues. Only when it says that it serves does this process stop accepting; if it never
//! does, this process goes on as if nothing had been asked.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use command_fds::{CommandFdExt, FdMapping};
use tokio::time::timeout;
use weir_gateway::Gateway;

use super::inherit::HANDOVER;

/// How long a successor may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);
/// First descriptor of the handover.
const FIRST: i32 = 3;

/// How this process was started; remembered at the start, because the path of a replaced
/// executable cannot be asked for later.
pub(super) struct Launch {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl Launch {
    pub(super) fn remember() -> anyhow::Result<Self> {
        let executable =
            std::env::current_exe().context("cannot tell the path of the own executable")?;
        Ok(Self {
            executable,
            arguments: std::env::args_os().skip(1).collect(),
        })
    }
}

/// A successor that serves and waits until it may decide.
pub(super) struct Successor {
    /// Its process.
    pub(super) id: u32,
    link: tokio::net::UnixDatagram,
}

impl Successor {
    /// Tells it that everything is its to decide.
    pub(super) async fn take_over(&self) {
        // If it does not hear of it, it goes on by itself.
        if let Err(error) = self.link.send(YOURS).await {
            tracing::warn!(%error, "the successor waits in vain to be told that it may go on");
        }
    }
}

/// Starts the successor and waits until it serves. If `interrupted` comes first, the successor is ended,
/// and there is none.
pub(super) async fn hand_over(
    launch: &Launch,
    gateway: &Gateway,
    admin: &TcpListener,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Option<Successor>> {
    if std::process::id() == 1 {
        bail!(
            "the first process of a container cannot be replaced from within: the container would \
             end with it; replace the container instead"
        );
    }
    let (ours, theirs) = UnixDatagram::pair().context("cannot make a socket pair")?;
    let mut names = vec!["ready".to_owned(), "admin".to_owned()];
    let mut descriptors: Vec<OwnedFd> = vec![theirs.into(), duplicate(admin)?];
    for socket in gateway
        .sockets()
        .context("cannot duplicate a listening socket")?
    {
        names.push(socket.address.to_string());
        descriptors.push(socket.listener.into());
    }
    let mut command = std::process::Command::new(&launch.executable);
    command
        .args(&launch.arguments)
        .env("LISTEN_FDS", names.len().to_string())
        // Absent rather than wrong: the number is not known before the process is there.
        .env_remove("LISTEN_PID")
        .env(HANDOVER, names.join(","));
    let mappings = (FIRST..)
        .zip(descriptors)
        .map(|(child_fd, parent_fd)| FdMapping {
            parent_fd,
            child_fd,
        })
        .collect();
    command
        .fd_mappings(mappings)
        .context("cannot pass descriptors on")?;
    let mut command = tokio::process::Command::from(command);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", launch.executable.display()))?;
    // Closes the parent's copies; otherwise the end of the successor would not be noticed.
    drop(command);
    let id = child
        .id()
        .ok_or_else(|| anyhow!("the new process ended at once"))?;
    ours.set_nonblocking(true)
        .context("cannot wait for the new process")?;
    let link =
        tokio::net::UnixDatagram::from_std(ours).context("cannot wait for the new process")?;
    let mut word = [0; 16];
    tokio::select! {
        // Its word counts even if it handed over to a successor of its own and ended meanwhile.
        biased;
        received = link.recv(&mut word) => match received {
            Ok(length) if &word[..length] == READY => Ok(Some(Successor { id, link })),
            _ => {
                let _ = child.start_kill();
                Err(anyhow!("the new process does not speak this handover's protocol"))
            }
        },
        status = child.wait() => match status {
            Ok(status) => Err(anyhow!("the new process ended before it served: {status}")),
            Err(error) => Err(error).context("cannot watch the new process"),
        },
        () = interrupted => {
            let _ = child.start_kill();
            Ok(None)
        }
        () = tokio::time::sleep(PATIENCE) => {
            let _ = child.start_kill();
            Err(anyhow!("the new process did not serve within {} seconds", PATIENCE.as_secs()))
        }
    }
}

const READY: &[u8] = b"ready";
const YOURS: &[u8] = b"yours";

/// How long the former process may take to hand over what it decides. One that ended meanwhile never says so.
const HANDING_OVER: Duration = Duration::from_secs(5);

/// Tells the former process that this one serves, and waits until it decides no more.
pub(super) async fn announce(former: UnixDatagram) -> anyhow::Result<()> {
    let gone = "the former process does not wait any more";
    former.set_nonblocking(true).context(gone)?;
    let former = tokio::net::UnixDatagram::from_std(former).context(gone)?;
    former.send(READY).await.context(gone)?;
    let mut word = [0; 16];
    match timeout(HANDING_OVER, former.recv(&mut word)).await {
        Ok(Ok(length)) if &word[..length] == YOURS => {}
        Ok(Ok(_)) => bail!("the former process does not speak this handover's protocol"),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("the former process did not say that it is done: this one goes on");
        }
    }
    Ok(())
}

fn duplicate(listener: &TcpListener) -> anyhow::Result<OwnedFd> {
    listener
        .as_fd()
        .try_clone_to_owned()
        .context("cannot duplicate the admin socket")
}
