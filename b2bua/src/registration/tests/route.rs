//! Through whom requests go for as long as a registration lasts (RFC 3608 §6.1). Calls: `call/tests/flow.rs`.

use super::*;

const ROUTE: &str = "<sip:edge.provider.example;lr>, <sip:core.provider.example;lr>";

/// The Route of a message of juliet's, which is delivered.
fn route(bench: &mut Bench, number: u32) -> Vec<String> {
    let mut message = crate::message::request::tests::message(
        ("juliet", "example.com"),
        ("+15559", "sip.example.com"),
        "hello",
    );
    message.id.0 = number.to_string();
    message.ordinal.number = number;
    bench.send(message);
    let (request, _) = bench.request();
    bench.answer(&request, 200, None);
    let routes = request.headers.values("Route");
    routes.map(str::to_owned).collect()
}

/// Grants `request` for 600 s, with this Service-Route.
fn grant_by(bench: &mut Bench, request: &Request, route: &str) {
    let contact = request.headers.get("Contact").unwrap();
    let mut response =
        Response::to(request, Status::OK).with("Contact", &format!("{contact};expires=600"));
    if !route.is_empty() {
        response = response.with("Service-Route", route);
    }
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("192.0.2.1:5060", &bytes);
}

#[test]
fn a_service_route_is_followed_until_the_registration_ends() {
    let mut bench = begin(vec![account()]);
    let (register, _) = bench.request();
    assert!(register.headers.get("Route").is_none());
    grant_by(&mut bench, &register, ROUTE);
    let both = [
        "<sip:edge.provider.example;lr>",
        "<sip:core.provider.example;lr>",
    ];
    assert_eq!(route(&mut bench, 1), both);
    // The last one counts, and none is one.
    bench.pass(299);
    let refresh = wait_request(&mut bench, 300);
    assert!(refresh.headers.get("Route").is_none());
    grant_by(&mut bench, &refresh, "");
    assert!(route(&mut bench, 2).is_empty());
    bench.pass(299);
    let refresh = wait_request(&mut bench, 300);
    grant_by(&mut bench, &refresh, ROUTE);
    assert_eq!(route(&mut bench, 3), both);
    // It ends with the registration.
    bench.pass(299);
    let refresh = wait_request(&mut bench, 300);
    bench.answer(&refresh, 403, None);
    assert!(matches!(state(&bench), Registered::Failed { .. }));
    assert!(route(&mut bench, 4).is_empty());
}
