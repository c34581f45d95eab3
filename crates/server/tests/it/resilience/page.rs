//! The table as the page has it.

use std::fmt;
use std::path::Path;

/// A line of the table. The cells are as they stand there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub failure: String,
    /// Status and reason; what was cut, if it had begun.
    pub client: String,
    /// `weir.cause` of the access log.
    pub cause: String,
    /// Conditions of `retry.when` under which a `GET` is repeated.
    pub get: String,
    /// The same for a `POST`; with a body, if nothing else is said.
    pub post: String,
    /// What is counted for the target.
    pub counted: String,
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            failure,
            client,
            cause,
            get,
            post,
            counted,
        } = self;
        write!(
            formatter,
            "| {failure} | {client} | {cause} | {get} | {post} | {counted} |"
        )
    }
}

/// The rows below the head that begins with `failure`.
pub fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/resilience.md");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip_while(|line| !line.starts_with("| failure |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(row)
        .collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [failure, client, cause, get, post, counted] = cells[..] else {
        panic!("not six cells: {line}");
    };
    Row {
        failure: failure.to_owned(),
        client: client.to_owned(),
        cause: cause.to_owned(),
        get: get.to_owned(),
        post: post.to_owned(),
        counted: counted.to_owned(),
    }
}
