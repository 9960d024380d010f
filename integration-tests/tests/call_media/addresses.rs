//! Where each side is told to send, when others see this machine elsewhere (`[media] public`, `sip_public`).

use anyhow::{Result, ensure};
use integration_tests::net;
use integration_tests::tandem::with_tandem_within;
use integration_tests::xmpp::Stanza;

use crate::desk::Desk;
use crate::scene::{LIMIT, Plan, Scene};

const XMPP: &str = "198.51.100.9";
const SIP: &str = "198.51.100.8";

/// The public address for SIP, and nothing else of ours.
fn is_for_phones(description: &str) -> bool {
    description.contains(&format!("c=IN IP4 {SIP}\r\n"))
        && !description.contains(XMPP)
        && !description.contains(net::ADDRESS)
}

/// A description whose candidates are the public address for clients alone.
fn is_for_clients(stanza: &Stanza) -> bool {
    stanza.xml.contains(XMPP) && !stanza.xml.contains(SIP) && !stanza.xml.contains(net::ADDRESS)
}

#[test]
fn each_side_is_told_its_own_public_address() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let public = format!("public = [\"{XMPP}\"]\nsip_public = [\"{SIP}\"]\n");
        let plan = Plan {
            media: &public,
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let told = |action: &str| {
            alice.expect(action, |stanza| {
                stanza.xml.contains(action) && stanza.xml.contains("candidate")
            })
        };
        let sid = alice.call(&scene.contact("desk", "desk.test"))?;
        let (dialog, invite) = desk.answer(&desk.describe()?)?;
        ensure!(is_for_phones(&invite.text()), "{}", invite.text());
        let accept = told("session-accept")?;
        ensure!(is_for_clients(&accept), "{}", accept.xml);
        alice.end(&sid, "success")?;
        desk.wait_end(&dialog)?;

        let (dialog, sid) = desk.call(&scene, alice, "alice", &desk.describe()?)?;
        ensure!(is_for_phones(&dialog.theirs), "{}", dialog.theirs);
        let initiate = told("session-initiate")?;
        ensure!(is_for_clients(&initiate), "{}", initiate.xml);
        desk.hang_up(dialog, alice, &sid)?;
        scene.close()
    })
}
