//! The JSON form of keys.

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::key::KeyFault;

/// The numbers of a key, without anything private. Those of RSA have no leading zeros, those of curves the length of
/// their curve.
pub(crate) enum Parts {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Curve {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
    Shared(Zeroizing<Vec<u8>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// Bytes of a coordinate.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }
}

impl Parts {
    /// What RSA numbers are, however many zeros stand before them: some publishers write them (RFC 7518 §6.3.1.1).
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::Rsa {
            modulus: significant(modulus).to_vec(),
            exponent: significant(exponent).to_vec(),
        }
    }

    /// By which a key verifies that names no algorithm; none for shared secrets.
    pub(crate) const fn default_algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Rsa { .. } => Some(Algorithm::Rs256),
            Self::Curve {
                curve: Curve::P256, ..
            } => Some(Algorithm::Es256),
            Self::Curve {
                curve: Curve::P384, ..
            } => Some(Algorithm::Es384),
            Self::Ed25519 { .. } => Some(Algorithm::EdDsa),
            Self::Shared(_) => None,
        }
    }

    /// The members by which a key is known, in order and without spaces (RFC 7638 §3, RFC 8037 §2).
    pub(crate) fn canonical(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Rsa { modulus, exponent } => {
                let (e, n) = (base64url::encode(exponent), base64url::encode(modulus));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Self::Curve { curve, x, y } => {
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                let crv = curve.name();
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519 { x } => {
                let x = base64url::encode(x);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
            Self::Shared(secret) => {
                let k = Zeroizing::new(base64url::encode(secret));
                format!(r#"{{"k":"{}","kty":"oct"}}"#, *k)
            }
        })
    }

    /// As it is published; null for a shared secret, which never is.
    pub(crate) fn published(&self, algorithm: Algorithm, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa { modulus, exponent } => json!({
                "kty": "RSA", "n": base64url::encode(modulus), "e": base64url::encode(exponent),
            }),
            Self::Curve { curve, x, y } => json!({
                "kty": "EC", "crv": curve.name(), "x": base64url::encode(x), "y": base64url::encode(y),
            }),
            Self::Ed25519 { x } => json!({
                "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(x),
            }),
            Self::Shared(_) => return Value::Null,
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = algorithm.as_str().into();
        jwk
    }
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

/// The members of a key that are read (RFC 7517 §4, RFC 7518 §6). Those with private numbers are not.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    alg: Option<String>,
    pub(crate) kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<Zeroized>,
}

impl Jwk {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeyFault> {
        let jwk: Self = serde_json::from_slice(json).map_err(|_| KeyFault::Json)?;
        jwk.is_for_signatures().then_some(jwk).ok_or(KeyFault::Use)
    }

    /// What it says it is for (RFC 7517 §4.2, §4.3). Of a private key `sign` means that its public part verifies.
    fn is_for_signatures(&self) -> bool {
        let by_use = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let by_operations = self.key_ops.as_ref().is_none_or(|operations| {
            let mut operations = operations.iter();
            operations.any(|operation| operation == "verify" || operation == "sign")
        });
        by_use && by_operations
    }

    pub(crate) fn is_shared_secret(&self) -> bool {
        self.kty == "oct"
    }

    /// The algorithm that it names.
    pub(crate) fn algorithm(&self) -> Result<Option<Algorithm>, KeyFault> {
        let Some(name) = &self.alg else {
            return Ok(None);
        };
        Algorithm::named(name).map(Some).ok_or(KeyFault::Algorithm)
    }

    pub(crate) fn parts(&self) -> Result<Parts, KeyFault> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = member("n", self.n.as_deref())?;
                let exponent = member("e", self.e.as_deref())?;
                Ok(Parts::rsa(&modulus, &exponent))
            }
            ("EC", Some("P-256")) => self.curve(Curve::P256),
            ("EC", Some("P-384")) => self.curve(Curve::P384),
            ("OKP", Some("Ed25519")) => Ok(Parts::Ed25519 {
                x: member_of("x", self.x.as_deref(), 32)?,
            }),
            ("oct", _) => {
                let secret = self.k.as_ref().map(|k| k.0.as_str());
                Ok(Parts::Shared(Zeroizing::new(member("k", secret)?)))
            }
            _ => Err(KeyFault::Kind),
        }
    }

    fn curve(&self, curve: Curve) -> Result<Parts, KeyFault> {
        Ok(Parts::Curve {
            curve,
            x: member_of("x", self.x.as_deref(), curve.width())?,
            y: member_of("y", self.y.as_deref(), curve.width())?,
        })
    }
}

/// A text that is overwritten when it is dropped.
struct Zeroized(Zeroizing<String>);

impl<'de> Deserialize<'de> for Zeroized {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

fn member(name: &'static str, text: Option<&str>) -> Result<Vec<u8>, KeyFault> {
    text.and_then(base64url::decode)
        .ok_or(KeyFault::Member(name))
}

fn member_of(name: &'static str, text: Option<&str>, length: usize) -> Result<Vec<u8>, KeyFault> {
    let bytes = member(name, text)?;
    if bytes.len() != length {
        return Err(KeyFault::Member(name));
    }
    Ok(bytes)
}
