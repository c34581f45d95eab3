//! dnsmasq, a real DNS server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::wait_until;

/// A running dnsmasq; it ends with this value.
pub struct Dnsmasq {
    pub address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Dnsmasq {
    /// Serves `weir.test` with these options of dnsmasq, such as `--host-record=…`.
    pub async fn start(directory: &std::path::Path, options: &[String]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        Self::start_at(address, directory, options).await
    }

    /// The same where one was before.
    pub async fn start_at(
        address: SocketAddr,
        directory: &std::path::Path,
        options: &[String],
    ) -> Self {
        let log = directory.join("dnsmasq.log");
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("dnsmasq")
            .env("PATH", format!("{path}:/usr/sbin"))
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--user=",
                "--local=/weir.test/",
            ])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
            .arg(format!("--port={}", address.port()))
            .args([
                "--log-queries",
                &format!("--log-facility={}", log.display()),
            ])
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .expect("dnsmasq is not installed; `make test` installs what the tests need");
        wait_until("dnsmasq serves", || TcpStream::connect(address).is_ok()).await;
        Self {
            address,
            process,
            log,
        }
    }

    /// How often it was asked for this kind of record of a name.
    pub fn queries(&self, record: &str, name: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let question = format!("query[{record}] {name} ");
        log.lines().filter(|line| line.contains(&question)).count()
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
