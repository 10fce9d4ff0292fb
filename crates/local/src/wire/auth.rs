//! How each protocol tells a client that its signature is not accepted.

use super::error::ApiError;
use super::model::Protocol;
use super::sigv4::Fault;

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
    Secret Access Key and signing method. Consult the service documentation for details.";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const EXPIRED_TOKEN: &str = "The security token included in the request is expired";
const EC2_FAILURE: &str = "AWS was not able to validate the provided access credentials";

/// The fault as an error with the code, the status and the words of AWS.
pub(crate) fn refusal(fault: &Fault, protocol: Protocol) -> ApiError {
    match protocol {
        Protocol::Json(_) => json(fault).with_status(400),
        Protocol::RestJson => json(fault).with_status(403),
        Protocol::Query => query(fault),
        Protocol::Ec2 => ec2(fault),
    }
}

fn json(fault: &Fault) -> ApiError {
    match fault {
        Fault::Missing => ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token"),
        Fault::Incomplete(message) => ApiError::new("IncompleteSignatureException", message),
        Fault::UnknownKey | Fault::InvalidToken => ApiError::new("UnrecognizedClientException", INVALID_TOKEN),
        Fault::ExpiredToken => ApiError::new("ExpiredTokenException", EXPIRED_TOKEN),
        Fault::Mismatch => ApiError::new("InvalidSignatureException", MISMATCH),
        Fault::Stale(message) => ApiError::new("InvalidSignatureException", message),
    }
}

fn query(fault: &Fault) -> ApiError {
    let error = match fault {
        Fault::Missing => ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token"),
        Fault::Incomplete(message) => return ApiError::new("IncompleteSignature", message),
        Fault::UnknownKey | Fault::InvalidToken => ApiError::new("InvalidClientTokenId", INVALID_TOKEN),
        Fault::ExpiredToken => ApiError::new("ExpiredToken", EXPIRED_TOKEN),
        Fault::Mismatch => ApiError::new("SignatureDoesNotMatch", MISMATCH),
        Fault::Stale(message) => ApiError::new("SignatureDoesNotMatch", message),
    };
    error.with_status(403)
}

fn ec2(fault: &Fault) -> ApiError {
    match fault {
        Fault::Incomplete(message) => ApiError::new("IncompleteSignature", message),
        Fault::ExpiredToken => ApiError::new("RequestExpired", "Request has expired."),
        Fault::Stale(message) => ApiError::new("RequestExpired", format!("Request has expired. {message}")),
        Fault::Missing | Fault::UnknownKey | Fault::InvalidToken | Fault::Mismatch => {
            ApiError::new("AuthFailure", EC2_FAILURE).with_status(401)
        }
    }
}
