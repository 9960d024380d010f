//! Sound in every pair of codecs, both ways.

use tandem_shared::media::Codec;

use super::world::World;
use crate::media::Leg;
use crate::shell::media::tone::codec;

const NAMES: [&str; 4] = ["opus", "PCMU", "PCMA", "G722"];

pub(super) fn numbered(name: &str) -> Codec {
    let id = match name {
        "opus" => 111,
        "PCMU" => 0,
        "PCMA" => 8,
        _ => 9,
    };
    codec(name, id)
}

#[test]
fn relayed() {
    for name in NAMES {
        let mut world = World::connected(numbered(name), codec(name, 96));
        assert_eq!(world.failures(), []);
        assert!(world.connected_legs().contains(&Leg::Xmpp), "{name}");
        world.seconds(3);
        assert!(world.phone.tone.is_clean(), "{name} to the phone");
        assert!(world.browser.tone.is_clean(), "{name} to the browser");
        assert!(world.phone.payload_types.iter().all(|id| *id == 96));
        assert!(world.phone.sources.iter().all(|it| *it == world.sip.ssrc));
        assert!(
            world
                .browser
                .sources
                .iter()
                .all(|it| *it == world.xmpp.ssrc)
        );
        let report = world.release();
        assert_eq!(report.path, format!("relayed {name}"));
        assert_eq!((report.xmpp.lost, report.sip.lost), (0, 0));
        assert!(report.sip.received > 100 && report.xmpp.sent > 100);
    }
}

#[test]
fn transcoded() {
    for browser in NAMES {
        for phone in NAMES.into_iter().filter(|it| *it != browser) {
            let mut world = World::connected(numbered(browser), numbered(phone));
            world.seconds(2);
            assert!(world.phone.tone.is_clean(), "{browser} to {phone}");
            assert!(world.browser.tone.is_clean(), "{phone} to {browser}");
            let report = world.release();
            assert_eq!(report.path, format!("transcoded {browser} to {phone}"));
        }
    }
}

#[test]
fn with_loss_and_disorder() {
    for (browser, phone) in [("opus", "opus"), ("opus", "PCMU"), ("PCMA", "G722")] {
        let mut world = World::new(numbered(browser), numbered(phone));
        (world.loss, world.disorder) = (5, true);
        world.connect_browser(
            tandem_shared::media::Setup::Active,
            super::world::flow(&numbered(browser)),
        );
        let flow = super::world::flow(&numbered(phone));
        world.connect_phone(crate::media::Protection::Plain, flow);
        world.seconds(2);
        world.phone.tone.forget();
        world.browser.tone.forget();
        world.seconds(5);
        let heard = (&world.phone.tone, &world.browser.tone);
        // Relayed packets arrive as disordered as they came: ordering them is the listener's part.
        if browser != phone {
            assert!(
                heard.0.is_audible(),
                "{browser} to {phone}: {}",
                heard.0.purity()
            );
            assert!(
                heard.1.is_audible(),
                "{phone} to {browser}: {}",
                heard.1.purity()
            );
        }
        let report = world.release();
        for lost in [report.xmpp.lost, report.sip.lost] {
            assert!((5..60).contains(&lost), "{lost} lost");
        }
    }
}
