//! Errors keep their meaning across the gateway (checklist rows E01-E03, E05; RFC 7247 §7).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use integration_tests::scene::Plan;
use integration_tests::sip::{Draft, Message};
use integration_tests::tandem::with_tandem;
use integration_tests::xmpp::Session;
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// E01, E03: each of the 22 conditions of RFC 6120 §8.3.3, from a device and from an account.
    conditions_become_statuses,
    /// E02: each status of RFC 7247 §7.2 and the defaults of the classes.
    statuses_become_conditions,
);

fn conditions_become_statuses(bench: &Bench, server: Server) -> Result<()> {
    let users = Users::open(bench, server, "")?;
    for (condition, device, account) in CONDITIONS {
        for (scope, status) in [("/phone", device), ("", account)] {
            let answer = users.refuse(scope, &format!("<{condition} xmlns='{STANZAS}'/>"))?;
            ensure!(
                answer.status() == Some(status),
                "{condition} from {scope:?}: {answer}"
            );
            ensure!(
                !matches!(answer.status(), Some(401 | 407 | 503)),
                "{answer}"
            );
            if condition == "resource-constraint" {
                ensure!(
                    answer.header("Retry-After").parse::<u32>().is_ok(),
                    "{answer}"
                );
            }
        }
    }
    // An error without a condition is an error all the same.
    ensure!(users.refuse("", "<x xmlns='urn:x'/>")?.status() == Some(400));
    Ok(())
}

/// E01 with `sip.global_failures`: what an account says is said for all its devices.
#[test]
fn accounts_may_refuse_globally() -> Result<()> {
    with_tandem(|bench| {
        let users = Users::open(bench, Server::chosen()?, "[sip]\nglobal_failures = true\n")?;
        for (condition, device, account) in [
            ("forbidden", 403, 603),
            ("item-not-found", 404, 604),
            ("not-acceptable", 406, 606),
            ("recipient-unavailable", 480, 600),
            ("internal-server-error", 500, 500),
        ] {
            for (scope, status) in [("/phone", device), ("", account)] {
                let answer = users.refuse(scope, &format!("<{condition} xmlns='{STANZAS}'/>"))?;
                ensure!(
                    answer.status() == Some(status),
                    "{condition} from {scope:?}: {answer}"
                );
            }
        }
        Ok(())
    })
}

/// E01: a new address is a Contact, if it is one of our users.
#[test]
fn new_addresses_are_contacts() -> Result<()> {
    with_tandem(|bench| {
        let users = Users::open(bench, Server::chosen()?, "")?;
        for (condition, status) in [("gone", 301), ("redirect", 302)] {
            let moved = format!(
                "<{condition} xmlns='{STANZAS}'>xmpp:new@{}</{condition}>",
                users.domain
            );
            let answer = users.refuse("", &moved)?;
            ensure!(answer.status() == Some(status), "{answer}");
            ensure!(
                answer
                    .header("Contact")
                    .contains(&format!("new%40{}@", users.domain)),
                "{answer}"
            );
            let elsewhere =
                format!("<{condition} xmlns='{STANZAS}'>xmpp:x@elsewhere.test</{condition}>");
            let answer = users.refuse("", &elsewhere)?;
            ensure!(
                answer.status().is_some_and(|status| status >= 400),
                "{answer}"
            );
            ensure!(!answer.to_string().contains("elsewhere"), "{answer}");
        }
        Ok(())
    })
}

/// E05: words cross as words.
#[test]
fn words_and_waiting_times_cross() -> Result<()> {
    with_tandem(|bench| {
        let users = Users::open(bench, Server::chosen()?, "")?;
        let text = format!(
            "<forbidden xmlns='{STANZAS}'/><text xmlns='{STANZAS}' xml:lang='en'>Not today&#xD;\nRoute: x</text>"
        );
        let answer = users.refuse("", &text)?;
        answer.reparse()?;
        ensure!(
            answer.start_line() == "SIP/2.0 403 Not todayRoute: x",
            "{answer}"
        );
        ensure!(answer.headers("Route").is_empty(), "{answer}");

        let scene = &users.scene;
        scene
            .alice
            .send_chat(&scene.contact(r"bob\40phones.test"), "m1", "are you there")?;
        let request = scene.trunk.expect_body("are you there")?;
        request.reply_with(
            486,
            "Gone fishing <&>",
            &[("Retry-After", "17 (a while);duration=3")],
        )?;
        let error = scene.alice.expect_error("m1")?;
        ensure!(
            error.error_text() == "Gone fishing <&> Try again in 17 seconds.",
            "{}",
            error.xml
        );
        let code = error
            .child("error")
            .and_then(|error| error.child("sip-error"))
            .map(|code| code.attribute("code"));
        ensure!(code == Some("486"), "{}", error.xml);
        Ok(())
    })
}

fn statuses_become_conditions(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    let mut expected = BTreeMap::new();
    for (codes, condition, kind) in STATUSES {
        for code in *codes {
            expected.insert(*code, (*condition, *kind));
        }
    }
    for code in expected.keys() {
        scene.alice.send_chat(
            &scene.contact(&format!(r"c{code}\40phones.test")),
            &format!("m{code}"),
            &format!("say {code}"),
        )?;
    }
    for code in expected.keys() {
        scene
            .trunk
            .expect_body(&format!("say {code}"))?
            .reply(*code, "Words")?;
    }
    for (code, (condition, kind)) in expected {
        let error = scene.alice.expect_error(&format!("m{code}"))?;
        ensure!(error.condition() == condition, "{code}: {}", error.xml);
        ensure!(
            kind.is_empty() || error.error_kind() == kind,
            "{code}: {}",
            error.xml
        );
        ensure!(
            error.from() == scene.contact(&format!(r"c{code}\40phones.test")),
            "{code}: {}",
            error.xml
        );
    }
    Ok(())
}

/// A scene in which the test itself plays the domain of the users, pings too: so it can refuse
/// before it confirms, which a client cannot.
struct Users {
    scene: Scene,
    domain: String,
    session: Session,
}

impl Users {
    fn open(bench: &Bench, server: Server, b2bua_extra: &str) -> Result<Self> {
        let domain = format!("users.{}", server.domain());
        let ping = format!("ping = \"{domain}\"");
        let components = [domain.as_str()];
        let mut plan = Plan::usual(server);
        plan.server.more_components = &components;
        plan.tandem.user_domains = vec![server.domain(), &domain];
        plan.tandem.xmpp_extra = &ping;
        plan.tandem.b2bua_extra = b2bua_extra;
        let scene = plan.open(bench)?;
        let session = scene.xmpp.attach_mute(&domain)?;
        Ok(Self {
            scene,
            session,
            domain,
        })
    }

    /// Sends a MESSAGE to a user, who refuses it with `condition`; `scope` is the user's resource.
    fn refuse(&self, scope: &str, condition: &str) -> Result<Message> {
        let uri = format!(
            "sip:carol%40{}@{}",
            self.domain,
            self.scene.server.gateway()
        );
        let draft = Draft::message(&uri, "sip:bob@phones.test", condition);
        self.scene.tell(&draft)?;
        let message = self.session.expect_body(condition)?;
        self.session.send(&format!(
            "<message from='{}{scope}' to='{}' id='{}' type='error'><error type='cancel'>{condition}</error></message>",
            message.to(),
            message.from(),
            message.id()
        ))?;
        let ping = self.session.expect("the ping behind it", |stanza| {
            stanza.name == "iq" && stanza.kind() == "get"
        })?;
        let (to, id) = (ping.from(), ping.id());
        self.session.send(&format!(
            "<iq from='{}' to='{to}' id='{id}' type='result'/>",
            self.domain
        ))?;
        let answer = self.scene.trunk.expect("the answer", |message| {
            message.header("Call-ID") == draft.call_id()
                && message.status().is_some_and(|status| status >= 200)
        });
        Ok(answer.with_context(|| condition.to_owned())?.message)
    }
}

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// RFC 7247 §7.1, Table 2, with 4xx for accounts too, no challenge, no 503 and no 408.
const CONDITIONS: [(&str, u16, u16); 22] = [
    ("bad-request", 400, 400),
    ("conflict", 400, 400),
    ("feature-not-implemented", 405, 501),
    ("forbidden", 403, 403),
    ("gone", 410, 410),
    ("internal-server-error", 500, 500),
    ("item-not-found", 404, 404),
    ("jid-malformed", 400, 400),
    ("not-acceptable", 406, 406),
    ("not-allowed", 403, 403),
    ("not-authorized", 403, 403),
    ("policy-violation", 403, 403),
    ("recipient-unavailable", 480, 480),
    ("redirect", 480, 480),
    ("registration-required", 403, 403),
    ("remote-server-not-found", 404, 404),
    ("remote-server-timeout", 504, 504),
    ("resource-constraint", 500, 500),
    ("service-unavailable", 480, 480),
    ("subscription-required", 400, 400),
    ("undefined-condition", 400, 400),
    ("unexpected-request", 400, 400),
];

/// RFC 7247 §7.2, Table 3, codes of later RFCs, and codes nobody has defined. An empty error type is
/// not looked at. 401 and 407 have tests of their own.
const STATUSES: &[(&[u16], &str, &str)] = &[
    (&[300, 302, 305, 399], "redirect", ""),
    (&[301, 410], "gone", "cancel"),
    (&[380, 421, 494, 505, 580, 606], "not-acceptable", ""),
    (&[400], "bad-request", "modify"),
    (&[402, 417, 422, 493, 499], "bad-request", ""),
    (&[403], "forbidden", "auth"),
    (&[433, 607, 608], "forbidden", ""),
    (&[404, 481, 485, 604], "item-not-found", "cancel"),
    (&[484], "item-not-found", "modify"),
    (&[405, 420, 439, 501], "feature-not-implemented", "cancel"),
    (&[406, 415, 416, 488], "not-acceptable", "modify"),
    (&[408, 504], "remote-server-timeout", "wait"),
    (&[413, 414], "policy-violation", "modify"),
    (&[440, 470, 489, 513], "policy-violation", ""),
    (&[423], "resource-constraint", "wait"),
    (&[424, 428, 429, 436, 437, 438], "not-authorized", "auth"),
    (&[430], "recipient-unavailable", ""),
    (&[480, 486], "recipient-unavailable", "wait"),
    (&[482, 483], "not-acceptable", ""),
    (&[487, 600, 699], "recipient-unavailable", ""),
    (&[603], "recipient-unavailable", "cancel"),
    (&[491], "unexpected-request", "wait"),
    (&[500, 503], "internal-server-error", "wait"),
    (&[599], "internal-server-error", ""),
    (&[502], "remote-server-not-found", ""),
    (&[555], "service-unavailable", ""),
];
