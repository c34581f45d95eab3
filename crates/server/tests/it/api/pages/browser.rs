//! A browser: `tests/it/peers/browser.py` in front of Chromium.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{installed, tool};

pub struct Browser {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    pub fn without_scripts() -> Self {
        Self::start(&["--without-scripts"])
    }

    pub fn with_scripts() -> Self {
        Self::start(&[])
    }

    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(installed("venv/bin/python3"))
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/peers/browser.py"
            ))
            .arg(tool("chromium"))
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            asks: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, what: &Value) -> Value {
        let asks = self.asks.as_mut().unwrap();
        writeln!(asks, "{what}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("nothing came of {what}"))
    }

    pub fn open(&mut self, url: &str) {
        self.ask(&json!(["open", url]));
    }

    pub fn fill(&mut self, selector: &str, text: &str) {
        self.ask(&json!(["fill", selector, text]));
    }

    pub fn press(&mut self, selector: &str) {
        self.ask(&json!(["press", selector]));
    }

    pub fn say(&mut self, expression: &str) -> Value {
        self.ask(&json!(["say", expression]))
    }

    pub fn prefer(&mut self, scheme: &str) {
        self.ask(&json!(["prefer", scheme]));
    }

    pub fn cookies(&mut self) -> Vec<Value> {
        match self.ask(&json!(["cookies"])) {
            Value::Array(cookies) => cookies,
            other => panic!("{other}"),
        }
    }

    pub fn cookie(&mut self, name: &str) -> String {
        let cookies = self.cookies();
        let found = cookies.iter().find(|one| one["name"] == name);
        found.unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// What axe-core finds wrong.
    pub fn violations(&mut self) -> Vec<String> {
        let axe = installed("node/node_modules/axe-core/axe.min.js");
        serde_json::from_value(self.ask(&json!(["check", axe]))).unwrap()
    }

    /// A picture, for whoever wants to look: in the directory that `WEIR_TEST_PICTURES` names.
    pub fn shoot(&mut self, name: &str, width: u32) {
        if let Some(directory) = std::env::var_os("WEIR_TEST_PICTURES") {
            let file = PathBuf::from(directory).join(format!("{name}.png"));
            self.ask(&json!(["shoot", file, width]));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With nothing more to read, it ends its Chromium and then itself.
        drop(self.asks.take());
        let _ = self.child.wait();
    }
}
