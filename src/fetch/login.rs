//! A user name with a password, for as long as the program runs. Not printable, on purpose.

/// What an account's hosts are told, and nobody else.
pub struct Login {
    user: String,
    password: String,
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
        Ok(Login { user, password })
    }

    /// The request with the login in it. The client marks the header as sensitive: it is in no
    /// log.
    pub(super) fn put(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.user, Some(&self.password))
    }
}
