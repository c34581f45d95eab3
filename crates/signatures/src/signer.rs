//! What a client does: signs requests. For tests of whoever checks them.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::algorithm::Algorithm;
use crate::base;
use crate::fault::Fault;
use crate::input::Input;
use crate::message::Message;

/// A private key or shared secret with its one algorithm.
#[derive(Debug)]
pub struct SigningKey(Material);

#[derive(Debug)]
enum Material {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair, Algorithm),
    Secret(Box<hmac::Key>, Vec<u8>),
}

/// Values of the two fields, to be added to the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `signature-input`
    pub input: String,
    /// `signature`
    pub signature: String,
}

impl SigningKey {
    /// A new key; a secret has 32 bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Unspecified> {
        Ok(Self(match algorithm {
            Algorithm::Ed25519 => Material::Ed25519(Ed25519KeyPair::generate()?),
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 => {
                Material::Ecdsa(EcdsaKeyPair::generate(ecdsa(algorithm))?)
            }
            Algorithm::RsaPssSha512 | Algorithm::RsaV15Sha256 => {
                Material::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?, algorithm)
            }
            Algorithm::HmacSha256 => {
                let mut secret = [0; 32];
                aws_lc_rs::rand::fill(&mut secret)?;
                return Ok(Self::from_secret(&secret));
            }
        }))
    }

    /// A shared secret.
    pub fn from_secret(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(Material::Secret(Box::new(key), secret.to_vec()))
    }

    /// The public key in PEM, or the secret itself.
    pub fn public(&self) -> Result<Vec<u8>, Unspecified> {
        let der = match &self.0 {
            Material::Ed25519(pair) => pair.public_key().as_der()?,
            Material::Ecdsa(pair) => pair.public_key().as_der()?,
            Material::Rsa(pair, _) => pair.public_key().as_der()?,
            Material::Secret(_, secret) => return Ok(secret.clone()),
        };
        let lines = STANDARD.encode(der.as_ref());
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n").into())
    }

    /// Signs what `list` says, such as `("@method" "@path");created=1700000000;keyid="me"`.
    pub fn sign<'a, F>(
        &self,
        message: &Message<'a, F>,
        label: &str,
        list: &str,
    ) -> Result<Signed, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let input = format!("{label}={list}");
        // Without bytes yet, it is read as whoever checks it reads it.
        let unsigned = format!("{label}=::");
        let mut fields: Vec<_> = message.fields.clone().collect();
        fields.push(("signature-input", input.as_bytes()));
        fields.push(("signature", unsigned.as_bytes()));
        let message = Message {
            method: message.method,
            scheme: message.scheme,
            authority: message.authority,
            path: message.path,
            query: message.query,
            content_length: message.content_length,
            has_body: message.has_body,
            fields: fields.iter().copied(),
        };
        let inputs = Input::read(&message)?;
        let read = inputs.last().ok_or(Fault::NoSignature)?;
        let base = base::write(&message, read)?;
        let bytes = self
            .sign_bytes(base.as_bytes())
            .map_err(|_| Fault::Invalid)?;
        let signature = format!("{label}=:{}:", STANDARD.encode(bytes));
        Ok(Signed {
            input: input.clone(),
            signature,
        })
    }

    fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        Ok(match &self.0 {
            Material::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Material::Ecdsa(pair) => pair.sign(&random, message)?.as_ref().to_vec(),
            Material::Rsa(pair, algorithm) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::RsaPssSha512 => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut bytes)?;
                bytes
            }
            Material::Secret(key, _) => hmac::sign(key, message).as_ref().to_vec(),
        })
    }
}

/// The value of `content-digest` for this body.
pub fn content_digest(body: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, body);
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

fn ecdsa(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}
