//! Trunks: providers with several servers, accounts that register, and what is let in and out by them
//! (checklist rows N01 to N11, N14, M08, A08, Z01 to Z06).

mod accounts;
mod admin;
mod approval;
mod awkward;
mod cluster;
mod edges;
mod floods;
mod flows;
mod fraud;
mod guests;
mod ipv6;
mod joined;
mod nat;
mod numbers;
mod party;
mod policy;
mod registration;
mod scene;
mod soak;
mod strangers;
mod tls;
mod wishes;
mod ws;
