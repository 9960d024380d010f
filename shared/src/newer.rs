//! What a newer node says and this one does not know: read as unknown, never an error.

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A tagged enum (`what`, `of`) with a variant for what is not known.
pub(crate) trait Newer: DeserializeOwned {
    /// Whether it is that variant.
    fn is_unknown(&self) -> bool;
}

/// Reads a value whose tag may be of a newer node, with whatever content: serde alone would refuse
/// content behind a tag it does not know.
pub(crate) fn read<'de, D: Deserializer<'de>, T: Newer>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize, Serialize)]
    struct Name {
        what: String,
    }
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    serde_json::from_str(raw.get()).or_else(|error| {
        let name: Name = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let alone = serde_json::to_string(&name).map_err(D::Error::custom)?;
        match serde_json::from_str::<T>(&alone) {
            Ok(value) if value.is_unknown() => Ok(value),
            _ => Err(D::Error::custom(error)),
        }
    })
}
