//! `weir policy`: policies beside the file, and what authorisation policies are tried with.

mod cases;
mod faults;
mod question;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use weir_authorization::{Compiled, Fault, Schema, Source, compile};
use weir_config::ResourceKind;
use weir_identity::Permission;

use self::question::Asked;
use self::verdict::Verdict;
use super::api::{Api, Ask, text_file};
use super::resource;
use crate::cli::Global;
use crate::output::{Output, Style, counted};

/// Policies beside the configuration file, and authorisation policies to try
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir policy list
    weir policy put stamp -f stamp.yaml
    weir policy check shop.cedar
    weir policy test shop.cedar --as user:ada --scope items:read --method GET --path /items/1 --route items
    weir policy test shop.cedar --cases cases.yaml
    weir policy schema --admin-api")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Kept(resource::Action),
    /// Look for mistakes in authorisation policies
    ///
    /// All of them are looked at together, as they would be asked. Mistakes go to standard error; with
    /// --json an array of them goes to standard output instead. The exit status is 1 if there are any.
    Check(Policies),
    /// Ask authorisation policies whether somebody may do something, and which rule says so
    ///
    /// The exit status is 0 if it is allowed, and 1 if it is denied; with --cases, 0 if all come out as
    /// they should. Nothing is sent anywhere.
    Test(Box<Test>),
    /// Print what authorisation policies can speak of, in Cedar's language of schemas
    Schema(About),
}

/// What policies are about.
#[derive(Clone, Copy, Debug, Args)]
struct About {
    /// Policies of the admin API, not of requests at the gateway
    #[arg(long)]
    admin_api: bool,
}

#[derive(Debug, Args)]
struct Policies {
    /// Authorisation policies in the Cedar language; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
struct Test {
    #[command(flatten)]
    policies: Policies,
    /// Ask all questions of this file, in YAML or JSON, and compare the answers with those expected
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Kept(action) => {
            let api = Api::find(&arguments.ask, global, output)?;
            action.run(&api, ResourceKind::Policy, output)
        }
        Action::Check(policies) => policies.check(output),
        Action::Test(test) => test.run(output),
        Action::Schema(about) => {
            output.print(about.schema()?.text())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl About {
    fn schema(self) -> anyhow::Result<Schema> {
        let permissions = Permission::ALL.iter().map(|permission| permission.as_str());
        let schema = match self.admin_api {
            true => Schema::administration(permissions),
            false => Schema::requests(),
        };
        schema.map_err(|fault| anyhow::anyhow!("{fault}"))
    }
}

impl Policies {
    fn check(&self, output: &Output) -> anyhow::Result<ExitCode> {
        let compiled = match self.compile()? {
            Ok(compiled) => compiled,
            Err(refused) => return refused.tell(output),
        };
        if output.json {
            output.print_json(&[(); 0])?;
            return Ok(ExitCode::SUCCESS);
        }
        let files: Vec<_> = self.files.iter().map(|file| name(file)).collect();
        output.print(&format!(
            "{} {}: {}\n",
            files.join(", "),
            output.style(Style::Good, "can be used"),
            counted(compiled.rules().len(), "rule")
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn compile(&self) -> anyhow::Result<Result<Compiled, Refused>> {
        let mut texts = Vec::with_capacity(self.files.len());
        for file in &self.files {
            texts.push((name(file), text_file(file)?));
        }
        let sources: Vec<_> = texts
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect();
        let compiled = compile(&sources, &self.about.schema()?);
        Ok(compiled.map_err(|faults| Refused { texts, faults }))
    }
}

impl Test {
    fn run(&self, output: &Output) -> anyhow::Result<ExitCode> {
        let compiled = match self.policies.compile()? {
            Ok(compiled) => compiled,
            Err(refused) => return refused.tell(output),
        };
        let now = Timestamp::now();
        if let Some(file) = &self.cases {
            if self.asked != Asked::default() {
                bail!("with --cases, the questions are in the file");
            }
            return cases::run(file, &compiled, now, output);
        }
        let decision = self.asked.put_to(&compiled, now)?;
        Verdict::of(&decision, &compiled).tell(output)
    }
}

/// Policies that cannot be used, and why.
struct Refused {
    texts: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Refused {
    fn tell(&self, output: &Output) -> anyhow::Result<ExitCode> {
        match output.json {
            true => output.print_json(&faults::to_json(&self.faults))?,
            false => output.note(&faults::render(&self.faults, &self.texts)),
        }
        Ok(ExitCode::FAILURE)
    }
}

fn name(file: &std::path::Path) -> String {
    match file.as_os_str() == "-" {
        true => "<stdin>".to_owned(),
        false => file.display().to_string(),
    }
}
