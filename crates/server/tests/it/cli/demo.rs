//! `weir demo`

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::Workspace;

struct Demo {
    child: Child,
    guide: String,
}

impl Demo {
    /// Starts it and reads what it prints until it is ready.
    fn start(workspace: &Workspace) -> Self {
        let mut child = workspace
            .command(&["demo", "--directory", "try"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut guide = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !guide.contains("Ctrl-C") {
            assert!(
                lines.read_line(&mut guide).unwrap() > 0,
                "ended early: {guide}"
            );
        }
        Self { child, guide }
    }

    fn command(&self, containing: &str) -> &str {
        let mut lines = self.guide.lines().map(str::trim_start);
        let is_it = |line: &&str| line.contains(containing) && !line.starts_with('#');
        lines
            .find(is_it)
            .unwrap_or_else(|| panic!("no {containing} in {}", self.guide))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

// One test: two demos that start at the same moment would look for the same free ports.
#[test]
fn what_it_says_to_try_works_and_other_commands_reach_it() {
    let workspace = Workspace::new();
    let demo = Demo::start(&workspace);
    try_what_it_says(&workspace, &demo);
    reach_it(&workspace, &demo);
}

fn try_what_it_says(workspace: &Workspace, demo: &Demo) {
    assert!(shell(demo.command("/items")).contains("teapot"));
    let created = shell(demo.command("lantern"));
    assert!(created.contains("201 Created"), "{created}");
    assert!(created.contains("x-served-by: weir"), "{created}");
    let echoed = shell(demo.command("/echo"));
    assert!(echoed.contains("x-route: echo"), "{echoed}");
    assert!(echoed.contains("x-forwarded-for: 127.0.0.1"), "{echoed}");
    let events = shell(demo.command("/stream"));
    assert_eq!(events.matches("data: tick").count(), 5, "{events}");
    let late = shell(demo.command("/impatient"));
    assert!(late.contains("504 Gateway Timeout"), "{late}");
    assert!(late.contains("application/problem+json"), "{late}");
    let matched = shell(demo.command(" match "));
    assert!(matched.contains("captured    id = 2"), "{matched}");

    let metrics = shell(demo.command("/metrics"));
    assert!(metrics.contains("# TYPE weir_"), "{metrics}");

    let config = workspace.directory.join("try/weir.yaml");
    assert!(
        demo.guide.contains(&config.display().to_string()),
        "{}",
        demo.guide
    );
}

fn reach_it(workspace: &Workspace, demo: &Demo) {
    let with_config =
        |arguments: &[&str]| workspace.run(&[arguments, &["-c", "try/weir.yaml"]].concat());

    let ran = with_config(&["doctor"]);
    let listener = ran
        .stdout
        .lines()
        .find(|line| line.contains("listener 127.0.0.1"));
    let expected = format!("held by a running weir (process {})", demo.child.id());
    assert!(
        listener.is_some_and(|line| line.contains(&expected)),
        "{}",
        ran.transcript()
    );
    assert!(
        ran.stdout.contains("which is ready"),
        "{}",
        ran.transcript()
    );

    let ran = with_config(&["reload"]);
    let expected = "nothing changed: revision 1 stays in effect\n";
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), expected),
        "{}",
        ran.transcript()
    );

    let config = workspace.directory.join("try/weir.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let broken = text.replace("upstream: catalog", "upstream: catalgo");
    std::fs::write(&config, broken).unwrap();
    // The running Weir says what is wrong, even though this process cannot load the file either.
    let ran = with_config(&["reload"]);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    assert!(
        ran.stderr.contains("did you mean `catalog`?"),
        "{}",
        ran.transcript()
    );
    let end = "4 errors; `weir explain WR0201` says more\nrefused: what runs stays in effect\n";
    assert!(ran.stderr.ends_with(end), "{}", ran.transcript());
}
