//! How mistakes in authorisation policies are shown.

use serde_json::{Value, json};
use weir_authorization::Fault;

use crate::log::printable;

/// For programs, with the members that `weir check` has as well.
pub(super) fn to_json(faults: &[Fault]) -> Vec<Value> {
    let one = |fault: &Fault| {
        json!({
            "severity": "error",
            "message": fault.text,
            "file": fault.policy,
            "line": fault.line,
            "column": fault.column,
            "help": fault.help,
        })
    };
    faults.iter().map(one).collect()
}

/// For people, with the line that each is in.
pub(super) fn render(faults: &[Fault], texts: &[(String, String)]) -> String {
    let mut shown = String::new();
    for fault in faults {
        let Fault {
            policy,
            line,
            column,
            text,
            help,
        } = fault;
        shown.push_str(&format!(
            "error: {}\n  --> {policy}:{line}:{column}\n",
            printable(text)
        ));
        let source = texts.iter().find(|(name, _)| name == policy);
        let excerpt = source.and_then(|(_, text)| text.lines().nth(line - 1));
        if let Some(excerpt) = excerpt {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent = " ".repeat(column - 1);
            // Of a tab, the mark would not know how wide it is.
            let excerpt = printable(&excerpt.replace('\t', " "));
            shown.push_str(&format!(
                "{margin} |\n{number} | {excerpt}\n{margin} | {indent}^\n"
            ));
        }
        if let Some(help) = help {
            shown.push_str(&format!("  = help: {}\n", printable(help)));
        }
        shown.push('\n');
    }
    shown
}
