//! Keys of a provider, made for the run, and tokens signed with them or pretending to be.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

/// It takes a moment to make, so all tests of a process share it.
pub(crate) static RSA: LazyLock<Key> = LazyLock::new(|| {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
    Key {
        kid: "rsa-1".to_owned(),
        pair: Pair::Rsa(Box::new(key)),
    }
});

/// A key and its name.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Box<RsaPrivateKey>),
    Ec(Arc<EcdsaKeyPair>),
}

impl Key {
    /// A fresh one on the curve P-256.
    pub(crate) fn ec(kid: &str) -> Self {
        let (random, curve) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random);
        Self {
            kid: kid.to_owned(),
            pair: Pair::Ec(Arc::new(pair.expect("a key"))),
        }
    }

    /// The half that everybody may have.
    pub(crate) fn public(&self) -> Value {
        match &self.pair {
            Pair::Rsa(key) => json!({
                "kty": "RSA", "use": "sig", "kid": self.kid,
                "n": encoded(&key.n().to_bytes_be()), "e": encoded(&key.e().to_bytes_be()),
            }),
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
                json!({"kty": "EC", "use": "sig", "crv": "P-256", "kid": self.kid, "x": x, "y": y})
            }
        }
    }

    /// The header of what it signs.
    pub(crate) fn header(&self) -> Value {
        let alg = match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        json!({"alg": alg, "typ": "JWT", "kid": self.kid})
    }

    /// Signs claims, under whatever the header says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = input(header, claims);
        let signature = match &self.pair {
            Pair::Rsa(key) => {
                let key = SigningKey::<rsa::sha2::Sha256>::new((**key).clone());
                key.sign(input.as_bytes()).to_vec()
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), input.as_bytes());
                signature.expect("a signature").as_ref().to_vec()
            }
        };
        format!("{input}.{}", encoded(&signature))
    }

    /// Its public half as a text, which a careless verifier takes for a secret that both sides know.
    pub(crate) fn pem(&self) -> String {
        let Pair::Rsa(key) = &self.pair else {
            panic!("that of an RSA key");
        };
        let public = RsaPublicKey::from(key.as_ref());
        public.to_public_key_pem(LineEnding::LF).expect("a text")
    }
}

/// Claims under a signature that is made with a secret.
pub(crate) fn sign_with_secret(secret: &[u8], header: &Value, claims: &Value) -> String {
    let input = input(header, claims);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("a key");
    mac.update(input.as_bytes());
    format!("{input}.{}", encoded(&mac.finalize().into_bytes()))
}

/// Claims without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", input(header, claims))
}

fn input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
