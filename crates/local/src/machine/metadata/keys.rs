//! The keys of the instance's role, the same ones until they are about to end.

use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

use crate::credentials::IssuedKeys;
use crate::wire::error::ApiError;

/// "New credentials are available at least five minutes before the expiration of the old credentials" (EC2 user guide,
/// "Retrieve security credentials from instance metadata"); SDKs ask earlier than that.
const BEFORE_THE_END: Duration = Duration::minutes(15);

/// A role and the keys to act as it.
#[derive(Clone)]
pub(super) struct Keys {
    /// The name of the role.
    pub(super) role: String,
    pub(super) issued: Arc<IssuedKeys>,
    pub(super) since: OffsetDateTime,
}

/// The keys in use, by the profile that they were issued for.
#[derive(Default)]
pub(super) struct RoleKeys {
    current: Mutex<Option<(String, Keys)>>,
}

impl RoleKeys {
    /// The keys for a profile: those that are there, or new ones. An error is not remembered.
    pub(super) fn of(
        &self,
        profile: &str,
        issue: impl FnOnce() -> Result<IssuedKeys, ApiError>,
    ) -> Result<Keys, ApiError> {
        let now = OffsetDateTime::now_utc();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, keys)) = current.as_ref() {
            let lasts = keys.issued.identity.expires.is_none_or(|end| end - now > BEFORE_THE_END);
            if of == profile && lasts {
                return Ok(keys.clone());
            }
        }
        let issued = issue()?;
        // `arn:aws:sts::<account>:assumed-role/<role>/<session>`
        let role = issued.identity.principal_arn.split('/').nth(1).unwrap_or_default().to_owned();
        let keys = Keys { role, issued: Arc::new(issued), since: now };
        *current = Some((profile.to_owned(), keys.clone()));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Identity;

    fn issued(key: &str, lasts: Duration) -> Result<IssuedKeys, ApiError> {
        let identity = Identity {
            secret: "secret".to_owned(),
            session_token: Some("token".to_owned()),
            principal_arn: "arn:aws:sts::000000000000:assumed-role/worker/i-1".to_owned(),
            user_id: "AROA:i-1".to_owned(),
            expires: Some(OffsetDateTime::now_utc() + lasts),
        };
        Ok(IssuedKeys { access_key: key.to_owned(), identity: Arc::new(identity) })
    }

    #[test]
    fn keys_stay_until_they_are_about_to_end() {
        let keys = RoleKeys::default();
        let ask = |key: &str, profile: &str, lasts| {
            keys.of(profile, || issued(key, lasts)).map(|keys| keys.issued.access_key.clone())
        };
        assert_eq!(ask("a", "p", Duration::minutes(14)).unwrap(), "a");
        assert_eq!(ask("b", "p", Duration::hours(6)).unwrap(), "b");
        assert_eq!(ask("c", "p", Duration::hours(6)).unwrap(), "b");
        assert_eq!(ask("d", "q", Duration::hours(6)).unwrap(), "d");
        assert!(keys.of("r", || Err(ApiError::new("NoSuchEntity", "gone"))).is_err());
        assert_eq!(keys.of("q", || issued("e", Duration::hours(6))).unwrap().role, "worker");
    }
}
