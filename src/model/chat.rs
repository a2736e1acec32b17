//! Chats, requests and replies as plain data. (Being written by another hand.)
/// A request.
#[derive(Clone, Debug)]
pub struct Request;
/// A reply.
#[derive(Clone, Debug)]
pub struct Reply;
