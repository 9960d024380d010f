//! Toll fraud from the SIP side (Z01, Z02; specs T1, T2, T13): whoever asks us to call or write to somebody outside
//! is refused, and nothing leaves by any trunk.

use anyhow::{Context, Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Draft, Path};
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, SOUND, Scene, provider};

/// Which statuses refuse what is asked, with which header fields besides; GATEWAY and USERS are our domains.
const ROWS: &str = "
# Out again by the same trunk, or by another one.
404 INVITE sip:+19005551234@GATEWAY
404 INVITE sip:+442012345678@GATEWAY;user=phone
404 INVITE sip:0019005551234@GATEWAY
404 INVITE tel:+1-900-555-1234
404 INVITE sip:*67+19005551234@GATEWAY
404 MESSAGE sip:+19005551234@GATEWAY
404 MESSAGE sip:+442012345678@127.0.0.1
404 MESSAGE tel:+442012345678
# To another domain through us.
404 INVITE sip:root@evil.test
404 INVITE sip:root%40evil.test@GATEWAY
404 MESSAGE sip:root%5C40evil.test@GATEWAY
404 MESSAGE sip:+19005551234%40provider.test@GATEWAY
404,416 INVITE sips:+19005551234@GATEWAY
416 INVITE http://evil.test/
# As a proxy would do it.
404 INVITE sip:+19005551234@GATEWAY;maddr=127.0.0.3;lr
404 INVITE sip:+19005551234@GATEWAY | Route: <sip:GATEWAY;lr>, <sip:127.0.0.3:5090;lr>
404 MESSAGE sip:+19005551234@GATEWAY | Route: <sip:127.0.0.3:5090;maddr=127.0.0.3;lr>
200,404 OPTIONS sip:+19005551234@GATEWAY | Route: <sip:127.0.0.3:5090;lr>
403,404 INVITE sip:+19005551234@GATEWAY | P-Served-User: <sip:alice@USERS> | P-Asserted-Identity: <sip:alice@USERS>
# In the name of a user of ours.
403,404 INVITE sip:+19005551234@GATEWAY | From: <sip:alice@USERS>;tag=1
403 MESSAGE sip:alice%40USERS@GATEWAY | From: <sip:bob@USERS>;tag=1
403 INVITE sip:alice%40USERS@GATEWAY | From: <sip:alice%40USERS@GATEWAY>;tag=1
# Others are to be called for us, or taken from us.
403,405,481,501 REFER sip:alice%40USERS@GATEWAY | Refer-To: <sip:+19005551234@GATEWAY>
403,405,481,501 REFER sip:+19005551234@GATEWAY | Refer-To: <sip:alice%40USERS@GATEWAY?Replaces=x>
481 INVITE sip:alice%40USERS@GATEWAY | Replaces: nobody@here;to-tag=a;from-tag=b
404,481 INVITE sip:+19005551234@GATEWAY | Replaces: nobody@here;to-tag=a;from-tag=b;early-only
481 INVITE sip:alice%40USERS@GATEWAY | To: <sip:+19005551234@GATEWAY>;tag=x
# What we are not.
403 REGISTER sip:GATEWAY | Contact: <sip:evil@127.0.0.3:5090>
405,489,501 SUBSCRIBE sip:alice%40USERS@GATEWAY | Event: dialog
405,481,489,501 NOTIFY sip:alice%40USERS@GATEWAY | Event: refer
405,489,501 PUBLISH sip:alice%40USERS@GATEWAY | Event: presence
";

/// A request, and the statuses that refuse it.
struct Row {
    draft: Draft,
    refused_by: Vec<u16>,
}

fn rows(scene: &Scene) -> Result<Vec<Row>> {
    let text = ROWS.replace("GATEWAY", scene.server.gateway());
    let text = text.replace("USERS", scene.server.domain());
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(read).collect()
}

fn read(line: &str) -> Result<Row> {
    let mut parts = line.split(" | ");
    let mut words = parts.next().unwrap_or_default().split(' ');
    let (statuses, method, uri) = (words.next(), words.next(), words.next());
    let (method, uri) = method
        .zip(uri)
        .with_context(|| format!("{line:?} is no row"))?;
    let statuses = statuses.unwrap_or_default().split(',').map(str::parse);
    let draft = Draft::new(method, uri)
        .with("From", "<sip:+15559001@provider.test>;tag=f")
        .with("Contact", "<sip:+15559001@127.0.0.1:5090>");
    let draft = parts.try_fold(draft, |draft, field| {
        let (name, value) = field
            .split_once(": ")
            .with_context(|| format!("{field:?} is no field"))?;
        anyhow::Ok(draft.with(name, value))
    })?;
    let draft = match method {
        "INVITE" => draft.with_body("application/sdp", SOUND.as_bytes()),
        "MESSAGE" => draft.with_body("text/plain", b"fraud"),
        _ => draft,
    };
    Ok(Row {
        draft,
        refused_by: statuses.collect::<Result<_, _>>()?,
    })
}

/// Two trunks: one to the own country, with the network behind it, and one abroad.
fn trunks() -> Vec<Trunk<'static>> {
    let own = Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        extra: "trust_identity = true",
        ..provider()
    };
    let abroad = Trunk {
        name: "abroad",
        matches: "+44* *@evil.test",
        next_hop: "127.0.0.4:5090",
        ..Trunk::default()
    };
    vec![own, abroad]
}

fn is_fraud(message: &integration_tests::sip::Message) -> bool {
    message
        .method()
        .is_some_and(|method| !matches!(method, "ACK" | "BYE"))
}

#[test]
fn nobody_calls_out_through_a_trunk() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "host-record=evil.test,127.0.0.3\n")?;
        let scene = Scene::open(bench, trunks(), "")?;
        let others = [
            Agent::bind("127.0.0.3:5090")?,
            Agent::bind("127.0.0.4:5090")?,
        ];
        let stranger = Agent::bind("127.0.0.66:5060")?;
        let unheard = stranger.udp_to(GATEWAY)?;
        let path = scene.network.udp_to(GATEWAY)?;
        for row in rows(&scene)? {
            let attempt = || -> Result<()> {
                refuse(&scene, &path, &row)?;
                unheard.send(&row.draft.to_bytes(&unheard))
            };
            attempt().with_context(|| format!("{:?}", row.draft))?;
        }
        for agent in others.iter().chain([&scene.network]) {
            agent.expect_none("a request", is_fraud)?;
        }
        stranger.expect_none("an answer", |_| true)?;
        scene
            .alice
            .expect_none("a message", |stanza| stanza.name == "message")?;
        // Those who may are carried meanwhile.
        scene.write("+15559001", "all is well")?;
        scene.close(&[])
    })
}

/// The row is refused with one of its statuses.
fn refuse(scene: &Scene, path: &Path, row: &Row) -> Result<()> {
    let draft = &row.draft;
    let answer = scene.network.ask(draft, path)?;
    ensure!(
        row.refused_by
            .contains(&answer.status().unwrap_or_default()),
        "{answer}"
    );
    if draft.method() == "INVITE" {
        let ack = Draft::new("ACK", draft.uri());
        let ack = ["From", "Call-ID"]
            .iter()
            .fold(ack, |ack, name| ack.with(name, draft.header(name)));
        let ack = ack.with("To", &answer.header("To")).with("CSeq", "1 ACK");
        let branch = answer.header("Via");
        let branch = branch
            .split("branch=")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        path.send(&ack.with_branch(branch.unwrap_or_default()).to_bytes(path))?;
    }
    Ok(())
}

/// In a call that was taken: nobody is sent on, and a redirect or a transfer rings nowhere.
#[test]
fn a_call_is_not_sent_on() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "host-record=evil.test,127.0.0.3\n")?;
        let scene = Scene::open(bench, trunks(), "")?;
        let others = [
            Agent::bind("127.0.0.3:5090")?,
            Agent::bind("127.0.0.4:5090")?,
        ];
        let mut call = scene.call_out("+15559001")?;
        for to in [
            "<sip:+19005551234@GATEWAY>",
            "<sip:+442012345678@GATEWAY>",
            "<tel:+442012345678>",
            "<sip:root@evil.test?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>",
            "<sip:alice%40USERS@GATEWAY;method=INVITE>",
        ] {
            let to = to.replace("GATEWAY", scene.server.gateway());
            let to = to.replace("USERS", scene.server.domain());
            let fields = [
                ("Refer-To", to.as_str()),
                ("Referred-By", "<sip:alice@localhost>"),
            ];
            let answer = call.dialog.ask("REFER", &fields, ("", ""))?;
            ensure!(
                matches!(answer.status(), Some(403 | 405 | 501 | 603)),
                "{answer}"
            );
        }
        scene.both_hear(&call)?;
        for agent in others.iter().chain([&scene.network]) {
            agent.expect_none("a request", is_fraud)?;
        }
        scene.hang_up(call)?;
        scene.close(&[])
    })
}
