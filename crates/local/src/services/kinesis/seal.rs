//! Opaque tokens that only this local cloud can have made: shard iterators and page tokens.
//!
//! A token is its contents and a shortened HMAC-SHA256, in base64. The key is made once and kept in the store, so tokens
//! outlive a restart as they do on AWS, where a restart is nothing a client would see.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What a token is for; one of a kind is refused where another is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    ShardIterator = 1,
    ShardPage = 2,
    StreamPage = 3,
}

/// Half of the hash: 128 bits are not guessed.
const TAG_BYTES: usize = 16;

/// Makes and checks tokens.
pub(super) struct Seal {
    keyed: Hmac<Sha256>,
}

impl Seal {
    pub(super) fn new(key: &[u8; 32]) -> Seal {
        // The key has the block-independent length HMAC pads by itself: no other error exists.
        let padded = {
            let mut block = [0; 64];
            block[..32].copy_from_slice(key);
            block
        };
        Seal { keyed: Hmac::new(&padded.into()) }
    }

    /// A token with these contents.
    pub(super) fn close(&self, kind: TokenKind, contents: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(1 + contents.len() + TAG_BYTES);
        bytes.push(kind as u8);
        bytes.extend_from_slice(contents);
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag);
        STANDARD.encode(bytes)
    }

    /// The contents of a token of this kind; `None` if it is not one of ours.
    pub(super) fn open(&self, kind: TokenKind, token: &str) -> Option<Vec<u8>> {
        let mut bytes = STANDARD.decode(token).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let genuine = bool::from(self.tag(body).as_slice().ct_eq(tag));
        if !genuine || *body.first()? != kind as u8 {
            return None;
        }
        bytes.truncate(bytes.len() - TAG_BYTES);
        bytes.remove(0);
        Some(bytes)
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG_BYTES] {
        let mut mac = self.keyed.clone();
        mac.update(body);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tokens_of_the_right_kind_and_key_open() {
        let seal = Seal::new(&[7; 32]);
        let token = seal.close(TokenKind::ShardIterator, b"here");
        assert_eq!(seal.open(TokenKind::ShardIterator, &token).as_deref(), Some(&b"here"[..]));
        assert_eq!(seal.open(TokenKind::ShardPage, &token), None);
        assert_eq!(Seal::new(&[8; 32]).open(TokenKind::ShardIterator, &token), None);
        for position in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[position] = if other[position] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(seal.open(TokenKind::ShardIterator, &other), None, "{other}");
            assert_eq!(seal.open(TokenKind::ShardIterator, &token[..position]), None);
        }
    }
}
