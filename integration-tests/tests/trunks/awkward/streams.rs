//! A provider over TCP that closes the connection behind everything it says.

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::{Draft, Path};
use integration_tests::tandem::{Trunk, with_tandem_within};

use super::trunk;
use crate::scene::{LIMIT, SOUND, Scene};

#[test]
fn a_connection_that_is_closed_behind_each_word_is_made_again() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunks = vec![Trunk {
            transport: "tcp",
            extra: "domain = \"provider.test\"\nregister = true",
            inbound: Vec::new(),
            ..trunk()
        }];
        let scene = Scene::open(bench, trunks, "")?;
        // It registers, once more because the connection ended, and leaves it at that.
        for _ in 0..2 {
            let request = scene.network.expect_request("REGISTER")?;
            let contact = format!("{};expires=600", request.message.header("Contact"));
            request.reply_with(200, "OK", &[("Contact", &contact)])?;
            request.path.close();
        }
        scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("the registrar closes its connections")?;

        for body in ["one", "two"] {
            scene.say("+15559001", body)?;
            let request = scene.network.expect_body(body)?;
            request.reply(200, "OK")?;
            close(&scene, &request.path)?;
        }

        // Out: our BYE finds a new way.
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact("+15559001")))?;
        let called = scene.network.wait_called()?;
        called.reply(200, &[], SOUND)?;
        let ack = called.dialog().expect("ACK")?;
        scene.alice.wait_accepted(&sid)?;
        close(&scene, &ack.path)?;
        scene.alice.end(&sid, "success")?;
        called.dialog().wait_hung_up()?;

        // In: what we say goes to where the Via says (RFC 3261 §18.2.2), and our BYE as well.
        let path = scene.network.tcp_to(GATEWAY)?;
        let uri = format!("sip:+15550001000@{}", scene.server.gateway());
        let invite = Draft::new("INVITE", &uri)
            .with("From", "<sip:+15559001@provider.test>;tag=in")
            .with("Contact", "<sip:script@127.0.0.1:5090;transport=tcp>")
            .with_body("application/sdp", SOUND.as_bytes());
        path.send(&invite.to_bytes(&path))?;
        let proposal = scene.alice.wait_proposal()?;
        close(&scene, &path)?;
        scene.alice.take_proposal(&proposal)?;
        let accepted = scene.network.expect_status(200)?.message;
        let ack = Draft::new("ACK", "sip:tandem@127.0.0.1:5060")
            .with("From", &accepted.header("From"))
            .with("To", &accepted.header("To"))
            .with("Call-ID", invite.call_id())
            .with("CSeq", "1 ACK");
        let path = scene.network.tcp_to(GATEWAY)?;
        path.send(&ack.to_bytes(&path))?;
        scene.alice.wait_connected(&proposal.id)?;
        close(&scene, &path)?;
        scene.alice.end(&proposal.id, "success")?;
        scene.network.expect_request("BYE")?.reply(200, "OK")?;
        scene.network.expect_none("one more REGISTER", |message| {
            message.method() == Some("REGISTER")
        })?;
        scene.close(&[])
    })
}

/// Closes it, and lets Tandem notice: what is written to a connection that is just closed is lost.
fn close(scene: &Scene, path: &Path) -> Result<()> {
    path.close();
    let asked = Draft::new("OPTIONS", "sip:127.0.0.1");
    let answer = scene.network.ask(&asked, &scene.network.tcp_to(GATEWAY)?)?;
    ensure!(answer.status() == Some(200), "{answer}");
    Ok(())
}
