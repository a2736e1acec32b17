//! How a server cuts a text into tokens: the request that llama.cpp, vLLM and TGI all
//! understand, and what they answer. Pure.
//!
//! llama.cpp answers `{"tokens": [{"id", "piece"}]}` with a text or, where that is not UTF-8, its
//! bytes; vLLM `{"tokens": [id], "token_strs": [text]}` in its vocabulary's own alphabet; TGI
//! `[{"id", "text", "start", "stop"}]`. Whatever is read is checked: the pieces together have to
//! be the text.

use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::chat::Reply;
use super::error::CallError;

/// Makes the address of `name` of a model's `url`: it stands beside `/v1`, not below it, as the
/// tokenizer does.
pub fn beside_v1(url: &mut Url, name: &str) {
    let versioned = url
        .path_segments()
        .and_then(|parts| parts.rev().find(|part| !part.is_empty()))
        .is_some_and(|last| last == "v1");
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
        if versioned {
            path.pop();
        }
        path.push(name);
    }
}

/// The whole body of the request. Servers leave alone what they do not know: `content` is for
/// llama.cpp, `prompt` for vLLM, `inputs` for TGI.
pub fn body(id: &str, text: &str) -> Value {
    json!({
        "model": id,
        "content": text,
        "add_special": false,
        "with_pieces": true,
        "prompt": text,
        "add_special_tokens": false,
        "return_token_strs": true,
        "inputs": text,
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Object {
        tokens: Vec<Token>,
        token_strs: Option<Vec<String>>,
    },
    List(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Piece { piece: Piece },
    Id(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

/// Reads the body of an answer about `text`.
///
/// # Errors
/// [`CallError::BadJson`]; [`CallError::NoPieces`] when the answer does not say which part of the
/// text each token is.
pub fn reply(bytes: &[u8], text: &str) -> Result<Reply, CallError> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
    let token_bytes = match answer {
        Answer::List(parts) => {
            let parts: Vec<Vec<u8>> = parts.into_iter().map(|p| p.text.into_bytes()).collect();
            lengths(&parts, text)
        }
        Answer::Object {
            token_strs: Some(names),
            ..
        } => of_names(&names, text),
        Answer::Object { tokens, .. } => {
            let piece = |token: Token| match token {
                Token::Piece {
                    piece: Piece::Text(text),
                } => Some(text.into_bytes()),
                Token::Piece {
                    piece: Piece::Bytes(bytes),
                } => Some(bytes),
                Token::Id(_) => None,
            };
            let pieces: Option<Vec<Vec<u8>>> = tokens.into_iter().map(piece).collect();
            pieces.and_then(|pieces| lengths(&pieces, text))
        }
    };
    Ok(Reply {
        token_bytes: Some(token_bytes.ok_or(CallError::NoPieces)?),
        ..Reply::default()
    })
}

/// The lengths of pieces that together are the text. Some tokenizers put a space before a text:
/// it is none of the text's.
fn lengths(pieces: &[Vec<u8>], text: &str) -> Option<Vec<u32>> {
    let whole: usize = pieces.iter().map(Vec::len).sum();
    let extra = whole.checked_sub(text.len()).filter(|extra| *extra <= 1)?;
    let mut bytes = pieces.iter().flatten();
    if extra == 1 && bytes.next() != Some(&b' ') {
        return None;
    }
    if !bytes.eq(text.as_bytes()) {
        return None;
    }
    let mut extra = extra;
    let length = |piece: &Vec<u8>| {
        let space = extra.min(piece.len());
        extra -= space;
        u32::try_from(piece.len() - space).ok()
    };
    pieces.iter().map(length).collect()
}

/// The bytes that a name in a vocabulary stands for, if it is of this alphabet.
type Alphabet = fn(&str) -> Option<Vec<u8>>;

/// The same of tokens by their names in the vocabulary, in whichever alphabet they turn out to
/// be.
fn of_names(names: &[String], text: &str) -> Option<Vec<u32>> {
    let alphabets: [Alphabet; 3] = [
        |name| Some(name.as_bytes().to_vec()),
        byte_level,
        |name| Some(sentence_piece(name)),
    ];
    alphabets.iter().find_map(|alphabet| {
        let pieces: Option<Vec<Vec<u8>>> = names.iter().map(|name| alphabet(name)).collect();
        lengths(&pieces?, text)
    })
}

/// A name of a byte-level vocabulary (GPT-2 and its heirs): printable bytes of Latin-1 stand for
/// themselves, the others in order for U+0100 and up.
fn byte_level(name: &str) -> Option<Vec<u8>> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let byte = |c: char| {
        let code = u32::from(c);
        match u8::try_from(code) {
            Ok(byte) => printable(byte).then_some(byte),
            Err(_) => {
                let nth = usize::try_from(code.checked_sub(0x100)?).ok()?;
                (0..=u8::MAX).filter(|byte| !printable(*byte)).nth(nth)
            }
        }
    };
    name.chars().map(byte).collect()
}

/// A name of a SentencePiece vocabulary: `▁` is a space, `<0x0A>` a byte.
fn sentence_piece(name: &str) -> Vec<u8> {
    let byte = name
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .filter(|hex| hex.len() == 2)
        .and_then(|hex| u8::from_str_radix(hex, 16).ok());
    match byte {
        Some(byte) => vec![byte],
        None => name.replace('\u{2581}', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(answer: &str, text: &str) -> Result<Vec<u32>, CallError> {
        reply(answer.as_bytes(), text).map(|reply| reply.token_bytes.expect("tokens"))
    }

    #[test]
    fn it_stands_beside_the_api() {
        for (base, expected) in [
            ("http://h:1/v1", "http://h:1/tokenize"),
            ("http://h:1/v1/", "http://h:1/tokenize"),
            ("http://h:1", "http://h:1/tokenize"),
            ("http://h:1/models/a/v1", "http://h:1/models/a/tokenize"),
            ("http://h:1/other", "http://h:1/other/tokenize"),
        ] {
            let mut url = Url::parse(base).expect("a URL");
            beside_v1(&mut url, "tokenize");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn llama_cpp_is_read() {
        // U+1F600 in two halves that are no text of their own.
        let text = "a b😀";
        let answer = r#"{"tokens":[{"id":1,"piece":"a"},{"id":2,"piece":" b"},{"id":3,"piece":[240,159]},{"id":4,"piece":[152,128]}]}"#;
        assert_eq!(bytes(answer, text), Ok(vec![1, 2, 2, 2]));
        let spaced = r#"{"tokens":[{"id":1,"piece":" a"},{"id":2,"piece":"b"}]}"#;
        assert_eq!(bytes(spaced, "ab"), Ok(vec![1, 1]));
        let apart = r#"{"tokens":[{"id":1,"piece":" "},{"id":2,"piece":"ab"}]}"#;
        assert_eq!(bytes(apart, "ab"), Ok(vec![0, 2]));
        assert_eq!(bytes(r#"{"tokens":[]}"#, ""), Ok(vec![]));
        assert_eq!(bytes(r#"{"tokens":[1,2]}"#, "ab"), Err(CallError::NoPieces));
        assert_eq!(bytes(apart, "ac"), Err(CallError::NoPieces));
        assert_eq!(bytes(apart, "abc"), Err(CallError::NoPieces));
    }

    #[test]
    fn vllm_is_read_in_each_alphabet() {
        let answer = |names: &[&str]| {
            json!({"count": names.len(), "tokens": vec![7; names.len()], "token_strs": names})
                .to_string()
        };
        assert_eq!(
            bytes(&answer(&["Das", "ĠÃ", "¼", "ĊĊ"]), "Das ü\n\n"),
            Ok(vec![3, 2, 1, 2])
        );
        assert_eq!(
            bytes(
                &answer(&["▁Das", "▁", "<0xC3>", "<0xBC>", "<0x0A>"]),
                "Das ü\n"
            ),
            Ok(vec![3, 1, 1, 1, 1])
        );
        assert_eq!(
            bytes(&answer(&["das", "##s"]), "dass"),
            Err(CallError::NoPieces)
        );
    }

    #[test]
    fn tgi_is_read() {
        let answer = r#"[{"id":1,"text":"","start":0,"stop":0},{"id":2,"text":"a","start":0,"stop":1},{"id":3,"text":" b","start":1,"stop":3}]"#;
        assert_eq!(bytes(answer, "a b"), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(bytes("<html>", "a"), Err(CallError::BadJson));
        assert_eq!(bytes(r#"{"error":"x"}"#, "a"), Err(CallError::BadJson));
        assert_eq!(bytes(r#"{"tokens":[{}]}"#, "a"), Err(CallError::NoPieces));
    }

    #[test]
    fn every_byte_has_a_letter() {
        let text: Vec<u8> = "!~\u{a1}\u{ff}ĀġĠĊ"
            .chars()
            .flat_map(|c| byte_level(&c.to_string()).expect("a byte"))
            .collect();
        assert_eq!(text, [b'!', b'~', 0xA1, 0xFF, 0, 127, b' ', b'\n']);
        assert_eq!(byte_level("\u{2581}"), None);
    }
}
