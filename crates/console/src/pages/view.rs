//! What pages are made of, and how they are written. Everything in them is escaped but what is drawn here.

use std::sync::LazyLock;

use axum::http::StatusCode;
use minijinja::value::Serde;
use minijinja::{Environment, Error, context};
use serde::Serialize;

use super::brand::Brand;
use super::words;
use crate::problem::Problem;

static TEMPLATES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("templates/page.html"))?;
    templates.add_template("form.html", include_str!("templates/form.html"))?;
    Ok(templates)
});

/// A page.
#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    pub(super) title: &'static str,
    /// What went wrong.
    pub(super) alert: Option<String>,
    /// What has been done.
    pub(super) notice: Option<&'static str>,
    pub(super) intro: Vec<String>,
    pub(super) sections: Vec<Section>,
    pub(super) links: Vec<Link>,
}

/// A part of a page.
#[derive(Debug, Default, Serialize)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) heading: Option<&'static str>,
    pub(super) intro: Vec<String>,
    /// SVG of our own.
    pub(super) drawing: Option<String>,
    /// To be typed elsewhere.
    pub(super) key: Option<String>,
    pub(super) codes: Vec<String>,
    pub(super) items: Vec<Item>,
    pub(super) form: Written,
}

/// One of several things.
#[derive(Debug, Default, Serialize)]
pub(super) struct Item {
    pub(super) title: String,
    pub(super) mark: Option<&'static str>,
    pub(super) lines: Vec<String>,
    pub(super) form: Written,
}

#[derive(Debug, Serialize)]
pub(super) struct Link {
    pub(super) to: String,
    pub(super) text: &'static str,
}

/// A form, before it is written.
#[derive(Debug, Default, Serialize)]
pub(super) struct Form {
    /// What the ids of its fields begin with.
    pub(super) id: &'static str,
    pub(super) action: String,
    /// What shows that it was made by us for whoever sends it.
    pub(super) token: String,
    pub(super) hidden: Vec<Hidden>,
    pub(super) fields: Vec<Field>,
    pub(super) button: &'static str,
    /// What the button does, where several say the same.
    pub(super) label: Option<String>,
    pub(super) is_quiet: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Hidden {
    pub(super) name: &'static str,
    pub(super) value: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    /// What browsers and password managers know it by (WCAG 1.3.5).
    pub(super) autocomplete: &'static str,
    pub(super) mode: Option<&'static str>,
    pub(super) hint: Option<&'static str>,
    pub(super) error: Option<String>,
    pub(super) value: String,
    pub(super) is_needed: bool,
}

/// A form as HTML; nothing where there is none.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Written(String);

/// What is said of an attempt: nothing, or what is to be mended.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) alert: Option<String>,
    pub(super) wait: Option<u64>,
    /// Of which form.
    form: &'static str,
    errors: Vec<(String, String)>,
}

impl Form {
    /// With what is said of its fields.
    pub(super) fn write(mut self, said: &Said) -> Written {
        if said.form == self.id {
            for (name, error) in &said.errors {
                let mut fields = self.fields.iter_mut();
                if let Some(field) = fields.find(|field| field.name == name) {
                    field.error = Some(error.clone());
                }
            }
        }
        Written(render("form.html", Serde(self).into()).unwrap_or_default())
    }
}

impl Said {
    /// What went wrong with a form.
    pub(super) fn of(form: &'static str, problem: &Problem) -> Self {
        let errors = problem.errors().iter().map(|error| {
            let name = error.pointer.trim_start_matches('/').to_owned();
            (name, words::it(&error.detail))
        });
        let errors: Vec<_> = errors.collect();
        let alert = match (problem.reason(), problem.wait()) {
            ("throttled", Some(seconds)) => words::wait(seconds),
            _ if !errors.is_empty() => words::CHECK.to_owned(),
            _ => problem.detail().to_owned(),
        };
        Self {
            status: problem.status(),
            alert: Some(alert),
            wait: problem.wait(),
            form,
            errors,
        }
    }
}

impl View {
    /// As HTML.
    pub(super) fn write(self, brand: &Brand) -> Result<String, Problem> {
        let words = context! { error => words::ERROR, support => words::SUPPORT };
        render(
            "page.html",
            context! { lang => words::LANGUAGE, words, brand => Serde(brand.clone()), view => Serde(self) },
        )
    }
}

fn render(name: &str, context: minijinja::Value) -> Result<String, Problem> {
    let written = match &*TEMPLATES {
        Ok(templates) => templates
            .get_template(name)
            .and_then(|template| template.render(context)),
        Err(error) => return Err(unwritten(error)),
    };
    written.map_err(|error| unwritten(&error))
}

fn unwritten(error: &Error) -> Problem {
    tracing::error!(%error, "a page cannot be written");
    Problem::internal()
}
