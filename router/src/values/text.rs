//! Small things that several places do to text.
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt::Write};

/// At most so many characters.
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(at, _)| &text[..at])
}

/// At most so many bytes, and still a name for it: what is too long ends in its digest.
pub fn short(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let digest = digest([text]);
    Cow::Owned(format!("{}…{digest}", &text[..text.floor_char_boundary(max.saturating_sub(digest.len() + 3))]))
}

/// RFC 3986 percent-encoding: everything but unreserved characters.
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// A short name for some texts in this order: 32 hexadecimal digits that nobody can make the same for others.
pub fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}
