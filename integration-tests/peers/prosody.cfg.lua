-- A private Prosody on the default ports. Words between at signs are filled in by src/server/prosody.rs.
run_as_root = true -- inside its namespace every test is root
daemonize = false
data_path = "@DIR@"
certificates = "@DIR@"
interfaces = { "127.0.0.1" }
c2s_ports = { 5222 }
c2s_direct_tls_ports = { }
component_ports = { 5347 }
component_interfaces = { "127.0.0.1" }
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
c2s_stanza_size_limit = 1024 * 1024 -- four times the default, so that users can send what Tandem does not take
authentication = "internal_plain"
storage = "internal"
limits = { }
modules_enabled = {
  "roster", "saslauth", "disco", "pep", "private", "blocklist", "vcard4", "vcard_legacy",
  "time", "ping", "version", "carbons", "smacks", "csi_simple", @ARCHIVE@"offline",
  "http", "websocket", "bosh", "turn_external",
}
http_ports = { 5280 }
http_interfaces = { "127.0.0.1" }
https_ports = { }
consider_websocket_secure = true
consider_bosh_secure = true
turn_external_host = "127.0.0.1"
turn_external_port = 3478
turn_external_secret = "@TURN_SECRET@"
modules_disabled = { "s2s" }
log = { @LOG_LEVEL@ = "*console" }

VirtualHost "localhost"

@COMPONENT@
