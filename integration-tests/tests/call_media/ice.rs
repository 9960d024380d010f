//! Paths of the XMPP leg: through a relay only, and anew in the midst of a call (C17, C18).

use anyhow::{Result, ensure};
use integration_tests::baresip::{Answer, Baresip, Setup as PhoneSetup};
use integration_tests::coturn::Coturn;
use integration_tests::jingle::Setup as JingleSetup;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{Kind, LIMIT, Plan, Scene, expect_tones, hang_up};

#[test]
fn a_browser_behind_a_relay_calls_and_begins_ice_anew() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let relay = Coturn::start(bench)?;
        let ice_servers = [relay.ice_server()];
        let plan = Plan {
            client: Kind::Browser,
            alice: JingleSetup {
                ice_servers: &ice_servers,
                relay_only: true,
                ..JingleSetup::default()
            },
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let bob = scene.log_in(JingleSetup {
            user: "bob",
            ..JingleSetup::default()
        })?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        for (client, name, kind) in [(&scene.alice, "alice", "relay"), (&bob, "bob", "host")] {
            let sid = scene.call(client, &mut phone, "carol")?;
            expect_tones(client, &sid, &mut phone)?;
            let stats = client.stats(&sid)?;
            ensure!(stats.local == kind, "{stats:?}");
            client.restart_ice(&sid)?;
            client.expect("new credentials", |stanza| {
                stanza.xml.contains("transport-info") && stanza.xml.contains("pwd=")
            })?;
            expect_tones(client, &sid, &mut phone)?;
            hang_up(client, &sid, &mut phone)?;

            let sid = scene.be_called(client, &mut phone, name)?;
            expect_tones(client, &sid, &mut phone)?;
            hang_up(client, &sid, &mut phone)?;
        }
        ensure!(relay.allocations()? >= 2);
        drop((bob, phone));
        scene.close()
    })
}
