//! A provider with two edge proxies before its registrar: a trunk keeps a flow to each, and calls come in as
//! long as one of them lives (RFC 5626 §4.2.1; N08); and an edge that knows no flows.

use anyhow::{Result, ensure};
use integration_tests::edge::Edge;
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, Scene, account};

const ZONE: &str = "srv-host=_sip._tcp.edges.test,edge1.edges.test,5060,10,50\n\
    srv-host=_sip._tcp.edges.test,edge2.edges.test,5060,20,50\n\
    host-record=edge1.edges.test,127.0.0.13\nhost-record=edge2.edges.test,127.0.0.14\n";

/// Waits until the registrar has the flow of this number, since `mark`.
fn wait_flow(node: &mut Provider, mark: usize, number: u8) -> Result<()> {
    let named = format!("reg-id={number}");
    let what = format!("a registration with {named}");
    node.process.wait_log_where(mark, &what, |line| {
        let is_it = line.contains("provider-registered user=tandem") && line.contains(&named);
        is_it.then_some(())
    })
}

/// What the trunk sends by `edge` names it in its Route, as the registrar said it should (RFC 3608 §6.1).
fn follows_service_route(edge: &Edge, host: &str, method: &str) -> Result<()> {
    let mut passed = edge.lines(&format!("edge-request method={method} source=tcp:"))?;
    // What the registrar sends to us names the flow.
    passed.retain(|line| !line.contains(":127.0.0.11:"));
    let route = format!("route=<sip:{host}:5060;transport=tcp;lr>");
    let follows = |line: &String| line.trim_end().ends_with(&route);
    ensure!(
        !passed.is_empty() && passed.iter().all(follows),
        "{passed:?}"
    );
    Ok(())
}

#[test]
fn calls_come_in_by_the_edge_that_lives() -> Result<()> {
    with_tandem_within(LIMIT * 2, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            several_flows: true,
            ..Setup::default()
        };
        let mut node = Provider::start(bench, setup)?;
        let mut first = Edge::start(bench, ("edge1", "127.0.0.13"), &node)?;
        let mut second = Edge::start(bench, ("edge2", "127.0.0.14"), &node)?;
        let password = password_of("tandem");
        let trunk = Trunk {
            next_hop: "edges.test",
            ..account(
                "tcp",
                &password,
                "register = true\nflows = 2\ndomain = \"provider.test\"",
            )
        };
        let scene = Scene::open(bench, vec![trunk], "")?;
        wait_flow(&mut node, 0, 1)?;
        wait_flow(&mut node, 0, 2)?;
        // Each edge has one of them.
        for (edge, other) in [(&first, "reg-id=2"), (&second, "reg-id=1")] {
            ensure!(!edge.lines("edge-register")?.is_empty());
            ensure!(edge.lines(other)?.is_empty(), "{other}");
        }
        let shown = scene.tandem.borrow().ask(&["trunks"])?;
        for flow in ["flow 1 registered for 3", "flow 2 registered for 3"] {
            ensure!(shown.contains(flow), "{shown}");
        }
        scene.write_in(&node, "by either")?;
        let call = scene.call_out("+15559001")?;
        scene.hang_up(call)?;
        scene.write("+15559001", "out by the first")?;
        follows_service_route(&first, "127.0.0.13", "INVITE")?;
        follows_service_route(&first, "127.0.0.13", "MESSAGE")?;

        first.process.stop()?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("the connection of a registration ended")?;
        tandem.b2bua.wait_log("not registered")?;
        drop(tandem);
        scene.write_in(&node, "by the second")?;
        let call = scene.call_in(node.address())?;
        scene.hang_up(call)?;
        // What goes out takes the flow that is left.
        scene.write("+15559002", "out by the second")?;
        follows_service_route(&second, "127.0.0.14", "MESSAGE")?;
        let shown = scene.tandem.borrow().ask(&["trunks"])?;
        ensure!(shown.contains("flow 1 NOT REGISTERED"), "{shown}");
        ensure!(shown.contains("flow 2 registered"), "{shown}");

        let mark = node.process.mark()?;
        first.start_again()?;
        scene.tandem.borrow().ask(&["register", "provider"])?;
        wait_flow(&mut node, mark, 1)?;
        second.process.stop()?;
        scene.write_in(&node, "by the first again")?;
        let call = scene.call_in(node.address())?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

/// The registrar says that the edge knows no flows (439), and the trunk does without (RFC 5626 §6).
#[test]
fn an_edge_that_knows_no_flows_is_taken_as_it_is() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let edge = Edge::start_without_flows(bench, ("edge1", "127.0.0.13"), &node)?;
        let password = password_of("tandem");
        let trunk = Trunk {
            next_hop: "edge1.edges.test:5060",
            ..account(
                "udp",
                &password,
                "register = true\ndomain = \"provider.test\"",
            )
        };
        let scene = Scene::open(bench, vec![trunk], "")?;
        let line = node.wait_registered("tandem")?;
        ensure!(!line.contains("reg-id"), "{line}");
        let refused = node.lines("provider-not-registered")?;
        ensure!(
            refused.len() == 1 && refused.iter().all(|line| line.contains("reg-id=1")),
            "{refused:?}"
        );
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        scene.write_in(&node, "in by its path")?;
        let call = scene.call_in(node.address())?;
        scene.hang_up(call)?;
        scene.write("+15559001", "out")?;
        let passed = edge.lines("edge-request method=MESSAGE")?;
        let is_ours = |line: &String| !line.contains(":127.0.0.11:");
        ensure!(passed.iter().any(is_ours), "{passed:?}");
        scene.close(&[])
    })
}
