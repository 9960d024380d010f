//! Contacts are there for who asked to see them (the heart of checklist row U04).

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem;
use integration_tests::xmpp::{Session, Stanza};
use integration_tests::{Bench, Scene, Server, on_both_servers};

on_both_servers!(
    /// A subscription is granted, shown and asked back.
    contacts_and_the_gateway_can_be_subscribed_to,
    /// Probes, an orderly restart and a crash of the component are followed by available presence.
    contacts_are_available_again_after_whatever_happened,
    /// What was unsubscribed stays silent, also over a restart.
    unsubscribing_ends_it,
);

fn contacts_and_the_gateway_can_be_subscribed_to(bench: &Bench, server: Server) -> Result<()> {
    let scene = Scene::open(bench, server)?;
    for contact in [
        scene.contact(r"bob\40phones.test"),
        scene.contact("+15550123"),
        server.gateway().to_owned(),
    ] {
        scene.alice.subscribe(&contact)?;
        expect_available(&scene.alice, &contact)?;
        let back = scene.alice.expect("the subscription back", |stanza| {
            is_presence(stanza, &contact) && stanza.kind() == "subscribe"
        })?;
        ensure!(back.from() == contact, "{}", back.xml);
    }
    Ok(())
}

fn contacts_are_available_again_after_whatever_happened(
    bench: &Bench,
    server: Server,
) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    let contact = scene.contact(r"bob\40phones.test");
    scene.alice.subscribe(&contact)?;
    expect_available(&scene.alice, &contact)?;

    // The server probes for a resource that comes online.
    let phone = scene.xmpp.log_in(server, "alice", "phone")?;
    expect_available(&phone, &contact)?;
    phone.log_out()?;

    scene.alice.drain();
    scene.tandem.component.terminate()?;
    scene.alice.expect("the contact leaving", |stanza| {
        is_presence(stanza, &contact) && stanza.kind() == "unavailable"
    })?;
    scene.tandem.component.start_again()?;
    expect_available(&scene.alice, &contact)?;

    scene.alice.drain();
    scene.tandem.crash_component()?;
    expect_available(&scene.alice, &contact).map(drop)
}

fn unsubscribing_ends_it(bench: &Bench, server: Server) -> Result<()> {
    let mut scene = Scene::open(bench, server)?;
    let (leaving, staying) = (
        scene.contact(r"bob\40phones.test"),
        scene.contact("+15550123"),
    );
    for contact in [&leaving, &staying] {
        scene.alice.subscribe(contact)?;
        expect_available(&scene.alice, contact)?;
    }
    scene
        .alice
        .send(&format!("<presence to='{leaving}' type='unsubscribe'/>"))?;
    scene.alice.expect("the contact leaving", |stanza| {
        is_presence(stanza, &leaving) && stanza.kind() == "unavailable"
    })?;
    scene
        .alice
        .ask("get", server.gateway(), "<ping xmlns='urn:xmpp:ping'/>")?;
    scene.alice.drain();
    scene.tandem.crash_component()?;
    expect_available(&scene.alice, &staying)?;
    scene.tandem.wait_reachable(&scene.alice)?;
    scene
        .alice
        .expect_none("presence of the contact that was left", |stanza| {
            is_presence(stanza, &leaving)
        })
}

/// Contacts that can be nobody are refused; others than users of served domains are not heard.
#[test]
fn nobody_cannot_be_subscribed_to() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let nobody = scene.contact(r"bob\40");
        scene
            .alice
            .send(&format!("<presence to='{nobody}' type='subscribe'/>"))?;
        scene.alice.expect("the refusal", |stanza| {
            is_presence(stanza, &nobody) && stanza.kind() == "unsubscribed"
        })?;
        scene
            .alice
            .expect_none("approval", |stanza| stanza.kind() == "subscribed")
    })
}

fn expect_available(session: &Session, contact: &str) -> Result<Stanza> {
    session.expect(&format!("available presence of {contact}"), |stanza| {
        is_presence(stanza, contact) && stanza.kind().is_empty()
    })
}

fn is_presence(stanza: &Stanza, contact: &str) -> bool {
    stanza.name == "presence" && stanza.from().split('/').next() == Some(contact)
}
