use std::path::{Path, PathBuf};

use tandem_shared::config::{ConfigError, examine, parse};

use crate::config::Config;

/// A directory of its own, gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("tandem-examine-{name}-{id}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What is said of a configuration whose sockets and database are in this directory.
    fn said(&self, starts: bool, text: &str) -> Result<Vec<String>, String> {
        let at = self.0.display();
        let own = format!(
            "[mapping]\ndomain = \"sip.example.com\"\n[store]\npath = \"{at}/b.sqlite\"\n\
            [bus]\nurl = \"local:{at}/bus.sock\"\n{text}"
        );
        said(starts, &own)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn said(starts: bool, text: &str) -> Result<Vec<String>, String> {
    let path = Path::new("b2bua.toml");
    let config: Config = parse(path, text).unwrap();
    examine(path, &config, starts).map_err(|ConfigError(words)| words)
}

/// A certificate that signs itself, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["sip.example.com".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn files_of_certificates_are_read_before_the_start() {
    let directory = Directory::new("pem");
    let ((chain, key), (_, other)) = (certificate(), certificate());
    let chain = directory.file("chain.pem", &chain);
    let key = directory.file("key.pem", &key);
    let other = directory.file("other.pem", &other);
    let empty = directory.file("empty.pem", "nothing\n");
    let listen = |chain: &str, key: &str, more: &str| {
        format!(
            "[[listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:5061\"\ncertificate = \"{chain}\"\n\
            key = \"{key}\"\n{more}"
        )
    };
    let trunk =
        |more: &str| format!("[[trunk]]\nname = \"p\"\nmatch = \"+*\"\nnext_hop = \"h\"\n{more}");
    let asks = format!("client_authorities = \"{chain}\"\n");
    let shows = format!("certificate = \"{chain}\"\nkey = \"{key}\"\nauthorities = \"{chain}\"\n");
    let good = listen(&chain, &key, &asks) + &trunk(&shows);
    assert_eq!(directory.said(true, &good), Ok(Vec::new()));
    let empty_asks = format!("client_authorities = \"{empty}\"\n");
    for (text, expected) in [
        (
            listen("/none.pem", &key, ""),
            vec![
                "b2bua.toml:10: listen: ",
                "certificate /none.pem",
                "No such file",
            ],
        ),
        (
            listen(&chain, "/none.pem", ""),
            vec!["b2bua.toml:11: listen: ", "key /none.pem"],
        ),
        (
            listen(&chain, &other, ""),
            vec!["b2bua.toml:10: ", "do not fit"],
        ),
        (
            listen(&empty, &key, ""),
            vec!["b2bua.toml:10: ", "holds none"],
        ),
        (
            listen(&chain, &key, &empty_asks),
            vec!["listen: ", "no certificate in PEM"],
        ),
        (
            trunk(&format!("authorities = \"{empty}\"\n")),
            vec![
                "b2bua.toml:11: trunk \"p\": authorities: ",
                "no certificate in PEM",
            ],
        ),
        (
            trunk(&format!("certificate = \"{chain}\"\nkey = \"{other}\"\n")),
            vec!["trunk \"p\": ", "do not fit"],
        ),
        (
            "[sip]\nauthorities = \"/none.pem\"\n".to_owned(),
            vec!["b2bua.toml: sip.authorities: ", "/none.pem"],
        ),
    ] {
        let words = directory.said(false, &text).unwrap_err();
        for part in expected {
            assert!(words.contains(part), "{part}: {words}");
        }
    }
}

#[test]
fn a_directory_may_come_later_but_not_after_the_start() {
    let directory = Directory::new("places");
    let at = directory.0.display().to_string();
    let text = |store: &str, bus: &str| {
        format!(
            "[mapping]\ndomain = \"sip.example.com\"\n[store]\npath = \"{store}\"\n[bus]\nurl = \"local:{bus}\"\n"
        )
    };
    let good = (format!("{at}/b.sqlite"), format!("{at}/bus.sock"));
    let nowhere = text(&format!("{at}/none/b.sqlite"), &good.1);
    let said_of = said(false, &nowhere).unwrap();
    let wanted = format!("store.path: there is no directory {at}/none");
    assert!(
        said_of.len() == 1 && said_of[0].contains(&wanted),
        "{said_of:?}"
    );
    assert!(said(true, &nowhere).unwrap_err().contains(&wanted));
    // Whoever checks before the first start is not told of what the unit makes.
    if !Path::new("/var/lib/tandem").exists() {
        let made = text("/var/lib/tandem/b.sqlite", &good.1);
        assert_eq!(said(false, &made), Ok(Vec::new()));
        assert!(
            said(true, &made)
                .unwrap_err()
                .contains("no directory /var/lib/tandem")
        );
    }
    // The socket of admins is beside that of the bus.
    let bus = text(&good.0, &format!("{at}/none/bus.sock"));
    let keys: Vec<String> = said(false, &bus).unwrap();
    assert!(
        keys[0].contains("bus.url: ") && keys[1].contains("admin.socket: "),
        "{keys:?}"
    );
    let long = format!("{at}/{}.sock", "x".repeat(100));
    let file = directory.file("file", "");
    for (text, expected) in [
        (text(&at, &good.1), "store.path: "),
        (text(&good.0, &at), "bus.url: "),
        (
            text(&good.0, &good.1) + &format!("[admin]\nsocket = \"{long}\"\n"),
            "admin.socket: ",
        ),
        (text(&format!("{file}/b.sqlite"), &good.1), "store.path: "),
        (text(&good.0, &file), "bus.url: "),
        (
            text(&good.0, &good.1) + &format!("[admin]\nsocket = \"{file}\"\n"),
            "is there and is no socket",
        ),
    ] {
        let words = said(false, &text).unwrap_err();
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn whoever_gives_the_gateway_the_users_domain_is_told() {
    let directory = Directory::new("domain");
    let of = |domain: &str, more: &str| {
        let at = directory.0.display();
        let text = format!(
            "[mapping]\ndomain = \"{domain}\"\n{more}[store]\npath = \"{at}/b.sqlite\"\n[bus]\n\
            url = \"local:{at}/bus.sock\"\n"
        );
        said(true, &text).unwrap()
    };
    let words = of("example.com", "");
    assert!(
        words.len() == 1 && words[0].contains("\"sip.example.com\""),
        "{words:?}"
    );
    assert_eq!(of("sip.example.com", ""), [""; 0]);
    assert_eq!(of("sip.localhost", ""), [""; 0]);
    assert_eq!(
        of("example.com", "user_domains = [\"example.org\"]\n"),
        [""; 0]
    );
}

#[test]
fn a_trunk_of_no_use_is_told_of() {
    let directory = Directory::new("useless");
    let trunk = |more: &str| format!("[[trunk]]\nname = \"p\"\nnext_hop = \"h\"\n{more}");
    let words = directory.said(true, &trunk("")).unwrap();
    assert!(
        words.len() == 1 && words[0].starts_with("b2bua.toml:7: trunk \"p\": is of no use"),
        "{words:?}"
    );
    for good in [
        "match = \"+*\"\n",
        "inbound = \"192.0.2.1\"\n",
        "register = true\nusername = \"a\"\npassword = \"b\"\n",
        "inbound_auth = true\nusername = \"a\"\npassword = \"b\"\n",
        "[emergency]\ntrunk = \"p\"\n",
    ] {
        assert_eq!(directory.said(true, &trunk(good)), Ok(Vec::new()), "{good}");
    }
}
