//! Whether an account can be used as it was given, and the trunk it becomes.

use std::time::Duration;

use tandem_shared::account::Account;
use tandem_shared::address::{Address, host_from_text};
use tandem_shared::mint;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};

use super::AccountSettings;
use crate::number::Format;
use crate::settings::Settings;
use crate::sip::Transport;
use crate::sip::digest::Credential;
use crate::sip::endpoint::LINE;
use crate::sip::uri::{Host, HostPort, SipUri, Uri};
use crate::trunk::network::is_public;
use crate::trunk::{Identity, NextHop, Pattern, Register, Trunk};

/// An account that can be used.
#[derive(Debug)]
pub struct Checked {
    /// With its address written as `sip:alice@provider.example`.
    pub account: Account,
    /// What it is to the rest of the process.
    pub trunk: Trunk,
}

/// Checks an account of `user`; `key` is the installation's.
///
/// # Errors
/// `not-allowed` where the configuration does not have it, `bad-request` with a text that names
/// what is wrong with it.
pub fn check(
    user: &Address,
    account: &Account,
    key: &[u8; 16],
    settings: &Settings,
) -> Result<Checked, Refusal> {
    if !settings.accounts.open {
        return Err(Refusal::new(Reason::NotAllowed)
            .with_text("This gateway keeps no accounts of users: it has no accounts.key."));
    }
    if !settings.mapping.serves(&user.host) {
        return Err(wrong("user: is no user of this gateway"));
    }
    let (name, host) = address(&account.address)?;
    let own = settings.mapping.domain.as_str();
    let domain = host_from_text(&host.to_string())?;
    if domain == own || settings.mapping.serves(&domain) {
        return Err(wrong("address: is at this gateway itself"));
    }
    if !is_allowed(&domain, &settings.accounts) {
        return Err(shut(
            "address: accounts at this provider are not allowed here.",
        ));
    }
    let login = account.login.as_deref().unwrap_or(&name);
    if !is_text(login, 128) || !is_text(&account.password.0, 256) {
        return Err(wrong("login, password: must be one line, and not empty"));
    }
    let transport = transport(account.transport.as_deref())?;
    let next_hop = match &account.server {
        Some(text) => {
            let next_hop = server(text)?;
            let domain = host_from_text(&next_hop.host.to_string())?;
            if !is_allowed(&domain, &settings.accounts) {
                return Err(shut(
                    "server: is at no provider that accounts are allowed at here.",
                ));
            }
            next_hop
        }
        None => NextHop {
            host: host.clone(),
            port: None,
        },
    };
    if let Some(ip) = next_hop.host.ip()
        && !settings.accounts.allow_private
        && !is_public(ip)
    {
        let key = match account.server {
            Some(_) => "server",
            None => "address",
        };
        return Err(wrong(&format!(
            "{key}: {ip} is of the own network; accounts.allow_private = true lets it in"
        )));
    }
    let number = settings.numbering.plan.normalise(&name);
    let theirs = number.map(|number| settings.numbers.users(&number));
    if theirs.is_some_and(|users| !users.is_empty() && !users.contains(&user.account())) {
        return Err(wrong("address: is a number of another user's"));
    }
    let aor = aor(&name, &host);
    let address = aor.to_string();
    let patterns = match account.outgoing {
        true => vec![
            Pattern::Prefix("+".to_owned()),
            Pattern::Host(domain.clone()),
        ],
        false => Vec::new(),
    };
    let credential = Credential {
        user: login.into(),
        password: account.password.0.as_str().into(),
        realm: None,
    };
    let plain = address.strip_prefix("sip:").unwrap_or(&address);
    let trunk = Trunk {
        patterns,
        next_hop: Some(next_hop),
        transport,
        domain: Some(host),
        allow_private: settings.accounts.allow_private,
        identity: Identity::Fixed(aor),
        format: format(account.number_format.as_deref())?,
        inbound_format: format(account.number_format.as_deref())?,
        plan: settings.numbering.plan.clone(),
        credentials: Some(credential),
        register: Some(Register {
            user: name,
            expires: EXPIRES,
            outbound: true,
            flows: 1,
        }),
        nat_keepalive: Some(NAT_KEEPALIVE),
        channels: CALLS,
        line: line(key, user, &address),
        owner: Some(user.account()),
        ..Trunk::new(&format!("account {}", Pii(plain)))
    };
    let account = Account {
        address,
        ..account.clone()
    };
    Ok(Checked { account, trunk })
}

/// An address as that of an account is kept and compared: `sip:alice@provider.example`.
///
/// # Errors
/// `bad-request` where it is none that could be kept.
pub fn spell(text: &str) -> Result<String, Refusal> {
    let (name, host) = address(text)?;
    Ok(aor(&name, &host).to_string())
}

fn aor(name: &str, host: &Host) -> Uri {
    Uri::Sip(SipUri::new(host.clone()).with_user(name))
}

/// The user and the host of an address.
fn address(text: &str) -> Result<(String, Host), Refusal> {
    let bad = || wrong("address: write sip:alice@provider.example");
    let scheme = text.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("sips") {
        return Err(wrong(
            "address: sips: cannot be kept secure here; write sip:alice@provider.example, and tls as transport",
        ));
    }
    let rest = match text.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip:") => rest,
        Some(_) | None => text,
    };
    // Neither another scheme nor a password.
    if rest.split('@').next().is_none_or(|part| part.contains(':')) {
        return Err(bad());
    }
    let text = format!("sip:{rest}");
    if text.len() > 512 {
        return Err(bad());
    }
    let Ok(Uri::Sip(uri)) = Uri::parse(&text) else {
        return Err(bad());
    };
    if let Some(port) = uri.port {
        return Err(wrong(&format!(
            "address: a port does not belong there; write sip:alice@provider.example, and \
            provider.example:{port} as server"
        )));
    }
    // Parameters, ports and headers say how to get there, not who it is.
    let bare = uri.port.is_none() && !uri.secure && !text.contains([';', '?']);
    let part = uri.raw_user().filter(|_| bare).ok_or_else(bad)?;
    let name = tandem_shared::address::uri::user_from_sip(part).map_err(|_| bad())?;
    match is_text(&name, 256) {
        true => Ok((name, uri.host)),
        false => Err(bad()),
    }
}

fn server(text: &str) -> Result<NextHop, Refusal> {
    let rest = text.strip_prefix("sip:").unwrap_or(text);
    let parsed = HostPort::parse(rest);
    let HostPort { host, port } =
        parsed.map_err(|_| wrong("server: write proxy.provider.example:5060"))?;
    Ok(NextHop { host, port })
}

fn transport(text: Option<&str>) -> Result<Option<Transport>, Refusal> {
    let all = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ];
    let Some(text) = text else {
        return Ok(None);
    };
    let found = all
        .into_iter()
        .find(|it| it.as_str().eq_ignore_ascii_case(text));
    match found {
        Some(transport) => Ok(Some(transport)),
        None => Err(wrong("transport: write udp, tcp, tls, ws or wss")),
    }
}

fn format(text: Option<&str>) -> Result<Format, Refusal> {
    match text {
        None | Some("+e164") => Ok(Format::Plus),
        Some("e164") => Ok(Format::Bare),
        Some("national") => Ok(Format::National),
        Some(_) => Err(wrong("number_format: write +e164, e164 or national")),
    }
}

/// Whether accounts may be at this domain.
fn is_allowed(domain: &str, settings: &AccountSettings) -> bool {
    let fits = |pattern: &String| match pattern.strip_prefix('*') {
        Some(rest) => domain.ends_with(rest),
        None => domain == pattern,
    };
    settings.providers.iter().any(fits)
}

fn shut(text: &str) -> Refusal {
    Refusal::new(Reason::NotAllowed).with_text(text)
}

fn is_text(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The user part of our Contact there, which nobody but its registrar can know.
fn line(key: &[u8; 16], user: &Address, address: &str) -> String {
    let parts = ["line", &user.user, &user.host, address];
    let hash = mint::hash(key, &parts.map(str::as_bytes));
    format!("{LINE}{}", mint::base32(hash))
}

fn wrong(text: &str) -> Refusal {
    Refusal::new(Reason::BadRequest).with_text(text)
}

/// For how many seconds accounts are registered.
const EXPIRES: u32 = 3600;
/// Most calls on one: nobody's provider takes the lines of all.
const CALLS: usize = 4;
const NAT_KEEPALIVE: Duration = Duration::from_secs(25);
