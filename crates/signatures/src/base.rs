//! The signature base (RFC 9421 §2.5): the bytes that are signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{
    BareItemFromInput, Dictionary, FieldType, Item, ItemSerializer, List, ListEntry,
    ListSerializer, Parser,
};

use crate::component::{Component, is_field_name};
use crate::fault::Fault;
use crate::input::Input;
use crate::message::Message;
use crate::query;

/// Longest base, in bytes: one field can be covered in several forms, and whoever sent it is not known yet.
const LONGEST_BASE: usize = 64 * 1024;
/// Longest field that is read as a structured one, in bytes.
const LONGEST_STRUCTURED: usize = 8 * 1024;

/// What the signer of these parameters has signed, if the message is the one that it saw.
pub(crate) fn write<'a, F>(message: &Message<'a, F>, input: &Input<'a>) -> Result<String, Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let mut base = String::with_capacity(512);
    for (index, component) in input.components.iter().enumerate() {
        if input.components[..index]
            .iter()
            .any(|earlier| earlier.is(component))
        {
            return Err(Fault::DuplicateComponent);
        }
        push_identifier(component, &mut base);
        base.push_str(": ");
        let value_begins = base.len();
        push_value(message, component, &mut base)?;
        check_value(&base[value_begins..])?;
        base.push('\n');
        if base.len() > LONGEST_BASE {
            return Err(Fault::TooLarge);
        }
    }
    push_parameters(input, &mut base);
    Ok(base)
}

fn push_identifier(component: &Component<'_>, base: &mut String) {
    let mut item = ItemSerializer::with_buffer(base).bare_item(&*component.name);
    for (key, value) in &component.parameters {
        item = item.parameter(key, value);
    }
    let _ = item.finish();
}

/// The last line, which no signature has to name (§2.3).
fn push_parameters(input: &Input<'_>, base: &mut String) {
    base.push_str("\"@signature-params\": ");
    let mut line = ListSerializer::with_buffer(base);
    let mut list = line.inner_list();
    for component in &input.components {
        let mut item = list.bare_item(&*component.name);
        for (key, value) in &component.parameters {
            item = item.parameter(key, value);
        }
        let _ = item.finish();
    }
    let mut parameters = list.finish();
    for (key, value) in &input.parameters {
        parameters = parameters.parameter(key, value);
    }
    let _ = parameters.finish();
}

fn push_value<'a, F>(
    message: &Message<'a, F>,
    component: &Component<'a>,
    base: &mut String,
) -> Result<(), Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let form = Form::of(component)?;
    let name = component.name();
    if name.starts_with('@') {
        return match (name, form) {
            ("@query-param", Form::QueryParameter(parameter)) => {
                base.push_str(&query::parameter(
                    message.query.unwrap_or_default(),
                    parameter,
                )?);
                Ok(())
            }
            (_, Form::Plain) => message.derive(name, base),
            _ => Err(Fault::BadComponentParameter),
        };
    }
    if !is_field_name(name) {
        return Err(Fault::UnknownComponent);
    }
    match form {
        Form::Plain => push_lines(message, name, base, |line, base| {
            base.push_str(std::str::from_utf8(line).map_err(|_| Fault::BadValue)?);
            Ok(())
        }),
        Form::Binary => push_lines(message, name, base, |line, base| {
            base.push(':');
            STANDARD.encode_string(line, base);
            base.push(':');
            Ok(())
        }),
        Form::Structured => {
            base.push_str(&structured(name, &joined(message, name)?)?);
            Ok(())
        }
        Form::Member(key) => {
            base.push_str(&member(key, &joined(message, name)?)?);
            Ok(())
        }
        Form::QueryParameter(_) => Err(Fault::BadComponentParameter),
    }
}

/// What a component's parameters make of its value.
enum Form<'a> {
    /// As it was sent: lines joined by a comma (§2.1).
    Plain,
    /// `sf`: serialised anew (§2.1.1).
    Structured,
    /// `key`: one member of a dictionary (§2.1.2).
    Member(&'a str),
    /// `bs`: each line as bytes (§2.1.3).
    Binary,
    /// `name`, of `@query-param` (§2.2.8).
    QueryParameter(&'a str),
}

impl<'a> Form<'a> {
    fn of(component: &'a Component<'_>) -> Result<Self, Fault> {
        let mut form = Self::Plain;
        for (key, value) in &component.parameters {
            let next = match (key.as_str(), value) {
                ("tr", _) => return Err(Fault::TrailerComponent),
                ("req", _) => return Err(Fault::RequestComponent),
                ("sf", BareItemFromInput::Boolean(true)) => Self::Structured,
                ("bs", BareItemFromInput::Boolean(true)) => Self::Binary,
                ("key", BareItemFromInput::String(key)) => Self::Member(key.as_str()),
                ("name", BareItemFromInput::String(name)) => Self::QueryParameter(name.as_str()),
                _ => return Err(Fault::BadComponentParameter),
            };
            form = match (form, next) {
                (Self::Plain, next) => next,
                // A member is serialised anew anyway.
                (Self::Structured, Self::Member(key)) | (Self::Member(key), Self::Structured) => {
                    Self::Member(key)
                }
                _ => return Err(Fault::BadComponentParameter),
            };
        }
        Ok(form)
    }
}

/// Every line of a field, in order, with `, ` between them.
fn push_lines<'a, F>(
    message: &Message<'a, F>,
    name: &str,
    base: &mut String,
    push: impl Fn(&[u8], &mut String) -> Result<(), Fault>,
) -> Result<(), Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let mut is_first = true;
    for line in message.values(name) {
        if !is_first {
            base.push_str(", ");
        }
        push(line, base)?;
        is_first = false;
        if base.len() > LONGEST_BASE {
            return Err(Fault::TooLarge);
        }
    }
    if is_first {
        let line = message.kept_apart(name).ok_or(Fault::AbsentComponent)?;
        push(line.as_bytes(), base)?;
    }
    Ok(())
}

/// A field as a whole, to be read as a structured one.
fn joined<'a, F>(message: &Message<'a, F>, name: &str) -> Result<String, Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let mut value = String::new();
    push_lines(message, name, &mut value, |line, value| {
        value.push_str(std::str::from_utf8(line).map_err(|_| Fault::BadValue)?);
        Ok(())
    })?;
    if value.len() > LONGEST_STRUCTURED {
        return Err(Fault::TooLarge);
    }
    Ok(value)
}

/// Only of fields whose type is known: the same text may be several.
fn structured(name: &str, value: &str) -> Result<String, Fault> {
    match name {
        "accept-signature"
        | "cache-control"
        | "cdn-cache-control"
        | "content-digest"
        | "priority"
        | "repr-digest"
        | "signature"
        | "signature-input"
        | "want-content-digest"
        | "want-repr-digest" => reserialised::<Dictionary>(value),
        "accept" | "accept-encoding" | "accept-language" | "cache-status" | "content-encoding"
        | "content-language" | "client-cert-chain" | "proxy-status" | "te" | "vary" => {
            reserialised::<List>(value)
        }
        "age" | "client-cert" | "content-type" | "origin-agent-cluster" => {
            reserialised::<Item>(value)
        }
        _ => Err(Fault::BadComponentParameter),
    }
}

fn reserialised<T: FieldType>(value: &str) -> Result<String, Fault> {
    let parsed: T = Parser::new(value).parse().map_err(|_| Fault::BadValue)?;
    parsed.serialize().into().ok_or(Fault::BadValue)
}

fn member(key: &str, value: &str) -> Result<String, Fault> {
    let dictionary: Dictionary = Parser::new(value).parse().map_err(|_| Fault::BadValue)?;
    match dictionary.get(key).ok_or(Fault::AbsentComponent)? {
        ListEntry::Item(item) => Ok(item.serialize()),
        ListEntry::InnerList(list) => {
            let list: List = vec![ListEntry::InnerList(list.clone())];
            list.serialize().ok_or(Fault::BadValue)
        }
    }
}

/// The base is ASCII, and a value never begins a line of its own (§2.5, §7.5.5).
fn check_value(value: &str) -> Result<(), Fault> {
    let is_sound = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
    if !value.bytes().all(is_sound) {
        return Err(Fault::BadValue);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
