//! What brokers ask the rest of the local cloud: who a client is, and what it may do.

/// Who has shown a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's or role session's ARN.
    pub arn: String,
    /// When the token ends, in milliseconds since the epoch.
    pub expires_millis: i64,
}

/// What brokers ask the rest of the local cloud.
pub trait Gate: Send + Sync {
    /// Checks a token of SASL/OAUTHBEARER as `aws-msk-iam-auth` makes it: base64url of a presigned `kafka-cluster:Connect`
    /// URL. `region` is that of the cluster. The error is a sentence for the client.
    fn connect(&self, token: &str, region: &str) -> Result<Principal, String>;

    /// Whether policies let the principal do `action`, such as `kafka-cluster:WriteData`, to `resource_arn`. The error is a
    /// sentence for the client.
    fn may(&self, principal_arn: &str, action: &str, resource_arn: &str) -> Result<(), String>;
}
