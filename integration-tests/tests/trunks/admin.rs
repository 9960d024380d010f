//! What an admin sees of trunks, and does to them (N07).

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, Scene, provider};

/// A provider that is there, then gone, then there again; each is told of, and `register` tells what became of it.
#[test]
fn trunks_are_told_of_as_they_are() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "host-record=provider.test,127.0.0.11\n")?;
        let mut node = Provider::start(bench, Setup::default())?;
        let password = password_of("tandem");
        let trunk = Trunk {
            transport: "tcp",
            credentials: Some(("tandem", &password)),
            inbound: Vec::new(),
            extra: "register = true\nkeepalive = 5\nchannels = 2",
            ..provider()
        };
        let scene = Scene::open(bench, vec![trunk], "t1_ms = 50")?;
        node.wait_registered("tandem")?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem.b2bua.wait_log("registered")?;
        node.process.wait_log("provider-options")?;
        let shown = tandem.ask(&["trunks"])?;
        ensure!(
            shown.contains("provider: answers, registered for 3"),
            "{shown}"
        );
        ensure!(
            shown.contains("at 127.0.0.11 port 5060 over tcp, 0 of 2 calls"),
            "{shown}"
        );

        let socket = bench.path("b2bua-admin.sock");
        let mode = std::fs::metadata(&socket)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{mode:o}");

        node.process.stop()?;
        tandem.b2bua.wait_log("the trunk is down")?;
        let shown = tandem.ask(&["trunks"])?;
        ensure!(
            shown.contains("provider: DOWN (It cannot be reached.)"),
            "{shown}"
        );
        ensure!(
            shown.contains("NOT REGISTERED (The registrar cannot be reached.)"),
            "{shown}"
        );

        let failed = tandem.ask(&["register", "provider"]).err();
        let failed = failed.map(|error| error.to_string()).unwrap_or_default();
        ensure!(
            failed.contains("NOT REGISTERED (The registrar cannot be reached.), next try in"),
            "{failed}"
        );

        let mark = node.process.mark()?;
        node.start_again()?;
        let told = tandem.ask(&["register", "provider"])?;
        ensure!(
            told.starts_with("provider: registered for 3") && told.contains("UTC"),
            "{told}"
        );
        node.process.wait_log_since(mark, "provider-registered")?;
        tandem.b2bua.wait_log("the trunk answers again")?;
        let refused = tandem
            .ask(&["register", "nobody"])
            .err()
            .map(|error| error.to_string());
        ensure!(refused.is_some_and(|text| text.contains("there are provider")));
        Ok(())
    })
}
