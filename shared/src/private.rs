//! Files that are nobody else's business: stores hold what users wrote.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes the file at `path` for its owner alone, if there is none; one that is there stays as it is.
///
/// # Errors
/// When it can be neither made nor opened.
pub fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_a_new_file_and_an_old_one_stays_as_it_is() {
        let path = std::env::temp_dir().join(format!("tandem-private-{}", std::process::id()));
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        make_file(&path).unwrap();
        assert_eq!(mode() & 0o077, 0);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        fs::write(&path, "kept").unwrap();
        make_file(&path).unwrap();
        assert_eq!(
            (mode(), fs::read_to_string(&path).unwrap().as_str()),
            (0o640, "kept")
        );
        fs::remove_file(&path).unwrap();
    }
}
