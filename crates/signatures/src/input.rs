//! `Signature-Input` and `Signature`, read (RFC 9421 §4).

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};
use smallvec::SmallVec;

use crate::component::Component;
use crate::fault::Fault;
use crate::message::Message;

/// Longest `Signature-Input`, and longest `Signature`, over all lines, in bytes.
const LONGEST_FIELD: usize = 8 * 1024;
const MOST_SIGNATURES: usize = 4;
const MOST_COMPONENTS: usize = 32;
/// Of one component, and of one signature.
const MOST_PARAMETERS: usize = 8;
const LONGEST_LABEL: usize = 64;
/// Longest text of a parameter of a signature, such as `keyid`.
const LONGEST_TEXT: usize = 256;
/// Longest signature: that of RSA with 8192 bits.
const LONGEST_SIGNATURE: usize = 1024;

/// One signature as it was sent; nothing of it is believed.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) label: &'a str,
    pub(crate) components: SmallVec<[Component<'a>; 8]>,
    /// All of them, in order: they are signed as well.
    pub(crate) parameters: SmallVec<[(&'a KeyRef, BareItemFromInput<'a>); 6]>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Input<'a> {
    /// The signatures of a request, each with its bytes.
    ///
    /// # Errors
    /// [`Fault::NoSignature`] if there is none; what is wrong with the form of either field otherwise.
    pub(crate) fn read<F>(message: &Message<'a, F>) -> Result<SmallVec<[Self; 1]>, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let mut inputs = Inputs::default();
        read_dictionary(message, "signature-input", &mut inputs, |inputs| {
            inputs.fault
        })?;
        let mut signatures = Signatures::default();
        read_dictionary(message, "signature", &mut signatures, |signatures| {
            signatures.fault
        })?;

        let Inputs { mut found, .. } = inputs;
        if found.is_empty() && signatures.found.is_empty() {
            return Err(Fault::NoSignature);
        }
        if found.len() != signatures.found.len() {
            return Err(Fault::Unpaired);
        }
        for input in &mut found {
            let mut sent = signatures.found.iter_mut();
            let (_, signature) = sent
                .find(|(label, _)| *label == input.label)
                .ok_or(Fault::Unpaired)?;
            input.signature = std::mem::take(signature);
        }
        Ok(found)
    }

    /// A parameter of the signature that is text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Fault> {
        let Some(value) = self.parameter(key) else {
            return Ok(None);
        };
        let text = value.as_string().ok_or(Fault::BadParameter)?.as_str();
        if text.len() > LONGEST_TEXT {
            return Err(Fault::TooLarge);
        }
        Ok(Some(text))
    }

    /// A parameter of the signature that is a time, in seconds since 1970.
    pub(crate) fn time(&self, key: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.parameter(key) else {
            return Ok(None);
        };
        let seconds = value.as_integer().ok_or(Fault::BadParameter)?;
        u64::try_from(seconds)
            .map(Some)
            .map_err(|_| Fault::BadParameter)
    }

    fn parameter(&self, key: &str) -> Option<&BareItemFromInput<'a>> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(name, _)| name.as_str() == key)
            .map(|(_, value)| value)
    }
}

/// Every line is a dictionary of its own (RFC 9651 §4.2).
fn read_dictionary<'a, F, V>(
    message: &Message<'a, F>,
    name: &str,
    visitor: &mut V,
    fault: impl Fn(&V) -> Option<Fault>,
) -> Result<(), Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    for<'v> &'v mut V: DictionaryVisitor<'a>,
{
    let mut length = 0;
    for value in message.values(name) {
        length += value.len();
        if length > LONGEST_FIELD {
            return Err(Fault::TooLarge);
        }
        let parser = Parser::new(value);
        let is_refused = parser.parse_dictionary_with_visitor(&mut *visitor).is_err();
        if is_refused {
            // The parser tells a visitor's error as text only.
            return Err(fault(visitor).unwrap_or(Fault::Malformed));
        }
    }
    Ok(())
}

/// What is collected of `Signature-Input`.
#[derive(Default)]
struct Inputs<'a> {
    found: SmallVec<[Input<'a>; 1]>,
    fault: Option<Fault>,
}

impl<'a> Inputs<'a> {
    /// The member that is being read.
    fn last(&mut self) -> Result<&mut Input<'a>, Fault> {
        self.found.last_mut().ok_or(Fault::Malformed)
    }

    fn refuse(&mut self, fault: Fault) -> Fault {
        self.fault = Some(fault);
        fault
    }
}

impl<'a> DictionaryVisitor<'a> for &mut Inputs<'a> {
    type Out = ();
    type Error = Fault;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Fault> {
        let label = key.as_str();
        let labels = self.found.iter().map(|input| input.label);
        if let Err(fault) = check_label(label, labels) {
            return Err(self.refuse(fault));
        }
        self.found.push(Input {
            label,
            components: SmallVec::new(),
            parameters: SmallVec::new(),
            signature: Vec::new(),
        });
        Ok(InputMember(self))
    }

    fn finish(self) -> Result<(), Fault> {
        Ok(())
    }
}

struct InputMember<'v, 'a>(&'v mut Inputs<'a>);

impl<'a> EntryVisitor<'a> for InputMember<'_, 'a> {
    type Error = Fault;

    fn item(self) -> Result<impl ItemVisitor<'a>, Fault> {
        Err::<Ignored, _>(self.0.refuse(Fault::Malformed))
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Fault> {
        Ok(Components(self.0))
    }
}

struct Components<'v, 'a>(&'v mut Inputs<'a>);

impl<'a> InnerListVisitor<'a> for Components<'_, 'a> {
    type Error = Fault;

    fn item(&mut self) -> Result<impl ItemVisitor<'a>, Fault> {
        Ok(Covered(self.0))
    }

    fn finish(self) -> Result<impl ParameterVisitor<'a>, Fault> {
        Ok(Parameters {
            inputs: self.0,
            of_component: false,
        })
    }
}

struct Covered<'v, 'a>(&'v mut Inputs<'a>);

impl<'a> ItemVisitor<'a> for Covered<'_, 'a> {
    type Out = ();
    type Error = Fault;

    fn bare_item(
        self,
        item: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, Fault> {
        let BareItemFromInput::String(name) = item else {
            return Err(self.0.refuse(Fault::Malformed));
        };
        let components = &mut self.0.last()?.components;
        if components.len() == MOST_COMPONENTS {
            return Err(self.0.refuse(Fault::TooLarge));
        }
        components.push(Component {
            name,
            parameters: SmallVec::new(),
        });
        Ok(Parameters {
            inputs: self.0,
            of_component: true,
        })
    }
}

struct Parameters<'v, 'a> {
    inputs: &'v mut Inputs<'a>,
    of_component: bool,
}

impl<'a> ParameterVisitor<'a> for Parameters<'_, 'a> {
    type Out = ();
    type Error = Fault;

    fn parameter(&mut self, key: &'a KeyRef, value: BareItemFromInput<'a>) -> Result<(), Fault> {
        let input = self.inputs.last()?;
        let pushed = if self.of_component {
            let component = input.components.last_mut().ok_or(Fault::Malformed)?;
            push_parameter(&mut component.parameters, key, value)
        } else {
            push_parameter(&mut input.parameters, key, value)
        };
        pushed.map_err(|fault| self.inputs.refuse(fault))
    }

    fn finish(self) -> Result<(), Fault> {
        Ok(())
    }
}

/// What is collected of `Signature`.
#[derive(Default)]
struct Signatures<'a> {
    found: SmallVec<[(&'a str, Vec<u8>); 1]>,
    fault: Option<Fault>,
}

impl<'a> DictionaryVisitor<'a> for &mut Signatures<'a> {
    type Out = ();
    type Error = Fault;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Fault> {
        let label = key.as_str();
        let labels = self.found.iter().map(|(label, _)| *label);
        if let Err(fault) = check_label(label, labels) {
            self.fault = Some(fault);
            return Err(fault);
        }
        Ok(SignatureMember {
            signatures: self,
            label,
        })
    }

    fn finish(self) -> Result<(), Fault> {
        Ok(())
    }
}

struct SignatureMember<'v, 'a> {
    signatures: &'v mut Signatures<'a>,
    label: &'a str,
}

impl<'a> EntryVisitor<'a> for SignatureMember<'_, 'a> {
    type Error = Fault;

    fn item(self) -> Result<impl ItemVisitor<'a>, Fault> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Fault> {
        Err::<Ignored, _>(Fault::Malformed)
    }
}

impl<'a> ItemVisitor<'a> for SignatureMember<'_, 'a> {
    type Out = ();
    type Error = Fault;

    fn bare_item(
        self,
        item: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, Fault> {
        let BareItemFromInput::ByteSequence(bytes) = item else {
            return Err(Fault::Malformed);
        };
        if bytes.len() > LONGEST_SIGNATURE {
            self.signatures.fault = Some(Fault::TooLarge);
            return Err(Fault::TooLarge);
        }
        self.signatures.found.push((self.label, bytes));
        Ok(Ignored)
    }
}

fn check_label<'a>(label: &str, others: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let mut count = 0;
    for other in others {
        if other == label {
            return Err(Fault::DuplicateLabel);
        }
        count += 1;
    }
    if count == MOST_SIGNATURES || label.len() > LONGEST_LABEL {
        return Err(Fault::TooLarge);
    }
    Ok(())
}

fn push_parameter<'a, const N: usize>(
    parameters: &mut SmallVec<[(&'a KeyRef, BareItemFromInput<'a>); N]>,
    key: &'a KeyRef,
    value: BareItemFromInput<'a>,
) -> Result<(), Fault> {
    if parameters.iter().any(|(name, _)| *name == key) {
        return Err(Fault::DuplicateParameter);
    }
    if parameters.len() == MOST_PARAMETERS {
        return Err(Fault::TooLarge);
    }
    parameters.push((key, value));
    Ok(())
}
