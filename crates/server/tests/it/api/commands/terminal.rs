//! What is asked at a terminal: a real one, on which the command has its prompts.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::sign_in::enrol;
use super::{PASSWORD, World, done, json};
use crate::harness::wait_until;

const OWNER: &str = "owner@weir.example";

/// Somebody's terminal with a command in it.
struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    /// Runs a line in a terminal of this width.
    fn run(world: &World, line: &str, columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let weir = world.weir.command(words[0], &words[1..]);
        let mut command = Command::new("setsid");
        // The terminal is that of the command's session, as for a shell: passwords are asked there.
        command
            .args(["--ctty", "--wait"])
            .arg(weir.get_program())
            .args(weir.get_args())
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs);
        for (name, value) in weir.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn().unwrap();
        let screen = Arc::default();
        std::thread::spawn({
            let (ours, screen) = (ours.try_clone().unwrap(), Arc::clone(&screen));
            move || watch(ours, &screen)
        });
        Self {
            keyboard: File::from(ours),
            screen,
            child,
        }
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits for a question, and types the answer.
    fn answer(&mut self, question: &str, answer: &str) {
        wait_until(&format!("{question} is asked"), || {
            self.screen().ends_with(question)
        });
        self.keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
        // Or the next look would still find it.
        wait_until("the answer is taken", || !self.screen().ends_with(question));
    }

    /// Its exit status and all that was to be seen.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        // All has arrived once the last one who could write has gone.
        wait_until("the screen is still", || {
            Arc::strong_count(&self.screen) == 1
        });
        (status.code(), self.screen())
    }
}

fn watch(terminal: OwnedFd, screen: &Mutex<String>) {
    let mut terminal = File::from(terminal);
    let mut bytes = [0; 4096];
    // It fails as soon as nobody has the other side open any more.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]).replace("\r\n", "\n");
        screen.lock().unwrap().push_str(&text);
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_not_shown() {
    let world = World::begin("sqlite").await;
    let mut terminal = Terminal::run(&world, "login", 80);
    terminal.answer("address: ", OWNER);
    terminal.answer("password: ", PASSWORD);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert!(
        screen.contains(&format!("signed in as {OWNER}")),
        "{screen}"
    );
    assert_eq!(json(&world, "whoami")["email"], OWNER);
}

#[tokio::test]
async fn a_link_is_asked_for_and_not_shown() {
    let world = World::begin("sqlite").await;
    let mut terminal = Terminal::run(&world, "accept", 80);
    terminal.answer("link: ", "http://127.0.0.1/verify?token=weir_once_canary");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(1), "{screen}");
    assert!(!screen.contains("canary"), "{screen}");
}

#[tokio::test]
async fn a_code_may_be_mistyped() {
    let world = World::begin("sqlite").await;
    let codes = enrol(&world).await;
    let mut terminal = Terminal::run(&world, &format!("login --email {OWNER}"), 80);
    terminal.answer("password: ", PASSWORD);
    terminal.answer("code of the second factor: ", "123456");
    terminal.answer(
        "that code is not right\ncode of the second factor: ",
        &codes[0],
    );
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(json(&world, "whoami")["session"]["is_two_factor"], true);
}

#[tokio::test]
async fn the_name_of_what_is_deleted_is_typed() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    let question = "delete the organization The acme with all that it has? Type acme to go on: ";
    for wrong in ["y", "", "Acme"] {
        let mut terminal = Terminal::run(&world, "org delete acme", 80);
        terminal.answer(question, wrong);
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(1), "{screen}");
        assert!(screen.contains("nothing was changed"), "{screen}");
    }
    done(&world, "org show acme");
    let mut terminal = Terminal::run(&world, "org delete acme", 80);
    terminal.answer(question, "acme");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(json(&world, "org list --slug acme"), serde_json::json!([]));
}

#[tokio::test]
async fn no_is_the_answer_unless_yes_is_given() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    done(
        &world,
        "role create --org acme releaser --permission route:read",
    );
    for (answer, expected) in [("", 1), ("no", 1), ("yes!", 1), ("y", 0)] {
        let mut terminal = Terminal::run(&world, "role delete --org acme releaser", 80);
        terminal.answer("delete the role releaser? [y/N] ", answer);
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(expected), "{screen}");
    }
}

#[tokio::test]
async fn lines_of_tables_end_at_the_edge() {
    let world = World::begin("sqlite").await;
    let terminal = Terminal::run(&world, "org list", 40);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines.len(), 2, "{screen}");
    for line in lines {
        assert_eq!(line.chars().count(), 40, "{line}");
        assert!(line.ends_with('…'), "{line}");
    }
    // Nothing is cut for programs.
    assert!(!done(&world, "org list").contains('…'));
}
