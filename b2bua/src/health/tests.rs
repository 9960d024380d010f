use std::sync::Arc;
use std::time::Duration;

use crate::core::bench::{Bench, hop};
use crate::settings::tests::settings;
use crate::sip::Method;
use crate::trunk::tests::trunk;
use crate::trunk::{Health, Trunk, Trunks};

fn bench() -> Bench {
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![Trunk {
        keepalive: Some(Duration::from_secs(30)),
        ..trunk("pbx", &["*@pbx.example.net"], Some("192.0.2.2"))
    }]));
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(1);
    bench
}

fn health(bench: &Bench) -> Health {
    let (id, _) = bench.core.trunks().iter().next().unwrap();
    bench
        .core
        .states()
        .get(id)
        .map_or(Health::Unknown, |state| state.health.clone())
}

#[test]
fn any_answer_is_a_sign_of_life() {
    for code in [200, 401, 404, 405, 483, 500] {
        let mut bench = bench();
        let (options, transmit) = bench.request();
        assert_eq!(options.method, Method::Options);
        assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
        bench.answer(&options, code, None);
        assert_eq!(health(&bench), Health::Up, "{code}");
        bench.pass(29);
        assert!(bench.requests().is_empty());
        bench.pass(1);
        assert_eq!(bench.requests().len(), 1);
    }
}

#[test]
fn two_misses_in_a_row_are_a_trunk_that_is_down() {
    let mut bench = bench();
    let (first, _) = bench.request();
    bench.answer(&first, 503, None);
    assert_eq!(health(&bench), Health::Unknown);
    bench.pass(1);
    let (_second, _) = bench.request();
    bench.pass(32);
    assert!(matches!(health(&bench), Health::Down { .. }));
    let _ = bench.requests();
    bench.pass(30);
    let (third, _) = bench.request();
    bench.answer(&third, 200, None);
    assert_eq!(health(&bench), Health::Up);
}

#[test]
fn one_miss_is_forgiven() {
    let mut bench = bench();
    let (first, _) = bench.request();
    bench.answer(&first, 408, None);
    bench.pass(1);
    let (second, _) = bench.request();
    bench.answer(&second, 200, None);
    bench.pass(30);
    let (third, _) = bench.request();
    bench.answer(&third, 503, None);
    assert_eq!(health(&bench), Health::Up);
}
