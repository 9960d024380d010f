//! Users' own accounts at a provider: kept by an admin, sealed at rest, registered by the gateway.

use anyhow::{Result, ensure};
use integration_tests::Server;
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::{self, Tandem, Trunk, with_tandem_within};
use integration_tests::wait::{self, GENEROUS};
use rusqlite::Connection;

use crate::scene::{LIMIT, Scene, ZONE};

const ADDRESS: &str = "sip:tandem@provider.test";
const ACCOUNTS: &str =
    "[accounts]\nkey = \"0123456789abcdef0123456789abcdef\"\nallow_private = true";

/// Alice's account carries her calls and messages both ways, without any trunk; it comes back after a
/// kill of the b2bua, cannot be read in the database, and is taken back when it is removed.
#[test]
fn a_user_is_reached_by_an_account_of_its_own() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let scene = Scene::open(bench, Vec::new(), ACCOUNTS)?;
        let alice = format!("alice@{}", scene.server.domain());
        let password = password_of("tandem");

        let set = ["account", "set", &alice, ADDRESS, "--transport", "tcp"];
        scene.tandem.borrow().ask_with(&set, &password)?;
        node.wait_registered("tandem")?;
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        let shown = scene.tandem.borrow().ask(&["account", "list"])?;
        ensure!(
            shown.contains(&format!("{alice}: {ADDRESS}, registered for 3")),
            "{shown}"
        );
        let trunks = scene.tandem.borrow().ask(&["trunks"])?;
        ensure!(trunks.contains("no trunks"), "{trunks}");

        scene.write("+15559001", "out")?;
        scene.write_in(&node, "in")?;
        let line = node.lines("provider-request method=MESSAGE")?;
        ensure!(
            line.iter()
                .any(|line| line.contains("from=sip:tandem@provider.test")),
            "{line:?}"
        );
        let call = scene.call_out("+15559002")?;
        scene.hang_up(call)?;
        let call = scene.call_in(node.address())?;
        scene.hang_up(call)?;

        for file in std::fs::read_dir(bench.path(""))? {
            let path = file?.path();
            if path.to_string_lossy().contains("sqlite") {
                let bytes = std::fs::read(&path)?;
                let holds = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
                ensure!(!holds(&password) && !holds(ADDRESS), "{path:?} tells it");
            }
        }

        let mark = node.process.mark()?;
        let mut tandem = scene.tandem.borrow_mut();
        let heard = tandem.b2bua.mark()?;
        tandem.crash_b2bua()?;
        node.process
            .wait_log_since(mark, "provider-registered user=tandem")?;
        tandem
            .b2bua
            .wait_log_since(heard, "the XMPP side is there")?;
        drop(tandem);
        scene.write_in(&node, "in again")?;

        let tandem = scene.tandem.borrow();
        tandem.ask(&["account", "remove", ADDRESS])?;
        drop(tandem);
        node.process.wait_log("expires=0")?;
        let shown = scene.tandem.borrow().ask(&["account", "list"])?;
        ensure!(shown == "no accounts\n", "{shown}");
        scene.close(&[&password])
    })
}

/// Whoever reads "kept" may forget the password: that is said when the disk has it, and not otherwise.
#[test]
fn what_the_database_does_not_take_is_not_called_kept() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let mut setup = tandem::Setup::with_trunk(Server::chosen()?, Trunk::default());
        setup.trunks = Vec::new();
        setup.b2bua_extra = ACCOUNTS;
        let tandem = Tandem::start_unlinked(bench, &setup)?;
        wait::until("an answer to an admin", GENEROUS, || {
            Ok(tandem.ask(&["account", "list"]).ok())
        })?;
        let alice = format!("alice@{}", setup.server.domain());
        let set = |address| tandem.ask_with(&["account", "set", &alice, address], "pw-alice");
        let kept = set("sip:one@127.0.0.11")?;
        ensure!(kept.starts_with("kept; "), "{kept}");
        let database = Connection::open(bench.path("b2bua.sqlite"))?;
        let count = || {
            database.query_row::<i64, _, _>("SELECT count(*) FROM account", [], |row| row.get(0))
        };
        ensure!(1 == count()?, "it is not there when it is called kept");
        database.execute("ALTER TABLE account RENAME TO gone", [])?;
        let said = match set("sip:two@127.0.0.11") {
            Ok(said) => said,
            Err(error) => error.to_string(),
        };
        ensure!(said.contains("not kept: the database"), "{said}");
        Ok(())
    })
}
