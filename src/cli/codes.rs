//! Exit codes, but for 0: done.

/// Some records or stages failed.
pub const FAILED: u8 = 1;
/// Bad input or usage.
pub const BAD_INPUT: u8 = 2;
/// Refused: for want of consent, or because something is not as the lock says.
pub const REFUSED: u8 = 3;
/// A limit of calls, tokens or cost was reached.
pub const BUDGET: u8 = 5;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;
