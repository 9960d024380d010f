//! Text in the charset its sender chose (RFC 2046 §4.1.2), as UTF-8.

use encoding_rs::Encoding;

use super::media_type::MediaType;
use super::unsupported;
use tandem_shared::refusal::Refusal;

/// Decodes `body`; octets that are wrong in its charset become U+FFFD. No charset means UTF-8,
/// which is what SIP peers mean by it.
pub(super) fn decode(kind: &MediaType, body: &[u8]) -> Result<String, Refusal> {
    let label = kind.params.get("charset");
    let label = label.as_deref().unwrap_or("utf-8");
    // Many a sender declares US-ASCII and sends UTF-8.
    if (label.eq_ignore_ascii_case("utf-8") || label.eq_ignore_ascii_case("us-ascii"))
        && let Ok(text) = std::str::from_utf8(body)
    {
        return Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned());
    }
    let encoding = Encoding::for_label_no_replacement(label.trim().as_bytes())
        .ok_or_else(|| unsupported("This charset is not known here."))?;
    Ok(encoding.decode(body).0.into_owned())
}
