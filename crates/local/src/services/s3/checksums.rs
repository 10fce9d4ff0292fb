//! Checksums: which to compute, what they came to, and whether they are what the client said.
//!
//! Rules of <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>: a checksum that
//! comes with a request, in a header or a trailer, is verified; without one S3 computes CRC-64/NVME.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumType};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// The five algorithms of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// The name in `x-amz-checksum-algorithm`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// Finds an algorithm by its name.
    pub(super) fn named(name: &str) -> S3Result<Algorithm> {
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
        })
    }

    /// The header that carries its value.
    pub(super) fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }
}

/// Base64 values, as the protocol writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Checksums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// A checksum of checksums, `…-N`, of a multipart upload.
    #[serde(default)]
    pub(super) composite: bool,
}

impl Checksums {
    pub(super) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => self.crc32.as_deref(),
            Algorithm::Crc32c => self.crc32c.as_deref(),
            Algorithm::Crc64Nvme => self.crc64nvme.as_deref(),
            Algorithm::Sha1 => self.sha1.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
        }
    }

    pub(super) fn set(&mut self, algorithm: Algorithm, value: String) {
        let slot = match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64Nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        };
        *slot = Some(value);
    }

    /// Which algorithms have a value.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL.into_iter().filter(|algorithm| self.get(*algorithm).is_some()).collect()
    }

    /// What the headers (or trailers) of a request say.
    pub(super) fn of_headers(headers: &HeaderMap) -> Checksums {
        let mut said = Checksums::default();
        for algorithm in Algorithm::ALL {
            if let Some(value) = headers.get(algorithm.header()).and_then(|value| value.to_str().ok()) {
                said.set(algorithm, value.to_owned());
            }
        }
        said
    }

    /// Refuses when a value that was said is not the value that was computed.
    pub(super) fn verify(&self, computed: &Checksums) -> S3Result<()> {
        for algorithm in self.algorithms() {
            if self.get(algorithm) != computed.get(algorithm) {
                let name = algorithm.name();
                return Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."));
            }
        }
        Ok(())
    }

    /// `FULL_OBJECT` or `COMPOSITE`, where there is a value.
    pub(super) fn kind(&self) -> Option<ChecksumType> {
        if self.algorithms().is_empty() {
            return None;
        }
        let kind = if self.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        Some(ChecksumType::from_static(kind))
    }

    /// As GetObjectAttributes answers it.
    pub(super) fn to_dto(&self) -> Checksum {
        Checksum {
            checksum_crc32: self.crc32.clone(),
            checksum_crc32c: self.crc32c.clone(),
            checksum_crc64nvme: self.crc64nvme.clone(),
            checksum_sha1: self.sha1.clone(),
            checksum_sha256: self.sha256.clone(),
            checksum_type: self.kind(),
        }
    }
}

/// MD5 and the chosen checksums, in one pass.
pub(super) struct Digests {
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Digests {
    pub(super) fn new(algorithms: &[Algorithm]) -> Digests {
        let mut checksums = ChecksumHasher::default();
        for algorithm in algorithms {
            match algorithm {
                Algorithm::Crc32 => checksums.crc32 = Some(Crc32::new()),
                Algorithm::Crc32c => checksums.crc32c = Some(Crc32c::new()),
                Algorithm::Crc64Nvme => checksums.crc64nvme = Some(Crc64Nvme::new()),
                Algorithm::Sha1 => checksums.sha1 = Some(Sha1::new()),
                Algorithm::Sha256 => checksums.sha256 = Some(Sha256::new()),
            }
        }
        Digests { md5: Md5::new(), checksums }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
    }

    /// The MD5 and the checksums.
    pub(super) fn finish(self) -> ([u8; 16], Checksums) {
        let found = self.checksums.finalize();
        let checksums = Checksums {
            crc32: found.checksum_crc32,
            crc32c: found.checksum_crc32c,
            crc64nvme: found.checksum_crc64nvme,
            sha1: found.checksum_sha1,
            sha256: found.checksum_sha256,
            composite: false,
        };
        (self.md5.finalize(), checksums)
    }
}

/// Refuses a `Content-MD5` that is not a digest or not this one.
pub(super) fn verify_md5(said: Option<&str>, computed: &[u8; 16]) -> S3Result<()> {
    let Some(said) = said else { return Ok(()) };
    let said = STANDARD.decode(said).ok().filter(|digest| digest.len() == 16);
    let said = said.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))?;
    if said != computed {
        return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
    }
    Ok(())
}

/// The ETag of a multipart object: MD5 of the parts' MD5s, and their number.
pub(super) fn multipart_etag<'a>(part_etags: impl Iterator<Item = &'a str>) -> S3Result<String> {
    let mut md5 = Md5::new();
    let mut parts = 0;
    for etag in part_etags {
        md5.update(&hex::decode(etag).map_err(S3Error::internal_error)?);
        parts += 1;
    }
    Ok(format!("{}-{parts}", hex::encode(md5.finalize())))
}

/// The composite checksum of a multipart object: the checksum of the parts' checksums, and their number.
pub(super) fn composite<'a>(algorithm: Algorithm, parts: impl Iterator<Item = Option<&'a str>>) -> S3Result<String> {
    let mut digests = Digests::new(&[algorithm]);
    let mut count = 0;
    for part in parts {
        let part = part.ok_or_else(|| {
            s3_error!(InvalidRequest, "A part has no {} checksum, which the upload was created with.", algorithm.name())
        })?;
        digests.update(&STANDARD.decode(part).map_err(S3Error::internal_error)?);
        count += 1;
    }
    let (_, checksums) = digests.finish();
    let value = checksums.get(algorithm).unwrap_or_default();
    Ok(format!("{value}-{count}"))
}
