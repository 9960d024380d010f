//! Z01: an admin approves of each user who reaches numbers abroad, by chat or on the command line.

use anyhow::{Result, ensure};
use integration_tests::names::Names;
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::xmpp::{Session, Xmpp};

use crate::scene::{LIMIT, Scene, provider};

const ABROAD: &str = "+442012345678";
const OTHER: &str = "+4930123456";

/// Bob, the admin, at the gateway itself.
struct Admin<'a> {
    session: Session,
    scene: &'a Scene,
}

impl Admin<'_> {
    fn say(&self, id: &str, text: &str) -> Result<()> {
        let gateway = self.scene.server.gateway();
        self.session.send_chat(gateway, id, text)
    }

    /// Waits for a chat message of the gateway that says `words`.
    fn hear(&self, words: &str) -> Result<()> {
        let gateway = self.scene.server.gateway();
        let heard = self.session.expect(words, |stanza| {
            stanza.from() == gateway && stanza.body().is_some_and(|body| body.contains(words))
        })?;
        ensure!(heard.kind() == "chat", "{}", heard.xml);
        Ok(())
    }
}

impl Scene {
    /// Alice writes abroad, and reads why not.
    fn refused(&self, number: &str, id: &str, words: &str) -> Result<()> {
        self.say(number, id)?;
        let error = self.alice.expect("an error", |stanza| {
            stanza.kind() == "error" && stanza.id() == id
        })?;
        ensure!(error.condition() == "not-allowed", "{}", error.xml);
        ensure!(error.error_text().contains(words), "{}", error.xml);
        Ok(())
    }

    /// The gateway tells alice something.
    fn told(&self, words: &str) -> Result<()> {
        let gateway = self.server.gateway();
        let told = |body: &str| body.contains(words);
        let told = self.alice.expect(words, |stanza| {
            stanza.from() == gateway && stanza.body().is_some_and(told)
        });
        told.map(drop)
    }
}

#[test]
fn an_admin_approves_of_who_reaches_abroad() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let server = integration_tests::Server::chosen()?;
        let policy = format!(
            "[numbering]\ncountry = \"1\"\n[policy]\nallow = [\"+44*\", \"+49*\"]\n\
            approve_abroad = true\nadmins = [\"{}\"]\n",
            server.jid("bob")
        );
        let trunk = Trunk {
            next_hop: "127.0.0.1:5090",
            inbound: vec!["127.0.0.1"],
            matches: "*",
            ..provider()
        };
        let scene = Scene::open(bench, vec![trunk], &policy)?;
        let xmpp = Xmpp::start(bench)?;
        let admin = Admin {
            session: xmpp.log_in(scene.server, "bob", "desk")?,
            scene: &scene,
        };
        // At home nobody is asked.
        scene.write("+15559001000", "at home")?;

        // A call abroad does not come about, and the admin reads why.
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact(ABROAD)))?;
        let event = scene.alice.wait_event("ended", &sid)?;
        ensure!(event.text.contains("An admin was asked"), "{event:?}");
        admin.hear(&format!("wants to call {ABROAD}"))?;
        scene.refused(OTHER, "first", "An admin was asked")?;
        let shown = scene.tandem.borrow().ask(&["approvals"])?;
        ensure!(shown.contains("waits, wanted +442012345678"), "{shown}");

        // What waits, waits through a kill; the admin is not asked twice.
        scene.crash_b2bua()?;
        scene.refused(OTHER, "second", "An admin was asked")?;

        // Alice is no admin.
        let gateway = scene.server.gateway();
        scene.alice.send(&format!(
            "<message to='{gateway}' type='chat' id='own'><body>approve 1</body></message>"
        ))?;
        let error = scene.alice.expect("an error", |stanza| {
            stanza.kind() == "error" && stanza.id() == "own"
        })?;
        ensure!(error.condition() == "jid-malformed", "{}", error.xml);
        scene.refused(OTHER, "third", "An admin was asked")?;
        ensure!(
            scene.network.take(|it| it.method().is_some()).is_none(),
            "something was sent"
        );

        // The admin approves.
        admin.say("a1", "approve 1")?;
        admin.hear("may reach numbers abroad")?;
        scene.told("An admin has approved")?;
        scene.write(OTHER, "approved")?;
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact(ABROAD)))?;
        scene.network.wait_called()?.refuse(486, &[])?;
        scene.alice.wait_ended(&sid)?;

        // That holds after a kill, until the command line takes it back.
        scene.crash_b2bua()?;
        scene.write(OTHER, "still")?;
        let alice = scene.alice.bare().to_owned();
        let shown = scene.tandem.borrow().ask(&["deny", &alice])?;
        ensure!(shown.contains("denied"), "{shown}");
        scene.told("has decided that you may not")?;
        admin.hear("Somebody at the command line has decided")?;
        scene.refused(OTHER, "fourth", "has decided")?;
        let shown = scene
            .tandem
            .borrow()
            .ask(&["route-test", OTHER, "--from", &alice])?;
        ensure!(shown.contains("approve_abroad: denied"), "{shown}");

        // One question, two answers: nothing else was said to the admin.
        admin.say("a2", "list")?;
        admin.hear("Nobody waits")?;
        let more = admin.session.take(|stanza| stanza.body().is_some())?;
        ensure!(more.is_none(), "{more:?}");
        scene.close(&["wants to", "approve 1"])
    })
}
