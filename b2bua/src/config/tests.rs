use super::*;

mod bounds;
mod country;
mod text;

use std::collections::HashSet;
use std::path::Path;
use tandem_shared::config::load;

const SHIPPED: &str = include_str!("../../../configs/b2bua.toml");

fn read(text: &str) -> Result<Config, String> {
    tandem_shared::config::parse(Path::new("b2bua.toml"), text).map_err(|error| error.to_string())
}

/// The shipped file with every commented key switched on.
fn all_keys() -> String {
    let key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let lines = SHIPPED
        .lines()
        .map(|line| if key(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

const MINIMAL: &str = "[mapping]\ndomain = \"sip.example.com\"\n";
const UDP: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"10.0.0.1:5060\"\n";
const ANY: &str =
    "[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\npublic = \"192.0.2.1\"\n";
const TRUNK: &str = "[mapping]\ndomain = \"sip.example.com\"\n[[trunk]]\nname = \"r\"\n";

#[test]
fn the_shipped_file_shows_the_defaults() {
    let minimal = read(MINIMAL).unwrap();
    assert_eq!(read(SHIPPED).unwrap(), minimal);
    let mut all = read(&all_keys()).unwrap();
    let shown = all.trunk.remove(0);
    assert_eq!(all, minimal);
    let example =
        format!("{TRUNK}match = [\"+*\", \"*@pbx.example.com\"]\nnext_hop = \"192.0.2.10:5060\"\n");
    let mut plain = read(&example).unwrap().trunk.remove(0);
    plain.name = "pbx".into();
    assert_eq!(shown, plain);
}

/// A key that is left out of the file would pass the test above.
#[test]
fn the_shipped_file_shows_every_key() {
    let row = format!(
        "{TRUNK}match = \"+*\"\nnext_hop = \"h\"\n[[number]]\nnumber = \"+1\"\njid = \"a@example.com\"\n"
    );
    let printed = tandem_shared::config::show(&read(&row).unwrap()).unwrap();
    let keys = |text: &str| {
        let (mut found, mut table) = (HashSet::new(), String::new());
        for line in text.lines() {
            let line = line.trim_start_matches(['#', ' ']);
            if line.starts_with('[') {
                table = line.to_owned();
            }
            let key = line.split_once(" = ");
            found.extend(key.map(|(key, _)| (table.clone(), key.to_owned())));
        }
        found
    };
    let shown = keys(SHIPPED);
    let mut missing: Vec<_> = keys(&printed)
        .into_iter()
        .filter(|key| !shown.contains(key))
        .collect();
    missing.sort();
    assert_eq!(missing, []);
}

#[test]
fn print_config_shows_where_admins_ask() {
    let printed = |text: &str| tandem_shared::config::show(&read(text).unwrap()).unwrap();
    assert!(printed(MINIMAL).contains("socket = \"/run/tandem/b2bua-admin.sock\""));
    let elsewhere = format!("{MINIMAL}[bus]\nurl = \"local:/srv/x/bus.sock\"\n");
    assert!(printed(&elsewhere).contains("socket = \"/srv/x/b2bua-admin.sock\""));
}

#[test]
fn the_parent_domain_is_served_by_default() {
    assert_eq!(read(MINIMAL).unwrap().mapping.user_domains, ["example.com"]);
}

#[test]
fn mistakes_name_the_key_and_the_fix() {
    for (text, expected) in [
        (
            format!("{TRUNK}match = \"+1?5\"\nnext_hop = \"h\"\n"),
            "+1555*",
        ),
        (format!("{TRUNK}match = \"+*\"\n"), "next_hop: is missing"),
        (
            format!("{TRUNK}match = \"*@x.y\"\nnext_hop = \"a b\"\n"),
            "sip:pbx.example.com:5060",
        ),
        (format!("{TRUNK}inbound = [\"10/8\"]\n"), "192.0.2.0/24"),
        (
            format!("{TRUNK}next_hop = \"127.0.0.1\"\nmatch = \"+*\"\n"),
            "leads back",
        ),
        (
            format!("{TRUNK}next_hop = \"h\"\nusername = \"u\"\n"),
            "belong together",
        ),
        (format!("{TRUNK}mach = \"+*\"\n"), "did you mean \"match\"?"),
        (
            format!("{TRUNK}from = \"mailto:x\"\n"),
            "\"user\", \"number\"",
        ),
        (format!("{TRUNK}[[trunk]]\nname = \"r\"\n"), "twice"),
        (
            format!("{MINIMAL}[policy]\napprove_abroad = true\n"),
            "policy.admins",
        ),
        (
            format!("{MINIMAL}[policy]\nadmins = [\"admin@elsewhere.example\"]\n"),
            "no user of example.com",
        ),
        (
            format!("{MINIMAL}[[listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:1\"\n"),
            "listen.key",
        ),
        (
            format!("{MINIMAL}[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:1\"\n"),
            "sip.host",
        ),
        (
            format!("{MINIMAL}{UDP}public = \"203.0.113.5:0\"\n"),
            "write \"203.0.113.5:5060\"",
        ),
        (
            format!("{MINIMAL}{UDP}public = \"[2001:db8::1]:5060\"\n"),
            "listen.public: must be of the same family",
        ),
        (
            format!("{MINIMAL}{UDP}public = \"0.0.0.0:5060\"\n"),
            "listen.public: must be an address or name",
        ),
        (format!("{MINIMAL}[sip]\nstun = \"a b\"\n"), "\"host:5060\""),
        (
            format!("{MINIMAL}[sip]\nstun = \"s.example\"\n{UDP}public = \"203.0.113.5\"\n"),
            "sip.stun: has no use",
        ),
        (
            format!("{TRUNK}next_hop = \"h\"\nnat_keepalive = 3601\n"),
            "nat_keepalive: must be",
        ),
        (
            format!("{MINIMAL}[[number]]\nnumber = \"abc\"\njid = \"a@example.com\"\n"),
            "number.number",
        ),
        (
            format!("{MINIMAL}[[number]]\nnumber = \"+1555\"\njid = \"a@other.org\"\n"),
            "number.jid",
        ),
        (
            format!("{MINIMAL}[[number]]\nnumber = \"+1555\"\njid = []\n"),
            "names nobody",
        ),
        (
            format!(
                "{MINIMAL}[[number]]\nnumber = \"+1555\"\njid = {:?}\n",
                vec!["a@example.com"; 17]
            ),
            "at most 16",
        ),
        (
            format!(
                "{MINIMAL}{row}{row}",
                row = "[[number]]\nnumber = \"+1555\"\njid = \"a@example.com\"\n"
            ),
            "there twice",
        ),
        (
            format!("{MINIMAL}[message]\nconfirm_for = 60\n"),
            "confirm_for",
        ),
        (
            format!("{TRUNK}certificate = \"a.pem\"\n"),
            "certificate and key",
        ),
        (
            format!("{TRUNK}transport = \"udp\"\nauthorities = \"a.pem\"\n"),
            "only for transport = \"tls\"",
        ),
        (
            format!("{TRUNK}ws_path = \"ws\"\n"),
            "ws_path: must begin with a slash",
        ),
        (
            format!(
                "{MINIMAL}[[listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:1\"\nclient_authorities = \"a\"\n"
            ),
            "listen.client_authorities: only",
        ),
        (format!("{TRUNK}codecs = []\n"), "codecs: must name"),
        (
            format!("{TRUNK}codecs = [\"speex\"]\n"),
            "b2bua.toml:5: trunk \"r\": codecs: \"speex\" is not possible; write \"opus\", \"g722\", \"pcma\" or",
        ),
        (
            format!("{TRUNK}codecs = [\"pcma\", \"pcma\"]\n"),
            "codecs: names one twice",
        ),
        (
            format!("{TRUNK}srtp = \"on\"\n"),
            "write \"off\", \"sdes\" or \"dtls\"",
        ),
        (
            format!("{TRUNK}srtp_demand = \"require\"\n"),
            "srtp = \"sdes\" or \"dtls\"",
        ),
        (format!("{TRUNK}ptime = 25\n"), "ptime: must be 10, 20"),
        (
            format!("{MINIMAL}[call]\nring = 0\n"),
            "call.ring: must be from 1 to 170",
        ),
        (
            format!("{MINIMAL}[call]\nring = 171\n"),
            "call.ring: must be from 1 to 170",
        ),
        (
            format!("{MINIMAL}[call]\nearly_media = \"yes\"\n"),
            "write \"connect\" or \"ignore\"",
        ),
        (
            format!("{MINIMAL}[call]\nsession_expires = 89\n"),
            "call.session_expires: must be 0, or from 90 to 86400 seconds",
        ),
        (
            format!("{MINIMAL}[call]\nrings = 1\n"),
            "did you mean \"ring\"?",
        ),
        (
            format!("{MINIMAL}[media]\naddresses = []\n"),
            "media.addresses: must name",
        ),
        (
            format!("{MINIMAL}[media]\naddresses = [\"0.0.0.0\"]\n"),
            "not 0.0.0.0",
        ),
        (
            format!("{MINIMAL}[media]\nsip_addresses = [\"::\"]\n"),
            "media.sip_addresses, sip_public",
        ),
        (
            format!("{MINIMAL}[media]\npublic = [\"192.0.2.1\", \"192.0.2.2\"]\n"),
            "media.public: must be empty",
        ),
        (
            format!("{MINIMAL}[media]\nsip_public = [\"192.0.2.1\", \"192.0.2.2\"]\n"),
            "media.sip_public: must be empty",
        ),
        (
            format!("{MINIMAL}[media]\nsip_ports = \"1000-2000\"\n"),
            "write \"20000-29999\"",
        ),
        (
            format!("{MINIMAL}[media]\nthreads = 4\nport = 19997\n"),
            "media.port: must not lie in sip_ports",
        ),
        (
            format!("{MINIMAL}[media]\nthreads = 3\nport = 65534\n"),
            "media.port: must leave a port",
        ),
        (
            format!("{MINIMAL}[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1\"\n"),
            "b2bua.toml:5: listen.address: is no address with a port; write \"192.0.2.10:5060\"",
        ),
        (
            format!("{MINIMAL}[media]\naddresses = [\"gw.example.com\"]\n"),
            "b2bua.toml:4: media.addresses: is no address; write",
        ),
        (
            format!("{TRUNK}match = 5\n"),
            "trunk \"r\": match: is neither a text nor a list of texts",
        ),
        (
            format!("{MINIMAL}[[route]]\nname = \"r\"\n"),
            "b2bua.toml:3: route: unknown key; [[route]] is called [[trunk]] now",
        ),
        (
            format!("{MINIMAL}{UDP}{UDP}"),
            "b2bua.toml:8: listen.address: 10.0.0.1:5060 over udp is taken",
        ),
        (
            format!("{MINIMAL}{ANY}{UDP}"),
            "10.0.0.1:5060 over udp is taken by the [[listen]] at 0.0.0.0:5060",
        ),
        (
            format!(
                "{MINIMAL}{UDP}{}{}",
                UDP.replace("udp", "ws"),
                UDP.replace("udp", "tcp")
            ),
            "10.0.0.1:5060 over tcp is taken by the [[listen]] at 10.0.0.1:5060 over ws",
        ),
        (
            format!(
                "{MINIMAL}{UDP}[media]\naddresses = [\"10.0.0.1\"]\nport = 5059\nthreads = 2\n"
            ),
            "media.port: is that of a [[listen]]",
        ),
        (
            format!(
                "{TRUNK}match = \"+*\"\nnext_hop = \"192.0.2.1\"\nregister = true\naccount = \"a\"\nflows = 2\n"
            ),
            "b2bua.toml:9: trunk \"r\": flows: an address is one server",
        ),
        (
            format!("{MINIMAL}[media]\nsilence = 0\n"),
            "media.silence: must be from 1 to 86400 seconds",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// What is read, and would do something else than was meant, or nothing.
#[test]
fn what_would_mislead_is_refused() {
    let number = |jid: &str| format!("{MINIMAL}[[number]]\nnumber = \"+1555\"\njid = {jid}\n");
    let policy = |text: &str| format!("{MINIMAL}[policy]\n{text}\n");
    let inbound = |text: &str| {
        format!("{TRUNK}match = \"+*\"\nnext_hop = \"h\"\ninbound = [\"10.0.0.1\", \"{text}\"]\n")
    };
    let admin = |text: &str| format!("{MINIMAL}[admin]\nsocket = \"{text}\"\n");
    for (text, expected) in [
        (
            number("[\"juliet@example.com\", \"Juliet@Example.com\"]"),
            "number.jid: Juliet@Example.com is there twice",
        ),
        (
            number("\"juliet@example.com/phone\""),
            "number.jid: \"juliet@example.com/phone\" names a device; write \"juliet@example.com\"",
        ),
        (
            policy("approve_abroad = true\nadmins = [\"a@example.com/x\"]"),
            "policy.admins: \"a@example.com/x\" names a device",
        ),
        (
            policy("admins = [\"a@example.com\"]"),
            "policy.admins: says nothing without approve_abroad = true",
        ),
        (
            policy("allow = [\"44\"]"),
            "policy.allow: \"44\" is a beginning of local numbers; for a country write \"+44*\"",
        ),
        (
            policy("deny = [\"1900\"]"),
            "policy.deny: \"1900\" is a beginning of local numbers",
        ),
        (
            inbound("0.0.0.0/0"),
            "inbound: \"0.0.0.0/0\" lets in the whole Internet",
        ),
        (
            format!("{MINIMAL}[emergency]\nnumbers = [\"112\", \"+112\"]\n"),
            "b2bua.toml:4: emergency.numbers: \"+112\" is no number as people dial it",
        ),
        (
            format!("{MINIMAL}[emergency]\nnumbers = [\"1-1-2\"]\n"),
            "emergency.numbers: \"1-1-2\"",
        ),
        (
            format!("{MINIMAL}[emergency]\nnumbers = [\"\"]\n"),
            "emergency.numbers: \"\"",
        ),
        (
            format!("{MINIMAL}[emergency]\nnumbers = [\"１１２\"]\n"),
            "emergency.numbers: \"１１２\"",
        ),
        (
            format!("{MINIMAL}[emergency]\ntrunk = \"none\"\n"),
            "emergency.trunk: there is no trunk \"none\"",
        ),
        (
            format!("{TRUNK}match = \"*@p.example\"\n[emergency]\ntrunk = \"r\"\n"),
            "b2bua.toml:3: trunk \"r\": emergency.trunk names it, so it needs next_hop",
        ),
        (inbound("::/0"), "use inbound_auth or peer_name"),
        (inbound("128.0.0.0/1"), "or much of it"),
        (inbound("2000::/3"), "or much of it"),
        (
            admin("/run/tandem/bus.sock"),
            "admin.socket: \"/run/tandem/bus.sock\" is the socket of the bus",
        ),
        (
            admin("/var/lib/tandem/b2bua.sqlite"),
            "admin.socket: \"/var/lib/tandem/b2bua.sqlite\" is the database of [store]",
        ),
        (
            admin("local:/run/tandem/admin.sock"),
            "must be a path, without \"local:\"",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for good in [
        number("[\"juliet@example.com\", \"romeo@example.com\"]"),
        policy("allow = [\"+44\", \"10*\"]\ndeny = [\"1*\", \"*97\"]"),
        policy("approve_abroad = true\nadmins = [\"a@example.com\"]"),
        inbound("10.0.0.0/8"),
        inbound("fc00::/7"),
        inbound("2001:db8::/32"),
        format!("{MINIMAL}{UDP}{}", UDP.replace("udp", "tcp")),
        format!("{MINIMAL}{UDP}{}", UDP.replace("10.0.0.1", "10.0.0.2")),
        format!("{MINIMAL}{UDP}[media]\naddresses = [\"10.0.0.2\"]\nport = 5060\n"),
        admin("/run/tandem/admin.sock"),
    ] {
        read(&good).unwrap();
    }
}

#[test]
fn sound_is_received_where_the_file_says() {
    let media = "[media]\naddresses = [\"10.0.0.1\"]\npublic = [\"192.0.2.1\"]\nport = 19997\nthreads = 3\n";
    let settings = read(&format!("{MINIMAL}{media}")).unwrap().media();
    let seen = |interfaces: &[crate::shell::media::Interface]| {
        let texts = interfaces
            .iter()
            .map(|it| format!("{} {}", it.bind, it.public));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(seen(&settings.xmpp), ["10.0.0.1 192.0.2.1"]);
    assert_eq!(seen(&settings.sip), ["10.0.0.1 192.0.2.1"]);
    let apart = format!("{MINIMAL}{media}sip_addresses = [\"10.9.0.1\"]\n");
    let settings = read(&apart).unwrap().media();
    assert_eq!(seen(&settings.sip), ["10.9.0.1 10.9.0.1"]);
    assert_eq!((settings.threads, settings.ports), (3, 20_000..=29_999));
}

#[test]
fn passwords_do_not_show() {
    let text = format!(
        "{TRUNK}match = \"+*\"\nnext_hop = \"h\"\nusername = \"u\"\npassword = \"hunter2\"\n"
    );
    let config = read(&text).unwrap();
    assert!(
        !tandem_shared::config::show(&config)
            .unwrap()
            .contains("hunter2")
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    let settings = settings(&config, &[]);
    assert!(!format!("{settings:?}").contains("hunter2"));
    let printed = tandem_shared::config::show(&config).unwrap();
    assert!(printed.contains("match = [\"+*\"]"), "{printed}");
}

/// What the README's first configuration says of America holds without another word.
#[test]
fn who_names_the_country_dials_as_people_do_there() {
    let minimal = read(include_str!("../../../configs/minimal/b2bua.toml")).unwrap();
    let plan = minimal.numbering.plan();
    for dialled in [
        "5551234567",
        "15551234567",
        "+15551234567",
        "(555) 123-4567",
    ] {
        assert_eq!(plan.normalise(dialled).as_deref(), Some("+15551234567"));
    }
    assert_eq!(plan.normalise("01144201234").as_deref(), Some("+44201234"));
    let printed = tandem_shared::config::show(&minimal).unwrap();
    assert!(printed.contains("bare_digits = 10\n"), "{printed}");
    // What is said counts, each key by itself.
    let said = read(&format!(
        "{MINIMAL}[numbering]\ncountry = \"1\"\nbare_digits = 7\n"
    ))
    .unwrap();
    let plan = said.numbering.plan();
    assert_eq!((plan.bare, plan.national.as_str()), (7, "1"));
    let spain = "[numbering]\ncountry = \"34\"\nnational = \"\"\nbare_digits = 9\n";
    let spain = read(&format!("{MINIMAL}{spain}")).unwrap().numbering.plan();
    assert_eq!(
        spain.normalise("911234567").as_deref(),
        Some("+34911234567")
    );
}

fn settings(config: &Config, listening: &[(Transport, SocketAddr)]) -> Settings {
    let trunks = config.trunks().unwrap();
    config.settings(&trunks, listening).unwrap()
}

/// A registrar over TCP may connect to us; the sockets have to know it as well as the core.
#[test]
fn who_is_registered_at_is_admitted_by_the_sockets_too() {
    let config = read(&format!("{TRUNK}match = \"+*\"\nnext_hop = \"h\"\n")).unwrap();
    let trunks = config.trunks().unwrap();
    let sockets = config.transport(config.admission(&trunks));
    let settings = config.settings(&trunks, &[]).unwrap();
    let registrar = [192, 0, 2, 1].into();
    assert!(!sockets.admission.admits(registrar));
    let (id, _) = settings.trunks.iter().next().unwrap();
    let flow = crate::trunk::FlowId {
        trunk: id,
        number: 1,
    };
    settings.trunks.welcome(flow, registrar);
    assert!(sockets.admission.admits(registrar));
    assert!(settings.endpoint.admission.admits(registrar));
}

#[test]
fn only_sources_of_routes_are_admitted() {
    let config = read(&format!("{TRUNK}inbound = \"10.0.0.0/8\"\n")).unwrap();
    let admission = config.admission(&config.trunks().unwrap());
    assert!(admission.admits([10, 1, 2, 3].into()));
    assert!(!admission.admits([127, 0, 0, 1].into()));
}

#[test]
fn the_via_names_the_listener_or_the_public_host() {
    let listening = [(Transport::Udp, "192.0.2.9:5066".parse().unwrap())];
    let sent_by = |text: &str| settings(&read(text).unwrap(), &listening).endpoint.sent_by;
    assert_eq!(sent_by(MINIMAL).udp.to_string(), "192.0.2.9:5066");
    assert_eq!(sent_by(MINIMAL).tcp.to_string(), "192.0.2.9");
    let public = format!("{MINIMAL}[sip]\nhost = \"gw.example.com\"\n");
    assert_eq!(sent_by(&public).udp.to_string(), "gw.example.com:5066");
}

/// A directory with `b2bua.toml` and these files in `conf.d`.
fn directory(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let id = std::process::id();
    let directory = std::env::temp_dir().join(format!("tandem-{name}-{id}"));
    std::fs::create_dir_all(directory.join("conf.d")).unwrap();
    let main = directory.join("b2bua.toml");
    std::fs::write(&main, "[mapping]\ndomain = \"sip.example.com\"\n").unwrap();
    for (name, text) in files {
        std::fs::write(directory.join("conf.d").join(name), text).unwrap();
    }
    main
}

#[test]
fn files_beside_it_add_trunks_and_numbers() {
    let files = [
        (
            "20-b.toml",
            "[[trunk]]\nname = \"b\"\nnext_hop = \"192.0.2.2\"\n",
        ),
        (
            "10-a.toml",
            "[[trunk]]\nname = \"a\"\nnext_hop = \"192.0.2.1\"\n\
          [[number]]\nnumber = \"+1555*\"\njid = \"*@example.com\"\n",
        ),
        ("notes.txt", "not read"),
    ];
    let path = directory("adds", &files);
    let config: Config = load(&path).unwrap();
    let names: Vec<_> = config.trunk.iter().map(|row| row.name.as_str()).collect();
    assert_eq!((names, config.number.len()), (vec!["a", "b"], 1));
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn what_is_wrong_beside_it_is_named_with_its_place() {
    for (name, text, wanted) in [
        (
            "x.toml",
            "[[trunk]]\nname = \"a\"\nnxt_hop = \"h\"\n",
            vec!["x.toml:3", "next_hop"],
        ),
        (
            "x.toml",
            "[sip]\nt1_ms = 1\n",
            vec!["x.toml", "sip", "trunk"],
        ),
        ("x.toml", "[[trunk]\n", vec!["x.toml:1"]),
        (
            "x.toml",
            "[[trunk]]\nname = \"a\"\nnext_hop = \"h\"\n[[trunk]]\nname = \"b\"\nmatch = \"+*\"\n",
            vec!["conf.d/x.toml:4: trunk \"b\": next_hop: is missing"],
        ),
        (
            "x.toml",
            "[[trunk]]\nname = \"a\"\nnext_hop = \"h\"\nsrtp = \"on\"\n",
            vec!["conf.d/x.toml:4: trunk \"a\": srtp: \"on\" is not possible"],
        ),
        (
            "x.toml",
            "[[trunk]]\nname = \"a\"\nnext_hop = \"h\"\nusername = \"u\"\npassword_file = \"/none\"\n",
            vec!["conf.d/x.toml:5: trunk \"a\": password_file /none: "],
        ),
        (
            "x.toml",
            "[[trunk]]\nname = \"a\"\nnext_hop = \"h\"\n\n[[trunk]]\nname = \"a\"\nnext_hop = \"h\"\n",
            vec![
                "conf.d/x.toml:6: trunk.name: \"a\" is there twice, first at ",
                "x.toml:1",
            ],
        ),
        (
            "x.toml",
            "[[number]]\nnumber = \"+1555\"\njid = \"a@other.org\"\n",
            vec!["conf.d/x.toml:3: number.jid: \"a@other.org\" is no user"],
        ),
    ] {
        let path = directory("wrong", &[(name, text)]);
        let ConfigError(words) = load::<Config>(&path).unwrap_err();
        for part in wanted {
            assert!(words.contains(part), "{part}: {words}");
        }
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

#[test]
fn a_listener_has_a_public_address_of_its_own() {
    let listening = [
        (Transport::Udp, "0.0.0.0:5060".parse().unwrap()),
        (Transport::Udp, "[2001:db8::1]:5060".parse().unwrap()),
        (Transport::Tcp, "10.0.0.1:5060".parse().unwrap()),
    ];
    let text = format!(
        "{MINIMAL}[sip]\nhost = \"gw.example.com\"\n\
         [[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\npublic = \"203.0.113.5:40000\"\n\
         [[listen]]\ntransport = \"udp\"\naddress = \"[2001:db8::1]:5060\"\npublic = \"[2001:db8::2]\"\n\
         [[listen]]\ntransport = \"tcp\"\naddress = \"10.0.0.1:5060\"\n"
    );
    let settings = settings(&read(&text).unwrap(), &listening);
    let config = &settings.endpoint;
    assert_eq!(config.sent_by.udp.to_string(), "203.0.113.5:40000");
    assert_eq!(config.sent_by.tcp.to_string(), "gw.example.com:5060");
    let peer = Some("2001:db8::9".parse().unwrap());
    let other = config.sent_by(Transport::Udp, peer);
    assert_eq!(other.to_string(), "[2001:db8::2]:5060");
    assert!(!settings.nat.learns);
}

#[test]
fn others_are_believed_only_where_the_file_says_nothing_to_the_world() {
    let learns = |more: &str| {
        let config = read(&format!("{MINIMAL}{more}")).unwrap();
        settings(&config, &[]).nat.learns
    };
    assert!(learns("") && learns(UDP));
    assert!(learns(&format!("[sip]\nhost = \"10.0.0.1\"\n{UDP}")));
    assert!(learns(&format!("[sip]\nhost = \"100.64.0.1\"\n{UDP}")));
    assert!(!learns(&format!("[sip]\nhost = \"203.0.113.5\"\n{UDP}")));
    assert!(!learns(&format!("[sip]\nhost = \"gw.example.com\"\n{UDP}")));
    assert!(!learns(&format!("{UDP}public = \"203.0.113.5\"\n")));
    let stun = read(&format!("{MINIMAL}[sip]\nstun = \"stun.example.org\"\n")).unwrap();
    let server = settings(&stun, &[]).nat.stun.unwrap();
    assert_eq!(
        (server.host.to_string().as_str(), server.port),
        ("stun.example.org", None)
    );
}

#[test]
fn trunks_that_connect_alike_share_a_profile() {
    let row = |name: &str, more: &str| {
        format!("[[trunk]]\nname = \"{name}\"\ninbound = \"10.0.0.1\"\n{more}")
    };
    let own = "certificate = \"a.crt\"\nkey = \"a.key\"\n";
    let rows = [
        row("plain", ""),
        row("shows", own),
        row("same", own),
        row("trusts", "authorities = \"ca.pem\"\n"),
        row("usual", "authorities = \"usual.pem\"\n"),
    ];
    let text = format!(
        "{MINIMAL}[sip]\nauthorities = \"usual.pem\"\n{}",
        rows.concat()
    );
    let config = read(&text).unwrap();
    let trunks = config.trunks().unwrap();
    let profiles: Vec<u16> = trunks.iter().map(|(_, trunk)| trunk.profile.0).collect();
    assert_eq!(profiles, [0, 1, 1, 2, 0]);
    let dials = config.transport(config.admission(&trunks)).dials;
    assert_eq!(dials.len(), 3);
    assert_eq!(
        dials[1].authorities.as_deref(),
        Some(Path::new("usual.pem"))
    );
    assert_eq!(dials[2].certificate, None);
}

#[test]
fn a_shared_number_is_shown_to_others_only_where_that_is_said() {
    let row = |number: &str, more: &str| {
        format!(
            "[[number]]\nnumber = \"{number}\"\njid = [\"a@example.com\", \"b@example.com\"]\n{more}"
        )
    };
    let numbers = |text: String| settings(&read(&text).unwrap(), &[]).numbers;
    let user = |name: &str| tandem_shared::address::Address::new(name, "example.com").unwrap();
    let shared = numbers(format!("{MINIMAL}{}", row("+1555", "")));
    assert_eq!(shared.users("+1555"), [user("a"), user("b")]);
    assert_eq!(shared.number(&user("b")), None);
    let shown = numbers(format!("{MINIMAL}{}", row("+1555", "outgoing = true\n")));
    assert_eq!(shown.number(&user("b")), Some("+1555"));
    let alone = "[[number]]\nnumber = \"+1777\"\njid = \"b@example.com\"\noutgoing = false\n";
    assert_eq!(
        numbers(format!("{MINIMAL}{alone}")).number(&user("b")),
        None
    );
}

#[test]
fn a_trunk_comes_in_by_a_password_of_its_own_or_by_that_of_its_account() {
    let row = |name: &str, more: &str| {
        format!("[[trunk]]\nname = \"{name}\"\nmatch = \"+*\"\nnext_hop = \"192.0.2.1\"\n{more}")
    };
    let ours = "username = \"a\"\npassword = \"1\"\n";
    let own = "inbound_username = \"b\"\ninbound_password = \"2\"\n";
    let open = "inbound_auth = true\n";
    let config = |rows: &[String]| read(&format!("{MINIMAL}{}", rows.concat()));
    let all = config(&[
        row("closed", ours),
        row("same", &format!("{ours}{open}")),
        row(
            "own",
            &format!("{own}{open}username = \"c\"\npassword = \"3\"\n"),
        ),
    ]);
    let settings = settings(&all.unwrap(), &[]);
    let accounts: Vec<_> = settings
        .endpoint
        .accounts
        .iter()
        .map(|account| (account.number, &*account.user, &*account.password))
        .collect();
    assert_eq!(accounts, [(1, "a", "1"), (2, "b", "2")]);
    assert_eq!(&*settings.endpoint.realm, "sip.example.com");
    assert!(settings.endpoint.admission.hears_strangers(false));
    let closed = config(&[row("closed", ours)]).unwrap();
    let closed = self::settings(&closed, &[]).endpoint;
    assert!(closed.accounts.is_empty() && !closed.admission.hears_strangers(false));
    for (rows, wanted) in [
        (vec![row("x", open)], "needs inbound_username"),
        (vec![row("x", own)], "without inbound_auth"),
        (
            vec![row("x", &format!("{open}inbound_username = \"b\"\n"))],
            "belong together",
        ),
        (
            vec![
                row("x", &format!("{own}{open}")),
                row("y", &format!("{own}{open}")),
            ],
            "of two trunks",
        ),
    ] {
        let words = config(&rows).map(drop).unwrap_err();
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
}

#[test]
fn a_trunk_is_known_by_a_name_that_listeners_ask_for() {
    let row = |name: &str, more: &str| {
        format!("[[trunk]]\nname = \"{name}\"\nmatch = \"*@p.example\"\n{more}")
    };
    let named = "peer_name = \"sip.partner.example\"\n";
    let asks = "[[listen]]\ntransport = \"tls\"\naddress = \"10.0.0.1:5061\"\ncertificate = \"a\"\nkey = \"b\"\n\
                client_authorities = \"c\"\n";
    let config = |rows: &[String]| read(&format!("{MINIMAL}{}", rows.concat()));
    let config_of = |rows: &[String]| settings(&config(rows).unwrap(), &[]);
    let settings = config_of(&[row("a", ""), row("b", named), asks.to_owned()]);
    let found = settings
        .trunks
        .certified(&["sip.partner.example".to_owned()]);
    assert_eq!(found.map(|id| settings.trunks.name(id)), Some("b"));
    let admission = &settings.endpoint.admission;
    assert!(admission.hears_strangers(true) && !admission.hears_strangers(false));
    for (rows, wanted) in [
        (vec![row("a", named)], "client_authorities"),
        (
            vec![row("a", named), row("b", named), asks.to_owned()],
            "of two trunks",
        ),
        (
            vec![row("a", "peer_name = \"10.0.0.1\"\n"), asks.to_owned()],
            "must be a name",
        ),
    ] {
        let words = config(&rows).map(drop).unwrap_err();
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
}

#[test]
fn early_sound_is_as_the_trunk_says_or_else_as_all_calls() {
    let early = |call: &str, trunk: &str| {
        let trunk =
            format!("[[trunk]]\nname = \"t\"\nmatch = \"+*\"\nnext_hop = \"192.0.2.1\"\n{trunk}");
        let config = read(&format!("{MINIMAL}{call}{trunk}")).unwrap();
        let trunks = config.trunks().unwrap();
        let media: Vec<bool> = trunks.iter().map(|(_, it)| it.media.early_media).collect();
        media[0]
    };
    let (ignore, connect) = ("early_media = \"ignore\"\n", "early_media = \"connect\"\n");
    assert!(early("", "") && !early("", ignore));
    let call = format!("[call]\n{ignore}");
    assert!(!early(&call, "") && early(&call, connect));
}

/// What the tests are told by the environment is for no table of either process.
#[test]
fn variables_of_the_tests_are_for_no_table() {
    let tables = Config::TABLES.iter().chain(Config::FOREIGN_TABLES);
    for table in tables {
        for word in [
            "test", "soak", "promise", "sim", "hold", "load", "fuzz", "target",
        ] {
            assert_ne!(*table, word);
        }
    }
}
