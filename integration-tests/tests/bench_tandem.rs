//! The driver of Tandem's processes proves itself with two stand-ins for the binaries.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use integration_tests::server::Setup;
use integration_tests::tandem::{self, Tandem};
use integration_tests::wait::GENEROUS;
use integration_tests::{Server, isolated};

#[test]
fn tandems_driver_starts_crashes_and_ends_two_processes() -> Result<()> {
    isolated(|bench| {
        for (name, program) in [
            ("tandem-b2bua", B2BUA_STAND_IN),
            ("tandem-component", COMPONENT_STAND_IN),
        ] {
            let path = bench.write(&format!("bin/{name}"), &format!("{STAND_IN}{program}"))?;
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        let server = Server::Prosody;
        let _running = server.start(bench, Setup::default())?;
        let binaries = bench.path("bin");
        let mut setup = tandem::Setup::with_kamailio(server);
        setup.binaries = Some(&binaries);
        setup.numbers = vec![("+15550100", "alice@localhost")];
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.component.wait_log("up for sip.localhost")?;
        tandem.expect_clean_log(&["the text of a message"])?;
        ensure!(tandem.expect_clean_log(&["up for"]).is_err());

        tandem.crash_b2bua()?;
        tandem.component.wait_exit(GENEROUS)?;
        tandem.component.start_again()?;
        tandem.wait_linked()?;
        tandem.terminate()?;
        ensure!(
            tandem.expect_clean_log(&[]).is_err(),
            "the stand-in logs an error at its end"
        );
        Ok(())
    })
}

/// What both stand-ins for Tandem's binaries do: read the configuration, and end well on SIGTERM.
const STAND_IN: &str = "#!/usr/bin/python3
import os, signal, socket, sys, time, tomllib
config = tomllib.load(open(sys.argv[sys.argv.index('--config') + 1], 'rb'))
bus = config['bus']['url'].removeprefix('local:')
def end(*_):
    print(' ERROR ended', flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
";
const B2BUA_STAND_IN: &str = "
assert config['trunk'][0]['match'] == ['*@sip.test'] and config['number'][0]['jid'] == 'alice@localhost'
if os.path.exists(bus): os.remove(bus)
listener = socket.socket(socket.AF_UNIX)
listener.bind(bus)
listener.listen()
sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sip.bind(('127.0.0.1', 5070))
links = []
while True: links.append(listener.accept())
";
const COMPONENT_STAND_IN: &str = "
link = socket.socket(socket.AF_UNIX)
for _ in range(500):
    try: link.connect(bus)
    except OSError: time.sleep(0.02)
    else: break
host, port = config['xmpp']['server'].split(':')
stream = socket.create_connection((host, int(port)))
print('up for', config['mapping']['domain'], flush=True)
link.recv(1)
";
