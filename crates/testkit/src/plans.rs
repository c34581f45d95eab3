//! What PostgreSQL makes of the statements that nodes under test send it.
//!
//! A node that was started with [`EXPLAINED`] has its server tell the plan of each of its statements, whatever test
//! sends it there. Tables of tests are small, so that reading one from its beginning would often be the best plan; in these
//! sessions it is the last resort. A plan that does so all the same has no index to use, and would have none with a
//! million rows.

use std::collections::BTreeMap;

/// Settings of a node's sessions, for the environment variable `PGOPTIONS`: what no index serves shows.
pub const EXPLAINED: &str = "-c session_preload_libraries=auto_explain \
     -c auto_explain.log_min_duration=0 -c enable_seqscan=off";

/// The same for tables with many rows: plans are the usual ones, and tell what they really read.
pub const MEASURED: &str = "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
     -c auto_explain.log_analyze=on -c auto_explain.log_timing=off";

/// Tables that may be read as a whole, and why.
const WHOLE: [(&str, &str); 6] = [
    ("weir_migrations", "one row for each step of the schema"),
    ("installation", "one row"),
    ("credential_feed", "one row"),
    (
        "erasures",
        "one row for each person who is being erased at the moment",
    ),
    (
        "scopes",
        "gone through as a whole by an erasure; all else asks for one by its key",
    ),
    ("organizations", "each node knows how all of them stand"),
];

/// Statements that go through a table that may be large, and why they may.
const THROUGH: [(&str, &str); 2] = [
    (
        "SELECT COUNT(*) AS count FROM throttles WHERE deleted_at IS NULL",
        "upkeep, once an hour, which bounds the table by it",
    ),
    (
        "SELECT COUNT(*) AS count FROM mail_outbox WHERE deleted_at IS NULL",
        "a letter is refused where too many wait, so that these are few",
    ),
];

/// Statements of a log of which the plan reads through a table that may be large.
pub(crate) fn unserved(log: &str) -> Vec<String> {
    found(log, |node| {
        table(node, "Seq Scan on ").is_some_and(|table| !may_be_whole(table))
    })
}

/// Statements of a log with [`MEASURED`] plans of which a step reads more rows than this, or leaves out more.
pub fn wasteful(log: &str, most: u64) -> Vec<String> {
    found(log, |line| {
        let is_exempt = table(line, "Scan on ").is_some_and(may_be_whole);
        let counts = [
            "actual rows=",
            "Rows Removed by Filter: ",
            "Rows Removed by Join Filter: ",
        ];
        let is_more = |count: &str| number(line, count).is_some_and(|rows| rows > most);
        !is_exempt && counts.into_iter().any(is_more)
    })
}

/// How many plans a log tells.
pub fn told(log: &str) -> usize {
    log.matches(" plan:\n").count()
}

/// The plans with a line of which this is true, one for each statement.
fn found(log: &str, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = BTreeMap::new();
    for plan in log.split(" plan:\n").skip(1) {
        // What follows the first line of an entry is indented.
        let lines = plan.lines().take_while(|line| line.starts_with('\t'));
        let lines: Vec<_> = lines.collect();
        let Some((query, nodes)) = lines.split_first() else {
            continue;
        };
        if THROUGH.iter().any(|(text, _)| query.ends_with(text)) {
            continue;
        }
        if nodes.iter().any(|line| is_bad(line)) {
            found.insert(*query, lines.join("\n"));
        }
    }
    found.into_values().collect()
}

fn table<'p>(line: &'p str, behind: &str) -> Option<&'p str> {
    let (_, rest) = line.split_once(behind)?;
    rest.split_whitespace().next()
}

fn may_be_whole(table: &str) -> bool {
    table.starts_with("pg_") || WHOLE.iter().any(|(name, _)| *name == table)
}

fn number(line: &str, behind: &str) -> Option<u64> {
    let (_, rest) = line.split_once(behind)?;
    let digits = rest.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(query: &str, plan: &str) -> String {
        let plan = plan.replace('\n', "\n\t");
        format!(
            "x LOG:  duration: 0.1 ms  plan:\n\tQuery Text: {query}\n\t{plan}\ny LOG:  Seq Scan on z\n"
        )
    }

    #[test]
    fn what_reads_through_a_table_is_found() {
        let scan = "Limit  (cost=1..2 rows=1 width=8)\n  ->  Seq Scan on sessions  (cost=1..2 rows=1 width=8)\n        Filter: (a = 1)";
        // Each statement once.
        let log = log("a", scan) + &log("a", scan) + &log("b", scan);
        assert_eq!(unserved(&log).len(), 2, "{log}");
        assert_eq!(told(&log), 3);
    }

    #[test]
    fn what_an_index_answers_is_not() {
        for plan in [
            "Index Scan using a on users  (cost=1..2 rows=1 width=8)\n  Index Cond: (a = 1)\n  Filter: (b = 2)",
            "Seq Scan on installation  (cost=1..2 rows=1 width=8)\n  Filter: (a = 1)",
            "Seq Scan on pg_class  (cost=1..2 rows=1 width=8)",
            "Function Scan on generate_series n  (cost=1..2 rows=1 width=8)",
        ] {
            assert_eq!(unserved(&log("a", plan)), [""; 0], "{plan}");
        }
    }

    #[test]
    fn what_reads_more_than_it_answers_is_found() {
        let many = "Index Scan using a on users  (cost=1..2 rows=1 width=8) (actual rows=51 loops=1)\n  Filter: (b = 2)\n  Rows Removed by Filter: 1001";
        assert_eq!(wasteful(&log("a", many), 1_000).len(), 1);
        assert_eq!(wasteful(&log("a", many), 1_001).len(), 0);
        let sorted = "Sort  (cost=1..2 rows=1 width=8) (actual rows=2000 loops=1)";
        assert_eq!(wasteful(&log("a", sorted), 1_000).len(), 1);
        let whole =
            "Seq Scan on organizations  (cost=1..2 rows=1 width=8) (actual rows=2000 loops=1)";
        assert_eq!(wasteful(&log("a", whole), 1_000).len(), 0);
    }
}
