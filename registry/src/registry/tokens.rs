//! Tokens of the management API: created, listed, checked, revoked.

use std::sync::Arc;

use time::OffsetDateTime;

use super::Registry;
use super::write::{WriteError, to_the_end};
use crate::document::{Invalid, Preconditions};
use crate::error::Unavailable;
use crate::store::{CommitError, Expected, Place, Put, Removed, ResourceId};
use crate::token::known::MAX_TOKENS;
use crate::token::{ApiToken, Digest, NewToken, TokenId, TokenSecret, stored};

impl Registry {
    /// Creates a token, and tells its text, which nobody can learn again.
    ///
    /// # Errors
    /// [`WriteError::AlreadyExists`]; [`WriteError::Invalid`] if there are 1,000 tokens already;
    /// [`WriteError::Unavailable`].
    pub async fn create_token(&self, new: NewToken) -> Result<(ApiToken, TokenSecret), WriteError> {
        if self.0.tokens.get(&self.0.store).await?.len() >= MAX_TOKENS {
            let reason =
                format!("is one too many: there are {MAX_TOKENS} tokens; revoke one first");
            return Err(Invalid::one("name", reason).into());
        }
        let (id, secret) = TokenSecret::random()
            .map_err(|error| Unavailable(format!("no random bytes for a token: {error}")))?;
        let body = stored::body(&new, id, &secret.digest())?;
        let inner = Arc::clone(&self.0);
        to_the_end(async move {
            let put = Put {
                place: Place::Token(new.name.as_str().into()),
                expected: Expected::Absent,
                body,
            };
            let committed = inner.store.commit(vec![put]).await;
            inner.tokens.forget();
            let row = committed
                .map_err(|error| match error {
                    CommitError::Unavailable(unavailable) => WriteError::Unavailable(unavailable),
                    CommitError::Refused { .. } => WriteError::AlreadyExists,
                })?
                .pop()
                .ok_or(WriteError::AlreadyExists)?;
            let token = ApiToken {
                name: new.name,
                roles: new.roles,
                applications: new.applications,
                expires: new.expires,
                created: row.created,
                id,
            };
            Ok((token, secret))
        })
        .await
    }

    /// All tokens by name, those that have expired included.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn list_tokens(&self) -> Result<Vec<ApiToken>, Unavailable> {
        // What another instance created just now belongs to it.
        self.0.tokens.forget();
        let all = self.0.tokens.get(&self.0.store).await?;
        let mut tokens: Vec<_> = all.values().map(|stored| stored.token.clone()).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// Revokes a token: here at once, on other instances within half a second.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] and [`WriteError::Unavailable`].
    pub async fn revoke_token(&self, name: &str) -> Result<(), WriteError> {
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        to_the_end(async move {
            let removed = inner
                .store
                .remove(ResourceId::TOKENS, &name, Preconditions::default());
            let removed = removed.await;
            inner.tokens.forget();
            match removed? {
                Removed::Row(_) => Ok(()),
                Removed::NotFound | Removed::Conflict => Err(WriteError::NotFound),
            }
        })
        .await
    }

    /// The token that a text proves, if it is one that was created, not revoked and not expired.
    ///
    /// Answered from memory, but for one query in half a second. While the store cannot be read,
    /// tokens that were known stay good for a minute.
    ///
    /// # Errors
    /// [`Unavailable`] if the store had to be asked and cannot be read.
    pub async fn token(&self, presented: &[u8]) -> Result<Option<ApiToken>, Unavailable> {
        let Some(id) = TokenId::in_text(presented) else {
            return Ok(None);
        };
        let digest = Digest::of(presented);
        let all = self.0.tokens.get(&self.0.store).await?;
        let stored = all.get(&id).filter(|stored| stored.digest.is(&digest));
        let token = stored.map(|stored| stored.token.clone());
        Ok(token.filter(|token| !token.is_expired(OffsetDateTime::now_utc())))
    }

    /// Whether a token is still neither revoked nor expired.
    ///
    /// # Errors
    /// As [`Registry::token`].
    pub async fn token_stands(&self, token: &ApiToken) -> Result<bool, Unavailable> {
        let all = self.0.tokens.get(&self.0.store).await?;
        Ok(all.contains_key(&token.id) && !token.is_expired(OffsetDateTime::now_utc()))
    }
}
