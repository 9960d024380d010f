//! Sound in every pair of codecs, both ways.

use super::world::World;
use super::*;
use crate::media::Leg;
use crate::shell::media::tone::codec;

fn numbered(name: &str) -> tandem_shared::media::Codec {
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
    for name in ["opus", "PCMU", "PCMA", "G722"] {
        let mut world = World::connected(numbered(name), codec(name, 96));
        assert_eq!(world.failures(), []);
        assert!(world.connected_legs().contains(&Leg::Xmpp), "{name}");
        world.seconds(3);
        assert!(world.phone.tone.is_clean(), "{name} to the phone");
        assert!(world.browser.tone.is_clean(), "{name} to the browser");
        let report = world.release();
        assert_eq!(report.path, format!("relayed {name}"));
        assert_eq!((report.xmpp.lost, report.sip.lost), (0, 0));
    }
}
