//! The access keys of the local cloud: one pair of its own, and the temporary ones that STS issues.
//!
//! The pair is generated at the first start into `<data_dir>/credentials.json`, readable by its owner alone. Temporary
//! keys are kept in a store beside it, so they are good after a restart as they would be on AWS.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use crate::clock::Clock;
use crate::private_file;
use crate::store::{Store, StoreError};

/// The one account of the local cloud.
pub const ACCOUNT: &str = "000000000000";

const SESSIONS: &str = "sessions";

/// For so long an expired key is still known, and its use is told from the use of a wrong one.
const REMEMBERED: Duration = Duration::days(1);

/// What an access key stands for.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The secret access key.
    pub secret: String,
    /// The session token that has to come with temporary keys.
    pub session_token: Option<String>,
    /// Who it is, such as `arn:aws:sts::000000000000:assumed-role/cleaner/i-1`.
    pub principal_arn: String,
    /// The unique id that `GetCallerIdentity` calls `UserId`.
    pub user_id: String,
    /// When temporary keys end.
    #[serde(with = "time::serde::timestamp::option")]
    pub expires: Option<OffsetDateTime>,
}

/// A pair of keys for an [`Identity`].
pub struct IssuedKeys {
    /// `AKIA…`, or `ASIA…` for temporary ones.
    pub access_key: String,
    /// The rest.
    pub identity: Arc<Identity>,
}

/// The keys could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error("the credentials of the local cloud in `{path}` cannot be read or written")]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this version writes.
    #[error("`{path}` is not a credentials file; move it away, and new credentials are made")]
    Format {
        /// Where it is.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The temporary keys cannot be kept.
    #[error("the temporary credentials of the local cloud cannot be read or kept")]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    access_key_id: String,
    secret_access_key: String,
}

/// All keys that are good here.
pub struct Credentials {
    access_key: String,
    secret_key: String,
    by_access_key: RwLock<HashMap<String, Arc<Identity>>>,
    store: Store,
    clock: Clock,
}

impl Credentials {
    /// Reads the keys of a data folder, or makes the first pair.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<Credentials, CredentialsError> {
        let KeyFile { access_key_id, secret_access_key } = read_or_make_pair(&data_dir.join("credentials.json"))?;
        let user = Identity {
            secret: secret_access_key.clone(),
            session_token: None,
            principal_arn: format!("arn:aws:iam::{ACCOUNT}:user/local"),
            user_id: access_key_id.replacen("AKIA", "AIDA", 1),
            expires: None,
        };

        let path = data_dir.join("sessions.redb");
        private_file::create(&path).map_err(|source| CredentialsError::File { path: path.clone(), source })?;
        let store = Store::open(&path)?;
        let mut by_access_key = HashMap::from([(access_key_id.clone(), Arc::new(user))]);
        for (access_key, identity) in store.all::<Identity>(SESSIONS)? {
            by_access_key.insert(access_key, Arc::new(identity));
        }
        Ok(Credentials {
            access_key: access_key_id,
            secret_key: secret_access_key,
            by_access_key: RwLock::new(by_access_key),
            store,
            clock,
        })
    }

    /// The access key of the pair that does not expire.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Its secret.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Whose key this is; also for a while after it has expired.
    pub fn lookup(&self, access_key: &str) -> Option<Arc<Identity>> {
        let keys = self.by_access_key.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(access_key).cloned()
    }

    /// Whether the time of these keys is over.
    pub fn expired(&self, identity: &Identity) -> bool {
        identity.expires.is_some_and(|expires| expires <= self.clock.now())
    }

    /// Issues temporary keys. Returns once they are on disk.
    pub fn issue(&self, principal_arn: &str, user_id: &str, lifetime: Duration) -> Result<IssuedKeys, StoreError> {
        let access_key = format!("ASIA{}", random_text(16, KEY_ALPHABET));
        let identity = Arc::new(Identity {
            secret: random_text(40, SECRET_ALPHABET),
            session_token: Some(STANDARD.encode(rand::random::<[u8; 96]>())),
            principal_arn: principal_arn.to_owned(),
            user_id: user_id.to_owned(),
            // To the second, which is what the answer can say.
            expires: self.clock.now().replace_nanosecond(0).ok().map(|now| now + lifetime),
        });
        let forgotten = self.long_expired();
        let mut changes: Vec<(&str, Option<&Identity>)> = vec![(&access_key, Some(&identity))];
        changes.extend(forgotten.iter().map(|access_key| (access_key.as_str(), None)));
        self.store.apply(SESSIONS, &changes)?;

        let mut keys = self.by_access_key.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(access_key.clone(), Arc::clone(&identity));
        keys.retain(|access_key, _| !forgotten.contains(access_key));
        Ok(IssuedKeys { access_key, identity })
    }

    fn long_expired(&self) -> Vec<String> {
        let limit = self.clock.now() - REMEMBERED;
        let keys = self.by_access_key.read().unwrap_or_else(PoisonError::into_inner);
        let old = keys.iter().filter(|(_, identity)| identity.expires.is_some_and(|expires| expires < limit));
        old.map(|(access_key, _)| access_key.clone()).collect()
    }
}

impl Identity {
    /// Whether the token of a request is the one that belongs to the key.
    pub fn has_token(&self, token: Option<&str>) -> bool {
        match (&self.session_token, token) {
            (Some(expected), Some(token)) => expected.as_bytes().ct_eq(token.as_bytes()).into(),
            (None, None) => true,
            _ => false,
        }
    }
}

fn read_or_make_pair(path: &Path) -> Result<KeyFile, CredentialsError> {
    let at = |source| CredentialsError::File { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|source| CredentialsError::Format { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pair = KeyFile {
                access_key_id: format!("AKIA{}", random_text(16, KEY_ALPHABET)),
                secret_access_key: random_text(40, SECRET_ALPHABET),
            };
            private_file::replace(path, &pair).map_err(at)?;
            Ok(pair)
        }
        Err(error) => Err(at(error)),
    }
}

/// Access keys are base 32, secrets base 64, as on AWS.
const KEY_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn random_text(length: usize, alphabet: &[u8]) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_pair_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Credentials::open(folder.path(), Clock::default()).unwrap();
        let keys = (first.access_key().to_owned(), first.secret_key().to_owned());
        assert!(keys.0.starts_with("AKIA") && keys.0.len() == 20 && keys.1.len() == 40, "{keys:?}");
        for file in ["credentials.json", "sessions.redb"] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        drop(first);
        let second = Credentials::open(folder.path(), Clock::default()).unwrap();
        assert_eq!((second.access_key().to_owned(), second.secret_key().to_owned()), keys);
    }

    #[test]
    fn temporary_keys_survive_a_restart_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let credentials = Credentials::open(folder.path(), clock.clone()).unwrap();
        let keys = credentials.issue("arn:role", "AROA:s", Duration::hours(1)).unwrap();
        drop(credentials);

        let credentials = Credentials::open(folder.path(), clock.clone()).unwrap();
        let identity = credentials.lookup(&keys.access_key).unwrap();
        assert_eq!(
            (identity.secret.as_str(), identity.principal_arn.as_str()),
            (keys.identity.secret.as_str(), "arn:role")
        );
        assert!(identity.has_token(keys.identity.session_token.as_deref()));
        assert!(!identity.has_token(None) && !identity.has_token(Some("other")));
        assert!(!credentials.expired(&identity));

        clock.advance(std::time::Duration::from_secs(3601));
        assert!(credentials.expired(&identity));

        clock.advance(std::time::Duration::from_secs(2 * 24 * 3600));
        credentials.issue("arn:role", "AROA:t", Duration::hours(1)).unwrap();
        assert!(credentials.lookup(&keys.access_key).is_none());
        assert_eq!(credentials.store.all::<Identity>(SESSIONS).unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_is_no_credentials_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("credentials.json"), "{}").unwrap();
        let error = Credentials::open(folder.path(), Clock::default()).err().unwrap();
        assert!(matches!(error, CredentialsError::Format { .. }), "{error}");
    }
}
