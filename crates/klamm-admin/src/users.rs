//! SCRAM users, whose salted passwords the brokers keep (KIP-554).

use std::collections::{BTreeMap, BTreeSet};

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use klamm_wire::protocol::messages::describe_user_scram_credentials_request::UserName;
use klamm_wire::protocol::messages::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use klamm_wire::protocol::protocol::StrBytes;
use klamm_wire::sasl::Hash;
use rand::RngCore;

use crate::Admin;
use crate::error::AdminError;
use crate::retry::{Repeat, is_unsupported};

/// Iterations of a new password: twice Kafka's default, below its limit of 16,384.
const ITERATIONS: u32 = 8_192;
const SALT_BYTES: usize = 32;

/// What the brokers know of a SCRAM user for one hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Name.
    pub user: String,
    /// Hash.
    pub hash: Hash,
    /// Iterations.
    pub iterations: i32,
}

impl Admin {
    /// The SCRAM hashes that the brokers know each of `users` by; one who is not known has none. `None` when the brokers
    /// keep no users.
    pub async fn scram_users(
        &self,
        users: &BTreeSet<String>,
    ) -> Result<Option<BTreeMap<String, Vec<Hash>>>, AdminError> {
        let name = |user: &String| UserName::default().with_name(StrBytes::from_string(user.clone()));
        let request = &DescribeUserScramCredentialsRequest::default()
            .with_users(Some(users.iter().map(name).collect()));
        match self.described(request).await {
            Ok(credentials) => {
                let mut found = BTreeMap::<String, Vec<Hash>>::new();
                for known in credentials {
                    found.entry(known.user).or_default().push(known.hash);
                }
                Ok(Some(found))
            }
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the brokers know of every SCRAM user. Needs DESCRIBE on the cluster.
    ///
    /// # Errors
    /// [`AdminError::unsupported`] when the brokers keep no users.
    pub async fn all_scram_users(&self) -> Result<Vec<ScramCredential>, AdminError> {
        // An empty list is all of them, and so is null: but Kafka leaves a refusal of null without an answer (its
        // DescribeUserScramCredentialsRequest goes through the names that it was asked for).
        self.described(&DescribeUserScramCredentialsRequest::default().with_users(Some(Vec::new()))).await
    }

    async fn described(
        &self,
        request: &DescribeUserScramCredentialsRequest,
    ) -> Result<Vec<ScramCredential>, AdminError> {
        self.retry("read the SCRAM users", Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            let refused = |code, message: Option<&str>, user: &str| {
                AdminError::kafka(code, message, "describe SCRAM users", user)
            };
            let message = answer.error_message.as_deref();
            ErrorCode::from(answer.error_code).ok().map_err(|code| refused(code, message, "the cluster"))?;
            let mut found = Vec::new();
            for told in &answer.results {
                match ErrorCode::from(told.error_code) {
                    ErrorCode::RESOURCE_NOT_FOUND => continue,
                    code => {
                        code.ok().map_err(|code| refused(code, told.error_message.as_deref(), &told.user))?
                    }
                }
                found.extend(told.credential_infos.iter().filter_map(|info| {
                    let (user, iterations) = (told.user.to_string(), info.iterations);
                    Some(ScramCredential { user, hash: hash(info.mechanism)?, iterations })
                }));
            }
            Ok(found)
        })
        .await
    }

    /// Makes a user, or sets its password again. What is sent is salted: the brokers never see the password.
    pub async fn set_scram_password(&self, user: &str, hash: Hash, password: &str) -> Result<(), AdminError> {
        let mut salt = vec![0; SALT_BYTES];
        rand::rng().fill_bytes(&mut salt);
        let salted = hash.salted_password(password, &salt, ITERATIONS);
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(StrBytes::from_string(user.to_owned()))
            .with_mechanism(code(hash))
            .with_iterations(ITERATIONS as i32)
            .with_salt(salt.into())
            .with_salted_password(salted.into());
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
        self.alter_scram(user, &request).await
    }

    /// Removes what the brokers know of a user for one hash. One who is gone already is no error.
    pub async fn delete_scram_user(&self, user: &str, hash: Hash) -> Result<(), AdminError> {
        let deletion = ScramCredentialDeletion::default()
            .with_name(StrBytes::from_string(user.to_owned()))
            .with_mechanism(code(hash));
        let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
        match self.alter_scram(user, &request).await {
            Err(error) if error.code() == Some(ErrorCode::RESOURCE_NOT_FOUND) => Ok(()),
            other => other,
        }
    }

    async fn alter_scram(
        &self,
        user: &str,
        request: &AlterUserScramCredentialsRequest,
    ) -> Result<(), AdminError> {
        self.retry(&format!("alter SCRAM user {user}"), Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            let told = answer.results.first();
            let told = told.ok_or_else(|| AdminError::unexpected("the answer about the user is empty"))?;
            let message = told.error_message.as_deref();
            let refused = |code| AdminError::kafka(code, message, "alter SCRAM user", user);
            ErrorCode::from(told.error_code).ok().map_err(refused)
        })
        .await
    }
}

/// Kafka's codes of the mechanisms.
fn code(hash: Hash) -> i8 {
    match hash {
        Hash::Sha256 => 1,
        Hash::Sha512 => 2,
    }
}

fn hash(code: i8) -> Option<Hash> {
    [Hash::Sha256, Hash::Sha512].into_iter().find(|hash| self::code(*hash) == code)
}
