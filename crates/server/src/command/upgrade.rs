//! `weir upgrade`: lets a new process of the installed program take over from the running one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::admin_client::{Admin, Question, exchange};
use crate::cli::Global;
use crate::output::{Output, Style};
use crate::serve::pid_file;

/// How often the pid file is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for one answer about readiness.
const READINESS: Duration = Duration::from_secs(1);

/// Let a new process of the installed program take over
///
/// Asks the running Weir (by SIGUSR2) to start the program that is installed now, to hand its
/// listening sockets over and to finish what is under way. No connection is refused meanwhile. If
/// the new process does not get ready, the running one goes on as if nothing had happened.
///
/// The running Weir is found by `weir.pid` in its data directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir upgrade
    weir upgrade --data-dir /var/lib/weir --timeout 120")]
pub(crate) struct Arguments {
    /// Longest wait for the new process to be ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let loaded = weir_config::load(&global.config, &global.lenient())?;
    let pid_file = loaded.config.data.join(pid_file::FILE);
    let former = running(&pid_file)?;
    kill_process(former, Signal::USR2)
        .with_context(|| format!("cannot signal process {former}"))?;

    let within = Duration::from_secs(arguments.timeout);
    let waiting = Waiting {
        pid_file,
        former,
        admin: loaded.config.admin.address,
        within,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let successor = runtime.block_on(waiting.successor())?;
    if output.json {
        output.print_json(&json!({
            "former": former.as_raw_nonzero(),
            "successor": successor.as_raw_nonzero(),
        }))?;
    } else {
        output.print(&format!(
            "{} process {successor} took over from {former}, which finishes what is under way\n",
            output.style(Style::Good, "upgraded:")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The process that the pid file names, if it is a Weir.
fn running(pid_file: &Path) -> anyhow::Result<Pid> {
    let shown = pid_file.display();
    let Some(pid) = read_pid(pid_file) else {
        bail!(
            "no Weir is running with this data directory: {shown} is not there or holds no number; \
             --data-dir says where to look"
        );
    };
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        bail!("no Weir is running: process {pid} of {shown} has ended");
    }
    // The number may have been given to another program, which SIGUSR2 would end.
    if let Some(name) = process_name(pid)
        && Some(&name) != own_name().as_ref()
    {
        bail!(
            "process {pid} of {shown} is not Weir but {name}: the file is left from an earlier run"
        );
    }
    Ok(pid)
}

fn read_pid(pid_file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pid_file).ok()?;
    Pid::from_raw(
        text.split_whitespace()
            .next()?
            .parse()
            .ok()
            .filter(|pid| *pid > 1)?,
    )
}

/// The name of a process; `None` where the system does not tell.
fn process_name(pid: Pid) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

fn own_name() -> Option<String> {
    process_name(rustix::process::getpid())
}

struct Waiting {
    pid_file: PathBuf,
    former: Pid,
    admin: SocketAddr,
    within: Duration,
}

impl Waiting {
    /// Waits until the pid file names another process and readiness is reported.
    async fn successor(&self) -> anyhow::Result<Pid> {
        let end = Instant::now() + self.within;
        let mut looks = interval(LOOK);
        let mut former_is_alive = true;
        loop {
            let now = looks.tick().await;
            let named = read_pid(&self.pid_file).filter(|pid| *pid != self.former);
            if let Some(successor) = named.filter(|pid| is_alive(*pid))
                && self.is_ready().await
            {
                return Ok(successor);
            }
            // It may write the file and end between two looks: only the second one counts.
            if named.is_none() && !former_is_alive {
                bail!(
                    "process {} ended and no other took over: see its log, then start Weir again",
                    self.former
                );
            }
            former_is_alive = is_alive(self.former);
            if now >= end {
                return Err(self.timed_out(named));
            }
        }
    }

    async fn is_ready(&self) -> bool {
        let question = Question::new(Method::GET, "/readyz");
        let admin = Admin::anonymous(self.admin);
        let answer = exchange(&admin, &question, READINESS, None).await;
        answer.is_ok_and(|answer| answer.response.status == 200)
    }

    fn timed_out(&self, named: Option<Pid>) -> anyhow::Error {
        let seconds = self.within.as_secs();
        match named {
            Some(successor) => anyhow::anyhow!(
                "process {successor} took over, but was not ready within {seconds} s: see its log"
            ),
            None => anyhow::anyhow!(
                "no new process took over within {seconds} s; process {} goes on: see its log",
                self.former
            ),
        }
    }
}

fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid_file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("weir-{}-{name}.pid", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_pid_file_without_a_usable_number_is_nobody() {
        // 0 and negative numbers would signal groups of processes, 1 the whole machine.
        for text in ["", "weir", "0", "-1", "-4", "1", "99999999999999999999"] {
            let path = pid_file("unusable", text);
            assert_eq!(read_pid(&path), None, "{text}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn another_program_is_not_signalled() {
        let mut other = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let path = pid_file("other", &other.id().to_string());
        let error = running(&path).unwrap_err().to_string();
        other.kill().unwrap();
        other.wait().unwrap();
        fs::remove_file(path).unwrap();
        assert!(error.contains("is not Weir but"), "{error}");
    }

    #[test]
    fn an_ended_process_is_said_so() {
        let mut other = std::process::Command::new("true").spawn().unwrap();
        other.wait().unwrap();
        let path = pid_file("ended", &other.id().to_string());
        let error = running(&path).unwrap_err().to_string();
        fs::remove_file(path).unwrap();
        assert!(error.contains("has ended"), "{error}");
    }
}
