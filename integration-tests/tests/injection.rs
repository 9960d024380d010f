//! Nothing that is written on one side becomes more than text on the other (checklist row Z04; specs T9, T20), in the
//! headers that say who calls: each way is read back by somebody who shares no code with us, Kamailio and the crate
//! rsip on the SIP side, the client's own XML parser on the other.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::provider::{Provider, Setup as ProviderSetup};
use integration_tests::scene::{Plan, TRUNK, trunk};
use integration_tests::sip::Message;
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::wait::{self, GENEROUS};
use integration_tests::xmpp::{Session, Stanza, escape};
use integration_tests::{Scene, Server};
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};

/// Local parts of users and contacts, as XMPP writes them (XEP-0106), each of which would be something else in SIP
/// if it were only copied.
const PARTS: &[&str] = &[
    r"a\22b",
    r"a\3cb\3e",
    r"x\3e\3btag=evil",
    "a;tag=evil;lr",
    "a,b",
    "a?Route=evil",
    "a%0d%0aRoute=evil",
    "a%00b",
    "a%22%3e%3bb",
    r"a\5c22b",
    r"a\2fb\3ac",
    r"sip\3aroot",
    "+15559001;phone-context=evil",
    "+15559001;isub=1;npdi",
    r"*67+15559001",
    "()!$*_~.'",
    "{}|^`[]#=",
    "ünïcödé-日本",
    "%%%",
    "%c0%af",
];

/// Text that would begin a header, a body or a stanza.
const EVIL: &str = "x\r\nRoute: <sip:evil.test;lr>\r\nP-Asserted-Identity: <sip:evil@evil.test>\r\n\r\nINVITE sip:evil@evil.test SIP/2.0\r\n";

/// The names of the header fields, those of the way and of the wire left out.
fn names(message: &Message) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(message.raw()).into_owned();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let names = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split(':').next());
    names.map(str::to_owned).collect()
}

/// What rsip makes of it is what we meant: one of each, and no parameters but ours.
fn read_back(message: &Message, gateway: &str) -> Result<()> {
    let rsip::SipMessage::Request(request) = message.reparse()? else {
        anyhow::bail!("no request: {message}");
    };
    for name in ["From", "To", "Call-ID", "CSeq", "P-Asserted-Identity"] {
        ensure!(message.headers(name).len() == 1, "{name}: {message}");
    }
    ensure!(message.headers("Route").is_empty(), "{message}");
    let from = request.from_header()?.clone().typed()?;
    let name = from.display_name.as_deref().unwrap_or_default();
    ensure!(name.is_empty(), "a name {name:?}: {message}");
    ensure!(from.params.len() == 1, "{:?}: {message}", from.params);
    // It knows no escapes in users, and takes all before the port for the host.
    let host_of = |uri: &rsip::Uri| {
        let host = uri.host_with_port.to_string();
        host.rsplit('@').next().unwrap_or_default().to_owned()
    };
    let host = host_of(&from.uri);
    ensure!(host == gateway, "from {host}: {message}");
    let more = (&from.uri.params, &from.uri.headers);
    ensure!(
        more.0.is_empty() && more.1.is_empty(),
        "{more:?}: {message}"
    );
    let to = request.to_header()?.clone().typed()?;
    ensure!(to.params.is_empty(), "{:?}: {message}", to.params);
    let host = host_of(&to.uri);
    let known = ["provider.test", "127.0.0.11", gateway].contains(&host.as_str());
    ensure!(known, "to {host}: {message}");
    ensure!(request.call_id_header()?.value().len() < 200, "{message}");
    Ok(())
}

/// Everything that reaches the network through the provider is what was meant, or nothing does and its
/// sender reads why.
#[test]
fn addresses_of_users_and_contacts_inject_nothing() -> Result<()> {
    with_tandem(|bench| {
        let server = Server::chosen()?;
        let mut plan = Plan::usual(server);
        let users = format!("users.{}", server.domain());
        let components = [users.as_str()];
        plan.server.more_components = &components;
        plan.tandem.user_domains = vec![server.domain(), &users];
        plan.tandem.trunks = vec![Trunk {
            name: "provider",
            matches: "* *@provider.test",
            next_hop: "127.0.0.11:5060",
            inbound: vec!["127.0.0.11"],
            extra: "identity = \"asserted\"",
            ..trunk()
        }];
        let setup = ProviderSetup {
            challenges: false,
            ..ProviderSetup::default()
        };
        let mut provider = Provider::start(bench, setup)?;
        let scene = plan.open(bench)?;
        let world = scene.xmpp.attach(&users)?;
        let gateway = scene.server.gateway();
        let usual = say(
            &scene,
            &world,
            ("juliet", r"romeo\40provider.test"),
            "plain",
            "usual",
        )?;
        let usual = usual.context("a harmless message did not arrive")?;
        read_back(&usual, gateway)?;
        let mut carried = 0;
        for (at, part) in PARTS.iter().enumerate() {
            let contact = format!(r"{part}\40provider.test");
            for (user, contact) in [
                (*part, contact.as_str()),
                ("juliet", contact.as_str()),
                (*part, "+15559001"),
            ] {
                let id = format!("row{at}");
                let said = say(&scene, &world, (user, contact), EVIL, &id);
                let Some(request) = said.with_context(|| format!("{user} to {contact}"))? else {
                    continue;
                };
                carried += 1;
                let attempt = || -> Result<()> {
                    read_back(&request, gateway)?;
                    let more: Vec<_> = names(&request)
                        .difference(&names(&usual))
                        .cloned()
                        .collect();
                    ensure!(more.is_empty(), "{more:?}");
                    let line = provider.process.read_log()?;
                    let line = line.lines().rfind(|line| line.contains("provider-request"));
                    let line = line.context("Kamailio has read nothing")?;
                    ensure!(
                        line.contains("method=MESSAGE") && line.ends_with("route=<null>"),
                        "{line}"
                    );
                    ensure!(!line.contains("evil.test"), "{line}");
                    ensure!(line.contains(&format!("@{gateway} to=sip:")), "{line}");
                    Ok(())
                };
                attempt().with_context(|| format!("{user} to {contact}: {request}"))?;
            }
        }
        ensure!(carried > 20, "only {carried} were carried");
        provider.process.stop()
    })
}

/// A message of `user` to `contact` as it reached the network; nothing where an error came back.
fn say(
    scene: &Scene,
    world: &Session,
    (user, contact): (&str, &str),
    text: &str,
    id: &str,
) -> Result<Option<Message>> {
    let (from, to) = (
        format!("{user}@users.{}", scene.server.domain()),
        scene.contact(contact),
    );
    let nick = "<nick xmlns='http://jabber.org/protocol/nick'>\"evil\" &lt;sip:evil@evil.test&gt;;tag=1</nick>";
    let evil = escape(text).replace('\r', "&#13;").replace('\n', "&#10;");
    world.send(&format!(
        "<message from='{}' to='{}' type='chat' id='{id}{evil}'><subject>{evil}</subject><thread>{evil}</thread>\
         <body>{id} {evil}</body>{nick}</message>",
        escape(&from),
        escape(&to)
    ))?;
    wait::until("a request or an error", GENEROUS, || {
        let begins = |message: &Message| {
            message.method() == Some("MESSAGE") && message.text().starts_with(id)
        };
        if let Some(request) = scene.trunk.take(begins) {
            request.reply(200, "OK")?;
            return Ok(Some(Some(request.message)));
        }
        let error = world.take(|stanza| stanza.kind() == "error" && stanza.id().starts_with(id))?;
        Ok(error.map(|_| None))
    })
}

/// Display names and what stands beside them, as a trusted trunk may send them.
const NAMES: &[&str] = &[
    r#""</message><message from='ceo@localhost'><body>injected</body>""#,
    r#""x' onerror='y" "#,
    r#""&lt;b&gt;&#0;&#x1F;]]>" "#,
    r#""quote \" and \\ backslash" "#,
    "\"bidi \u{202e}evil\u{2066}\u{200f} name\" ",
    "\"esc \u{1b}[31m bell\" ",
    "\"%0d%0aRoute: <sip:evil.test>\" ",
    "\"=?utf-8?q?=0d=0a?=\" ",
    "\"(number verified)\" ",
    "\"verstat=TN-Validation-Passed\" ",
    "Bank (number verified) ",
    "\u{ff1c}b\u{ff1e} ",
    "",
];

/// Header fields that say more of a caller, each with a line end, a bracket or a claim where it should not be.
const FIELDS: &[(&str, &str)] = &[
    (
        "P-Asserted-Identity",
        "NAME<sip:+15559001@provider.test>, <tel:+15559001;x=%0d%0a>",
    ),
    (
        "P-Asserted-Identity",
        "NAME<sip:+15559001;verstat=TN-Validation-Passed'/><evil/>@provider.test>",
    ),
    ("P-Preferred-Identity", "NAME<sip:ceo@provider.test>"),
    (
        "Remote-Party-ID",
        "NAME<sip:+15559001@provider.test>;party=calling;privacy=off;x=\"'/><evil xmlns='y'/>\"",
    ),
    ("Privacy", "none;'/><evil/>"),
    (
        "Diversion",
        "NAME<sip:'/><evil/>@provider.test>;reason=unconditional",
    ),
    ("Diversion", "NAME<sip:x)(number-verified@provider.test>"),
    (
        "History-Info",
        "<sip:%3Cevil%3E%00@provider.test?Reason=x>;index=1, <sip:+15550001000@provider.test>;index=1.1",
    ),
    ("Subject", "NAME</subject><evil xmlns='x'/>"),
    ("Call-Info", "<http://evil.test/x.png>;purpose=icon"),
    ("X-Nick", "NAME"),
];

/// Whatever a caller says of itself: the stanza a client gets has the same elements as always, and its text says
/// nothing that only we say.
#[test]
fn what_callers_say_of_themselves_injects_nothing() -> Result<()> {
    with_tandem(|bench| {
        let trunk = Trunk {
            extra: "trust_identity = true",
            ..trunk()
        };
        let scene = Scene::by_trunk(bench, trunk)?;
        let path = scene.trunk.udp_to(GATEWAY)?;
        let elements = |stanza: &Stanza| -> Vec<(String, String)> {
            let children = stanza.children.iter();
            children
                .map(|child| (child.name.clone(), child.namespace.clone()))
                .collect()
        };
        let mut usual: Option<Vec<(String, String)>> = None;
        let rows = FIELDS
            .iter()
            .flat_map(|field| NAMES.iter().map(move |name| (field, name)));
        for (at, ((field, value), name)) in rows.enumerate() {
            let body = format!("row {at}");
            let draft = scene
                .draft(&body)
                .with(
                    "From",
                    &format!("{name}<sip:+15559001@provider.test>;tag=x"),
                )
                .with(field, &value.replace("NAME", name));
            let draft = if *field == "Subject" {
                draft
            } else {
                draft.without("Subject")
            };
            let answer = scene.trunk.ask(&draft, &path)?;
            let status = answer.status().unwrap_or_default();
            ensure!(
                status == 202 || (400..500).contains(&status),
                "{field}: {value} by {name}: {answer}"
            );
            if status != 202 {
                continue;
            }
            let stanza = scene.alice.expect_body(&body)?;
            let mut attempt = || -> Result<()> {
                ensure!(
                    stanza
                        .from()
                        .ends_with(&format!("@{}", scene.server.gateway())),
                    "sender"
                );
                let mut shape = elements(&stanza);
                shape.retain(|(name, _)| name != "subject");
                let wanted = usual.get_or_insert_with(|| shape.clone());
                ensure!(shape == *wanted, "{shape:?} is not {wanted:?}");
                ensure!(!stanza.mentions("x") && !stanza.mentions("y"), "an element");
                Ok(())
            };
            attempt().with_context(|| format!("{field}: {value} by {name}: {}", stanza.xml))?;
        }
        ensure!(usual.is_some(), "nothing was carried");
        scene.alice.expect_none("an injected message", |stanza| {
            stanza.body().is_some_and(|body| body.contains("injected"))
                && stanza.from().contains("ceo")
        })?;
        ensure!(TRUNK == scene.trunk.address().to_string());
        scene.tandem.expect_clean_log(&[])
    })
}
