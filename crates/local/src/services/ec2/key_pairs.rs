//! Key pairs: public keys under a name. They are imported; the local cloud makes none, since nobody could use them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::filters::{Listing, describe, texts};
use super::region::Region;
use super::{Request, errors, ids, tags};
use crate::wire::error::ApiError;

/// A public key under a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeyPair {
    pub(super) id: String,
    pub(super) name: String,
    /// In OpenSSH's form.
    pub(super) public_key: String,
    kind: String,
    fingerprint: String,
    created: i64,
}

/// `ImportKeyPair`.
pub(super) fn import(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let name = request.text("KeyName").trim();
    if name.is_empty() || name.len() > 255 || !name.is_ascii() {
        return Err(errors::invalid_value("The key pair's name must have 1 to 255 ASCII characters"));
    }
    if region.key_pairs.values().any(|key| key.name == name) {
        let message = format!("The keypair '{name}' already exists.");
        return Err(ApiError::new("InvalidKeyPair.Duplicate", message));
    }
    let material =
        STANDARD.decode(request.text("PublicKeyMaterial")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let material = material.ok_or_else(not_openssh)?;
    let (kind, fingerprint) = fingerprint(&material).ok_or_else(not_openssh)?;
    let tags = tags::specified(request.input, ids::KEY_PAIR, &[])?;
    let key = KeyPair {
        id: ids::KEY_PAIR.new_id(),
        name: name.to_owned(),
        public_key: material.trim().to_owned(),
        kind: kind.to_owned(),
        fingerprint,
        created: request.now,
    };
    let answer = json!({
        "KeyPairId": key.id, "KeyName": key.name, "KeyFingerprint": key.fingerprint, "Tags": tags::view(Some(&tags)),
    });
    region.tag(&key.id, tags);
    region.key_pairs.insert(key.id.clone(), key);
    Ok(answer)
}

/// `DeleteKeyPair`: one that is not there is deleted.
pub(super) fn delete(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let (name, id) = (request.input["KeyName"].as_str(), request.input["KeyPairId"].as_str());
    if name.is_none() && id.is_none() {
        return Err(errors::missing("KeyName"));
    }
    let named = |key: &&KeyPair| name.is_none_or(|name| key.name == name) && id.is_none_or(|id| key.id == id);
    let found = region.key_pairs.values().find(named).map(|key| key.id.clone());
    if let Some(found) = &found {
        region.key_pairs.remove(found);
        region.tags.remove(found);
    }
    Ok(json!({"Return": true, "KeyPairId": found}))
}

/// `DescribeKeyPairs`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "KeyPairIds",
        id: "KeyPairId",
        noun: ids::KEY_PAIR,
        filters: &[("fingerprint", "KeyFingerprint"), ("key-name", "KeyName"), ("key-pair-id", "KeyPairId")],
    };
    let shown = request.input["IncludePublicKey"] == true;
    let view = |key: &KeyPair| {
        json!({
            "KeyPairId": key.id, "KeyName": key.name, "KeyFingerprint": key.fingerprint, "KeyType": key.kind,
            "CreateTime": key.created, "PublicKey": shown.then_some(&key.public_key), "Tags": region.tags_of(&key.id),
        })
    };
    let mut keys: Vec<Value> = region.key_pairs.values().map(view).collect();
    let names = texts(&request.input["KeyNames"]);
    if let Some(unknown) = names.iter().find(|name| !keys.iter().any(|key| key["KeyName"] == **name)) {
        return Err(ids::KEY_PAIR.not_found(unknown));
    }
    keys.retain(|key| names.is_empty() || names.iter().any(|name| key["KeyName"] == *name));
    let page = describe(keys, request.input, &LISTING)?;
    Ok(json!({"KeyPairs": page.items}))
}

fn not_openssh() -> ApiError {
    ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
}

/// The type of a key and its fingerprint: for RSA the MD5 of the public key in DER, for ED25519 the SHA-256 of the key
/// as OpenSSH writes it ("Determine the fingerprint of your key pair", EC2 user guide).
fn fingerprint(line: &str) -> Option<(&'static str, String)> {
    let mut words = line.split_whitespace();
    let (kind, blob) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(blob).or_else(|_| STANDARD_NO_PAD.decode(blob)).ok()?;
    let mut rest = blob.as_slice();
    if field(&mut rest)? != kind.as_bytes() {
        return None;
    }
    match kind {
        "ssh-ed25519" => {
            let key = field(&mut rest)?;
            (key.len() == 32 && rest.is_empty()).then(|| ("ed25519", STANDARD.encode(Sha256::digest(&blob))))
        }
        "ssh-rsa" => {
            let (exponent, modulus) = (field(&mut rest)?, field(&mut rest)?);
            // 1,024 bits at least; a leading zero keeps the number positive.
            if modulus.len() < 128 || !rest.is_empty() {
                return None;
            }
            let digest = Md5::digest(public_key_info(modulus, exponent));
            let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(("rsa", bytes.join(":")))
        }
        _ => None,
    }
}

/// The next field of OpenSSH's wire form: a length of four bytes and as many bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (field, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(field)
}

/// `SubjectPublicKeyInfo` of an RSA key in DER (RFC 8017, appendix A.1, and RFC 5280). OpenSSH's numbers are DER's.
fn public_key_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let numbers = [tagged(0x02, modulus), tagged(0x02, exponent)].concat();
    // A bit string begins with the number of bits that its last byte does not use.
    let bits = [&[0u8][..], &tagged(0x30, &numbers)].concat();
    tagged(0x30, &[tagged(0x30, RSA_ENCRYPTION), tagged(0x03, &bits)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        // As many as fit a usize: eight at most.
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen`; nobody has the private keys.
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDGkHvDqi6b3tqFXIhRRsnS6rJ8BeO32aomPNqMTlPMXGKEMB00CQzkd+vMFXkwJp+yUGjNZ0hGSxQLjrFzic4RUxBgLgVPzrnVq7F987Se4390U5E3hcY9Gg7ClwURkzbRuz0SnHXYokdG2MYFciEZrLunKc0ny2V6LrKPxH2RuqofeSqb6fO3Mxs9JUSRpYZMjpaoogzlpUqOqano2oUB0j/BVP6rG2viZKeKTJ/umnvrETePFPy/nPAL/LhvBp/d4TFz8FHBvNEYJ8ffyNFOopjzfexsGc+u77wxec/shZ+4jaNqiJ4OAZE60frYBZgyIH4F/sZfvdmIDHZdvLXR pins";
    /// `ssh-keygen -e -m PKCS8 -f key.pub | openssl rsa -pubin -pubout -outform DER | openssl md5 -c`
    const RSA_MD5: &str = "94:da:b3:02:22:af:3d:52:90:80:4d:be:4c:dc:f6:af";
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJLyIRN945iPgRZt4bU1Dnu4zBINBSeYC0wjdUfRKyT pins";
    /// `ssh-keygen -l -E sha256 -f key.pub`, padded.
    const ED25519_SHA256: &str = "HNtKrg4wnOeQiKt+x/QJLVJ6nMREsPAvzAug9cRkFQQ=";

    #[test]
    fn fingerprints_are_those_of_openssl_and_ssh_keygen() {
        assert_eq!(fingerprint(RSA), Some(("rsa", RSA_MD5.to_owned())));
        assert_eq!(fingerprint(ED25519), Some(("ed25519", ED25519_SHA256.to_owned())));
    }

    #[test]
    fn what_is_no_key() {
        for wrong in
            ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAA", "ecdsa-sha2-nistp256 AAAA"]
        {
            assert_eq!(fingerprint(wrong), None, "{wrong}");
        }
        assert_eq!(fingerprint(&RSA.replacen("ssh-rsa", "ssh-ed25519", 1)), None);
    }
}
