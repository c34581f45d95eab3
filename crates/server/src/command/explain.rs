//! `weir explain`: what a code means and how to put it right.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use weir_config::Explanation;

use crate::codes;
use crate::output::{Output, Style};

/// Explain a diagnostic's code
///
/// Every mistake that Weir reports carries a stable code. This prints its page: what it means, an
/// example that fails and the same put right. Without a code it lists all of them; with a word
/// instead of a code, those whose title has the word.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir explain WR0103
    weir explain 103
    weir explain certificate
    weir explain")]
pub(crate) struct Arguments {
    /// The code, as in `error[WR0103]`, or a word to look for
    code: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let Some(code) = &arguments.code else {
        return list(&codes::explanations(), output);
    };
    if let Some(explanation) = codes::explain(code) {
        return print_page(explanation, output);
    }
    let word = code.to_lowercase();
    let mut matching = codes::explanations();
    matching.retain(|explanation| explanation.title.to_lowercase().contains(&word));
    if !matching.is_empty() && !word.is_empty() {
        return list(&matching, output);
    }
    match codes::nearest(code) {
        Some(nearest) => anyhow::bail!("there is no code {code}; did you mean {nearest}?"),
        None => anyhow::bail!("there is no code {code}; `weir explain` lists all of them"),
    }
}

fn list(explanations: &[&Explanation], output: &Output) -> anyhow::Result<ExitCode> {
    if output.json {
        let summary = |explanation: &&Explanation| json!({ "code": explanation.code, "title": explanation.title });
        output.print_json(&explanations.iter().map(summary).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for explanation in explanations {
        let code = output.style(Style::Strong, explanation.code);
        text.push_str(&format!("{code}  {}\n", explanation.title));
    }
    output.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_page(explanation: &Explanation, output: &Output) -> anyhow::Result<ExitCode> {
    if output.json {
        let Explanation { code, title, text } = explanation;
        output.print_json(&json!({ "code": code, "title": title, "text": text }))?;
    } else {
        output.print(&page(explanation.text, output))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Markdown as far as the pages use it: headings stand out, code is indented.
fn page(markdown: &str, output: &Output) -> String {
    let mut text = String::new();
    let mut in_code = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            let indented = format!("    {line}");
            text.push_str(indented.trim_end());
            text.push('\n');
        } else if let Some(heading) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with('#')
        {
            text.push_str(&output.style(Style::Strong, heading));
            text.push('\n');
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
