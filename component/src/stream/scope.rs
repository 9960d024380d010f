//! Which namespace a prefix stands for (Namespaces in XML 1.0 §6).

use rxml::NcName;

/// The declarations of the open elements.
///
/// One scope for each open element, the stream's own first; looking a prefix up takes time in the
/// number of declarations in force, which the reader's bounds keep small.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    declared: Vec<(Option<String>, String)>,
    /// Where in `declared` each open element's own begin.
    starts: Vec<usize>,
}

impl Scopes {
    /// An element with these attributes opens.
    pub(super) fn push(&mut self, attributes: &[(Option<NcName>, NcName, String)]) {
        self.starts.push(self.declared.len());
        for (prefix, name, value) in attributes {
            match prefix.as_ref().map(|prefix| prefix.as_str()) {
                None if name.as_str() == "xmlns" => self.declared.push((None, value.clone())),
                Some("xmlns") => {
                    let declared = Some(name.as_str().to_owned());
                    self.declared.push((declared, value.clone()));
                }
                None | Some(_) => {}
            }
        }
    }

    /// The innermost element closes.
    pub(super) fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.declared.truncate(start);
        }
    }

    /// All but the outermost `count` elements close.
    pub(super) fn truncate(&mut self, count: usize) {
        if let Some(start) = self.starts.get(count).copied() {
            self.declared.truncate(start);
            self.starts.truncate(count);
        }
    }

    /// The namespace of an element with this prefix; nothing if it is not declared.
    pub(super) fn element(&self, prefix: Option<&NcName>) -> Option<&str> {
        let prefix = prefix.map(|prefix| prefix.as_str());
        let declared = self
            .declared
            .iter()
            .rev()
            .find(|(known, _)| known.as_deref() == prefix)
            .map(|(_, namespace)| namespace.as_str());
        match prefix {
            None => Some(declared.unwrap_or_default()),
            Some("xml") => Some(crate::xml::XML),
            Some(_) => declared,
        }
    }
}
