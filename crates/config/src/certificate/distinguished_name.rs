//! Distinguished names as text (RFC 4514).

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Attribute types with a short name: RFC 4514 §3, RFC 4519 §2 and, for `emailAddress`, RFC 2985.
const SHORT_NAMES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "givenName"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Writes a name: most specific part first, values escaped so that no value can pass for another
/// part. Beyond what RFC 4514 asks for, control characters are escaped too: the text is fit for a
/// header and for a line of a log.
pub fn write(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for part in parts.into_iter().rev() {
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            } else if !text.is_empty() {
                text.push(',');
            }
            write_attribute(attribute, &mut text);
        }
    }
    text
}

/// Writes `TYPE=value`; a type without a short name or a value that is not text is written as the
/// DER encoding in hexadecimal digits (RFC 4514 §2.4).
fn write_attribute(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let identifier = attribute.attr_type().to_id_string();
    let short_name = SHORT_NAMES
        .iter()
        .find(|(known, _)| *known == identifier)
        .map(|(_, short_name)| *short_name);
    text.push_str(short_name.unwrap_or(&identifier));
    text.push('=');
    match (short_name, attribute.as_str()) {
        (Some(_), Ok(value)) => escape(value, text),
        _ => {
            let der = attribute.attr_value().to_der_vec().unwrap_or_default();
            text.push('#');
            text.push_str(&hexadecimal(&der));
        }
    }
}

/// Escapes a value (RFC 4514 §2.4).
fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let at_edge = match character {
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if at_edge || matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
            text.push(character);
        } else if character.is_control() {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                text.push('\\');
                text.push_str(&hexadecimal(&[byte]));
            }
        } else {
            text.push(character);
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
