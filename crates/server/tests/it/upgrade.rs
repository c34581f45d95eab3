//! A new binary takes over, and a service manager hands sockets over.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::harness::{
    Load, PATIENCE, Setup, Upstream, Weir, Wire, alone, answer, forward, tool, wait_until,
};

fn server() -> Upstream {
    Upstream::answering(|_| answer(200, &[], "fine"))
}

/// Has the serving process replaced; waits until the successor serves.
fn upgrade(weir: &Weir) -> u32 {
    let before = weir.serving_id().unwrap();
    weir.signal_serving(Signal::USR2);
    let mut successor = before;
    wait_until("the successor serves", || {
        successor = weir.serving_id().unwrap_or(before);
        successor != before
    });
    successor
}

/// Processes that were started in this Weir's directory.
fn processes(weir: &Weir) -> usize {
    let directory = weir.directory().display().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&directory))
        .count()
}

#[test]
fn a_hundred_upgrades_under_load_refuse_nobody() {
    const UPGRADES: usize = 100;
    let _alone = alone();
    let upstream = server();
    let mut weir = Weir::start(&format!(
        "log: {{ access: false }}\n{}",
        forward(upstream.address)
    ));
    let loads = [
        Load::new_connections(weir.http(), 3, "fine"),
        Load::keep_alive(weir.http(), 3, "fine"),
        Load::http2(weir.http(), 1, "fine"),
    ];
    for _ in 0..UPGRADES {
        upgrade(&weir);
        loads.iter().for_each(|load| load.wait_for_more(5));
    }
    for load in loads {
        load.finish();
    }
    // The first process went as a process should, and so did all but the last.
    assert_eq!(weir.wait_exit().code(), Some(0));
    wait_until("the former processes ended", || processes(&weir) == 1);
    assert_eq!(weir.get("/").text(), "fine");
    eprintln!("{UPGRADES} upgrades");
}

#[test]
fn a_request_under_way_ends_in_the_process_that_began_it() {
    let (asked, wait_for_request) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = Upstream::new(move |mut wire| {
        while let Some(request) = wire.request() {
            if request.target() == "/slow" {
                asked.send(()).unwrap();
                let _ = released.lock().unwrap().recv_timeout(PATIENCE);
            }
            wire.send(answer(200, &[], "fine"));
        }
    });
    // One worker: it drains for every connection at once.
    let mut weir = Weir::start(&format!("workers: 1\n{}", forward(slow.address)));
    let mut wire = Wire::connect(weir.http());
    let mut bystander = Wire::connect(weir.http());
    wire.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for_request.recv_timeout(PATIENCE).unwrap();
    bystander.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(bystander.response("GET").text(), "fine");
    upgrade(&weir);
    // The successor serves a moment before its predecessor learns of it.
    wait_until("the former process drains", || {
        bystander.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        bystander.response("GET").get("connection") == Some("close")
    });
    assert_eq!(weir.get("/").text(), "fine");
    assert!(weir.ended().is_none());
    release.send(()).unwrap();
    let last = wire.response("GET");
    assert_eq!(
        (last.text().as_str(), last.get("connection")),
        ("fine", Some("close"))
    );
    assert_eq!(weir.wait_exit().code(), Some(0));
    assert_eq!(weir.ask("GET", "/readyz").status(), 200);
    assert_eq!(weir.get("/").text(), "fine");
}

#[test]
fn a_successor_that_fails_leaves_the_old_process_serving() {
    let upstream = server();
    let mut weir = Weir::to(upstream.address);
    let load = Load::keep_alive(weir.http(), 2, "fine");
    weir.write_config("nothing: useful\n");
    weir.signal(Signal::USR2);
    wait_until("the upgrade is given up", || {
        weir.log().contains("upgrade failed")
    });
    assert_eq!(weir.serving_id(), Some(weir.id()));
    assert_eq!(processes(&weir), 1);
    assert!(weir.ended().is_none());
    load.wait_for_more(50);
    assert_eq!(weir.ask("GET", "/readyz").status(), 200);
    // Once the file is in order, it works.
    weir.write_config(&forward(upstream.address));
    assert_ne!(upgrade(&weir), weir.id());
    load.wait_for_more(50);
    load.finish();
    assert_eq!(weir.wait_exit().code(), Some(0));
}

#[test]
fn a_successor_takes_up_the_changed_file() {
    let (one, two) = (server(), Upstream::answering(|_| answer(200, &[], "two")));
    let weir = Weir::to(one.address);
    assert_eq!(weir.get("/").text(), "fine");
    // The file changed and the successor reads it; the watcher of the old process may be faster.
    weir.write_config(&forward(two.address));
    upgrade(&weir);
    wait_until("the successor answers", || weir.get("/").text() == "two");
    wait_until("the old process ended", || processes(&weir) == 1);
    // It reloads like any other.
    weir.write_config(&forward(one.address));
    weir.signal_serving(Signal::HUP);
    wait_until("the change took effect", || weir.get("/").text() == "fine");
}

#[test]
fn a_signal_right_after_the_start_is_not_lost_on_the_process() {
    let upstream = server();
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        let mut weir = Setup::new().spawn(&forward(upstream.address));
        // As soon as the process says who it is, it can be spoken to.
        wait_until("the process says who it is", || weir.serving_id().is_some());
        weir.signal(signal);
        weir.wait_ready();
        wait_until("it serves", || weir.get("/").text() == "fine");
        assert!(signal == Signal::USR2 || weir.ended().is_none());
    }
}

/// Whether a process has handlers for these signals; `SigCgt` in proc_pid_status(5).
fn takes(id: u32, signals: &[Signal]) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let mask = mask.unwrap_or_default();
    signals
        .iter()
        .all(|signal| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[test]
fn signals_that_come_before_the_process_serves_are_answered_once_it_does() {
    const SIGNALS: [Signal; 3] = [Signal::HUP, Signal::USR1, Signal::USR2];
    let upstream = server();
    let setup = Setup::new();
    let pipe = setup.path("configuration");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // The process waits for its configuration for as long as the test likes.
    let script = "exec \"$1\" run -c /dev/stdin < \"$0\"";
    let weir = setup.launcher(&["sh", "-c", script, pipe.to_str().unwrap()]);
    let mut weir = weir.launch();
    let mut writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    wait_until("the process takes signals", || takes(weir.id(), &SIGNALS));
    for signal in SIGNALS {
        weir.signal(signal);
    }
    let config = weir.setup().complete(&forward(upstream.address));
    writer.write_all(config.as_bytes()).unwrap();
    drop(writer);
    // Whoever opens the pipe waits for somebody who writes, even if that one has come and gone.
    let come_and_go = || {
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let mut pipe_options = std::fs::File::options();
        let _ = pipe_options
            .write(true)
            .custom_flags(nonblocking)
            .open(&pipe);
    };
    wait_until("the process serves", || {
        come_and_go();
        weir.is_ready()
    });
    // The reload and the successor read the pipe once more: nothing comes out of it.
    wait_until("both changes were tried", || {
        come_and_go();
        let log = weir.log();
        log.contains("configuration refused") && log.contains("upgrade failed")
    });
    assert_eq!(weir.get("/").text(), "fine");
    assert!(weir.ended().is_none());
}

#[test]
fn a_socket_of_the_service_manager_is_served() {
    let upstream = server();
    let setup = Setup::new();
    let address = setup.http.to_string();
    let activate = tool("systemd-socket-activate");
    let weir = setup
        .launcher(&[activate.to_str().unwrap(), "-l", &address])
        .spawn(&forward(upstream.address));
    // The first connection starts the process and waits in the socket until it serves.
    let mut first = None;
    wait_until("the socket is open", || {
        first = Wire::try_connect(weir.http()).ok();
        first.is_some()
    });
    let mut first = first.unwrap();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.response("GET").text(), "fine");
    for _ in 0..20 {
        assert_eq!(weir.get("/").text(), "fine");
    }
    // An open connection would hold the old process for half of its drain timeout.
    drop(first);
    // Sockets that were handed over once are handed on.
    wait_until("the process says who it is", || weir.serving_id().is_some());
    let before = weir.serving_id().unwrap();
    assert_ne!(upgrade(&weir), before);
    wait_until("the old process ended", || processes(&weir) == 1);
    assert_eq!(weir.get("/").text(), "fine");
}

#[test]
fn the_service_manager_is_told_what_happens() {
    let upstream = server();
    let setup = Setup::new();
    let path = setup.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let weir = setup
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .spawn(&forward(upstream.address));
    assert!(next().contains("READY=1"));
    assert_eq!(weir.get("/").text(), "fine");
    weir.signal(Signal::HUP);
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert!(next().contains("READY=1"));
    let successor = upgrade(&weir);
    let messages = [next(), next()].concat();
    assert!(messages.contains("READY=1"), "{messages}");
    assert!(
        messages.contains(&format!("MAINPID={successor}")),
        "{messages}"
    );
    weir.signal_serving(Signal::TERM);
    assert!(next().contains("STOPPING=1"));
    assert!(
        socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .is_ok()
    );
}
