//! The characters of a description (RFC 8866), shared by reader and writer.

/// Whether `text` is a token of at most 64 characters.
pub(super) fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}

/// Whether `text` is printable and without spaces.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` may be the name of a format parameter; one without a name is a bare value.
pub(super) fn is_parameter_name(text: &str) -> bool {
    text.is_empty() || (is_visible(text) && !text.contains(['=', ';']))
}

/// Whether `text` may be the value of a format parameter.
pub(super) fn is_parameter_value(text: &str) -> bool {
    text.trim() == text
        && text
            .bytes()
            .all(|byte| byte == b' ' || (byte.is_ascii_graphic() && byte != b';'))
}

/// Whether `text` is an ICE user name fragment or password (RFC 8839).
pub(super) fn is_ice(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
}
