//! F07: long texts that the network has split arrive as one, and no part of them is lost.

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::xmpp::Stanza;

use crate::scene::{LIMIT, Scene, provider};

const CORRECT: &str = "urn:xmpp:message-correct:0";

impl Scene {
    /// The network sends a part, which alice gets as `so_far` before the network hears 202.
    fn part(&self, part: &str, so_far: &str) -> Result<Stanza> {
        let path = self.network.udp_to(GATEWAY)?;
        let (to, from) = ("sip:+15550001000@127.0.0.1", "sip:+15559001000@127.0.0.1");
        let answer = self.network.ask(&Draft::message(to, from, part), &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        self.alice
            .expect(so_far, |stanza| stanza.body() == Some(so_far))
    }
}

fn replaced(stanza: &Stanza) -> Option<&str> {
    let replace = stanza.child_in("replace", CORRECT)?;
    Some(replace.attribute("id"))
}

#[test]
fn parts_of_a_text_become_one_message() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunk = Trunk {
            next_hop: "127.0.0.1:5090",
            inbound: vec!["127.0.0.1"],
            ..provider()
        };
        let scene = Scene::open(bench, vec![trunk], "")?;
        let first = scene.part("(1/3) The quick", "(1/3) The quick")?;
        ensure!(replaced(&first).is_none(), "{}", first.xml);
        for (part, so_far) in [
            ("(3/3) over it.", "The quick [...] over it."),
            (
                "(2/3) brown fox jumps",
                "The quick brown fox jumps over it.",
            ),
        ] {
            let grown = scene.part(part, so_far)?;
            ensure!(replaced(&grown) == Some(first.id()), "{}", grown.xml);
            ensure!(grown.from() == first.from(), "{}", grown.xml);
        }
        // Whoever is killed between two parts has lost neither.
        scene.part("(1/2) Once", "(1/2) Once")?;
        scene.crash_b2bua()?;
        let second = scene.part("(2/2) more.", "(2/2) more.")?;
        ensure!(replaced(&second).is_none(), "{}", second.xml);
        scene.close(&["quick", "Once"])
    })
}
