//! Lists, followed page by page: never more than one page is held.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::{Api, Column, Table};
use crate::output::Output;

/// Most items of a page.
const PAGE: usize = 200;

/// How much of a list, and in which order.
#[derive(Clone, Debug, Args)]
pub(crate) struct Paging {
    /// Show at most so many
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Show all, however many there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Sort by this; with `-` before it, the greatest first
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<String>,
}

impl Paging {
    /// All there are.
    const ALL: Self = Self {
        limit: 1,
        all: true,
        sort: None,
    };
}

/// A list of the API, with what is wanted of it.
pub(crate) struct List {
    path: String,
    filters: form_urlencoded::Serializer<'static, String>,
}

impl List {
    /// All that is at a path.
    pub(crate) fn at(path: String) -> Self {
        Self {
            path,
            filters: form_urlencoded::Serializer::new(String::new()),
        }
    }

    /// Only those of which this is so.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.filters.append_pair(name, value.as_ref());
        }
        self
    }

    /// The address of it, without a page of it.
    pub(crate) fn address(mut self) -> String {
        let query = self.filters.finish();
        match query.is_empty() {
            true => self.path,
            false => format!("{}?{query}", self.path),
        }
    }

    /// Prints it as a table, or as an array for programs. An array that fails on its way is left
    /// without its end, so that it does not pass for a whole one.
    pub(crate) fn print(
        self,
        api: &Api,
        paging: &Paging,
        columns: &[Column],
        output: &Output,
    ) -> anyhow::Result<ExitCode> {
        self.print_prepared(api, paging, columns, output, |_| Ok(()))
    }

    /// The same, where a page is prepared for people: programs get what the API answers.
    pub(crate) fn print_prepared(
        self,
        api: &Api,
        paging: &Paging,
        columns: &[Column],
        output: &Output,
        mut prepare: impl FnMut(&mut [Value]) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let mut table = Table::new(columns);
        let mut shown = 0;
        let is_whole = self.each(api, paging, |mut items| {
            let text = match output.json {
                true => elements(&items, shown == 0)?,
                false => {
                    prepare(&mut items)?;
                    table.page(&items, output)
                }
            };
            shown += items.len();
            output.print(&text)?;
            Ok(ControlFlow::Continue(()))
        });
        let is_whole = match is_whole {
            Err(error) if shown > 0 => return Err(Output::cut(error)),
            is_whole => is_whole?,
        };
        if output.json {
            output.print(if shown == 0 { "[]\n" } else { "\n]\n" })?;
        } else if shown == 0 {
            output.note("there are none\n");
        }
        if !is_whole {
            output.note(&format!(
                "{shown} are shown, and there are more: --all shows them\n"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// All of it at once.
    pub(crate) fn all(self, api: &Api) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        self.each(api, &Paging::ALL, |mut items| {
            all.append(&mut items);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The first one of which this is so.
    pub(crate) fn find(
        self,
        api: &Api,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Option<Value>> {
        let mut found = None;
        self.each(api, &Paging::ALL, |items| {
            found = items.into_iter().find(&is_wanted);
            Ok(match found {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        })?;
        Ok(found)
    }

    /// Goes through it; whether that were all there are.
    fn each(
        self,
        api: &Api,
        paging: &Paging,
        mut take: impl FnMut(Vec<Value>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<bool> {
        let list = self.with("sort", paging.sort.as_deref()).address();
        let mut left = if paging.all {
            usize::MAX
        } else {
            paging.limit as usize
        };
        let mut cursor: Option<String> = None;
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &left.min(PAGE).to_string());
            if let Some(cursor) = &cursor {
                query.append_pair("cursor", cursor);
            }
            let joint = if list.contains('?') { '&' } else { '?' };
            let mut page = api.get(&format!("{list}{joint}{}", query.finish()))?;
            let items = page["items"].as_array_mut().map(std::mem::take);
            let items = items.context("the answer of the admin listener has no items")?;
            left = left.saturating_sub(items.len());
            cursor = page["next"].as_str().map(str::to_owned);
            let is_enough = !items.is_empty() && take(items)?.is_break();
            if cursor.is_none() || left == 0 || is_enough {
                return Ok(cursor.is_none());
            }
        }
    }
}

/// Part of an array, indented as the rest of the output is.
fn elements(items: &[Value], are_first: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        text.push_str(if are_first && at == 0 { "[\n" } else { ",\n" });
        for (at, line) in serde_json::to_string_pretty(item)?.lines().enumerate() {
            text.push_str(if at == 0 { "  " } else { "\n  " });
            text.push_str(line);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_array_in_parts_is_as_one_in_whole() {
        let all = json!([{"a": 1}, {"b": [2]}, {"c": {}}]);
        let items = all.as_array().unwrap();
        let text = elements(&items[..1], true).unwrap() + &elements(&items[1..], false).unwrap();
        assert_eq!(
            format!("{text}\n]"),
            serde_json::to_string_pretty(&all).unwrap()
        );
    }

    #[test]
    fn filters_are_part_of_the_address() {
        let list = List::at("/v1/users".to_owned())
            .with("email", Some("a&b"))
            .with("suspended", None::<&str>);
        assert_eq!(list.address(), "/v1/users?email=a%26b");
    }
}
