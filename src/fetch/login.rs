//! A user name with a password, for as long as the program runs. Not printable, on purpose.

use tokio::sync::{Mutex, MutexGuard};

use super::error::Why;

/// What an account's hosts are told, and nobody else.
pub struct Login {
    user: String,
    password: String,
    /// Why it is no good, once a host has said so.
    refused: Mutex<Option<Why>>,
}

/// The turn to send a login. Nobody else sends it meanwhile.
pub(super) struct Turn<'a>(MutexGuard<'a, Option<Why>>);

impl Turn<'_> {
    /// Nobody sends the login again: accounts are closed after a few wrong ones.
    pub(super) fn refused(mut self, why: Why) {
        *self.0 = Some(why);
    }
}

impl Login {
    /// A login.
    ///
    /// # Errors
    /// A user name that cannot be sent: empty, or with a colon or control characters.
    pub fn new(user: String, password: String) -> Result<Login, &'static str> {
        if user.is_empty() {
            return Err("the user name is empty");
        }
        if password.is_empty() {
            return Err("the password is empty");
        }
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err("the user name holds a colon or a control character");
        }
        Ok(Login {
            user,
            password,
            refused: Mutex::new(None),
        })
    }

    /// Waits for the turn to send it, until the answer of whoever does so now begins.
    ///
    /// # Errors
    /// It was refused before.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Why> {
        let refused = self.refused.lock().await;
        match &*refused {
            Some(why) => Err(why.clone()),
            None => Ok(Turn(refused)),
        }
    }

    /// The request with the login in it. The client marks the header as sensitive: it is in no
    /// log.
    pub(super) fn put(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.user, Some(&self.password))
    }
}
